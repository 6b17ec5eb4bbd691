"""Laws of a streamed answer: the split of its bytes doesn't matter, and each text is redacted as if it came whole."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import orjson
from hypothesis import example, given
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
    nothing_of_a_card_leaves,
    redacted,
    same_for_any_split,
)

from contracts.policy import Actions
from extproc.core import dialects
from extproc.core.answer import buffered
from extproc.core.sse import Splitter
from extproc.redact.scanner import scan

ROUTE = dialects.named("chat")
run = partial(stream_laws.run, ROUTE)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A stream as providers send it: two choices in turn, tool calls, a role, usage, comments, any line end."""
    queues: list[list[bytes]] = []
    for choice in range(draw(st.integers(1, 2))):
        queue = [event(choice, {"role": "assistant", "content": ""})]
        queue += [event(choice, {"content": piece}) for piece in cut(draw(TEXT), draw(CUTS))]
        if draw(st.booleans()):
            queue.append(
                event(choice, {"tool_calls": [{"index": 0, "id": "call_4111111111111111", "function": {"name": "send", "arguments": ""}}]})
            )
            arguments = draw(ARGUMENTS)
            queue += [
                event(choice, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in cut(arguments, draw(CUTS))
            ]
        if draw(st.booleans()):
            queue.append(event(choice, {}, finish="stop"))
        queues.append(queue)
    lines: list[bytes] = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        lines.append(queue.pop(0))
        if draw(st.integers(0, 9)) == 0:
            lines.append(draw(st.sampled_from([b": keep-alive", b"event: ping\ndata:", b": jane@example.com"])))
    if draw(st.booleans()):
        lines.append(b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7}}')
    if draw(st.booleans()):
        lines.append(b"data: [DONE]")
    stream = b"".join(line + b"\n\n" for line in lines)
    return stream.replace(b"\n", draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])))


def event(choice: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
    """The data line of one event."""
    return b"data: " + orjson.dumps({"id": "c", "choices": [{"index": choice, "delta": delta, "finish_reason": finish}]})


def texts(stream: bytes) -> dict[Any, str]:
    """The texts of a stream, joined as an SDK joins them."""
    splitter = Splitter()
    joined: dict[Any, str] = {}
    for found in [*splitter.feed(stream), *splitter.finish()]:
        if not found.data or found.data == b"[DONE]":
            continue
        for choice in orjson.loads(found.data)["choices"]:
            delta = choice["delta"]
            pieces = {("content",): delta.get("content", "")}
            pieces |= {("call", call["index"]): call["function"]["arguments"] for call in delta.get("tool_calls", [])}
            for name, piece in pieces.items():
                joined[choice["index"], name] = joined.get((choice["index"], name), "") + piece
    return joined


@given(streams(), st.lists(st.integers(0, 4000), max_size=20), st.sampled_from([*TABLES, BLOCK_CARDS]))
def test_the_split_of_the_bytes_does_not_matter(stream: bytes, places: list[int], table: dict[str, str]) -> None:
    """Same bytes out, same facts, and a block at the same place, for any split and byte by byte."""
    same_for_any_split(ROUTE, stream, (places, range(len(stream))), table)


@given(streams(), st.sampled_from(TABLES))
@example(event(0, {"content": "jane@example.co"}) + b"\n\n" + event(0, {"content": "m"}, finish="stop") + b"\n\n", REDACT)
def test_each_text_is_redacted_as_if_it_came_whole(stream: bytes, table: dict[str, str]) -> None:
    """Joined as an SDK joins them, the texts that leave are the redacted texts that came; counts agree, and JSON stays JSON."""
    out, answer, _ = run(stream, [], table)
    came = texts(stream)
    found = {name: scan(text) for name, text in came.items()}
    left = texts(out)
    assert left == {name: redacted(text, table) for name, text in came.items()}
    assert all(is_json(left[name]) for name, text in came.items() if is_json(text) and text.startswith("{"))
    comments = stream.count(b": jane@example.com\n") + stream.count(b": jane@example.com\r")
    expected = Counter(finding.kind for findings in found.values() for finding in findings)
    assert answer.findings == expected + Counter({"EMAIL_ADDRESS": comments})


@given(streams())
def test_events_keep_their_order_and_their_bytes(stream: bytes) -> None:
    """As many events leave as came, in order; one without a finding is byte for byte the same."""
    out, _, _ = run(stream, [], REDACT)
    splitter, again = Splitter(), Splitter()
    came, left = ([*splitter.feed(stream), *splitter.finish()], [*again.feed(out), *again.finish()])
    assert len(came) == len(left)
    for before, after in zip(came, left, strict=True):
        if before.data is not None and after.data is not None and before.data != after.data:
            fixed = [orjson.loads(data)["choices"][0] | {"delta": None} for data in (before.data, after.data)]
            assert fixed[0] == fixed[1]
        elif b"jane" not in before.beside:
            assert before.raw == after.raw
    assert run(stream, [], ALERT)[0] == stream


@given(streams())
def test_nothing_of_a_blocked_card_leaves(stream: bytes) -> None:
    """What left is a beginning of what redaction alone would have let out."""
    nothing_of_a_card_leaves(ROUTE, stream)


@given(TEXT, TEXT | ARGUMENTS)
def test_a_whole_answer_is_redacted_like_its_texts(content: str, arguments: str) -> None:
    """Each leaf of a buffered answer becomes its own text, redacted."""
    answer = {"choices": [{"message": {"content": content, "tool_calls": [{"function": {"arguments": arguments}}]}}]}
    read = buffered(ROUTE, orjson.dumps(answer), Actions({}, REDACT), 64)
    tree = orjson.loads(read.body) if read.body is not None else answer
    message = tree["choices"][0]["message"]
    for text, left in ((content, message["content"]), (arguments, message["tool_calls"][0]["function"]["arguments"])):
        assert left == redacted(text, REDACT)
