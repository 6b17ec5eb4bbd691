"""The Responses API by OpenAI's SDK for Python: what keeps state at the provider or reaches out from there is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from stack import Stack

FEATURES: dict[str, dict[str, Any]] = {
    "store": {"store": True},
    "background": {"background": True},
    "previous_response_id": {"previous_response_id": "resp_1"},
    "conversation": {"conversation": "conv_1"},
    "tool:web_search": {"tools": [{"type": "web_search"}]},
    "tool:code_interpreter": {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
    "tool:mcp": {"tools": [{"type": "mcp", "server_label": "s", "server_url": "https://example.com", "require_approval": "never"}]},
}


@pytest.fixture
def client(gate: Stack) -> Iterator[OpenAI]:
    """The SDK's client as an app makes it."""
    with OpenAI(base_url=f"{gate.gateway}/v1", api_key=gate.key()) as made:
        yield made


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_that_no_rule_allows(client: OpenAI, gate: Stack, feature: str) -> None:
    """The SDK's own error names it; it was asked for once, and nothing was sent on."""
    before = gate.envoy_counter()
    with pytest.raises(openai.BadRequestError, match=feature) as caught:
        client.responses.create(model="gpt-4o-mini", input="Hello", **FEATURES[feature])
    assert caught.value.code == "unsupported_feature"
    assert gate.envoy_counter() - before == 1
    assert gate.mock_received() == []


def test_an_app_that_keeps_nothing_there(client: OpenAI, gate: Stack) -> None:
    """`store: false` is no feature: it is sent on."""
    gate.script({"text": "Good"})
    assert client.responses.create(model="gpt-4o-mini", input="Hello", store=False).output_text == "Good"
    assert '"store":false' in gate.mock_received()[0]["body"]
