"""JSON text as addressable spans: read it once, change parts of it, leave every other byte alone.

Strict on the way in, because two parsers that disagree about a body are a way round the gate: no
byte order mark, no NaN, no lone surrogate, no member named twice (not even in another case, since
some parsers fold it), nothing after the value (RFC 8259 with the interoperability advice of RFC 7493).

Most bodies are never changed, so places in the bytes are looked for only by `Document.rewrite`.
String tokens come in the same order as the strings of the parsed tree, member names included; the
number of a string in that order is thus enough to find its token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

import orjson

Path = tuple[str | int, ...]
"""Where a value is: member names and positions in arrays, from the top."""

Structure = Mapping[str, Any]
"""Member names that hold no text, as a tree of names. Positions in arrays are left out; EMPTY marks a name."""

EMPTY: Final[Structure] = MappingProxyType({})
_NOT_NAMED: Final[Mapping[Any, Any]] = MappingProxyType({None: EMPTY})  # not empty, and no member's name is None

DEEPEST: Final = 512
"""No setting allows more nesting levels than this; the walk over a tree is recursive."""

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NEST: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{}]', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^ \t\n\r,\]}]+")
_SPACE: Final = re.compile(rb"[ \t\n\r]*+")
_ESCAPE: Final = re.compile(rb"\\(?:u[dD][89abAB]..\\u....|u....|.)", re.DOTALL)
_OBJECT, _ARRAY, _COMMA, _QUOTE = b'{[,"'
_DEPTH_STEP: Final = {_OBJECT: 1, _ARRAY: 1, ord("}"): -1, ord("]"): -1}


class Malformed(ValueError):  # noqa: N818 - a name of the contract between the stages: what the bytes are
    """The bytes are not the JSON we accept. The text says why and holds nothing of the caller's."""


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


class Leaf(NamedTuple):
    """A string of the tree. `token` is its number among the document's string tokens, names included."""

    path: Path
    text: str
    token: int


@dataclass(frozen=True, slots=True)
class Edited:
    """Change parts of a leaf's text. The edits don't overlap; offsets count characters of `leaf.text`."""

    leaf: Leaf
    edits: Sequence[TextEdit]


@dataclass(frozen=True, slots=True)
class Replaced:
    """Put the JSON text `value` in the place of the value at `path`."""

    path: Path
    value: bytes


Change = Edited | Replaced
_Patch = tuple[int, int, bytes]


class Document:
    """JSON text that passed `read`, and its tree. Neither is ever changed."""

    __slots__ = ("_tokens", "raw", "tree")

    def __init__(self, raw: bytes, tree: Any) -> None:
        self.raw = raw
        self.tree = tree
        self._tokens: list[tuple[int, int]] | None = None

    def leaves(self, structural: Structure = EMPTY) -> list[Leaf]:
        """Every string value that may hold text, in the order of the bytes.

        A string is left out only where the member names on its way from the top, positions in
        arrays not counted, are exactly a way that `structural` names: `tools.type` covers the
        strings in `tools[3].type` and `tools[3].type[0]`, but not `tools[3].type.note`, and no
        `type` elsewhere. What nobody thought of is text.
        """
        if type(self.tree) is str:
            return [Leaf((), self.tree, 0)]
        found: list[Leaf] = []
        if type(self.tree) is dict or type(self.tree) is list:
            _collect(self.tree, structural or _NOT_NAMED, (), 0, found)
        return found

    def rewrite(self, changes: Iterable[Change]) -> bytes:
        """The JSON text with `changes` made and every byte outside them as it was.

        Inside an edited string too: an escape that no edit touches stays written as it was.

        Raises:
            KeyError: a path leads nowhere.
            ValueError: changes overlap, an edit lies outside its text, or a new value is no JSON.
        """
        patches: list[_Patch] = []
        for change in changes:
            patches += self._edited(change) if isinstance(change, Edited) else (self._replaced(change),)
        return _patched(self.raw, sorted(patches, key=itemgetter(0, 1)))

    def _edited(self, change: Edited) -> Iterator[_Patch]:
        if self._tokens is None:
            self._tokens = [match.span() for match in _STRING.finditer(self.raw)]
        start, end = self._tokens[change.leaf.token]
        edits = sorted(change.edits, key=lambda edit: (edit.start, edit.end))
        places = _places(self.raw[start + 1 : end - 1], [offset for edit in edits for offset in (edit.start, edit.end)])
        for number, edit in enumerate(edits):
            yield start + 1 + places[2 * number], start + 1 + places[2 * number + 1], orjson.dumps(edit.replacement)[1:-1]

    def _replaced(self, change: Replaced) -> _Patch:
        orjson.loads(change.value)
        start = _locate(self.raw, change.path)
        return start, _value_end(self.raw, start), change.value


def structure(*names: str) -> Structure:
    """Member names that hold no text, written `choices.message.role`: positions in arrays are left out."""
    top: dict[str, Any] = {}
    for name in names:
        here = top
        *above, last = name.split(".")
        for step in above:
            here = here.setdefault(step, {})
        here.setdefault(last, {})
    return top


def read(raw: bytes, *, max_depth: int) -> Document:
    """Parse a body. `max_depth` counts nested arrays and objects.

    Raises:
        Malformed: not JSON, not UTF-8, byte order mark, NaN or Infinity, lone surrogate, a member named twice, too deep.
    """
    try:
        tree = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        surrogate = "surrogate" in error.msg
    else:
        if type(tree) is dict or type(tree) is list:
            _examine(raw, tree, min(max_depth, DEEPEST))
        return Document(raw, tree)
    # Raised here and not above: the parser's error holds the whole body, and would go along as the cause.
    raise Malformed(_complaint(raw, surrogate=surrogate))


def _complaint(raw: bytes, *, surrogate: bool) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        return "it starts with a byte order mark"
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8"
    return "it has half of a surrogate pair" if surrogate else "it is not valid JSON"


def _examine(raw: bytes, tree: Any, max_depth: int) -> None:
    """Refuse what the parser lets pass: level by level, since most documents are flat and lists extend in C."""
    level, depth, strings = [tree], 0, 0
    names: list[str] = []
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
        level = []
        for value in values:
            kind = type(value)
            if kind is str:
                strings += 1
            elif kind is dict or kind is list:
                level.append(value)
    if _string_tokens(raw) != strings + len(names):
        raise Malformed("an object has two members of the same name")
    # Names of distinct lower-case ASCII can't be equal in another case; nearly every body ends here.
    joined = "".join(names)
    if not (joined.isascii() and joined == joined.lower()):
        _refuse_alike(objects)


def _string_tokens(raw: bytes) -> int:
    """How many string tokens the text has; a parser that keeps one of two equal members shows fewer."""
    if b"\\\\" in raw:
        return sum(1 for _ in _STRING.finditer(raw))
    return (raw.count(b'"') - raw.count(b'\\"')) >> 1


def _refuse_alike(objects: list[dict[str, Any]]) -> None:
    for node in objects:
        if len({name.casefold() for name in node}) != len(node):
            raise Malformed("an object has two members whose names differ only in case")


def _collect(node: Any, structural: Structure, path: Path, token: int, found: list[Leaf]) -> int:
    """Add the text leaves under `node` to `found`; `token` strings came before it. Gives the new count."""
    if type(node) is list:
        for position, value in enumerate(node):
            kind = type(value)
            if kind is str:
                if structural:
                    found.append(Leaf((*path, position), value, token))
                token += 1
            elif kind is dict or kind is list:
                token = _collect(value, structural, (*path, position), token, found)
        return token
    for name, value in node.items():
        token += 1
        kind = type(value)
        if kind is str:
            if structural.get(name, _NOT_NAMED):
                found.append(Leaf((*path, name), value, token))
            token += 1
        elif kind is dict or kind is list:
            token = _collect(value, structural.get(name, _NOT_NAMED), (*path, name), token, found)
    return token


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
    for step in path:
        found = next((start for name, start in _children(raw, at) if name == step), None)
        if found is None:
            raise KeyError(path)
        at = found
    return at


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
            end = _end(_STRING, raw, at)
            name = orjson.loads(raw[at:end])
            at = _end(_SPACE, raw, _end(_SPACE, raw, end) + 1)
        yield name, at
        at = _end(_SPACE, raw, _value_end(raw, at))
        if raw[at] == _COMMA:
            at = _end(_SPACE, raw, at + 1)
        position += 1


def _value_end(raw: bytes, at: int) -> int:
    if raw[at] == _QUOTE:
        return _end(_STRING, raw, at)
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
