"""OpenAI's moderations, `POST /v1/moderations`: what a request asks for, and what an answer says."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contracts.policy import Actions
from contracts.usage import Usage
from extproc.core import dialects, prompt
from extproc.core.answer import buffered
from extproc.core.body import Malformed, read
from extproc.core.dialects import Call, openai_moderations
from extproc.core.dialects.shape import Encoded
from extproc.core.places import search
from extproc.core.spans import rewrite

ROUTE = dialects.named("moderations")
REDACT = Actions({"*": "redact"}, {"*": "redact"})


def call(**members: Any) -> Call:
    """What a request with these members asks for."""
    return openai_moderations.call(read(orjson.dumps({"model": "judge", **members}), max_depth=64))


def image(url: str) -> dict[str, Any]:
    """A part that is an image."""
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("given", "texts", "unread"),
    [
        ("x", 1, {}),
        (["a", "b"], 2, {}),
        ([], 0, {}),
        ([{"type": "text", "text": "x"}], 1, {}),
        ([{"type": "text", "text": "x"}, image("https://example.com/a.png")], 2, {"UNSCANNED_URL": 1}),
        ([image("data:image/png;base64,AAAA")], 1, {}),
        ([{"type": "hologram"}], 1, {"UNSCANNED_FILE": 1}),
    ],
)
def test_a_request_says_what_it_asks_for(given: Any, texts: int, unread: dict[str, int]) -> None:
    """How many texts and parts, and what of them can't be read."""
    assert call(input=given) == Call("judge", messages=texts, unread=unread)


def test_an_image_in_the_request_can_not_be_read() -> None:
    """A data URL says itself what it is."""
    document = read(orjson.dumps({"input": [image("data:image/png;base64,AAAA")]}), max_depth=64)
    assert search(document, openai_moderations.structural).unread == {"UNSCANNED_IMAGE": 1}


def test_a_file_among_the_parts_is_read() -> None:
    """Moderations have none today; one that comes is treated as anywhere."""
    assert call(input=[{"type": "file", "file": {"file_data": "aGk="}}]).files == (Encoded(("input", 0, "file", "file_data")),)


@pytest.mark.parametrize("given", [None, 1, {}, [1], [None], ["a", {"type": "text"}], [{"text": "x"}], [{"type": 1}], [[1]]])
def test_an_input_of_another_kind_is_named(given: Any) -> None:
    """The refusal names the member; so it does where the model is none."""
    with pytest.raises(Malformed, match="input"):
        call(input=given)
    with pytest.raises(Malformed, match="model"):
        openai_moderations.call(read(b'{"input":"x","model":""}', max_depth=64))
    with pytest.raises(Malformed, match="input is written in another case"):
        call(INPUT="x")


def test_a_request_that_names_no_model_goes_to_openais_default() -> None:
    """It is governed under that name, and the provider is told one."""
    raw = b'{"input":"x"}'
    called = openai_moderations.call(read(raw, max_depth=64))
    assert (called.model, called.names_model) == ("omni-moderation-latest", False)
    assert rewrite(raw, [prompt.named("judge", called)]) == b'{"input":"x","model":"judge"}'
    raw = b'{"model":null,"input":"x"}'
    called = openai_moderations.call(read(raw, max_depth=64))
    assert called.model == "omni-moderation-latest"
    assert rewrite(raw, [prompt.named("judge", called)]) == b'{"model":"judge","input":"x"}'


def test_every_text_of_a_request_is_looked_into() -> None:
    """Texts, parts of any type, and members nobody knows."""
    a = "jane@example.com"
    for body in ({"input": a, "x": a}, {"input": [a, a]}, {"input": [{"type": a, "text": a}]}, {"input": [image(a)], "y": [a]}):
        document = read(orjson.dumps(body), max_depth=64)
        assert len(search(document, openai_moderations.structural).places) == 2


def test_an_answer_passes_and_counts_nothing() -> None:
    """It says its model and id; nobody counts tokens, and no model writes."""
    result = {"flagged": False, "categories": {"hate/threatening": False}, "category_applied_input_types": {"hate/threatening": ["text"]}}
    got = buffered(ROUTE, orjson.dumps({"id": "modr-1", "model": "judge-1", "results": [result]}), REDACT, 64)
    assert (got.body, got.findings, got.usage, got.model, got.id, got.text_bytes_out) == (None, {}, None, "judge-1", "modr-1", 0)
    assert openai_moderations.usage({"usage": {"prompt_tokens": 5}}, Usage(1)) == Usage(1)


@pytest.mark.parametrize("tree", [[], "x", None, {"model": 1, "id": []}, {"error": None}])
def test_an_answer_of_another_shape_says_nothing(tree: Any) -> None:
    """Nothing is guessed; an error is known."""
    facts = openai_moderations.facts(tree)
    assert (facts.model, facts.id, facts.failed) == ("", "", False)
    assert openai_moderations.facts({"error": {"message": "x"}}).failed
