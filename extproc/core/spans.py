"""Changes to JSON text: each replaces a span of bytes, and every byte outside stays as it was.

Key order, white space, the way numbers and escapes are written, members nobody knows: all of it is the
sender's, and signatures, caches and people who compare depend on it. Places in the bytes are looked for
only here, since most bodies are never changed. String tokens come in the same order as the strings of
the parsed tree, member names included; the number of a string in that order is enough to find its token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Final, Protocol

import orjson

Path = tuple[str | int, ...]
"""Where a value is: member names and positions in arrays, from the top."""

STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NEST: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{}]', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^ \t\n\r,\]}]+")
_SPACE: Final = re.compile(rb"[ \t\n\r]*+")
_COLON: Final = re.compile(rb"[ \t\n\r]*+:[ \t\n\r]*+")
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{},]|[^][{},:" \t\n\r]++', re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(?:u[dD][89abAB]..\\u....|u....|.)", re.DOTALL)
_OBJECT, _ARRAY, _COMMA, _QUOTE, _CLOSE, _BACKSLASH = b'{[,"}\\'
_DEPTH_STEP: Final = {_OBJECT: 1, _ARRAY: 1, ord("}"): -1, ord("]"): -1}


class TextEdit(Protocol):
    """Put `replacement` in the place of the characters from `start` up to `end` (text offsets)."""

    @property
    def start(self) -> int:
        """First character that goes."""

    @property
    def end(self) -> int:
        """First character that stays."""

    @property
    def replacement(self) -> str:
        """What comes instead."""


@dataclass(frozen=True, slots=True)
class Edited:
    """Change parts of a string's text, a member's name among them. `span` is where `string_tokens` shows it.

    The edits don't overlap; offsets count characters of the text.
    """

    span: tuple[int, int]
    edits: Sequence[TextEdit]


@dataclass(frozen=True, slots=True)
class Replaced:
    """Put the JSON text `value` in the place of the value at `path`."""

    path: Path
    value: bytes


@dataclass(frozen=True, slots=True)
class Added:
    """Give the object at `path` a new last member. It has none of that name yet."""

    path: Path
    name: str
    value: bytes


Change = Edited | Replaced | Added
_Patch = tuple[int, int, bytes]

_FEW: Final = 2
"""Values that are looked for one by one. The gate's own changes are no more, and mostly plain to see."""

_WANTED: Final = None
_Wanted = dict[str | int | None, Any]
"""Steps of paths, each with those below it; under `_WANTED` the number of the path that ends here."""


def rewrite(raw: bytes, changes: Iterable[Change]) -> bytes:
    """The JSON text `raw`, which was read before, with `changes` made and every byte outside them as it was.

    Inside an edited string too: an escape that no edit touches stays written as it was. Several new members of one
    object come in the order of the changes.

    Raises:
        KeyError: a path leads nowhere: what should hold the new member is no object.
        ValueError: changes overlap, an edit lies outside its text, or a new value is no JSON.
    """
    patches: list[_Patch] = []
    grown: set[int] = set()
    replaced: list[Replaced] = []
    for change in changes:
        if isinstance(change, Replaced):
            replaced.append(change)
        elif isinstance(change, Added):
            patches.append(_added(raw, change, grown))
        else:
            patches += _edited(raw, *change.span, change.edits)
    return _patched(raw, sorted((*patches, *_replaced(raw, replaced)), key=itemgetter(0, 1)))


def string_tokens(raw: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each string of JSON text, its quotes included. Quote by quote, which is quicker than byte by byte."""
    start = raw.find(b'"')
    while start >= 0:
        end = raw.find(b'"', start + 1)
        while raw[end - 1] == _BACKSLASH and _escaped(raw, end):
            end = raw.find(b'"', end + 1)
        yield start, end + 1
        start = raw.find(b'"', end + 1)


def _escaped(raw: bytes, at: int) -> bool:
    """Whether an odd number of backslashes stands right before `at`."""
    before = at
    while raw[before - 1] == _BACKSLASH:
        before -= 1
    return (at - before) % 2 == 1


def _edited(raw: bytes, start: int, end: int, wanted: Sequence[TextEdit]) -> Iterator[_Patch]:
    edits = sorted(wanted, key=lambda edit: (edit.start, edit.end))
    places = _places(raw[start + 1 : end - 1], [offset for edit in edits for offset in (edit.start, edit.end)])
    for number, edit in enumerate(edits):
        yield start + 1 + places[2 * number], start + 1 + places[2 * number + 1], orjson.dumps(edit.replacement)[1:-1]


def _replaced(raw: bytes, changes: Sequence[Replaced]) -> Iterator[_Patch]:
    paths = [change.path for change in changes]
    starts = [_locate(raw, path) for path in paths] if len(paths) <= _FEW else _located(raw, paths)
    for change, start in zip(changes, starts, strict=True):
        orjson.loads(change.value)
        yield start, _value_end(raw, start), change.value


def _added(raw: bytes, change: Added, grown: set[int]) -> _Patch:
    orjson.loads(change.value)
    holder = _locate(raw, change.path)
    if raw[holder] != _OBJECT:
        raise KeyError(change.path)
    end = (_value_end(raw, holder) if change.path else len(raw.rstrip())) - 1
    first = end not in grown and raw[_end(_SPACE, raw, holder + 1)] == _CLOSE
    grown.add(end)
    return end, end, b"%b%b:%b" % (b"" if first else b",", orjson.dumps(change.name), change.value)


def _places(token: bytes, offsets: list[int]) -> list[int]:
    """Byte offsets in a string token's inside for the character offsets `offsets`, which must ascend."""
    if offsets != sorted(offsets):
        raise ValueError("edits overlap")
    places: list[int] = []
    characters = at = 0
    for escape in chain(_ESCAPE.finditer(token), (None,)):
        plain = token[at : escape.start() if escape else None].decode()
        seen, place = 0, at  # so far in this stretch: each character is encoded once, however many edits there are
        while len(places) < len(offsets) and (ahead := offsets[len(places)] - characters) <= len(plain):
            place += len(plain[seen:ahead].encode())
            seen = ahead
            places.append(place)
        if escape:
            characters += len(plain) + 1
            at = escape.end()
    if len(places) < len(offsets) or (offsets and offsets[0] < 0):
        raise ValueError("an edit lies outside its text")
    return places


def _patched(raw: bytes, patches: list[_Patch]) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for start, end, new in patches:
        if start < at:
            raise ValueError("changes overlap")
        pieces += (raw[at:start], new)
        at = end
    return b"".join((*pieces, raw[at:]))


def _locate(raw: bytes, path: Path) -> int:
    at = _end(_SPACE, raw, 0)
    if len(path) == 1 and (quick := _top_member(raw, path[0])):
        return quick
    for step in path:
        found = next((start for name, start in _children(raw, at) if name == step), None)
        if found is None:
            raise KeyError(path)
        at = found
    return at


def _located(raw: bytes, paths: Sequence[Path]) -> list[int]:
    """As `_locate` for each of the paths, in one walk: a body may have thousands of values that must go."""
    top: _Wanted = {}
    for number, path in enumerate(paths):
        node = top
        for step in path:
            node = node.setdefault(step, {})
        if _WANTED in node:
            raise ValueError("changes overlap")
        node[_WANTED] = number
    found = dict(_walked(raw, top))
    for number, path in enumerate(paths):
        if number not in found:
            raise KeyError(path)
    return [found[number] for number in range(len(paths))]


def _walked(raw: bytes, top: _Wanted) -> Iterator[tuple[int, int]]:
    """The number of each wanted path that leads to a value, and where that starts."""
    here: _Wanted | None = top  # what is wanted at and under the value that comes next
    inside: _Wanted | None = None  # the same for the array or object around it
    position = -1  # in that array; -1 in an object
    naming = False  # the next string is a member's name
    above: list[tuple[_Wanted | None, int]] = []
    for token in _TOKEN.finditer(raw):
        start = token.start()
        sign = raw[start]
        if sign == _COMMA:
            naming = position < 0
            position += not naming
            here = inside.get(position) if inside and not naming else None
        elif sign in b"}]":
            (inside, position), naming = above.pop(), False
        elif naming:
            here, naming = inside.get(orjson.loads(token[0])) if inside else None, False
        else:
            if here and _WANTED in here:
                yield here[_WANTED], start
            if sign in b"{[":
                above.append((inside, position))
                inside, position, naming = here, -1 if sign == _OBJECT else 0, sign == _OBJECT
                here = inside.get(position) if inside and not naming else None


def _top_member(raw: bytes, name: str | int) -> int:
    """Where the value of a member of the top object starts, if it is plain to see; else 0.

    An unescaped quote, the name, a quote and a colon can only be a member's name. It is the top object's if what
    follows closes one object and no more. Both are told without walking through the text before it.
    """
    if type(name) is not str or not (name.isidentifier() and name.isascii()):
        return 0
    at = raw.rfind(b'"%b"' % name.encode())
    colon = _COLON.match(raw, at + len(name) + 2) if at > 0 and raw[at - 1] != _BACKSLASH else None
    if colon is None:
        return 0
    try:
        orjson.loads(b"{" + raw[at:])
    except orjson.JSONDecodeError:
        return 0
    return colon.end()


def _children(raw: bytes, at: int) -> Iterator[tuple[str | int, int]]:
    """Name or position of each child of the value at `at`, and where the child's value starts."""
    named = raw[at] == _OBJECT
    if not named and raw[at] != _ARRAY:
        return
    at = _end(_SPACE, raw, at + 1)
    position = 0
    while raw[at] not in b"}]":
        name: str | int = position
        if named:
            end = _end(STRING, raw, at)
            name = orjson.loads(raw[at:end])
            at = _end(_SPACE, raw, _end(_SPACE, raw, end) + 1)
        yield name, at
        at = _end(_SPACE, raw, _value_end(raw, at))
        if raw[at] == _COMMA:
            at = _end(_SPACE, raw, at + 1)
        position += 1


def _value_end(raw: bytes, at: int) -> int:
    if raw[at] == _QUOTE:
        return _end(STRING, raw, at)
    if raw[at] not in b"{[":
        return _end(_SCALAR, raw, at)
    end, depth = at, 0
    for token in _NEST.finditer(raw, at):
        depth += _DEPTH_STEP.get(raw[token.start()], 0)
        end = token.end()
        if not depth:
            break
    return end


def _end(pattern: re.Pattern[bytes], raw: bytes, at: int) -> int:
    match = pattern.match(raw, at)
    return match.end() if match else at
