"""Values of JSON, and the many ways to write one: what is written knows where each of its parts begins and ends."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from extproc.core.body import LONG_NUMBER, Leaf
from extproc.core.spans import Path

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.text('\\"/é😀\nu0a', max_size=8)
NUMBER = (
    st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53).map(float)
    | st.sampled_from([999_999, 1_000_000, -999_999.0, -1_000_000.0, 4111111111111111])
)
NAME = TEXT | st.sampled_from(["model", "store", "a", '"model', 'model"', "model\\", "", "модель"])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT | NAME,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAME, inner, max_size=4),
    max_leaves=20,
)
OBJECT = st.dictionaries(NAME, JSON, max_size=4)

_SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\r": "\\r"}


@dataclass
class Spelled:
    """A value as it was written. Spans are byte offsets.

    `values`: path → where the value stands. `closes`: path of an object → where its last brace stands. `letters`: for each
    string token, names included, where each of its characters begins, and where its closing quote stands.
    """

    raw: bytes = b""
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    closes: dict[Path, int] = field(default_factory=dict)
    letters: list[list[int]] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    """For each string token, the path it stands at."""


def spelled(value: Any, dice: random.Random) -> Spelled:
    """One of the many ways to write a value: spaces, escapes and case of hex digits by chance."""
    written = Spelled()
    _gap(written, dice)
    _write(written, value, (), dice)
    _gap(written, dice)
    return written


def _write(written: Spelled, value: Any, path: Path, dice: random.Random) -> None:
    start = len(written.raw)
    if isinstance(value, str):
        _string(written, value, path, dice)
    elif isinstance(value, list):
        written.raw += b"["
        for position, item in enumerate(value):
            written.raw += b"," if position else b""
            _gap(written, dice)
            _write(written, item, (*path, position), dice)
            _gap(written, dice)
        written.raw += b"]"
    elif isinstance(value, dict):
        _object(written, value, path, dice)
    else:
        written.raw += json.dumps(value).encode()
    written.values[path] = (start, len(written.raw))


def _object(written: Spelled, value: dict[str, Any], path: Path, dice: random.Random) -> None:
    written.raw += b"{"
    _gap(written, dice)
    for position, (name, item) in enumerate(value.items()):
        written.raw += b"," if position else b""
        _gap(written, dice)
        _string(written, name, (*path, name), dice)
        _gap(written, dice)
        written.raw += b":"
        _gap(written, dice)
        _write(written, item, (*path, name), dice)
        _gap(written, dice)
    written.closes[path] = len(written.raw)
    written.raw += b"}"


def _string(written: Spelled, text: str, path: Path, dice: random.Random) -> None:
    written.raw += b'"'
    places, chance = [], dice.choice([0.0, 0.3])
    for character in text:
        places.append(len(written.raw))
        written.raw += letter(character, dice, chance).encode()
    written.letters.append([*places, len(written.raw)])
    written.paths.append(path)
    written.raw += b'"'


def letter(character: str, dice: random.Random, chance: float) -> str:
    """A character as it is, or escaped in one of the ways there are."""
    if character in _SHORT and dice.random() < 0.5:
        return _SHORT[character]
    if character in '"\\' or ord(character) < 0x20 or dice.random() < chance:
        units = character.encode("utf-16-be").hex()
        units = dice.choice([units, units.upper()])
        return "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))
    return character


def _gap(written: Spelled, dice: random.Random) -> None:
    written.raw += dice.choice([b"", b"", b" ", b"\n\t", b"\r "])


def alike(value: Any) -> bool:
    """Whether some object has names that differ only in case."""
    if isinstance(value, dict):
        return len({name.casefold() for name in value}) < len(value) or any(alike(item) for item in value.values())
    return isinstance(value, list) and any(alike(item) for item in value)


def leaves_of(value: Any) -> list[Leaf]:
    """Every text of a value in order, found without any haste: strings, names, and whole numbers of a million and more."""
    found: list[Leaf] = []
    _look(value, (), found)
    tokens = iter(range(len(found)))
    return [leaf._replace(token=next(tokens)) if leaf.token == 0 else leaf for leaf in found]


def _look(value: Any, path: Path, found: list[Leaf]) -> None:
    if isinstance(value, str):
        found.append(Leaf(path, value, 0))
    elif isinstance(value, dict):
        for name, item in value.items():
            found.append(Leaf((*path, name), name, 0, named=True))
            _look(item, (*path, name), found)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _look(item, (*path, position), found)
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= LONG_NUMBER and value == int(value):
        found.append(Leaf(path, str(int(value)), -1))
