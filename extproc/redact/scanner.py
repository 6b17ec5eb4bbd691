"""All detectors over one text, and one answer where they overlap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from extproc.redact.detectors.contact import EMAIL
from extproc.redact.detectors.money import CARD
from extproc.redact.finding import REACH, Detector, Finding

# More specific formats first: the order decides between overlapping findings of equal length.
DETECTORS: Final[tuple[Detector, ...]] = (
    CARD,
    EMAIL,
)
KINDS: Final[tuple[str, ...]] = tuple(detector.kind for detector in DETECTORS)

_RANK: Final = {detector.kind: (detector.checked, -place) for place, detector in enumerate(DETECTORS)}


def scan(text: str, *, before: str = "") -> list[Finding]:
    """Findings in `text`, sorted and without overlap; offsets are `text`'s own.

    `before` is what precedes `text`. It is looked at for context only: what lies in it is not
    reported, and of what reaches from it into `text` only the part in `text` is.
    """
    if not before:
        found = candidates(text)
        return settle(found) if found else found
    context = before[-REACH:]
    shift = len(context)
    inside = settle(candidates(context + text), shift)
    return [replace(finding, start=finding.start - shift, end=finding.end - shift) for finding in inside]


def candidates(text: str) -> list[Finding]:
    """What each detector sees, sorted by start; these may overlap."""
    found: list[Finding] = []
    for detector in DETECTORS:
        found += detector.find(text)
    if len(found) > 1:
        found.sort(key=lambda finding: (finding.start, finding.end))
    return found


def undecided(text: str) -> int:
    """From where on more text at the end of `text` could change its candidates."""
    return min(detector.undecided(text) for detector in DETECTORS)


def settle(found: Iterable[Finding], floor: int = 0) -> list[Finding]:
    """Make overlapping candidates one finding over all of their text, of the kind that has the better grounds.

    A check digit beats length, length beats specificity. One pass in the order of starts, and
    nothing before `floor` is covered again, so a settled beginning stays settled whatever follows.
    A chain of overlaps is cut after REACH characters: what follows is a finding of its own.
    """
    settled: list[Finding] = []
    best = (False, 0, 0)
    for candidate in found:
        last = settled[-1] if settled else None
        if candidate.end <= (last.start if last else floor):
            continue
        grounds = _grounds(candidate)
        if last and _joins(last, candidate):
            winner = candidate if grounds > best else last
            settled[-1] = replace(winner, start=last.start, end=max(last.end, candidate.end))
            best = max(best, grounds)
        else:
            settled.append(replace(candidate, start=max(candidate.start, last.end if last else floor)))
            best = grounds
    return settled


def _joins(last: Finding, candidate: Finding) -> bool:
    return candidate.start < last.end and candidate.end - last.start <= REACH


def _grounds(candidate: Finding) -> tuple[bool, int, int]:
    checked, place = _RANK[candidate.kind]
    return checked, candidate.end - candidate.start, place
