"""Streamed answers of a route. Oracle: any bytes, however they are cut, give the same bytes and the same account, or end by the same one of our two errors.

And: nothing planted can be read in what left, not in an event and not in a text put together from several; each text is what it would
be in one piece; where nothing was found nothing changes. An error ends a stream in the same place whatever the cut: what left before it and what it says may leave, together, are one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

from fuzz.oracles import BLOCK, REDACT, demand, dice_of, nothing_planted, nothing_planted_in, numbers, says_nothing_of_it, ways
from fuzz.words import KEY

from contracts.policy import Actions
from custody import scrub
from custody.secret import Secret
from extproc.core import relay
from extproc.core import stream as streamed
from extproc.core.body import Malformed
from extproc.core.dialects import Route
from extproc.core.heavy import looked_into
from extproc.core.places import fitting
from extproc.core.sse import Splitter
from extproc.core.stream import PATIENCE, StreamedAnswer
from extproc.core.tally import CREDENTIAL, Blocked, Cut, Unreadable
from extproc.redact import actions
from extproc.redact.scanner import scan

_SECRET: Final = Secret(KEY)
_MORE: Final = (relay.echoes(_SECRET),)


@dataclass(frozen=True)
class Passed:
    """What came of a stream: what left, how it ended, and what is known of it."""

    out: bytes
    end: str
    account: tuple[Any, ...]
    findings: Mapping[str, int]
    chunks: int
    rest: bytes


def check(route: Route, data: bytes, closely: bool = False) -> None:
    """The target."""
    dice = dice_of(data)
    hides = dice.random() < 0.3
    tables = (REDACT, BLOCK) if closely else (BLOCK if dice.random() < 0.2 else REDACT,)
    for table in tables:
        whole = _passed(route, table, [data], hides=hides)
        for pieces in ways(data, dice, closely=closely):
            split = _passed(route, table, pieces, hides=hides)
            demand(split == whole, "the cut matters", pieces, split, whole)
        if closely or dice.random() < 0.5:
            _elsewhere(route, table, data, whole, hides=hides)
        _left(route, whole)
        if table is REDACT:
            _as_whole(route, data, whole)
        if not (whole.end or hides or whole.findings or scrub.scrub(data, _SECRET) != data):
            demand(whole.out + whole.rest == data, "nothing was found, and yet it changed", whole)


def _passed(route: Route, table: Actions, pieces: list[bytes], *, hides: bool, apart: bool = False) -> Passed:
    stream = StreamedAnswer(route, table, hides_usage=hides, apart=apart, without=lambda raw: scrub.scrub(raw, _SECRET), more=_MORE)
    out, end = list[bytes](), ""
    try:
        for piece in pieces:
            out.extend(_fed(stream, piece, route, table))
        out.append(stream.finish())
    except (Blocked, Unreadable) as error:
        says_nothing_of_it(error, Cut, Malformed, ValueError)
        out.append(error.before)
        end = f"{type(error).__name__} {error} {getattr(error, 'kinds', '')}"
    left = b"".join(out)
    account = (
        stream.usage, stream.model, stream.id, stream.finish_reasons, stream.done, stream.failed, stream.truncated,
        stream.text_bytes_out, stream.redacted, stream.actions,
    )  # fmt: skip
    rest = b"" if end or left.endswith(stream._splitter.rest()) else stream._splitter.rest()
    return Passed(left, end, account, stream.findings, stream.chunks, rest)


def _elsewhere(route: Route, table: Actions, data: bytes, whole: Passed, *, hides: bool) -> None:
    """Events that are looked into apart leave as they would have, and no usage is lost. Only an end mark is too short to be one of them.

    What they say of themselves is read after redaction there, and before the credential is taken out, so that may differ.
    """
    if whole.end or scrub.scrub(data, _SECRET) != data or _numbers_gone(route, data, whole):
        return
    with mock.patch.object(streamed, "AT_ONCE", len(b" [DONE] ")):
        apart = _passed(route, table, [data], hides=hides, apart=True)
    same = (apart.out, apart.end, apart.rest, apart.account[0], apart.findings, apart.chunks)
    wanted = (whole.out, whole.end, whole.rest, whole.account[0], whole.findings, whole.chunks)
    demand(same == wanted, "it matters where events are looked into", apart, whole)


def _numbers_gone(route: Route, data: bytes, passed: Passed) -> bool:
    """Whether a card's number became a text, of its own or in the middle of another."""
    return sum(map(numbers, _trees(route, data))) != sum(map(numbers, _trees(route, passed.out)))


def _fed(stream: StreamedAnswer, piece: bytes, route: Route, table: Actions) -> Iterator[bytes]:
    """What leaves of a piece."""
    yield stream.feed(piece)
    while stream.heavy and stream.heavy.data:
        yield stream.go_on(looked_into(route, stream.heavy.data, table, streamed.STREAM_DEPTH))


def _left(route: Route, passed: Passed) -> None:
    """Nothing planted is in what left: as bytes, event by event, and text by text."""
    nothing_planted(passed.out.decode(errors="replace"), secret=True)
    for tree in _trees(route, passed.out):
        nothing_planted_in(json.dumps(tree).encode(), secret=True)
    for text in _texts(route, passed.out):
        nothing_planted(text, secret=True)


def _as_whole(route: Route, data: bytes, passed: Passed) -> None:
    """Each text is what it would be had it come whole, unless it was given up; only where there are many events one can be."""
    if passed.end or passed.chunks > PATIENCE or CREDENTIAL in passed.findings or scrub.scrub(data, _SECRET) != data:
        return
    if _numbers_gone(route, data, passed):
        return
    came, left = _texts(route, data), _texts(route, passed.out)
    if len(came) == len(left):  # names that were redacted may have become one
        wanted = [actions.apply(text, fitting(text, actions.edits(scan(text), REDACT.answer))) for text in came]
        demand(wanted == left, "a text is not what it would be in one piece", came, wanted, left)


def _texts(route: Route, stream: bytes) -> list[str]:
    """The texts that come in pieces, put together as the dialect says."""
    texts: dict[object, str] = {}
    for tree in _trees(route, stream):
        for path, text in _strings(tree, ()):
            channel = _channel(route, tree, path)
            if channel is not None:
                texts[channel] = texts.get(channel, "") + text
    return list(texts.values())


def _channel(route: Route, tree: Any, path: tuple[str | int, ...]) -> object:
    try:
        return route.dialect.channel(tree, path)
    except Malformed:  # there was no text in this event before one took the place of a card's number
        return None


def _trees(route: Route, out: bytes) -> Iterator[Any]:
    splitter = Splitter()
    for event in (*splitter.feed(out), *splitter.finish()):
        if event.data and event.data.strip() != route.dialect.done:
            yield json.loads(event.data.decode())


def _strings(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(node, str):
        yield path, node
    for step, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from _strings(value, (*path, step))
