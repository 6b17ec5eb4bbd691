"""What real clients do besides chatting: embeddings, moderations, legacy completions, counting tokens, listing models."""

from __future__ import annotations

import json

from app import USABLE, App
from roster import having
from stack import Stack


@having("models")
def test_the_list_of_models(app: App, gate: Stack) -> None:
    """It has what the key may use and nothing else, and the provider isn't asked."""
    assert app.do("models").served["ids"] == USABLE
    assert app.do("models", key="").refused.status == 401
    assert gate.mock_received() == []


@having("count")
def test_counting_tokens(app: App, gate: Stack) -> None:
    """The provider counts what it would be sent: the prompt without the address."""
    assert app.do("count", prompt="From bert@example.org").served["tokens"] > 0
    (got,) = gate.mock_received()
    assert got["path"] == "/v1/messages/count_tokens"
    assert json.loads(got["body"])["messages"] == [{"role": "user", "content": "From [EMAIL_ADDRESS]"}]
