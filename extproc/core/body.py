"""JSON text that is read once, strictly, and whose every text can be found again by its place.

Strict on the way in, because two parsers that disagree about a body are a way round the gate: no
byte order mark, no NaN, no lone surrogate, no member named twice (not even in another case, since
some parsers fold it), nothing after the value, no number that a double can't hold (RFC 8259 with
the interoperability advice of RFC 7493).

Text is every string, every member's name, and every whole number that is long enough to be somebody's:
a card's number needs no quotes. Most bodies hold nothing that is looked for, so `Document.texts` gives
what there is without saying where, and places are made only by `Document.leaves`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, NamedTuple

import orjson

from extproc.core.spans import Path, string_tokens

__all__ = ["DEEPEST", "Document", "Leaf", "Malformed", "Path", "read"]

DEEPEST: Final = 512
"""No setting allows more nesting levels than this; the walk over a tree is recursive."""

LONG_NUMBER: Final = 1_000_000
"""Numbers below are counts, token ids, probabilities: no text is looked for in them."""

EXACT: Final = 1 << 53
"""From here on a double can't hold every whole number (IEEE 754; RFC 7493, section 2.2)."""

_LONG: Final = 16
_NUMBER: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|(?P<digits>[0-9][0-9.eE+-]*+)', re.DOTALL)


class Malformed(ValueError):  # noqa: N818 - a name of the contract between the stages: what the bytes are
    """The bytes are not the JSON we accept. The text says why and holds nothing of the caller's."""


class Leaf(NamedTuple):
    """A text of the tree. `token` is its number among the document's string tokens, names included; -1 for a number.

    `named`: it is the name of the member at `path`, not its value.
    """

    path: Path
    text: str
    token: int
    named: bool = False


class Document:
    """JSON text that passed `read`, and its tree. Neither is ever changed."""

    __slots__ = ("_names", "_numbers", "_strings", "raw", "tree")

    def __init__(self, raw: bytes, tree: Any, strings: list[str], names: list[str], numbers: list[int]) -> None:
        self.raw = raw
        self.tree = tree
        self._strings = strings
        self._names = names
        self._numbers = numbers

    def texts(self) -> list[str]:
        """Every text, in no order that means anything."""
        return [*self._strings, *self._names, *map(str, self._numbers)]

    def leaves(self) -> list[Leaf]:
        """Every text with its place, in the order of the bytes."""
        found: list[Leaf] = []
        _collect(self.tree, (), 0, found)
        return found

    def strings(self) -> list[Leaf]:
        """Those leaves that are string values."""
        found: list[Leaf] = []
        _collect_strings(self.tree, (), 0, found)
        return found


def read(raw: bytes, *, max_depth: int, exact: bool = True) -> Document:
    """Parse a body. `max_depth` counts nested arrays and objects; with `exact`, no whole number may be one that doubles can't hold.

    Raises:
        Malformed: not JSON, not UTF-8, byte order mark, NaN or Infinity, lone surrogate, a member named twice, too deep, inexact.
    """
    try:
        tree = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        surrogate = "surrogate" in error.msg
    else:
        return _examined(raw, tree, min(max_depth, DEEPEST), exact=exact)
    # Raised here and not above: the parser's error holds the whole body, and would go along as the cause.
    raise Malformed(_complaint(raw, surrogate=surrogate))


def _complaint(raw: bytes, *, surrogate: bool) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        return "it starts with a byte order mark"
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8"
    return "it has half of a surrogate pair" if surrogate else "it is not valid JSON, or has a number out of range"


def _examined(raw: bytes, tree: Any, max_depth: int, *, exact: bool) -> Document:
    """Refuse what the parser lets pass: level by level, since most documents are flat and lists extend in C."""
    level: list[Any] = [[tree]]
    depth = -1
    strings: list[str] = []
    names: list[str] = []
    numbers: list[int | float] = []
    objects: list[dict[str, Any]] = []
    while level:
        depth += 1
        if depth > max_depth:
            raise Malformed(f"it is nested more than {max_depth} levels deep")
        values: list[Any] = []
        for node in level:
            if type(node) is dict:
                objects.append(node)
                names += node
                values += node.values()
            else:
                values += node
        level = _sorted(values, strings, numbers)
    if _string_tokens(raw) != len(strings) + len(names):
        raise Malformed("an object has two members of the same name")
    # Names of distinct lower-case ASCII can't be equal in another case; nearly every body ends here.
    joined = "".join(names)
    if not (joined.isascii() and joined == joined.lower()):
        _refuse_alike(objects)
    if exact and [number for number in numbers if not -EXACT < number < EXACT]:
        _refuse_inexact(raw)
    return Document(raw, tree, strings, names, [int(number) for number in numbers if number == int(number)])


def _sorted(values: list[Any], strings: list[str], numbers: list[int | float]) -> list[Any]:
    """Strings and long numbers go where they belong; what is left has a level below it."""
    deeper: list[Any] = []
    for value in values:
        kind = type(value)
        if kind is str:
            strings.append(value)
        elif kind is dict or kind is list:
            deeper.append(value)
        elif (kind is int or kind is float) and not -LONG_NUMBER < value < LONG_NUMBER:
            numbers.append(value)
    return deeper


def _string_tokens(raw: bytes) -> int:
    """How many string tokens the text has; a parser that keeps one of two equal members shows fewer."""
    if b"\\" not in raw:
        return raw.count(b'"') >> 1
    if b"\\\\" in raw:
        return sum(1 for _ in string_tokens(raw))
    return (raw.count(b'"') - raw.count(b'\\"')) >> 1


def _refuse_alike(objects: list[dict[str, Any]]) -> None:
    for node in objects:
        if len({name.casefold() for name in node}) != len(node):
            raise Malformed("an object has two members whose names differ only in case")


def _refuse_inexact(raw: bytes) -> None:
    for found in _NUMBER.finditer(raw):
        digits = found["digits"]
        if digits and len(digits) >= _LONG and not _exact(digits.decode()):
            raise Malformed("it has a whole number that not every parser can hold; send it as a string")


def _exact(digits: str) -> bool:
    """Whether readers with doubles, with decimals and with whole numbers of any length take a number for the same.

    It must be what the double is. Only one with a fraction or an exponent, which no reader takes for a whole number, may also be
    what the double is written as: 1e23 is none that a double can hold.
    """
    double = float(digits)
    if double < EXACT or Decimal(digits) == Decimal(double):
        return True
    return not digits.isdigit() and Decimal(digits) == Decimal(repr(double))


def _collect(node: Any, path: Path, token: int, found: list[Leaf]) -> int:
    """Add the texts at and under `node` to `found`; `token` strings came before it. Gives the new count."""
    kind = type(node)
    if kind is str:
        found.append(Leaf(path, node, token))
        return token + 1
    if kind is dict:
        for name, value in node.items():
            here = (*path, name)
            found.append(Leaf(here, name, token, named=True))
            token = _collect(value, here, token + 1, found)
    elif kind is list:
        for position, value in enumerate(node):
            if type(value) is not float or not -LONG_NUMBER < value < LONG_NUMBER:
                token = _collect(value, (*path, position), token, found)
    elif (kind is int or kind is float) and not -LONG_NUMBER < node < LONG_NUMBER and node == (whole := int(node)):
        found.append(Leaf(path, str(whole), -1))
    return token


def _collect_strings(node: Any, path: Path, token: int, found: list[Leaf]) -> int:
    """As `_collect`, for string values alone: events of a stream are many, and names in them are looked at together."""
    kind = type(node)
    if kind is str:
        found.append(Leaf(path, node, token))
        return token + 1
    if kind is dict:
        for name, value in node.items():
            token += 1
            if type(value) in _HOLD_STRINGS:
                token = _collect_strings(value, (*path, name), token, found)
    elif kind is list:
        for position, value in enumerate(node):
            if type(value) in _HOLD_STRINGS:
                token = _collect_strings(value, (*path, position), token, found)
    return token


_HOLD_STRINGS: Final = frozenset({str, dict, list})
