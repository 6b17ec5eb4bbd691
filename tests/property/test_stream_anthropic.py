"""Laws of a streamed message of Anthropic's: the split of its bytes doesn't matter, and each text is redacted as if it came whole."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapes import stream_laws
from shapes.stream_laws import (
    ALERT,
    ARGUMENTS,
    BLOCK_CARDS,
    CUTS,
    REDACT,
    TABLES,
    TEXT,
    cut,
    is_json,
    known,
    nothing_of_a_card_leaves,
    redacted,
    same_for_any_split,
)

from contracts.usage import Usage
from extproc.core import dialects
from extproc.core.sse import Splitter
from extproc.redact.scanner import scan

ROUTE = dialects.named("messages")
run = partial(stream_laws.run, ROUTE)
SIGNATURE = "EqQBCgIYAhIkMm4wYjFhZTk4/AhgB+EgwSHk5eQ=="
USAGE = {"input_tokens": 5, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 300, "output_tokens": 1}


def sent(document: dict[str, Any]) -> bytes:
    """An event as the API sends it."""
    return b"event: %b\ndata: %b\n\n" % (str(document["type"]).encode(), json.dumps(document).encode())


def started(**more: Any) -> bytes:
    """The first event."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-9", "content": [], "usage": USAGE}
    return sent({"type": "message_start", "message": message | more})


def block(index: int, start: dict[str, Any], deltas: list[dict[str, Any]]) -> list[bytes]:
    """A block's events, from its start to its stop."""
    filled = [sent({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
    return [
        sent({"type": "content_block_start", "index": index, "content_block": start}),
        *filled,
        sent({"type": "content_block_stop", "index": index}),
    ]


def ended(usage: dict[str, Any] | None = None, reason: str = "end_turn") -> bytes:
    """The last two events."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    return sent({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9} | (usage or {})}) + sent({"type": "message_stop"})


PING = sent({"type": "ping"})
BUSY = sent({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded, ask ops@example.com"}})


# ── recorded streams ───────────────────────────────────────────────────────────


def text_block(index: int, *pieces: str) -> list[bytes]:
    """Text in pieces."""
    return block(index, {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces])


def tool_block(index: int, kind: str, *pieces: str) -> list[bytes]:
    """A tool's input in pieces; the first is always empty."""
    start = {"type": kind, "id": f"toolu_{index}", "name": "look_up", "input": {}}
    return block(index, start, [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces]])


CITED = {"type": "char_location", "cited_text": "as jane@example.com wrote", "document_index": 0, "document_title": "Letter"}
SOURCES = [
    {"type": "web_search_result", "title": "Write to jane@example.com", "url": "https://example.com/", "encrypted_content": SIGNATURE}
]

RECORDED = {
    "text": [started(), PING, *text_block(0, "Mail ja", "ne@exam", "ple", ".com", ", é 😀 soon"), ended(USAGE | {"output_tokens": 9})],
    "parallel tools": [
        started(),
        *text_block(0, "Looking."),
        *tool_block(1, "tool_use", '{"to": "jane', "\\u0040", 'example.com", "card": 4111111', "111111111}"),
        PING,
        *tool_block(2, "tool_use", '{"jane@exam', 'ple.com": [', "]}"),
        ended(reason="tool_use"),
    ],
    "thinking": [
        started(),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            [
                *({"type": "thinking_delta", "thinking": piece} for piece in ("She is jane@", "example.com", ".")),
                {"type": "signature_delta", "signature": SIGNATURE},
            ],
        ),
        *block(1, {"type": "redacted_thinking", "data": SIGNATURE}, []),
        *text_block(2, "Done"),
        ended({"output_tokens_details": {"thinking_tokens": 4}}),
    ],
    "citations": [
        started(),
        *block(
            0,
            {"type": "text", "text": "", "citations": []},
            [
                {"type": "text_delta", "text": "See jane@exa"},
                {"type": "citations_delta", "citation": CITED},
                {"type": "text_delta", "text": "mple.com."},
            ],
        ),
        ended(),
    ],
    "server tools": [
        started(),
        *tool_block(0, "server_tool_use", '{"query": "jane@', 'example.com"}'),
        *block(1, {"type": "web_search_tool_result", "tool_use_id": "toolu_0", "content": SOURCES}, []),
        *text_block(2, "Found ", "jane@example.com"),
        ended(USAGE | {"input_tokens": 50, "output_tokens": 9, "server_tool_use": {"web_search_requests": 1}}),
    ],
    "error": [started(), *text_block(0, "Good mor", "ning jane@exam")[:-1], BUSY],
    "text at the start of a block": [
        started(),
        *block(0, {"type": "text", "text": "jane@"}, [{"type": "text_delta", "text": "example.com"}]),
    ],
    "no stops": [started(), *text_block(0, "jane@exam", "ple.com")[:-1], *text_block(1, "bob@exam", "ple.com")[:-1], ended()],
}
"""As the API sends them; no address may leave."""

TOTALS = {
    "thinking": Usage(375, 9, cache_read=70, cache_write=300, reasoning=4),
    "server tools": Usage(420, 9, cache_read=70, cache_write=300, web_searches=1),
    "error": Usage(375, 1, cache_read=70, cache_write=300),
    "text at the start of a block": Usage(375, 1, cache_read=70, cache_write=300),
}
"""Where it is not the usual."""

PLAIN = ("error", "text at the start of a block")
"""Streams that break off."""


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_recorded_stream_may_be_cut_anywhere(name: str, line_end: bytes) -> None:
    """Whole, at every byte, and byte by byte: the same bytes leave, no address among them, and the same usage."""
    stream = b"".join(RECORDED[name]).replace(b"\n", line_end)
    whole, answer, _ = run(stream, [], REDACT)
    assert b"example.com" not in whole.replace(b"https://example.com/", b"")
    assert answer.usage == TOTALS.get(name, Usage(375, 9, cache_read=70, cache_write=300))
    assert (answer.id, answer.model, answer.failed) == ("msg_1", "claude-9", name == "error")
    assert (answer.done, bool(answer.finish_reasons)) == (name not in PLAIN, name not in PLAIN)
    for places in [list(range(len(stream))), *([at] for at in range(1, len(stream), 7))]:
        again, same, _ = run(stream, places, REDACT)
        assert (again, known(same)) == (whole, known(answer))


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_stream_without_findings_is_as_it_came(name: str) -> None:
    """Byte for byte, signatures and white space too."""
    stream = b"".join(RECORDED[name]).replace(b"@", b" at ").replace(b"\\\\u0040", b" at ").replace(b"4111111", b"12")
    assert run(stream, [], REDACT)[0] == stream


# ── any stream ─────────────────────────────────────────────────────────────────


@st.composite
def blocks(draw: st.DrawFn, index: int) -> list[bytes]:
    """A block of any kind, its texts cut anywhere; it may start with the first piece, and may not say that it stops."""
    kind, member, delta = draw(
        st.sampled_from(
            [
                ("text", "text", "text_delta"),
                ("thinking", "thinking", "thinking_delta"),
                ("tool_use", "partial_json", "input_json_delta"),
                ("server_tool_use", "partial_json", "input_json_delta"),
                ("next_years", "light", "light_delta"),
            ]
        )
    )
    pieces = cut(draw(ARGUMENTS if member == "partial_json" else TEXT), draw(CUTS))
    start: dict[str, Any] = {"type": kind, "id": "toolu_4111111111111111", "name": "send", "input": {}}
    if member != "partial_json":
        start = {"type": kind, member: pieces.pop(0) if draw(st.booleans()) else ""}
    deltas = [{"type": delta, member: piece} for piece in pieces]
    if kind == "thinking":
        deltas.append({"type": "signature_delta", "signature": SIGNATURE})
    events = block(index, start, deltas)
    return events if draw(st.integers(0, 9)) else events[:-1]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A stream as providers send it: blocks one after the other, pings, an error or an end, any line end."""
    events = [started()]
    for index in range(draw(st.integers(0, 3))):
        events += draw(blocks(index))
        if draw(st.booleans()):
            events.append(draw(st.sampled_from([PING, b": keep-alive\n\n", sent({"type": "next_years_event", "note": "hi"})])))
    events.append(draw(st.sampled_from([ended(), ended(USAGE), BUSY, b""])))
    return b"".join(events).replace(b"\n", draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])))


def documents(stream: bytes) -> list[Any]:
    """The data of its events."""
    splitter = Splitter()
    return [orjson.loads(event.data) for event in [*splitter.feed(stream), *splitter.finish()] if event.data]


def texts(stream: bytes) -> dict[Any, str]:
    """The texts of a stream, joined as the SDK joins them; an error's message is one of its own."""
    joined: dict[Any, str] = {}
    for document in documents(stream):
        if document["type"] == "error":
            joined["error"] = document["error"]["message"]
        part = document.get("content_block") or document.get("delta") or {}
        for name, piece in part.items():
            if isinstance(piece, str) and name not in {"type", "id", "name", "stop_reason"}:
                joined[document["index"], name] = joined.get((document["index"], name), "") + piece
    return joined


@given(streams(), st.lists(st.integers(0, 4000), max_size=20), st.sampled_from([*TABLES, BLOCK_CARDS]))
def test_the_split_of_the_bytes_does_not_matter(stream: bytes, places: list[int], table: dict[str, str]) -> None:
    """Same bytes out, same facts, and a block at the same place, for any split and byte by byte."""
    same_for_any_split(ROUTE, stream, (places, range(len(stream))), table)


@given(streams(), st.sampled_from(TABLES))
def test_each_text_is_redacted_as_if_it_came_whole(stream: bytes, table: dict[str, str]) -> None:
    """Joined as the SDK joins them, the texts that leave are the redacted texts that came; counts agree, and JSON stays JSON."""
    out, answer, _ = run(stream, [], table)
    came, left = texts(stream), texts(out)
    assert left == {name: redacted(text, table) for name, text in came.items()}
    assert all(is_json(left[name]) for name, text in came.items() if name[1] == "partial_json" and is_json(text))
    assert answer.findings == Counter(finding.kind for text in came.values() for finding in scan(text))


@given(streams())
def test_events_keep_their_order_and_all_else(stream: bytes) -> None:
    """As many events leave as came, in order, with their names, and only texts changed; without findings not even a byte."""
    out, _, _ = run(stream, [], REDACT)
    came, left = documents(stream), documents(out)
    assert [document["type"] for document in left] == [document["type"] for document in came]
    assert [document.get("index") for document in left] == [document.get("index") for document in came]
    assert [line for line in out.splitlines() if line.startswith(b"event:")] == [
        line for line in stream.splitlines() if line.startswith(b"event:")
    ]
    assert run(stream, [], ALERT)[0] == stream


@given(streams())
def test_nothing_of_a_blocked_card_leaves(stream: bytes) -> None:
    """What left is a beginning of what redaction alone would have let out."""
    nothing_of_a_card_leaves(ROUTE, stream)
