"""OpenAI's embeddings, `POST /v1/embeddings`: what a request asks for, and that its answer passes as it came."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest

from contracts.policy import Actions
from contracts.usage import Usage
from extproc.core import dialects
from extproc.core.answer import buffered
from extproc.core.body import Malformed, read
from extproc.core.dialects import Call, openai_embeddings
from extproc.core.places import search

ROUTE = dialects.named("embeddings")
REDACT = Actions({"*": "redact"}, {"*": "redact"})


def call(**members: Any) -> Call:
    """What a request with these members asks for."""
    return openai_embeddings.call(read(orjson.dumps({"model": "vectors", **members}), max_depth=64))


@pytest.mark.parametrize(
    ("given", "texts", "unread"),
    [
        ("x", 1, {}),
        (["a", "b"], 2, {}),
        ([1, 2, 3], 1, {"UNSCANNED_TOKENS": 1}),
        ([[1], [2], [3]], 3, {"UNSCANNED_TOKENS": 3}),
    ],
)
def test_a_request_says_what_it_asks_for(given: Any, texts: int, unread: dict[str, int]) -> None:
    """How many texts, and how many of them are token ids that nobody reads here; it is never a stream."""
    assert call(input=given, encoding_format="base64", dimensions=8) == Call("vectors", messages=texts, unread=unread)


@pytest.mark.parametrize("given", [None, 1, {}, [{}], [None], ["a", 1], [[["x"]]]])
def test_an_input_of_another_kind_is_named(given: Any) -> None:
    """The refusal names the member; so it does where there is none."""
    with pytest.raises(Malformed, match="input"):
        call(input=given)
    with pytest.raises(Malformed, match="input is missing"):
        call()
    with pytest.raises(Malformed, match="model"):
        call(input="x", model=None)
    with pytest.raises(Malformed, match="input is written in another case"):
        call(Input="x")


def test_every_text_of_a_request_is_looked_into() -> None:
    """Each input, the end user, and members nobody knows."""
    a = "jane@example.com"
    document = read(orjson.dumps({"input": [a, a], "user": a, "encoding_format": a, "next_years_member": [a]}), max_depth=64)
    assert len(search(document, openai_embeddings.structural).places) == 5


VECTOR = [0.125, -1.0, 3.5e-05]


@pytest.mark.parametrize(
    "vector", [VECTOR, base64.b64encode(struct.pack("<3f", *VECTOR)).decode(), [], "", base64.b64encode(bytes(12288)).decode()]
)
def test_vectors_pass_as_they_came(vector: Any) -> None:
    """As numbers or in base64; what was paid for is the input."""
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    answer = {"object": "list", "data": data, "model": "vectors-1", "usage": {"prompt_tokens": 9, "total_tokens": 9}}
    got = buffered(ROUTE, orjson.dumps(answer), REDACT, 64)
    assert (got.body, got.findings, got.usage, got.model, got.text_bytes_out) == (None, {}, Usage(9), "vectors-1", 0)


def test_a_text_beside_the_vectors_is_read() -> None:
    """An answer may hold anything; nothing in it is left unread."""
    got = buffered(ROUTE, b'{"data":[{"embedding":[0.5],"note":"jane@example.com"}]}', REDACT, 64)
    assert got.body == b'{"data":[{"embedding":[0.5],"note":"[EMAIL_ADDRESS]"}]}'
    assert got.text_bytes_out == 0


@pytest.mark.parametrize("tree", [[], "x", None, {"model": 1}, {"error": None}])
def test_an_answer_of_another_shape_says_nothing(tree: Any) -> None:
    """Nothing is guessed; an error is known."""
    facts = openai_embeddings.facts(tree)
    assert (facts.model, facts.id, facts.failed) == ("", "", False)
    assert openai_embeddings.usage(tree, None) is None
    assert openai_embeddings.facts({"error": {"message": "x"}}).failed
