"""Every official SDK with every provider: a tool's round trip in a stream, and the exceptions that errors become."""

import anthropic
import boto3
import cohere
import pytest
from botocore.exceptions import ClientError
from google import genai
from google.genai import errors, types

from clients import AWS, CLIENTS
from gateway import KEY, Gateway
from providers import AWS_ID, IN, MODELS, OUT, WORDS, Providers, aws_key, config


@pytest.fixture(scope="module")
def providers():
    server = Providers()
    yield server
    server.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory, providers):
    running = Gateway(tmp_path_factory.mktemp("dialects"), config(providers.address))
    yield f"http://{running.address}"
    running.stop()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("provider", MODELS)
def test_a_tool_goes_round(root, providers, client, provider):
    providers.problems.clear()
    words, usage = CLIENTS[client](root, KEY, MODELS[provider])
    assert words == WORDS
    assert usage == (IN, OUT)
    assert providers.problems == []


def test_an_unknown_key_and_an_unknown_model_are_anthropics_own_exceptions(root):
    turns = [{"role": "user", "content": "Hello."}]
    for key, model, exception in [
        ("unknown", MODELS["chat"], anthropic.AuthenticationError),
        (KEY, "no/such-model", anthropic.NotFoundError),
    ]:
        with anthropic.Anthropic(base_url=root, api_key=key, max_retries=0) as client:
            with pytest.raises(exception) as raised:
                client.messages.create(model=model, max_tokens=10, messages=turns)
        assert raised.value.body["type"] == "error"


def test_an_unknown_key_and_an_unknown_model_are_googles_own_exceptions(root):
    for key, model, status in [("unknown", MODELS["chat"], "UNAUTHENTICATED"), (KEY, "no/such-model", "NOT_FOUND")]:
        client = genai.Client(api_key=key, vertexai=False, http_options=types.HttpOptions(base_url=root))
        with pytest.raises(errors.ClientError) as raised:
            client.models.generate_content(model=model, contents="Hello.")
        assert raised.value.status == status


def test_an_unknown_key_and_an_unknown_model_are_awss_own_exceptions(root):
    turns = [{"role": "user", "content": [{"text": "Hello."}]}]
    for secret, model, word in [
        ("wrong", MODELS["chat"], "UnrecognizedClientException|AccessDeniedException|InvalidSignatureException"),
        (None, "no/such-model", "ResourceNotFoundException"),
    ]:
        session = boto3.Session(AWS_ID, secret or aws_key(), region_name="eu-west-1")
        client = session.client("bedrock-runtime", endpoint_url=root, config=AWS)
        with pytest.raises(ClientError) as raised:
            client.converse(modelId=model, messages=turns)
        assert raised.value.response["Error"]["Code"] in word.split("|")


def test_an_unknown_key_and_an_unknown_model_are_coheres_own_exceptions(root):
    turns = [{"role": "user", "content": "Hello."}]
    for key, model, exception in [
        ("unknown", MODELS["chat"], cohere.errors.UnauthorizedError),
        (KEY, "no/such-model", cohere.errors.NotFoundError),
    ]:
        client = cohere.ClientV2(api_key=key, base_url=root)
        with pytest.raises(exception):
            client.chat(model=model, messages=turns, request_options={"max_retries": 0})
