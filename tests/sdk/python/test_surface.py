"""The other endpoints, Azure's client, and what travels in headers and unknown fields."""

import json

import pytest
from openai import AzureOpenAI

from gateway import KEY, NARROW_KEY, UPSTREAM_KEY
from upstream import Answer, chunk, completion

QUESTION = [{"role": "user", "content": "Hello?"}]


def test_embeddings_come_in_base64_by_default_and_as_numbers_when_asked(client):
    texts = ["one", "two"]
    packed = client.embeddings.create(model="fast", input=texts)
    plain = client.embeddings.create(model="fast", input=texts, encoding_format="float")
    assert [item.index for item in packed.data] == [0, 1]
    assert packed.usage.total_tokens > 0
    for ours, theirs in zip(packed.data, plain.data, strict=True):
        assert ours.embedding == pytest.approx(theirs.embedding, rel=1e-5, abs=1e-7)
    assert packed.data[0].embedding != packed.data[1].embedding


def test_embeddings_have_as_many_dimensions_as_asked_for(client):
    answer = client.embeddings.create(model="fast", input="one", dimensions=256)
    assert len(answer.data[0].embedding) == 256


async def test_embeddings_come_asynchronously(async_client):
    answer = await async_client.embeddings.create(model="fast", input="one")
    assert answer.data[0].embedding


def test_completions_come_whole_and_streamed(client):
    whole = client.completions.create(model="fast", prompt="Once upon a time", max_tokens=16)
    stream = client.completions.create(model="fast", prompt="Once upon a time", max_tokens=16, stream=True)
    assert whole.choices[0].text
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == whole.choices[0].text


def test_the_models_of_a_key_are_listed(client):
    assert {model.id for model in client.models.list()} == {"fast", "broken", "recorded", "refused", "impatient"}
    narrow = client.with_options(api_key=NARROW_KEY)
    assert [model.id for model in narrow.models.list()] == ["fast"]


@pytest.mark.parametrize("name", ["fast", "demo/whatever-it-is"])
def test_a_model_is_found_by_name(client, name):
    model = client.models.retrieve(name)
    assert (model.id, model.object) == (name, "model")


def test_azures_client_needs_nothing_but_the_address(azure, upstream):
    answer = azure.chat.completions.create(model="fast", messages=QUESTION)
    assert answer.choices[0].message.content
    stream = azure.chat.completions.create(model="demo/some-model", messages=QUESTION, stream=True)
    assert any(chunk.choices and chunk.choices[0].delta.content for chunk in stream)
    assert azure.embeddings.create(model="fast", input="one").data[0].embedding
    assert azure.completions.create(model="fast", prompt="Once").choices[0].text
    azure.chat.completions.create(model="recorded", messages=QUESTION)
    assert upstream.requests[0].path == "/v1/chat/completions"
    assert upstream.requests[0].json["model"] == "upstream-model"


def test_azures_client_may_name_its_deployment_once(gateway, upstream):
    endpoint = f"http://{gateway.address}"
    with AzureOpenAI(
        azure_endpoint=endpoint, azure_deployment="recorded", api_key=KEY, api_version="2024-10-21", max_retries=0
    ) as azure:
        azure.chat.completions.create(model="recorded", messages=QUESTION)
    assert upstream.requests[0].json["model"] == "upstream-model"


def test_unknown_fields_reach_the_provider_and_come_back(client, upstream):
    upstream.begin(Answer(body=completion({"content": "Hi.", "mood": "sunny"}) | {"vendor": {"note": 1.50}}))
    extra = {"vendor_option": {"nested": [1, None, "ü"]}, "provider": {"order": ["a", "b"]}}
    answer = client.chat.completions.create(model="recorded", messages=QUESTION, extra_body=extra)
    sent = upstream.requests[0].json
    assert {name: sent[name] for name in extra} == extra
    assert sent["model"] == "upstream-model"
    assert answer.choices[0].message.mood == "sunny"
    assert answer.vendor == {"note": 1.5}


def test_unknown_fields_of_a_stream_reach_the_provider(client, upstream):
    upstream.begin(Answer(frames=[json.dumps(chunk({"content": "Hi."}, "stop")), "[DONE]"]))
    extra = {"vendor_option": True}
    list(client.chat.completions.create(model="recorded", messages=QUESTION, stream=True, extra_body=extra))
    assert upstream.requests[0].json["vendor_option"] is True


def test_answers_say_where_they_come_from(client):
    raw = client.chat.completions.with_raw_response.create(model="fast", messages=QUESTION)
    assert raw.headers["x-tollgate-model"] == "demo/small"
    assert raw.headers["x-tollgate-attempts"] == "1"
    assert raw.headers["x-tollgate-route"] == "demo/small;ok"
    assert raw.headers["x-tollgate-cache"] == "off"
    assert raw.headers["x-request-id"]
    assert raw.parse().choices[0].message.content


def test_streams_say_where_they_come_from(client):
    with client.chat.completions.with_streaming_response.create(
        model="fast", messages=QUESTION, stream=True
    ) as response:
        assert response.headers["x-tollgate-model"] == "demo/small"
        assert response.headers["x-request-id"]
        assert response.headers["content-type"].startswith("text/event-stream")


def test_the_sdk_knows_the_request_id(client, upstream):
    upstream.begin(Answer(body=completion({"content": "Hi."}), headers={"x-request-id": "req_of_the_provider"}))
    headers = {"x-request-id": "chosen.by_the-caller.1"}
    answer = client.chat.completions.create(model="recorded", messages=QUESTION, extra_headers=headers)
    assert answer._request_id == "chosen.by_the-caller.1"
    raw = client.chat.completions.with_raw_response.create(model="recorded", messages=QUESTION)
    assert raw.headers["x-upstream-request-id"] == "req_of_the_provider"
    assert raw.headers["x-request-id"] != "req_of_the_provider"


def test_the_callers_key_and_cookies_stay_here(client, upstream):
    headers = {"cookie": "session=1", "x-forwarded-for": "203.0.113.7", "openai-beta": "something=v1"}
    client.chat.completions.create(model="recorded", messages=QUESTION, extra_headers=headers)
    sent = upstream.requests[0].headers
    assert sent["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert sent["x-team"] == "sdk-tests"
    assert sent["openai-beta"] == "something=v1"
    assert not {"cookie", "x-forwarded-for"} & sent.keys()
    assert KEY not in str(sent)


def test_a_providers_cookies_and_rate_headers_stay_there(client, upstream):
    headers = {"set-cookie": "a=b", "openai-organization": "org-1", "x-ratelimit-limit-requests": "7"}
    upstream.begin(Answer(body=completion({"content": "Hi."}), headers=headers))
    raw = client.chat.completions.with_raw_response.create(model="recorded", messages=QUESTION)
    assert not headers.keys() & set(raw.headers.keys())
