"""What was found, and what finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

REACH: Final = 512
"""Characters. No candidate of any detector, with what is looked at on both sides of it, is longer."""


SIGHT: Final = 96
"""Characters. A text cut this far before a decided place gives the same candidates from there on."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A stretch of text that is personal data. It never holds the text itself.

    `start`, `end`: Python string offsets, end exclusive. `rule`: which rule of the family saw it.
    `score`: 0 to 1. `tier`: 1 for rules with a fixed format, higher for models.
    """

    kind: str
    start: int
    end: int
    rule: str
    score: float = 1.0
    tier: int = 1


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds one kind.

    `find(text)` gives candidates in any order; they may overlap each other.
    `undecided(text)` is for a text that may still grow at its end: a position such that growth
    neither adds, alters nor removes a candidate that begins before it (len(text) when all is
    decided). Both are linear in len(text), and what they say about a place depends only on the
    REACH characters on either side of it. In a text whose beginning was cut off, `find` may see at
    the cut what is none, but nothing that reaches past a place SIGHT characters on that was decided.
    `checked`: a check digit vouches for its candidates.
    """

    kind: str
    find: Callable[[str], Iterable[Finding]]
    undecided: Callable[[str], int]
    checked: bool = False
