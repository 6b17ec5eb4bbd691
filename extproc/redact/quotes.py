"""Whether a place in a text is outside the strings of the JSON that the text is.

What takes the place of a bare number there must be a JSON value itself, or the tool that is called with it
breaks on the arguments. For any other text nothing is outside.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final

_LOOKS: Final = re.compile(r'[ \t\r\n]*+(?:\{[ \t\r\n]*+["}]|\[[ \t\r\n]*+["{}\[\]0-9-])')
_UNDECIDED: Final = re.compile(r"[ \t\r\n]*+(?:[{\[][ \t\r\n]*+)?")
_SIGN: Final = re.compile(r'\\.|["-]', re.DOTALL)


class Quotes:
    """A text that grows by pieces. `bare` may be asked for places that came and were not forgotten."""

    __slots__ = ("_escaped", "_held", "_inside", "_is_json", "_length", "_minuses", "_quotes")

    def __init__(self) -> None:
        self._held = ""  # the beginning, until it shows whether this is JSON
        self._is_json: bool | None = None
        self._length = 0
        self._escaped = False  # the last character was a backslash that escapes the next
        self._inside = False  # whether the text before the first of `_quotes` ends in a string
        self._quotes: list[int] = []
        self._minuses: set[int] = set()

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        if self._is_json is None:
            self._held += piece
            if _LOOKS.match(self._held):
                self._is_json, piece, self._held = True, self._held, ""
            elif _UNDECIDED.fullmatch(self._held):
                return
            else:
                self._is_json, self._held = False, ""
        if self._is_json:
            self._note(piece)

    def bare(self, start: int) -> bool:
        """Whether the character at `start` is in no string of the JSON that this text is."""
        return bool(self._is_json) and (bisect_left(self._quotes, start) % 2 == 0) != self._inside

    def negative(self, start: int) -> bool:
        """Whether a minus of that JSON, not of its strings, stands right before `start`."""
        return start - 1 in self._minuses

    def forget(self, before: int) -> None:
        """Nobody will ask for a place before `before` again."""
        passed = bisect_left(self._quotes, before)
        if passed:
            self._inside ^= passed % 2 == 1
            del self._quotes[:passed]
            self._minuses = {place for place in self._minuses if place >= before - 1}

    def _note(self, piece: str) -> None:
        base = self._length
        inside = (len(self._quotes) % 2 == 1) != self._inside
        at = 1 if self._escaped and piece else 0
        self._escaped = self._escaped and not piece
        for found in _SIGN.finditer(piece, at):
            sign = found[0]
            if sign == '"':
                self._quotes.append(base + found.start())
                inside = not inside
            elif sign == "-" and not inside:
                self._minuses.add(base + found.start())
            at = found.end()
        # A backslash that ends the piece has no character behind it, so the pattern passed it over.
        if piece.endswith("\\") and at < len(piece):
            self._escaped = True
        self._length += len(piece)
