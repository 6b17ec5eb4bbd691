"""Request and script → what goes on the wire, before any fault of delivery."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from types import ModuleType
from typing import Final

from controlplane.mock import anthropic_shapes, openai_shapes
from controlplane.mock.ask import Ask, read_ask
from controlplane.mock.http1 import Request
from controlplane.mock.says import say
from controlplane.mock.script import Step

DIALECTS: Final = {"/v1/chat/completions": openai_shapes, "/v1/messages": anthropic_shapes}
GARBAGE: Final = b'\xff\xfe{"choices": [ not json \x00\x01'


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to deliver. `chunked`: the body's length is not told in the head."""

    status: int
    headers: dict[str, str]
    pieces: Sequence[bytes]
    chunked: bool


def answer(request: Request, step: Step, number: int) -> Answer:
    """The answer that `step` makes of `request`."""
    shapes = DIALECTS.get(request.path.partition("?")[0])
    if shapes is None:
        return _plain(404, openai_shapes.error(404, f"The mock provider has nothing at {request.path}."), step)
    if request.method != "POST":
        return _plain(405, shapes.error(405, "The mock provider takes POST here."), step)
    if step.status >= 400 and step.body is None and not step.chunks:  # noqa: PLR2004 - errors begin at 400
        return _plain(step.status, shapes.error(step.status, "The mock provider was told to fail."), step)
    return _content(shapes, read_ask(request.body), step, number)


def _plain(status: int, body: bytes, step: Step) -> Answer:
    return _dressed(status, "application/json", [body], step, chunked=False)


def _content(shapes: ModuleType, ask: Ask, step: Step, number: int) -> Answer:
    says = say(step, ask, number)
    kind = "text/event-stream; charset=utf-8" if ask.stream else "application/json"
    pieces = list(shapes.events(ask, says)) if ask.stream else [shapes.unary(ask, says)]
    if step.fault == "garbage_body":
        pieces = [GARBAGE]
    elif step.chunks:
        pieces = [piece.encode() for piece in step.chunks]
    elif step.body is not None:
        pieces = [step.body.encode()]
    answered = _dressed(step.status, kind, pieces, step, chunked=ask.stream)
    answered.headers.setdefault("x-request-id", f"req_mock{number}")
    return answered


def _dressed(status: int, kind: str, pieces: Sequence[bytes], step: Step, *, chunked: bool) -> Answer:
    headers = {"content-type": kind}
    if step.fault == "encoded":
        pieces = [gzip.compress(b"".join(pieces), mtime=0)]
        headers["content-encoding"] = "gzip"
    if step.chunk_sizes and not step.chunks:
        pieces = list(_cut(b"".join(pieces), step.chunk_sizes))
    chunked = chunked or bool(step.trailers) or len(pieces) > 1
    return Answer(status, headers | {name.lower(): value for name, value in step.headers.items()}, [p for p in pieces if p], chunked)


def _cut(body: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    start = 0
    for size in cycle(sizes):
        if start >= len(body):
            return
        yield body[start : start + size]
        start += size
