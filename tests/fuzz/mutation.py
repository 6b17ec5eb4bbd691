"""Changes to inputs that keep their form: JSON stays JSON mostly, so that what is tried gets past the door.

An engine's own changes of single bytes come besides; they find what is wrong at the door.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

from fuzz import json_places
from fuzz.json_places import NotJSON, Value
from fuzz.words import ATOMS, KINDS, NAMES, PIECES

Mutator = Callable[[bytes, random.Random], bytes]

_SPACE: Final = (b" ", b"\n", b"\t", b"\r\n", b"  ")
LETTER: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|.)|[^\\\"\x80-\xff]|[\xc0-\xff][\x80-\xbf]*", re.DOTALL)
"""A character of a string, as it is written."""

MOST: Final = 4
"""Changes at once."""


# ── JSON ───────────────────────────────────────────────────────────────────────


def json_text(raw: bytes, dice: random.Random) -> bytes:
    """JSON text with up to four changes; what is no JSON comes back as it was."""
    for _ in range(dice.randint(1, MOST)):
        try:
            values = list(json_places.every(json_places.value_of(raw)))
        except NotJSON:
            break
        raw = dice.choice(_OF_JSON)(raw, values, dice)
    return raw


def _replaced(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    at = dice.choice(values)
    return raw[: at.start] + _other(raw, values, dice) + raw[at.end :]


def _other(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    """A value to put somewhere: one of this text, or one of the list."""
    if dice.random() < 0.4:
        other = dice.choice(values)
        return raw[other.start : other.end]
    return dice.choice(dice.choice((ATOMS, ATOMS, KINDS)))


def _removed(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    holder = dice.choice([value for value in values if value.inside] or values)
    if not holder.inside:
        return raw
    number = dice.randrange(len(holder.inside))
    one = holder.inside[number]
    if number:
        return raw[: holder.inside[number - 1].end] + raw[one.end :]
    after = holder.inside[1].whole if len(holder.inside) > 1 else one.end
    return raw[: one.whole] + raw[after:]


def _added(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    holders = [value for value in values if value.kind in ("object", "array")]
    if not holders:
        return raw
    holder = dice.choice(holders)
    new = _other(raw, values, dice)
    if holder.kind == "object":
        new = b"%b:%b" % (dice.choice(NAMES), new)
        if dice.random() < 0.1:
            new += b',"planted000002x@example.com":1,"planted000003x@example.com":2'
    elif holder.inside and dice.random() < 0.5:
        again = dice.choice(holder.inside)
        new = raw[again.start : again.end]
    at = holder.inside[-1].end if holder.inside else holder.start + 1
    return raw[:at] + (b"," if holder.inside else b"") + new + raw[at:]


def _renamed(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    named = [value for value in values if value.named >= 0]
    if not named:
        return raw
    one = dice.choice(named)
    if dice.random() < 0.3:
        return _written(raw, one.named, one.name_end, dice)
    return raw[: one.named] + dice.choice(NAMES) + raw[one.name_end :]


def _kind(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    kinds = [value for value in values if value.named >= 0 and raw[value.named : value.name_end] in (b'"type"', b'"role"')]
    if not kinds:
        return _texted(raw, values, dice)
    one = dice.choice(kinds)
    return raw[: one.start] + dice.choice(KINDS) + raw[one.end :]


def _texted(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    strings = [value for value in values if value.kind == "string"]
    if not strings:
        return raw
    one = dice.choice(strings)
    return _written(raw, one.start, one.end, dice)


def _written(raw: bytes, start: int, end: int, dice: random.Random) -> bytes:
    """Another text in a string: something put in, cut out, or written as an escape."""
    letters = LETTER.findall(raw[start + 1 : end - 1])
    at = dice.randint(0, len(letters))
    match dice.randrange(4):
        case 0 if letters:
            letters[at : at + dice.randint(1, 12)] = []
        case 1 if letters:
            letters = [_escaped(letter) if dice.random() < 0.3 else letter for letter in letters]
        case _:
            letters[at:at] = [dice.choice(PIECES) for _ in range(dice.randint(1, 3))]
    return raw[: start + 1] + b"".join(letters) + raw[end - 1 :]


def _escaped(letter: bytes) -> bytes:
    return b"\\u%04x" % letter[0] if len(letter) == 1 else letter


def _wrapped(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    one = dice.choice(values)
    before, after = dice.choice(((b"[", b"]"), (b'{"text":', b"}"), (b'{"content":', b"}"), (b"[" * 20, b"]" * 20)))
    return raw[: one.start] + before + raw[one.start : one.end] + after + raw[one.end :]


def _quoted(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    """A value as JSON in a string."""
    one = dice.choice(values)
    inside = raw[one.start : one.end].replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return raw[: one.start] + b'"%b"' % inside.replace(b"\t", b"\\t") + raw[one.end :]


def _spaced(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    one = dice.choice(values)
    at = dice.choice((one.start, one.end, one.whole))
    return raw[:at] + dice.choice(_SPACE) + raw[at:]


def _swapped(raw: bytes, values: list[Value], dice: random.Random) -> bytes:
    one, other = sorted((dice.choice(values), dice.choice(values)), key=lambda value: value.start)
    if one.end > other.start:
        return raw
    return raw[: one.start] + raw[other.start : other.end] + raw[one.end : other.start] + raw[one.start : one.end] + raw[other.end :]


_OF_JSON: Final = (
    _replaced,
    _replaced,
    _removed,
    _added,
    _added,
    _renamed,
    _kind,
    _texted,
    _texted,
    _texted,
    _wrapped,
    _quoted,
    _spaced,
    _swapped,
)


def crossed_json(raw: bytes, other: bytes, dice: random.Random) -> bytes:
    """JSON text with a value of another; as it was where one of them is no JSON."""
    try:
        here = dice.choice(list(json_places.every(json_places.value_of(raw))))
        there = dice.choice(list(json_places.every(json_places.value_of(other))))
    except NotJSON:
        return raw
    return raw[: here.start] + other[there.start : there.end] + raw[here.end :]


# ── texts ──────────────────────────────────────────────────────────────────────

_IN_TEXT: Final = tuple(dict.fromkeys([*PIECES, *(piece.replace(b"\\\\", b"\\").replace(b'\\"', b'"') for piece in PIECES)]))


def text(raw: bytes, dice: random.Random) -> bytes:
    """A text with something put in, taken out or written again."""
    for _ in range(dice.randint(1, MOST)):
        start = dice.randint(0, len(raw))
        end = min(len(raw), start + dice.randint(0, 20))
        match dice.randrange(4):
            case 0:
                raw = raw[:start] + raw[end:]
            case 1:
                raw = raw[:end] + raw[start:]
            case _:
                raw = raw[:start] + b"".join(dice.choice(_IN_TEXT) for _ in range(dice.randint(1, 3))) + raw[start:]
    return raw


def crossed(raw: bytes, other: bytes, dice: random.Random) -> bytes:
    """The beginning of one and the end of the other."""
    return raw[: dice.randint(0, len(raw))] + other[dice.randint(0, len(other)) :]
