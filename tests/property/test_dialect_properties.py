"""Laws of every dialect in the table: any JSON is read or called malformed, and what the gate changes is JSON that says so."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidRequest
from contracts.policy import Actions
from extproc.core import dialects, prompt
from extproc.core.answer import buffered
from extproc.core.body import Malformed, read
from extproc.core.dialects import Route
from extproc.core.stream import StreamedAnswer
from extproc.core.tally import Unreadable

READ = [route for route in dialects.ROUTES if route.guard != "no content"]
WATCHED = Actions({"*": "redact"}, {"*": "redact"}, "alert")
EACH = pytest.mark.parametrize("route", READ, ids=lambda route: route.name)


@cache
def words(family: str) -> list[str]:
    """Every short string that a family's modules name: members, types, events."""
    names = ["members", *(name for name in dir(dialects) if name.startswith(family))]
    sources = [inspect.getsource(importlib.import_module(f"extproc.core.dialects.{name}")) for name in names]
    return sorted({word for source in sources for word in re.findall(r'"([a-z_.]{1,40})"', source)})


@cache
def bodies(family: str) -> st.SearchStrategy[Any]:
    """JSON made of the family's own words, in places where they belong and where they don't."""
    word = st.sampled_from(words(family))
    leaf = (
        st.none()
        | st.booleans()
        | st.sampled_from([0, 1, -1, 2**53, 1.5, "", "x", "jane@example.com", "data:image/png;base64,AA", "aGk="])
        | word
    )
    inner = st.recursive(leaf, lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(word, deeper, max_size=4), max_leaves=12)
    return st.dictionaries(word, inner, max_size=6) | inner


@EACH
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_request_is_understood_or_refused(route: Route, data: st.DataObject) -> None:
    """By our own error, which holds nothing of it; what is understood can be changed, and says then what the gate wants it to say."""
    body = data.draw(bodies(route.dialect.name))
    if isinstance(body, dict) and data.draw(st.booleans()):
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "input": "x", "max_tokens": 5, **body}
    raw = orjson.dumps(body)
    try:
        reading = prompt.understood(route, raw, 64)
    except InvalidRequest as why:
        message = why.message
    else:
        changed(route, raw, reading)
        return
    assert "jane" not in message


def changed(route: Route, raw: bytes, reading: prompt.Reading) -> None:
    """The body as it is sent on, with all that the gate can ask for."""
    call = reading.call
    clean, _ = prompt.cleaned(raw, reading, WATCHED, [*call.asks, *call.forgets, prompt.named("tiny", call)])
    again = json.loads(clean)
    assert again["model"] == "tiny"
    assert not call.forgets or again["store"] is False
    assert not (call.asks and call.stream) or again["stream_options"]["include_usage"] is True
    assert not call.hides_usage or call.asks
    assert route.dialect.call(read(clean, max_depth=64, exact=False)).stream == call.stream


@EACH
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_answer_is_read_or_unreadable(route: Route, data: st.DataObject) -> None:
    """Whole, and as events in any split: the same bytes leave, the same is counted, and what is unreadable is so in both."""
    trees = data.draw(st.lists(bodies(route.dialect.name), min_size=1, max_size=4))
    for tree in trees:
        try:
            read_whole = buffered(route, orjson.dumps(tree), WATCHED, 64)
        except Unreadable:
            continue
        assert read_whole.body is None or read(read_whole.body, max_depth=64)
    stream = b"".join(b"event: %b\ndata: %b\n\n" % (data.draw(st.sampled_from([b"x", b"message"])), orjson.dumps(tree)) for tree in trees)
    splits = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    assert streamed(route, [stream]) == streamed(route, [stream[a:b] for a, b in zip([0, *splits], [*splits, len(stream)], strict=True)])


def streamed(route: Route, pieces: list[bytes]) -> tuple[Any, ...]:
    """What leaves of a stream, and what is known of it."""
    answer = StreamedAnswer(route, WATCHED)
    out = b""
    try:
        for piece in pieces:
            out += answer.feed(piece)
        out += answer.finish()
    except Unreadable as why:
        return out + why.before, "unreadable"
    return (
        out,
        answer.usage,
        answer.findings,
        answer.redacted,
        answer.finish_reasons,
        answer.text_bytes_out,
        answer.done,
        answer.model,
        answer.id,
    )


@EACH
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_every_string_of_an_answer_has_a_place(route: Route, data: st.DataObject) -> None:
    """A channel, or none; an echo that is there, or none: the dialect says so for every leaf, and breaks on none."""
    document = read(orjson.dumps(data.draw(bodies(route.dialect.name))), max_depth=64)
    for leaf in document.strings():
        try:
            channel = route.dialect.channel(document.tree, leaf.path)
        except Malformed:
            continue
        assert channel is None or len(channel) > 1
        route.dialect.generated(document.tree, leaf.path)
        if echo := route.dialect.echo(document.tree, leaf.path):
            node = document.tree
            for step in echo:
                node = node[step]
