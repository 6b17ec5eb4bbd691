"""Where the values of JSON text stand, found without the code under test: a second reading for oracles, and what mutations work on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

Path = tuple[str | int, ...]

_TOKEN: Final = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null|[\[\]{},:])', re.DOTALL)
_CLOSES: Final = {b"{": b"}", b"[": b"]"}
DEEPEST: Final = 200


@dataclass(slots=True)
class Value:
    """A value of JSON text: bytes from `start` up to `end`. A member's name stands from `named` on; -1 where it has none.

    `inside`: values of an array or object, in order.
    """

    start: int
    end: int
    kind: str
    named: int = -1
    name_end: int = -1
    depth: int = 0
    inside: list[Value] = field(default_factory=list)

    @property
    def whole(self) -> int:
        """Where the member or item begins."""
        return self.start if self.named < 0 else self.named


class NotJSON(ValueError):  # noqa: N818 - says what the bytes are
    """The bytes have not the form of JSON."""


def value_of(raw: bytes) -> Value:
    """The value that JSON text is. Numbers and strings are looked at as closely as it takes to tell where they end.

    Raises:
        NotJSON: the bytes have not that form, or are nested more than DEEPEST levels deep.
    """
    tokens = _tokens(raw)
    found = _value(tokens, next(tokens, None), 0)
    if next(tokens, None) is not None:
        raise NotJSON
    return found


def every(value: Value) -> Iterator[Value]:
    """The value and all in it, in the order of the bytes."""
    yield value
    for one in value.inside:
        yield from every(one)


_Token = tuple[bytes, int, int]


def _tokens(raw: bytes) -> Iterator[_Token]:
    at = 0
    while found := _TOKEN.match(raw, at):
        at = found.end()
        yield found[1], found.start(1), at
    if raw[at:].strip(b" \t\r\n"):
        raise NotJSON


def _value(tokens: Iterator[_Token], token: _Token | None, depth: int) -> Value:
    if token is None or depth > DEEPEST:
        raise NotJSON
    text, start, end = token
    if text in _CLOSES:
        found = Value(start, end, "object" if text == b"{" else "array", depth=depth)
        _fill(tokens, found, _CLOSES[text], depth)
        return found
    if text in (b"}", b"]", b",", b":"):
        raise NotJSON
    return Value(start, end, "string" if text[:1] == b'"' else "scalar", depth=depth)


def _fill(tokens: Iterator[_Token], holder: Value, close: bytes, depth: int) -> None:
    token = next(tokens, None)
    if token is not None and token[0] == close:
        holder.end = token[2]
        return
    while True:
        holder.inside.append(_member(tokens, token, depth) if holder.kind == "object" else _value(tokens, token, depth + 1))
        after = next(tokens, None)
        if after is None or after[0] not in (b",", close):
            raise NotJSON
        if after[0] == close:
            holder.end = after[2]
            return
        token = next(tokens, None)


def _member(tokens: Iterator[_Token], name: _Token | None, depth: int) -> Value:
    colon = next(tokens, None)
    if name is None or name[0][:1] != b'"' or colon is None or colon[0] != b":":
        raise NotJSON
    found = _value(tokens, next(tokens, None), depth + 1)
    found.named, found.name_end = name[1], name[2]
    return found
