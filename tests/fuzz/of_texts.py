"""Texts with escapes in them. Oracle: any text, however it is cut, gives the findings of the whole, and redacted it has nothing planted.

And: a text that is JSON is JSON afterwards.
"""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Final

from fuzz.oracles import REDACT, demand, dice_of, nothing_planted, read_on

from extproc.core.places import fitting
from extproc.redact import actions
from extproc.redact.actions import Edit
from extproc.redact.escapes import Escapes
from extproc.redact.finding import Finding
from extproc.redact.growing import GrowingText
from extproc.redact.quotes import Quotes
from extproc.redact.scanner import scan, scan_all

_BYTEWISE: Final = 100


def check(data: bytes, closely: bool = False) -> None:
    """The target."""
    text, dice = data.decode(errors="ignore"), dice_of(data)
    cuts = [_cut(text, dice) for _ in range(3 if closely else 1)]
    if closely or len(text) < _BYTEWISE:
        cuts.append(list(text))
    found = scan(text)
    _sound(found, text)
    demand(scan_all(["", text, "x"]).get(1, []) == found, "not found among others", found)
    edits = _fitting(text, found)
    for pieces in cuts:
        _escapes(text, pieces)
        _quotes(text, pieces)
        _grown(pieces, found, edits)
    out = actions.apply(text, edits)
    nothing_planted(out)
    _still_json(text, out)


def _cut(text: str, dice: random.Random) -> list[str]:
    places = sorted(dice.randint(0, len(text)) for _ in range(dice.randint(1, 8)))
    return [text[start:end] for start, end in pairwise([0, *places, len(text)])]


def _sound(found: list[Finding], text: str) -> None:
    demand(all(one.start < one.end <= len(text) for one in found), "a finding of nothing", found)
    demand(all(one.end <= other.start for one, other in pairwise(found)), "findings overlap", found)


def _fitting(text: str, found: list[Finding]) -> list[Edit]:
    return fitting(text, actions.edits(found, REDACT.prompt))


def _grown(pieces: list[str], found: list[Finding], edits: list[Edit]) -> None:
    """Piece by piece the same is found and put in its place, and nothing that was decided changes."""
    growing, seen, fit, upto = GrowingText(), list[Finding](), list[Edit](), 0
    for piece in [*pieces, None]:
        settled = growing.finish() if piece is None else growing.feed(piece)
        demand(settled.upto >= upto, "what was decided is open again", pieces)
        demand(all(one.end <= settled.upto for one in settled.findings), "a finding ahead of what is decided", pieces)
        demand(all(one.start >= upto for one in settled.findings), "a finding in what has left", pieces, settled, upto)
        upto = settled.upto
        seen += settled.findings
        fit += [growing.fitting(edit) for edit in actions.edits(settled.findings, REDACT.prompt)]
        growing.forget(upto)
    demand(seen == found, "the cut matters", pieces, seen, found)
    demand(fit == edits, "the cut matters for what comes in its place", pieces, fit, edits)
    demand(upto == sum(map(len, pieces)), "something stays open", pieces)


def _escapes(text: str, pieces: list[str]) -> None:
    whole, split = Escapes(), Escapes()
    read = whole.feed(text) + whole.finish()
    again = "".join([split.feed(piece) for piece in pieces]) + split.finish()
    demand(read == again == list(read_on(text))[-1], "read otherwise", read, again)
    places = [whole.place(offset) for offset in range(len(read) + 1)]
    demand(places == [split.place(offset) for offset in range(len(read) + 1)], "other places", pieces)
    demand(places == sorted(places) and places[-1] == len(text), "places do not lead through the text", places)


def _quotes(text: str, pieces: list[str]) -> None:
    whole, split = Quotes(), Quotes()
    whole.feed(text)
    for piece in pieces:
        split.feed(piece)
    for offset in range(len(text)):
        demand(whole.bare(offset) == split.bare(offset), "bare or not by the cut", pieces, offset)
        demand(whole.negative(offset) == split.negative(offset), "a minus or not by the cut", pieces, offset)


def _still_json(text: str, out: str) -> None:
    try:
        before = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(before, dict | list):
        try:
            json.loads(out)
        except ValueError:
            demand(False, "JSON is no JSON any more", text, out)
