"""The gate's own list of models: one document that both families' SDKs read."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2
import openai
import orjson

from contracts.snapshot import ModelRecord
from extproc.core import listing


def model(name: str) -> ModelRecord:
    """A model of this name."""
    return ModelRecord(name, "local", "local-main", "upstream-" + name)


def client(maker: Any, base: str, body: bytes) -> Any:
    """An official SDK, talking to an answer that is already there."""
    answer = httpx2.Response(200, content=body, headers={"content-type": "application/json"})
    transport = httpx2.MockTransport(lambda _: answer)
    return maker(api_key="k", base_url=base, max_retries=0, http_client=httpx2.Client(transport=transport))


def test_models_are_listed_by_name() -> None:
    """In the order of their names; where they go and what the provider calls them is the gate's own business."""
    body = listing.document([model("b"), model("a")])
    assert [entry["id"] for entry in orjson.loads(body)["data"]] == ["a", "b"]
    assert b"local" not in body
    assert b"upstream" not in body


def test_no_model_is_an_empty_list() -> None:
    """A key that may use none is told so, and not refused."""
    assert orjson.loads(listing.document([])) == {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}


def test_openais_sdk_reads_it() -> None:
    """As its own page of models."""
    with client(openai.OpenAI, "http://gate/v1", listing.document([model("b"), model("a")])) as sdk:
        assert [(entry.id, entry.object) for entry in sdk.models.list()] == [("a", "model"), ("b", "model")]


def test_anthropics_sdk_reads_it() -> None:
    """As its own page of models, which has no next one."""
    with client(anthropic.Anthropic, "http://gate", listing.document([model("b"), model("a")])) as sdk:
        page = sdk.models.list()
        assert [(entry.id, entry.type, entry.display_name, entry.created_at.year) for entry in page] == [
            ("a", "model", "a", 1970),
            ("b", "model", "b", 1970),
        ]
        assert not page.has_next_page()
