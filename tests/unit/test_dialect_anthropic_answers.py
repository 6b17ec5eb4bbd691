"""Anthropic's messages and counts of tokens: what an answer says, whole and event by event."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest

from contracts.policy import Actions
from extproc.core import dialects
from extproc.core.answer import buffered
from extproc.core.body import Malformed, read
from extproc.core.dialects import anthropic_count_tokens, anthropic_messages

REDACT = Actions({"*": "redact"}, {"*": "redact"}, "alert")
PNG = b64encode(b"\x89PNG\r\n\x1a\n\x00").decode()
PDF = b64encode(b"%PDF-1.7 jane@example.com").decode()


def image(source: Any) -> dict[str, Any]:
    """An image block."""
    return {"type": "image", "source": source}


def document(source: Any) -> dict[str, Any]:
    """A document block."""
    return {"type": "document", "source": source}


def test_a_whole_answer_says_what_it_is() -> None:
    """Model, id, and why it stopped."""
    facts = anthropic_messages.facts(
        {"type": "message", "id": "msg_1", "model": "claude-9", "stop_reason": "tool_use", "content": [{"type": "text", "text": "x"}]}
    )
    assert (facts.id, facts.model, facts.reasons, facts.failed, facts.done, facts.closed) == (
        "msg_1", "claude-9", ("tool_use",), False, False, (),
    )  # fmt: skip


def test_each_event_says_its_part() -> None:
    """The first who answers, a stop which block is over, the delta why, the last that it is done; an error that it failed."""
    start = anthropic_messages.facts({"type": "message_start", "message": {"id": "msg_1", "model": "claude-9", "stop_reason": None}})
    assert (start.id, start.model, start.reasons) == ("msg_1", "claude-9", ())
    assert anthropic_messages.facts({"type": "content_block_stop", "index": 3}).closed == (("", 3),)
    assert anthropic_messages.facts({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}).reasons == ("end_turn",)
    assert anthropic_messages.facts({"type": "message_delta", "delta": {"stop_reason": None}}).reasons == ()
    assert anthropic_messages.facts({"type": "message_stop"}).done
    assert anthropic_messages.facts({"type": "error", "error": {"type": "overloaded_error"}}).failed
    assert anthropic_messages.facts({"error": "busy"}).failed
    assert anthropic_messages.facts({"type": "ping"}) == dialects.Facts()


@pytest.mark.parametrize(
    "tree",
    [
        *([], "x", None, {}, {"type": ["message"]}, {"model": 1, "id": []}, {"content": "x"}, {"content": [1, {"source": "x"}]}),
        *({"type": "message_start"}, {"type": "message_start", "message": []}, {"type": "message_delta"}),
        {"type": "message_delta", "delta": "x"},
    ],
)
def test_an_answer_of_another_shape_says_nothing(tree: Any) -> None:
    """Nothing is guessed."""
    assert anthropic_messages.facts(tree) == dialects.Facts()


@pytest.mark.parametrize("kind", ["content_block_start", "content_block_delta", "content_block_stop"])
@pytest.mark.parametrize("index", [None, "0", 1.0, True, -1, []])
def test_a_block_without_a_number_can_not_be_told_apart(kind: str, index: Any) -> None:
    """Nobody could say which text goes on."""
    with pytest.raises(Malformed, match="index"):
        anthropic_messages.facts({"type": kind, "index": index, "delta": {"text": "x"}})


def channels(tree: Any) -> dict[str, Any]:
    """The channel of each string in an event, by its text."""
    event = read(orjson.dumps(tree), max_depth=64)
    return {leaf.text: anthropic_messages.channel(event.tree, leaf.path) for leaf in event.strings()}


@pytest.mark.parametrize(
    ("delta", "channel"),
    [
        ({"type": "text_delta", "text": "x"}, ("", 4, "text")),
        ({"type": "thinking_delta", "thinking": "x"}, ("", 4, "thinking")),
        ({"type": "signature_delta", "signature": "x"}, ("", 4, "signature")),
        ({"type": "input_json_delta", "partial_json": "x"}, ("", 4, "partial_json")),
        ({"type": "compaction_delta", "content": "x"}, ("", 4, "content")),
        ({"type": "citations_delta", "citation": {"cited_text": "x"}}, None),
        ({"type": "next_years_delta", "light": {"type": ["x"]}}, ("", 4, "light", "type", 0)),
    ],
)
def test_each_piece_of_text_belongs_to_its_channel(delta: dict[str, Any], channel: Any) -> None:
    """By block and member; a citation comes whole."""
    found = channels({"type": "content_block_delta", "index": 4, "delta": delta})
    assert found == {"content_block_delta": None, delta["type"]: None, "x": channel}


def test_what_a_block_starts_with_goes_on_in_its_deltas() -> None:
    """Its texts have the deltas' channels; labels, and what lies deeper, are whole."""
    labels = {name: f"whole {name}" for name in ("type", "id", "name", "tool_use_id", "server_name", "file_id")}
    block = {"text": "t", "thinking": "h", "signature": "s", "content": "c", "input": {"to": "whole"}, **labels}
    expected = {
        "t": ("", 2, "text"), "h": ("", 2, "thinking"), "s": ("", 2, "signature"), "c": ("", 2, "content"),
        **dict.fromkeys(["whole", *labels.values()]),
    }  # fmt: skip
    assert channels({"index": 2, "content_block": block}) == expected
    assert channels({"message": {"id": "whole id", "content": [{}, {}, block]}}) == expected


@pytest.mark.parametrize(
    "tree",
    [
        *("x", ["x"], {"delta": "x"}, {"delta": {"text": "x"}}, {"index": "0", "delta": {"text": "x"}}, {"content_block": {"text": "x"}}),
        *({"message": "x"}, {"message": {"content": "x"}}, {"message": {"content": ["x"]}}, {"error": {"message": "x"}, "index": 1}),
    ],
)
def test_texts_of_no_block_are_whole(tree: Any) -> None:
    """Also in events of a shape that nobody knows."""
    assert channels(tree)["x"] is None


def test_what_the_model_wrote_is_told_from_the_rest() -> None:
    """Text, thinking and what tools are called with; not their results, citations, signatures and labels."""
    wrote = [
        {"type": "text", "text": "W", "citations": [{"cited_text": "x"}]},
        {"type": "thinking", "thinking": "W", "signature": "x"},
        {"type": "tool_use", "id": "x", "name": "W", "input": {"to": ["W", "W"]}},
        {"type": "web_search_tool_result", "tool_use_id": "x", "content": [{"title": "x", "url": "x"}]},
    ]
    events = [{"type": "x", "index": 0, "content_block": block} for block in wrote]
    deltas = [{"text": "W"}, {"thinking": "W"}, {"partial_json": "W"}, {"signature": "x"}, {"citation": {"cited_text": "x"}}]
    whole = {"id": "x", "model": "x", "content": wrote, "stop_reason": "x"}
    for tree in [whole, *events, *[{"index": 0, "delta": delta} for delta in deltas], "x", ["x"]]:
        event = read(orjson.dumps(tree), max_depth=64)
        for leaf in event.strings():
            assert anthropic_messages.generated(event.tree, leaf.path) == (leaf.text == "W"), leaf


def test_nothing_is_repeated() -> None:
    """No edit leaves a copy behind."""
    assert anthropic_messages.echo({"content": [{"text": "x"}]}, ("content", 0, "text")) is None


def test_pages_and_images_in_an_answer_are_counted() -> None:
    """A fetched PDF, and an image of a tool's, where they stand in a whole answer and in an event."""
    page = {"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "content": document({"type": "base64", "data": PDF})}}
    shown = {"type": "mcp_tool_result", "content": [image({"type": "base64", "data": PNG}), {"type": "text", "text": "x"}]}
    assert anthropic_messages.facts({"content": [page, shown]}).unread == {"UNSCANNED_FILE": 1, "UNSCANNED_IMAGE": 1}
    assert anthropic_messages.facts({"type": "content_block_start", "index": 0, "content_block": page}).unread == {"UNSCANNED_FILE": 1}
    plain = {"type": "web_fetch_tool_result", "content": {"content": document({"type": "text", "data": "x"})}}
    assert anthropic_messages.facts({"content": [plain]}).unread == {}


def test_a_count_says_nothing_else() -> None:
    """A number, which is not text, nor of any stream."""
    tree = {"input_tokens": 4111111}
    assert anthropic_count_tokens.facts(tree) == dialects.Facts()
    assert anthropic_count_tokens.channel(tree, ("input_tokens",)) is None
    assert not anthropic_count_tokens.generated(tree, ("input_tokens",))


ANSWER: dict[str, Any] = {
    "id": "@",
    "type": "message",
    "role": "assistant",
    "model": "@",
    "content": [
        {"type": "text", "text": "@", "citations": [{"type": "char_location", "cited_text": "@", "document_title": "@"}]},
        {"type": "thinking", "thinking": "@", "signature": "@"},
        {"type": "redacted_thinking", "data": "@"},
        {"type": "tool_use", "id": "@", "name": "@", "input": {"@": "@", "list": ["@"]}},
        {"type": "web_search_tool_result", "tool_use_id": "@", "content": [{"type": "web_search_result", "title": "@", "url": "@"}]},
        {"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "content": document({"type": "text", "data": "@"})}},
        {"type": "code_execution_tool_result", "content": {"type": "code_execution_result", "stdout": "@", "stderr": "@"}},
        {"type": "@", "next_years_member": "@"},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": "@",
    "stop_details": {"explanation": "@"},
    "container": {"id": "@"},
    "usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "@"},
}


@pytest.mark.parametrize("name", ["messages", "count_tokens"])
@pytest.mark.parametrize("written", ["jane@example.com", "jane\\u0040example.com"])
def test_every_text_of_an_answer_is_read(name: str, written: str) -> None:
    """Whatever route it comes on, and however it is written."""
    answer = buffered(dialects.named(name), orjson.dumps(ANSWER).replace(b"@", written.encode()), REDACT, 64)
    assert answer.findings == {"EMAIL_ADDRESS": orjson.dumps(ANSWER).count(b"@")}
    assert answer.body is not None
    assert b"jane" not in answer.body
    assert orjson.loads(answer.body)["content"][3]["input"] == {"[EMAIL_ADDRESS]": "[EMAIL_ADDRESS]", "list": ["[EMAIL_ADDRESS]"]}
