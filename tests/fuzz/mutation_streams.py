"""Changes to event streams: to the JSON of their events, to the events, and to how their lines end."""

from __future__ import annotations

import random
import re
from typing import Final

from fuzz import json_places
from fuzz.json_places import NotJSON
from fuzz.mutation import LETTER, MOST, Mutator, crossed_json, json_text
from fuzz.words import KEY, MAIL

_GAPS: Final = re.compile(rb"(?<=[{}\[\],:])")
_EVENTS: Final = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r)")
_DATA: Final = re.compile(rb"(?m)^(data: ?)([^\r\n]*)")


def stream(raw: bytes, dice: random.Random) -> bytes:
    """A stream with up to four changes: to its events' JSON, to its events, and to how its lines end."""
    for _ in range(dice.randint(1, MOST)):
        events = [event for event in _EVENTS.split(raw) if event] or [b"data: {}\n\n"]
        if dice.random() < 0.6:
            at = dice.randrange(len(events))
            events[at] = _with_json(events[at], dice, json_text)
        else:
            dice.choice(_OF_STREAMS)(events, dice)
        raw = b"".join(events)
    return raw


def _with_json(event: bytes, dice: random.Random, change: Mutator) -> bytes:
    """The event with its data changed; on one line all the same."""
    return _DATA.sub(lambda line: line[1] + re.sub(rb"[\r\n]+", b" ", change(line[2], dice)), event, count=1)


def _less(events: list[bytes], dice: random.Random) -> None:
    del events[dice.randrange(len(events))]


def _again(events: list[bytes], dice: random.Random) -> None:
    events.insert(dice.randint(0, len(events)), dice.choice(events))


def _moved(events: list[bytes], dice: random.Random) -> None:
    events.insert(dice.randint(0, len(events) - 1), events.pop(dice.randrange(len(events))))


def _halved(events: list[bytes], dice: random.Random) -> None:
    """An event in two, each with a part of its longest text."""
    at = dice.randrange(len(events))
    line = _DATA.search(events[at])
    try:
        values = list(json_places.every(json_places.value_of(line[2]))) if line else []
    except NotJSON:
        return
    strings = sorted((value for value in values if value.kind == "string"), key=lambda value: value.end - value.start)
    if not strings or line is None:
        return
    one = strings[-1] if dice.random() < 0.7 else dice.choice(strings)
    start, end = line.start(2) + one.start + 1, line.start(2) + one.end - 1
    letters = LETTER.findall(events[at][start:end])
    cut = dice.randint(0, len(letters))
    halves = [events[at][:start] + b"".join(half) + events[at][end:] for half in (letters[:cut], letters[cut:])]
    events[at : at + 1] = halves


def _beside(events: list[bytes], dice: random.Random) -> None:
    """A line besides the data."""
    line = dice.choice((b": ", b"event: ", b"id: ", b"retry: ", b"data: ", b"", b"data", b"next: ")) + dice.choice(
        (b"", b"x", MAIL, KEY, b"error")
    )
    at = dice.randrange(len(events))
    events[at] = line + dice.choice((b"\n", b"\n\n", b"\r\n", b"\r")) + events[at]


def _line_ends(events: list[bytes], dice: random.Random) -> None:
    end = dice.choice((b"\n", b"\r\n", b"\r"))
    which = range(len(events)) if dice.random() < 0.5 else [dice.randrange(len(events))]
    for at in which:
        events[at] = re.sub(rb"\r\n|\r|\n", end, events[at])


def _on_lines(events: list[bytes], dice: random.Random) -> None:
    """Data on several lines."""
    at = dice.randrange(len(events))
    line = _DATA.search(events[at])
    gaps = [gap.start() for gap in _GAPS.finditer(line[2])] if line else []
    if line and gaps:
        cut = line.start(2) + dice.choice(gaps)
        events[at] = events[at][:cut] + b"\ndata: " + events[at][cut:]


def _marked(events: list[bytes], dice: random.Random) -> None:
    new = dice.choice(
        (b"data: [DONE]\n\n", b"data: [DONE]", b"data:[DONE]\r\n\r\n", b"\xef\xbb\xbf", b": ping\n\n", b"event: ping\ndata: {}\n\n", b"\n")
    )
    events.insert(dice.choice((0, len(events), dice.randint(0, len(events)))), new)


def _ended(events: list[bytes], dice: random.Random) -> None:
    events[-1] = events[-1][: dice.randint(0, len(events[-1]))]


_OF_STREAMS: Final = (_less, _again, _again, _moved, _halved, _halved, _halved, _beside, _line_ends, _on_lines, _marked, _ended)


def crossed(raw: bytes, other: bytes, dice: random.Random) -> bytes:
    """A stream with events of another, or with a value of another's event."""
    here, there = [[event for event in _EVENTS.split(one) if event] or [b"\n"] for one in (raw, other)]
    at = dice.randrange(len(here))
    if dice.random() < 0.5:
        found = _DATA.search(dice.choice(there))
        here[at] = _with_json(here[at], dice, lambda data, more: crossed_json(data, found[2] if found else b"", more))
    else:
        start = dice.randrange(len(there))
        here[at:at] = there[start : start + dice.randint(1, 3)]
    return b"".join(here)
