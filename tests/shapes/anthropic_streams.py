"""Streams of messages, after Anthropic's API reference and SDK types."""

from __future__ import annotations

from typing import Any, Final

from shapes.streams import Document, Site, Stream

_USAGE: Final = {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}


def _block(name: str, index: int, start: Document, kind: str, member: str) -> Site:
    def event(piece: str) -> Document:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, member: piece}}

    def begin(piece: str) -> tuple[Document, ...]:
        return ({"type": "content_block_start", "index": index, "content_block": {**start, **({member: piece} if piece else {})}},)

    ends = [{"type": "content_block_stop", "index": index}]
    return Site(
        name, event, ("delta", member), lambda _text: ends, begin(""), begin if member in start else None, ("content_block", member)
    )


def _used(kind: str, **more: Any) -> Document:
    return {"type": kind, "id": f"toolu_{kind}", "name": "send", "input": {}, **more}


MESSAGES: Final = Stream(
    before=(
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-1",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": _USAGE,
            },
        },
        {"type": "ping"},
    ),
    sites=(
        _block("text", 0, {"type": "text", "text": "", "citations": None}, "text_delta", "text"),
        _block("text of a second block", 1, {"type": "text", "text": ""}, "text_delta", "text"),
        _block("thinking", 2, {"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking"),
        _block("input", 3, _used("tool_use"), "input_json_delta", "partial_json"),
        _block("input of a parallel call", 4, _used("tool_use"), "input_json_delta", "partial_json"),
        _block("input of a hosted tool", 5, _used("server_tool_use"), "input_json_delta", "partial_json"),
        _block("compaction", 7, {"type": "compaction", "content": ""}, "compaction_delta", "content"),
        _block("a text of next year", 6, {"type": "thing_of_next_year"}, "delta_of_next_year", "words"),
    ),
    end=lambda _texts: [
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ],
    named=True,
)
