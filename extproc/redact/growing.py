"""A text that comes in pieces, as it is written: with JSON escapes in it, perhaps JSON itself. Offsets count what was written."""

from __future__ import annotations

from dataclasses import replace

from extproc.redact.actions import Edit
from extproc.redact.escapes import Escapes
from extproc.redact.finding import Detector
from extproc.redact.quotes import Quotes
from extproc.redact.scanner import written
from extproc.redact.window import Settled, Window


class GrowingText:
    """However the text is cut, the findings of all pieces together are those that `scan` gives for the whole of it."""

    __slots__ = ("_escapes", "_quotes", "_window", "length")

    def __init__(self, more: tuple[Detector, ...] = ()) -> None:
        self._window = Window(more)
        self._escapes = Escapes()
        self._quotes = Quotes()
        self.length = 0

    def feed(self, piece: str) -> Settled:
        """Take the next piece."""
        self.length += len(piece)
        self._quotes.feed(piece)
        return self._placed(self._window.feed(self._escapes.feed(piece)))

    def finish(self) -> Settled:
        """The text has ended: everything is decided."""
        rest = self._escapes.finish()
        before = self._window.feed(rest).findings if rest else ()
        settled = self._window.finish()
        return replace(self._placed(Settled(settled.upto, (*before, *settled.findings))), upto=self.length)

    def fitting(self, edit: Edit) -> Edit:
        """The edit as the text bears it: in the place of a bare number of JSON comes a string of JSON."""
        return fitted(edit, self._quotes)

    def forget(self, before: int) -> None:
        """No edit will start before this offset."""
        self._quotes.forget(before)

    def _placed(self, settled: Settled) -> Settled:
        found = tuple([written(finding, self._escapes) for finding in settled.findings])
        upto = self._escapes.place(settled.upto)
        self._escapes.forget(settled.upto)
        return Settled(upto, found)


def fitted(edit: Edit, quotes: Quotes) -> Edit:
    """As `GrowingText.fitting`. After a minus that has left already only a number can stand."""
    if not quotes.bare(edit.start):
        return edit
    return replace(edit, replacement="0" if quotes.negative(edit.start) else f'"{edit.replacement}"')
