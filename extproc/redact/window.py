"""A text that arrives in pieces: what of it is decided, and what must be held back a little longer."""

from __future__ import annotations

from dataclasses import dataclass

from extproc.redact.finding import REACH, SIGHT, Detector, Finding
from extproc.redact.scanner import candidates, moved, settle, undecided


@dataclass(frozen=True, slots=True)
class Settled:
    """Offsets count from the channel's start. Every character before `upto` is decided.

    `findings` are new ones, in order, each with its end at or before `upto`.
    """

    upto: int
    findings: tuple[Finding, ...]


class Window:
    """The text of one channel of a streamed answer.

    However the text is cut, the findings of all pieces together are those that `scan` gives for
    the whole of it. What is held back is the trailing run that could still become a match (mostly
    one word), or the finding that such a run may still widen. Kept are that and at most REACH
    characters before it, so memory does not grow with the text. `more` detectors are asked besides the usual ones.
    """

    __slots__ = ("_base", "_edge", "_more", "_text", "_upto")

    def __init__(self, more: tuple[Detector, ...] = ()) -> None:
        self._more = more
        self._text = ""
        self._base = 0  # offset of _text[0]
        self._upto = 0  # decided, as an offset within _text
        self._edge = 0  # end of the last finding, as an offset within _text

    def feed(self, piece: str) -> Settled:
        """Take the next piece."""
        self._text += piece
        return self._decide(undecided(self._text, self._more))

    def finish(self) -> Settled:
        """The text has ended: everything is decided."""
        return self._decide(len(self._text))

    def _decide(self, open_from: int) -> Settled:
        decided, found = max(open_from, self._upto), []
        for finding in settle(candidates(self._text, self._more), self._upto):
            if finding.end > decided:
                decided = min(decided, finding.start)
                break
            found.append(finding)
        if found:
            self._edge = found[-1].end
        self._upto = decided
        settled = Settled(self._base + decided, tuple(moved(finding, self._base) for finding in found))
        self._forget()
        return settled

    def _forget(self) -> None:
        # A chain of overlaps that was cut at the last finding's end may reach beyond it, so its text
        # is still needed; in the open, what stands just before is enough.
        kept = REACH if self._edge == self._upto else SIGHT
        surplus = self._upto - kept
        if surplus > 0:
            self._text = self._text[surplus:]
            self._base += surplus
            self._edge -= surplus
            self._upto = kept
