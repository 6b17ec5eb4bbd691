"""Streams of OpenAI's Responses API as it sends them, made up: items one after the other, calls in parallel, all of it said again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

import orjson
from hypothesis import strategies as st
from shapes.stream_laws import cut

from controlplane.mock.ask import read_ask
from controlplane.mock.responses_stream import events as told_by_the_mock
from controlplane.mock.says import say
from controlplane.mock.script import read_steps

USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 16,
}

WORD = st.sampled_from(
    [
        "jane@example.com",
        "bob.o'hara+x@mail.example.org",
        "4111 1111 1111 1111",
        "4111111111111111",
        "4",
        "1 ",
        "@",
        "a.b",
        "é",
        "😀",
        "\n",
        '"',
        "\\",
        r"bob\u0040example.com",
        "hello",
        " and ",
        ".",
        " ",
    ],
)
TEXT = st.lists(WORD, max_size=8).map("".join)
ARGUMENTS = st.builds(lambda to, n: json.dumps({"to": to, "n": n}), TEXT, st.sampled_from([0, 4111111111111111]))
CUTS = st.lists(st.integers(0, 40), max_size=5)


# ── streams as OpenAI sends them ──────────────────────────────────────────────


@dataclass
class Text:
    """A text that comes in pieces: `kind` of its events, without the last word, and the member that has it whole."""

    kind: str
    member: str
    pieces: list[str]
    spelt: bool = False

    @property
    def whole(self) -> str:
        """All of it."""
        return "".join(self.pieces)


@dataclass
class Item:
    """An item of the output: as it is when it is done, and the events between its first and its last."""

    done: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)


def spelling(pieces: list[str]) -> list[dict[str, Any]]:
    """Log probabilities."""
    return [{"token": piece, "logprob": -0.5, "bytes": list(piece.encode()), "top_logprobs": []} for piece in pieces]


def said(text: Text, where: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of one text."""
    spells = text.kind == "response.output_text"
    for piece in text.pieces:
        beside = {"logprobs": spelling([piece] if text.spelt else [])} if spells else {}
        yield {"type": f"{text.kind}.delta", **where, "delta": piece, **beside, "obfuscation": "x1yZ4q"}
    beside = {"logprobs": spelling(text.pieces if text.spelt else [])} if spells else {}
    yield {"type": f"{text.kind}.done", **where, text.member: text.whole, **beside}


def in_parts(item: Item, texts: list[Text], place: str, kind: str, parts: list[dict[str, Any]]) -> Item:
    """An item whose texts are in parts."""
    for number, (text, part) in enumerate(zip(texts, parts, strict=True)):
        where = {place: number}
        item.events.append(
            {
                "type": f"response.{kind}.added",
                **where,
                "part": {**part, text.member: "", **({"logprobs": []} if "logprobs" in part else {})},
            }
        )
        item.events += said(text, where)
        item.events.append({"type": f"response.{kind}.done", **where, "part": part})
    return item


def part_of(text: Text) -> dict[str, Any]:
    """The part of a message that a text makes."""
    if text.member == "refusal":
        return {"type": "refusal", "refusal": text.whole}
    return {"type": "output_text", "text": text.whole, "annotations": [], "logprobs": spelling(text.pieces if text.spelt else [])}


def message(texts: list[Text]) -> Item:
    """What the model says to the user, in parts."""
    parts = [part_of(text) for text in texts]
    done = {"type": "message", "id": "msg", "role": "assistant", "status": "completed", "content": parts}
    return in_parts(Item(done), texts, "content_index", "content_part", parts)


def reasoning(texts: list[Text]) -> Item:
    """What it tells of its thoughts."""
    parts = [{"type": "summary_text", "text": text.whole} for text in texts]
    done = {"type": "reasoning", "id": "rs", "summary": parts, "encrypted_content": "gAAAAABo4111"}
    return in_parts(Item(done), texts, "summary_index", "reasoning_summary_part", parts)


def called(text: Text) -> Item:
    """A call of a tool."""
    kind = {"arguments": "function_call", "input": "custom_tool_call", "code": "code_interpreter_call"}[text.member]
    done = {"type": kind, "id": "fc", "status": "completed", "call_id": "call", "name": "send", text.member: text.whole}
    return Item(done, list(said(text, {})))


def text_of(kind: str, member: str, content: st.SearchStrategy[str] = TEXT) -> st.SearchStrategy[Text]:
    """Texts of one kind, cut anywhere."""
    return st.builds(lambda whole, places, spelt: Text(kind, member, cut(whole, places), spelt), content, CUTS, st.booleans())


ITEMS = st.one_of(
    st.lists(text_of("response.output_text", "text") | text_of("response.refusal", "refusal"), min_size=1, max_size=3).map(message),
    st.lists(text_of("response.reasoning_summary_text", "text"), max_size=2).map(reasoning),
    text_of("response.function_call_arguments", "arguments", ARGUMENTS).map(called),
    text_of("response.custom_tool_call_input", "input").map(called),
    text_of("response.code_interpreter_call_code", "code").map(called),
)


def response(status: str, output: list[dict[str, Any]], usage: Any = None) -> dict[str, Any]:
    """The response object."""
    frame = {"id": "resp_1", "object": "response", "created_at": 1, "model": "tiny-1", "status": status, "error": None, "tools": []}
    return {**frame, "output": output, "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "temperature": 1.0}


EMPTY: dict[str, Any] = {
    "status": "in_progress", "content": [], "summary": [], "arguments": "", "input": "", "code": "", "encrypted_content": None,
}  # fmt: skip
"""What an item has of its texts when it begins."""


def items_of(number: int, together: list[Item]) -> Iterator[dict[str, Any]]:
    """The events of items that come at the same time, in turn; mostly there is one."""
    placed = list(enumerate(together, number))
    for index, item in placed:
        item.done |= {name: f"{item.done[name]}_{index}" for name in ("id", "call_id") if name in item.done}
    for index, item in placed:
        yield {
            "type": "response.output_item.added",
            "output_index": index,
            "item": {**item.done, **{name: EMPTY[name] for name in item.done if name in EMPTY}},
        }
    for turn in zip_longest(*([(index, event) for event in item.events] for index, item in placed)):
        yield from ({**event, "output_index": index, "item_id": together[index - number].done["id"]} for index, event in filter(None, turn))
    for index, item in placed:
        yield {"type": "response.output_item.done", "output_index": index, "item": item.done}


@st.composite
def answers(draw: st.DrawFn, tails: list[str] | None = None) -> list[dict[str, Any]]:
    """The events of a response: items one after the other, calls in parallel, and the whole of it again at the end."""
    groups = draw(st.lists(st.lists(ITEMS, min_size=1, max_size=2), max_size=3))
    found: list[dict[str, Any]] = []
    output: list[dict[str, Any]] = []
    for group in groups:
        found += items_of(len(output), group)
        output += [item.done for item in group]
    status = draw(st.sampled_from(tails or ["completed", "incomplete", "failed"]))
    end = response(status, output, draw(st.sampled_from([USAGE, None])))
    begun = [{"type": f"response.{kind}", "response": response("in_progress", [])} for kind in ("created", "in_progress")]
    whole = [*begun, *found, {"type": f"response.{status}", "response": end}]
    return [{**event, "sequence_number": number} for number, event in enumerate(whole)]


@st.composite
def streams(draw: st.DrawFn, tails: list[str] | None = None) -> bytes:
    """The bytes of a response, with or without what servers put beside its data."""
    lines: list[bytes] = []
    for event in draw(answers(tails)):
        named = f"event: {event['type']}\n".encode() if draw(st.booleans()) else b""
        lines.append(named + b"data: " + orjson.dumps(event) + b"\n\n")
        if draw(st.integers(0, 12)) == 0:
            lines.append(draw(st.sampled_from([b": keep-alive\n\n", b'data: {"type":"keepalive","sequence_number":3}\n\n'])))
    if draw(st.booleans()):
        lines.append(b"data: [DONE]\n\n")
    return b"".join(lines).replace(b"\n", draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])))


def mocked(body: dict[str, Any], *steps: dict[str, Any]) -> bytes:
    """What the mock provider sends."""
    ask = read_ask(orjson.dumps({"model": "tiny", "stream": True, **body}))
    return b"".join(chain.from_iterable(told_by_the_mock(ask, say(step, ask, 1)) for step in read_steps(list(steps))))


SPLIT = ["Write to ja", "ne@exam", "ple.com or 4111 1111", " 1111 1111."]
CALLS = [
    {"name": "send", "arguments": {"to": "jane@example.com", "n": 4111111111111111}},
    {"name": "send", "arguments": {"to": "bob@b.org"}},
]
MOCKED = [
    mocked({}, {"text": SPLIT}),
    mocked({"include": ["message.output_text.logprobs"]}, {"text": SPLIT}),
    mocked({"include": ["reasoning.encrypted_content"]}, {"text": SPLIT, "reasoning": SPLIT, "tool_calls": CALLS}),
    mocked({}, {"text": SPLIT, "finish_reason": "failed"}),
    mocked({}, {"text": SPLIT, "finish_reason": "max_output_tokens"}),
    mocked({}, {"text": SPLIT, "bulk": 1000}),
]
STREAMS = streams() | st.sampled_from(MOCKED)
