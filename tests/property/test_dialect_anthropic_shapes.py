"""Whatever JSON comes, Anthropic's dialect gives a result or says that it is malformed: for requests, answers and events."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidRequest
from contracts.policy import Actions
from extproc.core import dialects
from extproc.core.answer import buffered
from extproc.core.prompt import cleaned, understood
from extproc.core.stream import StreamedAnswer
from extproc.core.tally import Blocked, Unreadable

ROUTES = [dialects.named("messages"), dialects.named("count_tokens")]
REDACT = Actions({"*": "redact"}, {"*": "redact"}, "block")

NAMES = (
    "type", "model", "messages", "message", "role", "content", "system", "tools", "tool", "definition", "tool_changes", "source", "data",
    "media_type", "url", "index", "delta", "content_block", "usage", "iterations", "input_tokens", "output_tokens", "citation", "text",
    "output_tokens_details", "thinking_tokens", "stop_reason", "error", "stream", "max_tokens", "id", "container",
)  # fmt: skip
WORDS = (
    "text", "image", "document", "base64", "url", "file", "content", "tool_result", "tool_addition", "compaction", "message_start",
    "message_delta", "message_stop", "content_block_start", "content_block_delta", "content_block_stop", "error", "text/plain", "aGk=",
    "jane@example.com", "web_search_20250305", "hologram", "", "data:text/plain;base64,aGk=",
)  # fmt: skip
SCALARS = st.sampled_from(WORDS) | st.none() | st.booleans() | st.integers(-2, 9) | st.sampled_from([1.5, 2**53, 4111111111111111])
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5), max_leaves=20
)
BLOCK = st.fixed_dictionaries(
    {"type": st.sampled_from(WORDS)}, optional=dict.fromkeys(("source", "content", "tool", "text", "data"), TREES)
)
REQUESTS = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(st.fixed_dictionaries({"content": TREES | st.lists(BLOCK, max_size=3)}), min_size=1, max_size=2)},
    optional={"system": TREES, "tools": TREES, "max_tokens": SCALARS, "stream": SCALARS, "container": TREES},
)  # fmt: skip
EVENTS = TREES | st.fixed_dictionaries(
    {"type": st.sampled_from(WORDS)},
    optional={"index": SCALARS, **dict.fromkeys(("delta", "content_block", "message", "usage", "error"), TREES)},
)


@given(REQUESTS | TREES, st.sampled_from(ROUTES))
def test_any_request_is_read_or_refused(body: Any, route: dialects.Route) -> None:
    """What is read goes on without an address in it, as JSON."""
    raw = orjson.dumps(body)
    try:
        reading = understood(route, raw, 64)
    except InvalidRequest:
        return
    clean, _ = cleaned(raw, reading, REDACT, ())
    assert b"jane" not in orjson.dumps(orjson.loads(clean))


@given(EVENTS, st.sampled_from(ROUTES))
def test_any_answer_is_read_or_called_unreadable(tree: Any, route: dialects.Route) -> None:
    """Also one that is an event, and one that blocks."""
    try:
        answer = buffered(route, orjson.dumps(tree), REDACT, 64)
    except Unreadable:
        return
    assert answer.body is None or answer.blocked or b"jane" not in answer.body


@given(st.lists(EVENTS, max_size=5), st.sampled_from(ROUTES))
def test_any_events_are_read_or_called_unreadable(trees: list[Any], route: dialects.Route) -> None:
    """What left before is clean."""
    stream = StreamedAnswer(route, REDACT)
    out = b""
    try:
        for tree in trees:
            out += stream.feed(b"data: %b\n\n" % orjson.dumps(tree))
        out += stream.finish()
    except (Blocked, Unreadable) as cut:
        out += cut.before
    assert b"jane" not in out
