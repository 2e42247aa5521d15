"""What the tests share: one gateway, one provider that it calls, and the official clients."""

import os

import httpx2
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from gateway import KEY, Gateway, config
from upstream import Upstream

# Neither the gateway nor the SDKs shall find proxies or settings of the machine they are tested on.
for name in list(os.environ):
    if name.upper().endswith("_PROXY") or name.upper().startswith(
        ("ANTHROPIC_", "AWS_", "AZURE_OPENAI_", "CO_", "COHERE_", "GEMINI_", "GOOGLE_", "OPENAI_")
    ):
        del os.environ[name]


@pytest.fixture(scope="session")
def provider():
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory, provider):
    running = Gateway(tmp_path_factory.mktemp("gateway"), config(provider.base_url))
    yield running
    running.stop()


@pytest.fixture
def upstream(provider):
    """The provider behind `recorded` and `recorder/…`, which answers with a plain completion until told otherwise."""
    provider.begin()
    yield provider
    provider.begin()


@pytest.fixture
def client(gateway):
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
async def async_client(gateway):
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def azure(gateway):
    with AzureOpenAI(
        azure_endpoint=f"http://{gateway.address}", api_key=KEY, api_version="2024-10-21", max_retries=0, timeout=60
    ) as client:
        yield client


@pytest.fixture
def client_over(gateway):
    """A client that sends its requests through a transport of the test's own."""

    def make(transport: httpx2.BaseTransport) -> OpenAI:
        http_client = httpx2.Client(transport=transport)
        return OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0, timeout=60, http_client=http_client)

    return make
