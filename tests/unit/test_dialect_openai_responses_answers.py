"""What an answer of OpenAI's Responses API says: its usage, how it ended, what the model wrote, and what it shows."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contracts.usage import Usage
from extproc.core.body import read
from extproc.core.dialects import openai_responses
from extproc.core.dialects.shape import AUDIO, FILE, IMAGE, URL

COUNTS: dict[str, Any] = {
    "input_tokens": 90,
    "input_tokens_details": {"cached_tokens": 80},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 10},
    "total_tokens": 102,
}


def test_usage_of_an_answer_and_of_a_stream() -> None:
    """Cached and reasoning tokens are parts of the counts; a stream has it in its last event and null before."""
    counted = Usage(90, 12, cache_read=80, reasoning=10)
    assert openai_responses.usage({"object": "response", "usage": COUNTS}, None) == counted
    for kind in ("completed", "incomplete", "failed"):
        assert openai_responses.usage({"type": f"response.{kind}", "response": {"usage": COUNTS}}, None) == counted
    assert openai_responses.usage({"type": "response.created", "response": {"usage": None}}, None) is None
    assert openai_responses.usage({"type": "response.output_text.delta", "delta": "x"}, counted) == counted


@pytest.mark.parametrize("tree", [None, [], "x", {}, {"type": "x"}, {"response": {"usage": COUNTS}}, {"type": "x", "response": []}])
def test_what_has_no_usage_has_none(tree: Any) -> None:
    """Nothing is guessed."""
    assert openai_responses.usage(tree, None) is None


@pytest.mark.parametrize(
    ("more", "reasons", "failed"),
    [
        ({"status": "completed"}, ("completed",), False),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, ("max_output_tokens",), False),
        ({"status": "incomplete", "incomplete_details": None}, ("incomplete",), False),
        ({"status": "failed", "error": {"code": "server_error", "message": "m"}}, ("failed",), True),
        ({"status": "queued"}, ("queued",), False),
        ({}, (), False),
    ],
)
def test_an_answer_says_how_it_ended(more: dict[str, Any], reasons: tuple[str, ...], failed: bool) -> None:
    """By its status, or by what made it incomplete; in the event that ends a stream as in a whole answer."""
    answer = {"id": "resp_1", "object": "response", "model": "tiny-1", "error": None, **more}
    whole = openai_responses.facts(answer)
    assert (whole.model, whole.id, whole.reasons, whole.failed) == ("tiny-1", "resp_1", reasons, failed)
    kind = f"response.{more.get('status', 'completed')}"
    event = openai_responses.facts({"type": kind, "response": answer})
    assert (event.model, event.id, event.failed) == ("tiny-1", "resp_1", failed)
    if kind != "response.queued":
        assert (event.reasons, event.done) == (reasons or ("completed",), True)


@pytest.mark.parametrize("tree", [[], "x", None, 1])
def test_an_answer_of_another_shape_says_nothing(tree: Any) -> None:
    """Nothing is guessed."""
    facts = openai_responses.facts(tree)
    assert (facts.model, facts.id, facts.reasons, facts.failed, facts.done) == ("", "", (), False, False)


PART: dict[str, Any] = {"type": "output_text", "text": "x", "annotations": [], "logprobs": [{"token": "x"}]}


@pytest.mark.parametrize(
    ("tree", "path", "echo"),
    [
        ({"delta": "x", "logprobs": [{"token": "x"}]}, ("delta",), ("logprobs",)),
        ({"text": "x", "logprobs": [{"token": "x"}]}, ("text",), ("logprobs",)),
        ({"part": PART}, ("part", "text"), ("part", "logprobs")),
        ({"item": {"content": [PART]}}, ("item", "content", 0, "text"), ("item", "content", 0, "logprobs")),
        ({"output": [{"content": [PART]}]}, ("output", 0, "content", 0, "text"), ("output", 0, "content", 0, "logprobs")),
        ({"output": [{"content": [PART]}]}, ("output", 0, "content", 0, "logprobs", 0, "token"), ("output", 0, "content", 0, "logprobs")),
        ({"delta": "x", "logprobs": []}, ("delta",), None),
        ({"delta": "x", "logprobs": None}, ("delta",), None),
        ({"delta": {"stdout": "x"}, "logprobs": [{"token": "x"}]}, ("delta", "stdout"), None),
        (["x"], (0,), None),
    ],
)
def test_logprobs_repeat_the_text_beside_them(tree: Any, path: tuple[str | int, ...], echo: tuple[str | int, ...] | None) -> None:
    """Where there are any, an edit of the text can't reach them."""
    assert openai_responses.echo(tree, path) == echo


ANSWER: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "model": "tiny-1",
    "status": "completed",
    "instructions": "said by the app",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "gAAA"},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [PART | {"text": "t", "annotations": [{"title": "by others"}]}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "n", "arguments": "a"},
        {"type": "code_interpreter_call", "id": "ci_1", "code": "c", "outputs": [{"type": "logs", "logs": "by the tool"}]},
        {"type": "mcp_call", "id": "mcp_1", "arguments": "m", "output": "by the server"},
        {"type": "thing_of_next_year", "words": ["w"]},
    ],
}


def test_what_the_model_wrote_is_paid_for_once() -> None:
    """Texts, arguments and summaries of a whole answer; of a stream only the pieces, not what repeats them."""
    document = read(orjson.dumps(ANSWER), max_depth=64)
    written = [leaf.text for leaf in document.strings() if openai_responses.generated(document.tree, leaf.path)]
    assert sorted(written) == ["a", "c", "m", "n", "s", "t", "w"]
    event = read(orjson.dumps({"type": "response.completed", "response": ANSWER, "output": [{"text": "x"}]}), max_depth=64)
    assert not [leaf for leaf in event.strings() if openai_responses.generated(event.tree, leaf.path)]


@pytest.mark.parametrize(
    ("item", "unread"),
    [
        ({"type": "image_generation_call", "result": "AAAA"}, {IMAGE: 1}),
        ({"type": "image_generation_call", "result": None}, {}),
        ({"type": "code_interpreter_call", "outputs": [{"type": "image", "url": "https://example.com/a.png"}]}, {URL: 1}),
        ({"type": "message", "content": [{"type": "output_audio", "data": "AAAA"}]}, {AUDIO: 1}),
        ({"type": "function_call_output", "output": [{"type": "input_image", "file_id": "f"}]}, {IMAGE: 1}),
        ({"type": "function_call_output", "output": [{"type": "input_file", "file_data": "AAAA"}]}, {FILE: 1}),
        ({"type": "message", "content": [PART, {"type": "part_of_next_year"}, {"type": []}, "x"]}, {}),
        ({"type": "message", "content": "x"}, {}),
    ],
)
def test_what_an_answer_shows_is_counted(item: dict[str, Any], unread: dict[str, int]) -> None:
    """In a whole answer, in an item's event and in the event at the end."""
    assert openai_responses.facts({"object": "response", "output": [item, "x"]}).unread == unread
    assert openai_responses.facts({"type": "response.output_item.done", "output_index": 0, "item": item}).unread == unread
    assert openai_responses.facts({"type": "response.completed", "response": {"output": [item]}}).unread == unread
