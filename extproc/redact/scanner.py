"""All detectors over one text, and one answer where they overlap."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final

from extproc.redact.detectors.contact import EMAIL
from extproc.redact.detectors.money import CARD
from extproc.redact.escapes import Escapes
from extproc.redact.finding import REACH, Detector, Finding

# More specific formats first: the order decides between overlapping findings of equal length.
DETECTORS: Final[tuple[Detector, ...]] = (
    CARD,
    EMAIL,
)
KINDS: Final[tuple[str, ...]] = tuple(detector.kind for detector in DETECTORS)

_BEYOND_DOUBT: Final = (True, 1)  # a detector of the caller's own
_RANK: Final = {detector.kind: (detector.checked, -place) for place, detector in enumerate(DETECTORS)}


def scan(text: str) -> list[Finding]:
    """Findings in `text`, sorted and without overlap; offsets are `text`'s own. What JSON escapes in it spell is found too."""
    if "\\" not in text:
        found = candidates(text)
        return settle(found) if found else found
    escapes = Escapes()
    read = escapes.feed(text) + escapes.finish()
    return [written(finding, escapes) for finding in settle(candidates(read))]


def written(finding: Finding, escapes: Escapes) -> Finding:
    """A finding in what was read, with the offsets of what was written."""
    start, end = escapes.place(finding.start), escapes.place(finding.end)
    return Finding(finding.kind, start, end, finding.rule, finding.score, finding.tier)


def scan_all(texts: Sequence[str]) -> dict[int, list[Finding]]:
    """What `scan` finds in each of the texts, by its position; texts in which nothing is found are not there. One look at all of them."""
    joined = APART.join(texts)
    if "\\" in joined:
        return _scan_written(texts, joined)
    found = candidates(joined)
    if not found:
        return {}
    starts = list(accumulate((len(text) + len(APART) for text in texts), initial=0))
    by_text: dict[int, list[Finding]] = {}
    for one in found:
        number = bisect_right(starts, one.start) - 1
        by_text.setdefault(number, []).append(moved(one, -starts[number]))
    return {number: settle(some) if len(some) > 1 else some for number, some in by_text.items()}


def _scan_written(texts: Sequence[str], joined: str) -> dict[int, list[Finding]]:
    escapes = Escapes()
    found = candidates(escapes.feed(joined) + escapes.finish())
    if not found:
        return {}
    starts = list(accumulate((len(text) + len(APART) for text in texts), initial=0))
    suspects = sorted({bisect_right(starts, escapes.place(one.start)) - 1 for one in found})
    return {number: findings for number in suspects if (findings := scan(texts[number]))}


def moved(finding: Finding, by: int) -> Finding:
    """The same finding where its text stands `by` characters further on."""
    return Finding(finding.kind, finding.start + by, finding.end + by, finding.rule, finding.score, finding.tier)


APART: Final = "\0"
"""Between texts that are looked at together: no detector sees a word, a digit or a sign of its own in it."""


def candidates(text: str, more: tuple[Detector, ...] = ()) -> list[Finding]:
    """What each detector sees, sorted by start; these may overlap."""
    found: list[Finding] = []
    for detector in (*more, *DETECTORS):
        found += detector.find(text)
    if len(found) > 1:
        found.sort(key=lambda finding: (finding.start, finding.end))
    return found


def undecided(text: str, more: tuple[Detector, ...] = ()) -> int:
    """From where on more text at the end of `text` could change its candidates."""
    return min([detector.undecided(text) for detector in (*more, *DETECTORS)])


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
    checked, place = _RANK.get(candidate.kind, _BEYOND_DOUBT)
    return checked, candidate.end - candidate.start, place
