"""What real clients do besides chatting: embeddings, moderations, legacy completions, counting tokens, listing models."""

from __future__ import annotations

import json

import openai
import py_openai
import pytest
from app import USABLE, App
from asked import Ask
from roster import having
from stack import Stack


@having("embed")
def test_embeddings(app: App, gate: Stack) -> None:
    """A vector each, whichever encoding the client asks for; the provider reads the texts without the address in them."""
    model = "text-embedding-3-small"
    vectors = app.do("embed", model=model, texts=("one", "From bert@example.org")).served["vectors"]
    assert [len(vector) for vector in vectors] == [16, 16]
    assert app.do("embed", model=model, texts=("one", "From [EMAIL_ADDRESS]")).served["vectors"] == vectors
    assert [json.loads(got["body"])["input"] for got in gate.mock_received()] == [["one", "From [EMAIL_ADDRESS]"]] * 2


def test_token_ids_can_not_be_scanned(gate: Stack) -> None:
    """An embedding of token ids, as LangChain makes them of itself, is refused where all must be scanned, and passes where not."""
    careful, looking = (Ask(gate.gateway, gate.key(key), "text-embedding-3-small") for key in ("app", "looking"))
    with py_openai.client_of(careful) as client, pytest.raises(openai.BadRequestError, match="UNSCANNED_TOKENS") as caught:
        client.embeddings.create(model=careful.model, input=[[9906, 1917]])
    assert caught.value.code == "guardrail_blocked"
    assert gate.mock_received() == []
    with py_openai.client_of(looking) as client:
        assert len(client.embeddings.create(model=looking.model, input=[[9906, 1917]]).data) == 1


@having("models")
def test_the_list_of_models(app: App, gate: Stack) -> None:
    """It has what the key may use and nothing else, and the provider isn't asked."""
    assert app.do("models").served["ids"] == USABLE
    assert app.do("models", key="").refused.status == 401
    assert gate.mock_received() == []


@having("moderate")
def test_moderations(app: App, gate: Stack) -> None:
    """The provider judges the text without the address."""
    assert app.do("moderate", model="omni-moderation-latest", prompt="From bert@example.org").served == {"flagged": [False]}
    (got,) = gate.mock_received()
    assert json.loads(got["body"])["input"] == "From [EMAIL_ADDRESS]"


@having("complete")
def test_legacy_completions(app: App, gate: Stack) -> None:
    """Prompt and answer both without their addresses."""
    gate.script({"text": "Write to anna@example.com", "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}})
    came = app.do("complete", model="gpt-3.5-turbo-instruct", prompt="From bert@example.org")
    assert (came.text, came.served) == ("Write to [EMAIL_ADDRESS]", {"input": 11, "output": 7})
    (got,) = gate.mock_received()
    assert json.loads(got["body"])["prompt"] == "From [EMAIL_ADDRESS]"


@having("complete_stream")
@pytest.mark.parametrize("sizes", [[1], [100_000]], ids=["bytes", "whole"])
def test_legacy_completions_streamed(app: App, gate: Stack, sizes: list[int]) -> None:
    """An address that is split over events and chunks is taken out."""
    gate.script({"text": ["Write to an", "na@exam", "ple.com, ", "soon"], "chunk_sizes": sizes})
    came = app.do("complete_stream", model="gpt-3.5-turbo-instruct")
    assert (came.failure, came.text) == (None, "Write to [EMAIL_ADDRESS], soon")


@having("count")
def test_counting_tokens(app: App, gate: Stack) -> None:
    """The provider counts what it would be sent: the prompt without the address."""
    assert app.do("count", prompt="From bert@example.org").served["tokens"] > 0
    (got,) = gate.mock_received()
    assert got["path"] == "/v1/messages/count_tokens"
    assert json.loads(got["body"])["messages"] == [{"role": "user", "content": "From [EMAIL_ADDRESS]"}]
