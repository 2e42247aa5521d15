"""Every error arrives as the SDK's own class for its status, with our word in `code`."""

import http.client
import json

import httpx2
import openai
import pytest

from gateway import EXPIRED_KEY, NARROW_KEY, UPSTREAM_KEY
from upstream import Answer, Silence, chunk, completion, error

QUESTION = [{"role": "user", "content": "Hello?"}]


def ask(client, model="fast", **options):
    return client.chat.completions.create(model=model, messages=QUESTION, **options)


def send(client, content: bytes, content_type: str = "application/json"):
    """Sends a body that the SDK itself would never write."""
    headers = {"Content-Type": content_type}
    return client.post("/chat/completions", cast_to=object, content=content, options={"headers": headers})


def check(raised, status: int, code: str, kind: str, param: str | None = None):
    failure = raised.value
    assert (failure.status_code, failure.code, failure.type) == (status, code, kind), failure
    assert failure.param == param
    assert failure.message
    assert failure.request_id


# === What is wrong with a request


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model": "fast", "messages": [', None),
        (b'{"model": "fast", "messages": [{"role": "user", "content": "\xff"}]}', None),
        (b'{"messages": []}', "model"),
        (b'{"model": 5, "messages": []}', "model"),
        (b'{"model": "fast", "messages": [], "stream": "yes"}', "stream"),
        (b'{"model": "fast", "messages": [], "messages": []}', "messages"),
        (b'{"model": "fast", "deep": ' + b"[" * 129 + b"]" * 129 + b"}", None),
        (b'["model", "fast"]', None),
        (b"", None),
    ],
    ids=["cut", "bad UTF-8", "no model", "no name", "no boolean", "repeated", "deep", "no object", "empty"],
)
def test_a_bad_body_is_a_bad_request(client, body, param):
    with pytest.raises(openai.BadRequestError) as raised:
        send(client, body)
    check(raised, 400, "invalid_request", "invalid_request_error", param)


@pytest.mark.parametrize("key", ["unknown", EXPIRED_KEY, UPSTREAM_KEY])
def test_an_unknown_or_expired_key_is_an_authentication_error(client, key):
    with pytest.raises(openai.AuthenticationError) as raised:
        ask(client.with_options(api_key=key))
    check(raised, 401, "invalid_api_key", "invalid_request_error")
    assert key not in raised.value.message


def test_no_key_is_an_authentication_error(client):
    with pytest.raises(openai.AuthenticationError) as raised:
        ask(client, extra_headers={"Authorization": openai.Omit()})
    check(raised, 401, "invalid_api_key", "invalid_request_error")


def test_two_keys_that_differ_are_an_authentication_error(client):
    with pytest.raises(openai.AuthenticationError) as raised:
        ask(client, extra_headers={"x-api-key": NARROW_KEY})
    check(raised, 401, "invalid_api_key", "invalid_request_error")


def test_azures_client_gets_its_authentication_error(azure):
    with pytest.raises(openai.AuthenticationError) as raised:
        ask(azure.with_options(api_key="unknown"))
    check(raised, 401, "invalid_api_key", "invalid_request_error")


def test_a_model_that_the_key_may_not_use_is_a_permission_error(client):
    with pytest.raises(openai.PermissionDeniedError) as raised:
        ask(client.with_options(api_key=NARROW_KEY), model="recorded")
    check(raised, 403, "model_not_allowed", "permission_error", "model")


def test_an_unknown_model_is_not_found_and_the_nearest_is_named(client):
    with pytest.raises(openai.NotFoundError) as raised:
        ask(client, model="fsat")
    check(raised, 404, "model_not_found", "invalid_request_error", "model")
    assert "fast" in raised.value.message


def test_an_unknown_model_cannot_be_retrieved(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("no-such-model")
    check(raised, 404, "model_not_found", "invalid_request_error", "model")


def test_an_unknown_path_is_not_found_and_what_is_served_is_listed(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.files.list()
    check(raised, 404, "unknown_endpoint", "invalid_request_error")
    assert "/v1/chat/completions" in raised.value.message


def test_another_method_is_refused(client):
    with pytest.raises(openai.APIStatusError) as raised:
        client.get("/chat/completions", cast_to=object)
    check(raised, 405, "unknown_endpoint", "invalid_request_error")


class HalfABody(httpx2.BaseTransport):
    """Sends half of each body and waits for what comes back."""

    def handle_request(self, request):
        connection = http.client.HTTPConnection(request.url.host, request.url.port, timeout=60)
        connection.putrequest(request.method, request.url.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        body = request.read()
        connection.endheaders(body[: len(body) // 2])
        answer = connection.getresponse()
        return httpx2.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def test_a_body_that_does_not_arrive_times_out(client_over):
    with pytest.raises(openai.APIStatusError) as raised:
        ask(client_over(HalfABody()))
    check(raised, 408, "request_timeout", "invalid_request_error")


def test_a_body_beyond_the_limit_is_too_large(client):
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="fast", messages=[{"role": "user", "content": "x" * (9 << 20)}])
    check(raised, 413, "request_too_large", "invalid_request_error")


def test_another_media_type_is_not_supported(client):
    with pytest.raises(openai.APIStatusError) as raised:
        send(client, b"model=fast", "application/x-www-form-urlencoded")
    check(raised, 415, "unsupported_media_type", "invalid_request_error")


def test_an_unknown_encoding_is_not_supported(client):
    with pytest.raises(openai.APIStatusError) as raised:
        ask(client, extra_headers={"Content-Encoding": "rot13"})
    check(raised, 415, "unsupported_media_type", "invalid_request_error")


@pytest.mark.parametrize(
    "headers",
    [{f"x-field-{number}": "1" for number in range(101)}, {"x-field": "x" * (65 << 10)}],
    ids=["too many", "too long"],
)
def test_too_many_headers_are_too_large(client, headers):
    with pytest.raises(openai.APIStatusError) as raised:
        ask(client, extra_headers=headers)
    check(raised, 431, "headers_too_large", "invalid_request_error")


# === What a provider says


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, openai.BadRequestError, "context_length_exceeded"),
        (404, openai.NotFoundError, "model_not_found"),
        (422, openai.UnprocessableEntityError, None),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, "oops"),
        (503, openai.InternalServerError, "overloaded"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_own_error_comes_through(client, upstream, status, kind, code, stream):
    body = error(f"The provider's words for {status}.", code, "words_of_the_provider")
    upstream.begin(Answer(status, body, {"retry-after": "7"}))
    with pytest.raises(kind) as raised:
        ask(client, "recorded", stream=stream)
    check(raised, status, code, "words_of_the_provider")
    assert raised.value.body == body["error"]
    assert raised.value.response.headers["retry-after"] == "7"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, openai.BadRequestError), (429, openai.RateLimitError), (503, openai.InternalServerError)],
)
def test_the_simulated_provider_fails_when_asked_to(client, status, kind):
    with pytest.raises(kind) as raised:
        ask(client, f"demo/error-{status}")
    assert raised.value.status_code == status


def test_the_sdk_repeats_what_the_provider_could_not_take_now(client, upstream):
    upstream.begin(
        Answer(429, error("Slow down.", "rate_limit_exceeded"), {"retry-after": "1"}),
        Answer(body=completion({"content": "Now."})),
    )
    answer = ask(client.with_options(max_retries=1), "recorded")
    assert answer.choices[0].message.content == "Now."
    assert len(upstream.requests) == 2


# === What is wrong between the gateway and a provider


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_credential_that_the_provider_refuses_is_not_the_callers_fault(client, upstream, status):
    upstream.begin(Answer(status, error(f"Incorrect API key provided: {UPSTREAM_KEY}", "invalid_api_key")))
    with pytest.raises(openai.InternalServerError) as raised:
        ask(client, "recorded")
    check(raised, 502, "upstream_error", "server_error")
    assert UPSTREAM_KEY not in raised.value.message


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_is_not_there_is_a_server_error(client, stream):
    with pytest.raises(openai.InternalServerError) as raised:
        ask(client, "refused", stream=stream)
    check(raised, 502, "upstream_error", "server_error")
    assert "127.0.0.1" not in raised.value.message


@pytest.mark.parametrize("body", ["<html>It works!</html>", "", '{"id": "chatcmpl-1", "choices": ['])
def test_an_answer_that_is_none_is_a_server_error(client, upstream, body):
    upstream.begin(Answer(200, body))
    with pytest.raises(openai.InternalServerError) as raised:
        ask(client, "recorded")
    check(raised, 502, "upstream_error", "server_error")


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_says_nothing_times_out(client, upstream, stream):
    upstream.begin(Silence())
    with pytest.raises(openai.InternalServerError) as raised:
        ask(client, "impatient", stream=stream)
    check(raised, 504, "upstream_timeout", "server_error")


def test_the_sdk_does_not_repeat_what_failed_upstream(client, upstream):
    upstream.begin(Answer(200, "<html>It works!</html>"))
    with pytest.raises(openai.InternalServerError) as raised:
        ask(client.with_options(max_retries=2), "recorded")
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(upstream.requests) == 1


def test_a_stream_that_is_cut_ends_with_an_error(client, upstream):
    upstream.begin(Answer(frames=[json.dumps(chunk({"content": "Once upon"}))], is_cut=True))
    stream = ask(client, "recorded", stream=True)
    assert next(stream).choices[0].delta.content == "Once upon"
    with pytest.raises(openai.APIError) as raised:
        next(stream)
    assert (raised.value.code, raised.value.type) == ("upstream_error", "server_error")


def test_a_providers_error_in_a_stream_comes_through(client, upstream):
    failure = json.dumps(error("The provider gave up.", "gave_up", "server_error"))
    upstream.begin(Answer(frames=[json.dumps(chunk({"content": "Once upon"})), failure]))
    stream = ask(client, "recorded", stream=True)
    next(stream)
    with pytest.raises(openai.APIError) as raised:
        next(stream)
    assert (raised.value.code, raised.value.message) == ("gave_up", "The provider gave up.")


# === What is wrong on the caller's side


@pytest.mark.parametrize("stream", [False, True])
def test_the_sdks_own_timeout_is_its_timeout_error(client, stream):
    with pytest.raises(openai.APITimeoutError):
        ask(client, "demo/slow-5000", timeout=0.5, stream=stream)


async def test_the_sdks_own_timeout_is_its_timeout_error_asynchronously(async_client):
    with pytest.raises(openai.APITimeoutError):
        await ask(async_client, "demo/slow-5000", timeout=0.5)


async def test_errors_come_asynchronously(async_client):
    with pytest.raises(openai.NotFoundError) as raised:
        await ask(async_client, "no-such-model")
    check(raised, 404, "model_not_found", "invalid_request_error", "model")
