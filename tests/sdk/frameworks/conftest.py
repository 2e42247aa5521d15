"""What the tests share: the stand-ins for the providers, and a gateway in front of them."""

import os

# Neither the gateway nor the frameworks shall find proxies or settings of the machine they are tested on.
for name in list(os.environ):
    if name.upper().endswith("_PROXY") or name.upper().startswith(
        ("ANTHROPIC_", "AWS_", "CO_", "COHERE_", "GEMINI_", "GOOGLE_", "LANGCHAIN_", "LANGSMITH_", "OPENAI_")
    ):
        del os.environ[name]

import pytest  # noqa: E402

from gateway import Gateway  # noqa: E402
from providers import Providers, config  # noqa: E402


@pytest.fixture(scope="session")
def providers():
    server = Providers()
    yield server
    server.close()


@pytest.fixture(scope="session")
def root(tmp_path_factory, providers):
    running = Gateway(tmp_path_factory.mktemp("frameworks"), config(providers.address))
    yield f"http://{running.address}"
    running.stop()
