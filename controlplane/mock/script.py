"""What the next answers are to be. docs/reference/mock.md has the same fields in a table, and a test holds it to them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

FAULTS: Final = (
    "reset",  # TCP reset instead of an answer
    "close",  # the connection ends instead of an answer
    "stall",  # no answer, until the peer gives up
    "garbage",  # bytes that are no HTTP
    "garbage_body",  # the right head, and a body that is nothing of the kind
    "encoded",  # gzip, asked for or not
    "reset_mid",  # TCP reset in the middle of the body
    "stall_mid",  # half of the body, then silence
    "truncated",  # half of the body, then the connection ends
    "error_mid",  # half of a stream's events, then the dialect's own event of an error, and the end
)
FOR_EVER: Final = 0


class BadScript(ValueError):  # noqa: N818 - named for what it is, as every refusal here
    """A script that can't be followed; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One programmed answer; with no field set it is the answer that the mock gives anyway."""

    text: str | list[str] | None = None
    """What the model says; a list gives the pieces of a stream."""
    echo: bool = False
    """Say the last user message back instead."""
    tool_calls: list[Mapping[str, Any]] = field(default_factory=list)
    """`{"name", "arguments", "id"?}` each; arguments as an object or as text."""
    reasoning: str | list[str] | None = None
    """What the model thinks before it speaks, where the dialect has a place for it; a list gives the pieces of a stream."""
    bulk: int = 0
    """The text over and over, until it is about so many bytes; made while it is sent, so that any length costs no memory."""
    usage: Mapping[str, Any] | None = None
    """The dialect's own usage object, as it stands."""
    model: str | None = None
    """Name of the model in the answer; the one asked for unless given."""
    finish_reason: str | None = None
    status: int = 200
    """400 and above gives the dialect's error shape."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to the answer's head, or put in place of one that is there."""
    body: str | None = None
    """The body's text, whatever it is; the head stays that of the dialect."""
    trailers: Mapping[str, str] = field(default_factory=dict)
    delay_ms: float = 0
    """Before the head."""
    chunk_sizes: list[int] = field(default_factory=list)
    """The body's bytes are cut into pieces of these sizes, over and over."""
    chunks: list[str] = field(default_factory=list)
    """The body, piece by piece; stands in for `body` and `chunk_sizes`."""
    chunk_delay_ms: float = 0
    """Between two pieces."""
    fault: str | None = None
    after_bytes: int | None = None
    """Where in the body a `…_mid` or `truncated` fault strikes; half of it unless given."""
    repeat: int = 1
    """How many requests get this answer; 0: all that follow."""


KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("model", "finish_reason", "body", "fault"), (str,)),
    **dict.fromkeys(("status", "after_bytes", "repeat", "bulk"), (int,)),
    **dict.fromkeys(("headers", "usage", "trailers"), (dict,)),
    **dict.fromkeys(("tool_calls", "chunk_sizes", "chunks"), (list,)),
    **dict.fromkeys(("delay_ms", "chunk_delay_ms"), (int, float)),
    **dict.fromkeys(("text", "reasoning"), (str, list)),
    "echo": (bool,),
}
"""JSON types that a field may have."""


class Script:
    """Steps in order; where none is left, the default answer."""

    def __init__(self) -> None:
        self._steps: deque[Step] = deque()

    def add(self, steps: list[Step]) -> None:
        """Queue more steps."""
        self._steps.extend(steps)

    def clear(self) -> None:
        """Back to the default answer."""
        self._steps.clear()

    def next(self) -> Step:
        """The step for the request in hand."""
        if not self._steps:
            return Step()
        step = self._steps[0]
        if step.repeat == 1:
            self._steps.popleft()
        elif step.repeat != FOR_EVER:
            self._steps[0] = replace(step, repeat=step.repeat - 1)
        return step


def read_steps(document: Any) -> list[Step]:
    """Steps of a script: a JSON object, or a list of them. Raises BadScript."""
    return [_step(item) for item in (document if isinstance(document, list) else [document])]


def _step(item: Any) -> Step:
    if not isinstance(item, dict):
        raise BadScript("a script is an object, or a list of objects")
    known = [f.name for f in fields(Step)]
    for name, value in item.items():
        if name not in known:
            raise BadScript(f"there is no field '{name}'; there are {', '.join(known)}")
        if not isinstance(value, KINDS[name]) or (isinstance(value, bool) and name != "echo"):
            raise BadScript(f"'{name}' can't be {type(value).__name__}")
    step = Step(**item)
    _check(step)
    return step


def _check(step: Step) -> None:
    if step.fault not in (None, *FAULTS):
        raise BadScript(f"there is no fault '{step.fault}'; there are {', '.join(FAULTS)}")
    if not 100 <= step.status <= 999:  # noqa: PLR2004 - what HTTP can say
        raise BadScript("'status' is from 100 to 999")
    if any(not isinstance(size, int) or size < 1 for size in step.chunk_sizes):
        raise BadScript("'chunk_sizes' are whole numbers from 1")
    if any(not isinstance(piece, str) for piece in [*step.chunks, *(step.text or []), *(step.reasoning or [])]):
        raise BadScript("'chunks' and the pieces of 'text' and 'reasoning' are strings")
    if step.bulk and step.text is not None and not "".join(step.text):
        raise BadScript("'bulk' repeats 'text', which is empty")
    if any(not isinstance(call, dict) or "name" not in call for call in step.tool_calls):
        raise BadScript("each of 'tool_calls' is an object with a 'name'")
    for name, fields_ in (("headers", step.headers), ("trailers", step.trailers)):
        if not all(_sendable(text) for pair in fields_.items() for text in pair):
            raise BadScript(f"'{name}' are strings of Latin-1 without line breaks")
    if min(step.repeat, step.delay_ms, step.chunk_delay_ms, step.after_bytes or 0, step.bulk) < 0:
        raise BadScript("'repeat', 'delay_ms', 'chunk_delay_ms', 'after_bytes' and 'bulk' can't be below 0")


def _sendable(text: Any) -> bool:
    return isinstance(text, str) and not {"\r", "\n"} & set(text) and all(ord(letter) < 256 for letter in text)  # noqa: PLR2004 - Latin-1
