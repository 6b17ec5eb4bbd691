"""The gate's pure middle as a test sees it: what goes on of a request, what is shown of an answer, and how to say what is wrong."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, Final

from shapes import routes as shapes
from shapes.planting import Leaf
from shapes.streams import Stream

from contracts.policy import Actions
from extproc.core import dialects, prompt
from extproc.core.answer import buffered
from extproc.core.dialects import Route
from extproc.core.stream import StreamedAnswer

REDACT: Final = Actions({"*": "redact"}, {"*": "redact"}, "alert")
DEPTH: Final = 64
SHOWN: Final = 12
ROUTES: Final = [route for route in dialects.ROUTES if route.guard != "no content"]


def sent_on(route: Route, raw: bytes, *, changed: bool = False) -> tuple[bytes, dict[str, int]]:
    """What would go to the provider of a body, and what was found in it; `changed`: with all that the gate itself changes."""
    reading = prompt.understood(route, raw, DEPTH)
    more = [*reading.call.asks, *reading.call.forgets, prompt.named("tiny", reading.call)] if changed else []
    return prompt.cleaned(raw, reading, REDACT, more)[0], dict(reading.counts)


def shown(route: Route, raw: bytes, *, ok: bool = True) -> bytes:
    """What the app gets of an answer."""
    body = buffered(route, raw, REDACT, DEPTH, ok, "application/json").body
    return raw if body is None else body


def passed(route: Route, sent: bytes, cuts: tuple[int, ...] = ()) -> tuple[bytes, StreamedAnswer]:
    """What the app gets of a stream whose bytes come cut at these places."""
    answer = StreamedAnswer(route, REDACT)
    bounds = [0, *cuts, len(sent)]
    out = b"".join([answer.feed(sent[start:end]) for start, end in pairwise(bounds)])
    return out + answer.finish(), answer


def stream_of(route: Route) -> Stream:
    """The route's stream."""
    found = shapes.of(route.name).stream
    assert found is not None
    return found


def same_but_for_what_repeats(out: Any, expected: Any) -> bool:
    """Equal, save that log probabilities, which spell a text again, may be gone."""
    if isinstance(out, dict) and isinstance(expected, dict):
        return list(out) == list(expected) and all(
            same_but_for_what_repeats(out[name], expected[name]) or (name == "logprobs" and not out[name]) for name in out
        )
    if isinstance(out, list) and isinstance(expected, list):
        return len(out) == len(expected) and all(map(same_but_for_what_repeats, out, expected))
    return bool(out == expected and type(out) is type(expected))


def kept(out: bytes, expected: str) -> bool:
    """Whether what left is what was expected."""
    return out == expected.encode() or same_but_for_what_repeats(json.loads(out), json.loads(expected))


def none_of(holes: list[str]) -> None:
    """Fail with the first holes."""
    assert not holes, f"{len(holes)} holes, the first of them:\n" + "\n".join(holes[:SHOWN])


def hole(leaf: Leaf, before: str, token: str, after: str, out: bytes) -> str:
    """A hole in one line: where it is, what was sent there, and what stands there now; all that changed where more did."""
    left = out.decode()
    if left.startswith(before) and left.endswith(after):
        left = left[len(before) : len(left) - len(after)]
    return f"{leaf}: {token} → {left}"
