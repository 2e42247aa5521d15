"""Every framework's models with every provider: a tool's round trip in a stream."""

import pytest

from frameworks import FRAMEWORKS
from gateway import KEY
from providers import MODELS, WORDS


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("provider", MODELS)
def test_a_tool_goes_round(root, providers, framework, provider):
    providers.problems.clear()
    assert FRAMEWORKS[framework](root, KEY, MODELS[provider]) == WORDS
    assert providers.problems == []
