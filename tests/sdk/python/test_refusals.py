"""Limits and budgets of ours arrive as the SDKs' rate limit errors: what passes by itself is tried again, a spent budget is not."""

import hashlib
import json
import time

import anthropic
import openai
import pytest

from gateway import Gateway

CONFIG = """\
listen: 127.0.0.1:0
providers: {{ demo: {{ dialect: simulated }} }}
models: {{ fast: {{ target: demo/small }} }}
prices: {{ overrides: [ {{ target: "demo/*", input: 1, output: 1 }} ] }}
teams:
  limited: {{ models: "*", limits: {{ rps: 1 }}, keys: [ {{ name: limited, sha256: "{limited}" }} ] }}
  patient: {{ models: "*", limits: {{ rpd: 1 }}, keys: [ {{ name: patient, sha256: "{patient}" }} ] }}
  marker: {{ models: "*", keys: [ {{ name: marker, sha256: "{marker}" }} ] }}
  poor: {{ models: "*", budget: {{ usd: 0.000000001, per: month }}, keys: [ {{ name: poor, sha256: "{poor}" }} ] }}
"""
QUESTION = [{"role": "user", "content": "Hello?"}]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("limited", "marker", "patient", "poor")}
    gateway = Gateway(tmp_path_factory.mktemp("refusals"), CONFIG.format(**digests))
    yield gateway
    gateway.stop()


def ask_openai(gateway, key, retries):
    with openai.OpenAI(base_url=gateway.base_url, api_key=key, max_retries=retries, timeout=60) as client:
        return client.chat.completions.create(model="fast", messages=QUESTION, max_tokens=9)


def ask_anthropic(gateway, key, retries):
    root = f"http://{gateway.address}"
    with anthropic.Anthropic(base_url=root, api_key=key, max_retries=retries, timeout=60) as client:
        return client.messages.create(model="fast", messages=QUESTION, max_tokens=9)


ASKING = [(ask_openai, openai.RateLimitError), (ask_anthropic, anthropic.RateLimitError)]


def asked(gateway, key):
    """How many requests have come with a key by now."""

    def logged(name):
        lines = (json.loads(line) for line in gateway.log().splitlines() if line.startswith("{"))
        return sum(line.get("key") == name for line in lines if line["msg"] == "request")

    # A line is written behind its answer, and lines in their order: once this one is there, so are all before it.
    before = logged("marker")
    assert ask_openai(gateway, "marker", 0)
    until = time.monotonic() + 60
    while logged("marker") == before:
        assert time.monotonic() < until
        time.sleep(0.01)
    return logged(key)


@pytest.mark.parametrize(("ask", "error"), ASKING)
def test_a_spent_budget_is_a_rate_limit_error_and_not_tried_again(running, ask, error):
    before = asked(running, "poor")
    with pytest.raises(error) as raised:
        ask(running, "poor", 3)
    assert raised.value.status_code == 429
    assert "the budget of the team `poor`" in str(raised.value)
    if error is openai.RateLimitError:
        assert (raised.value.code, raised.value.type) == ("insufficient_quota", "insufficient_quota")
    assert asked(running, "poor") == before + 1


@pytest.mark.parametrize(("ask", "error"), ASKING)
def test_a_limit_is_a_rate_limit_error(running, ask, error):
    with pytest.raises(error) as raised:
        # The first of the day is answered.
        for _ in range(2):
            ask(running, "patient", 0)
    assert raised.value.status_code == 429
    assert "1 requests per day (`rpd`)" in str(raised.value)
    assert raised.value.response.headers["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.parametrize(("ask", "error"), ASKING)
def test_an_sdk_that_waits_as_told_gets_through(running, ask, error):
    for _ in range(2):
        assert ask(running, "limited", 5)
