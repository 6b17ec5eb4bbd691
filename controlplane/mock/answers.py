"""Request and script → what goes on the wire, before any fault of delivery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from controlplane.mock.ask import Ask, read_ask
from controlplane.mock.body import cut, packed
from controlplane.mock.http1 import Request
from controlplane.mock.routes import Route, asked_model, nowhere, route
from controlplane.mock.says import say
from controlplane.mock.script import Step

GARBAGE: Final = b'\xff\xfe{"choices": [ not json \x00\x01'
_FAILURE: Final = "The mock provider was told to fail."


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to deliver.

    `pieces`: of the body, none of them empty; made while they are sent if the answer is a bulk one.
    `chunked`: the body's length is not told in the head. `half`: bytes, where a fault in the middle strikes.
    """

    status: int
    headers: dict[str, str]
    pieces: Iterable[bytes]
    chunked: bool
    half: int


def answer(request: Request, step: Step, number: int) -> Answer:
    """The answer that `step` makes of `request`."""
    found = route(request)
    if found is None:
        return _plain(404, nowhere(request), step)
    if request.method != found.method:
        return _plain(405, found.error(405, f"The mock provider takes {found.method} here."), step)
    if step.status >= 400 and step.body is None and not step.chunks:  # noqa: PLR2004 - errors begin at 400
        return _plain(step.status, found.error(step.status, _FAILURE), step)
    ask = read_ask(request.body)
    model = asked_model(request)
    return _content(found, replace(ask, model=model) if model else ask, step, number)


def _plain(status: int, body: bytes, step: Step) -> Answer:
    return _dressed(status, "application/json", [body], step, chunked=False)


def _content(found: Route, ask: Ask, step: Step, number: int) -> Answer:
    stream = ask.stream and found.events is not None
    kind = "text/event-stream; charset=utf-8" if stream else "application/json"
    answered = _dressed(step.status, kind, _pieces(found, ask, step, number), step, chunked=stream)
    answered.headers.setdefault("x-request-id", f"req_mock{number}")
    return answered


def _pieces(found: Route, ask: Ask, step: Step, number: int) -> Iterable[bytes]:
    if step.fault == "garbage_body":
        return [GARBAGE]
    if step.chunks:
        return [piece.encode() for piece in step.chunks]
    if step.body is not None:
        return [step.body.encode()]
    says = say(step, ask, number)
    if not ask.stream or found.events is None:
        return [found.unary(ask, says)]
    events = found.events(ask, says)
    return _broken(found, events, step) if step.fault == "error_mid" else events


def _broken(found: Route, events: Iterator[bytes], step: Step) -> Iterator[bytes]:
    """Whole events up to the middle, then the one that says it failed."""
    if step.bulk:
        left = step.bulk // 2 if step.after_bytes is None else step.after_bytes
    else:
        known = list(events)
        left = sum(map(len, known)) // 2 if step.after_bytes is None else step.after_bytes
        events = iter(known)
    number = 0
    for event in events:
        left -= len(event)
        if left < 0:
            break
        yield event
        number += 1
    yield found.broken(number, _FAILURE)


def _dressed(status: int, kind: str, pieces: Iterable[bytes], step: Step, *, chunked: bool) -> Answer:
    headers = {"content-type": kind}
    if step.fault == "encoded":
        pieces = packed(pieces)
        headers["content-encoding"] = "gzip"
    if step.chunk_sizes and not step.chunks:
        pieces = cut(pieces, step.chunk_sizes)
    headers |= {name.lower(): value for name, value in step.headers.items()}
    if chunked and step.bulk:
        return Answer(status, headers, pieces, chunked, step.bulk // 2)
    known: Sequence[bytes] = [piece for piece in pieces if piece]
    chunked = chunked or bool(step.trailers or step.chunk_sizes or step.chunks)
    return Answer(status, headers, known, chunked, sum(map(len, known)) // 2)
