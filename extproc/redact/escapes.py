r"""JSON written inside a text: its escapes are read, so that what they spell is found, and what is found leads back.

Tool arguments, tool results and structured answers are JSON in a JSON string; once the outer string is read,
`\u0040` may still stand there for `@`. Read are `\uXXXX` and `\" \\ \/` (RFC 8259, section 7), up to LEVELS
deep, for JSON in JSON in JSON; and Markdown's escapes of the signs that addresses have (CommonMark, section 2.4): models write
`joe\_smith@example.com`. The letter escapes (`\n` …) stay as they are: in prose they are as often a
path's backslash, and detectors know that the letter after a backslash is no part of a word.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

LEVELS: Final = 3

_ESCAPE: Final = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<plain>(?![dD][89a-fA-F])[0-9a-fA-F]{4})|(?P<sign>[\"\\/_.@+-])|.)",
    re.DOTALL,
)
_UNIT: Final = re.compile(r"\\u[0-9a-fA-F]{0,4}")
_HIGH: Final = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
_LONGEST: Final = 6  # characters of an escape


class Escapes:
    """A text that grows by pieces, read without its escapes. `feed` gives what is read so far, `place` the way back.

    The end of a piece may be the beginning of an escape: that is kept until the next piece, or `finish`.
    """

    __slots__ = ("_deeper", "_kept", "_length", "_levels", "_marks", "_shrunk")

    def __init__(self, levels: int = LEVELS, length: int = 0) -> None:
        self._levels = levels
        self._length = length  # characters read so far
        self._kept = ""
        self._shrunk = 0  # how many characters fewer they are than were written
        self._marks: list[tuple[int, int]] = []  # from this character on, that many fewer
        self._deeper: Escapes | None = None

    def feed(self, piece: str) -> str:
        """Take the next piece; what could be read."""
        if not self._kept and self._deeper is None and "\\" not in piece:
            self._length += len(piece)
            return piece
        text = self._kept + piece
        cut = _unfinished(text)
        self._kept = text[cut:]
        return self._read(text[:cut])

    def finish(self) -> str:
        """The text has ended: what was kept is read as it stands."""
        kept, self._kept = self._kept, ""
        read = self._read(kept)
        return read + self._deeper.finish() if self._deeper else read

    def place(self, offset: int) -> int:
        """Where the character at `offset` of what was read is written. Offsets of forgotten characters may not be asked for."""
        if self._deeper:
            offset = self._deeper.place(offset)
        mark = bisect_right(self._marks, (offset, 1 << 62)) - 1
        return offset + (self._marks[mark][1] if mark >= 0 else 0)

    def forget(self, offset: int) -> None:
        """Nobody will ask for a place before `offset` again."""
        if self._deeper:
            self._deeper.forget(offset)
            offset = self._deeper.place(offset)
        mark = bisect_right(self._marks, (offset, 1 << 62)) - 1
        if mark > 0:
            del self._marks[:mark]

    def _read(self, text: str) -> str:
        before = self._length
        pieces: list[str] = []
        at = 0
        for found in _ESCAPE.finditer(text):
            spelt = _spelt(found)
            if spelt is None:
                continue
            pieces += (text[at : found.start()], spelt)
            self._length += found.start() - at + 1
            self._shrunk += len(found[0]) - 1
            self._marks.append((self._length, self._shrunk))
            at = found.end()
        pieces.append(text[at:])
        self._length += len(text) - at
        return self._read_deeper("".join(pieces), before)

    def _read_deeper(self, read: str, before: int) -> str:
        if self._deeper is None:
            if self._levels == 1 or "\\" not in read:
                return read
            self._deeper = Escapes(self._levels - 1, before)
        return self._deeper.feed(read)


def _spelt(found: re.Match[str]) -> str | None:
    """The one character that an escape spells; None where it is left as it is."""
    if found["sign"]:
        return found["sign"]
    if found["plain"]:
        return chr(int(found["plain"], 16))
    if found["high"]:
        return chr(0x10000 + ((int(found["high"], 16) & 0x3FF) << 10 | int(found["low"], 16) & 0x3FF))
    return None


def _unfinished(text: str) -> int:
    """Where an escape begins that more text may complete; len(text) where there is none."""
    last = text.rfind("\\")
    if last < 0 or len(text) - last > _LONGEST or not _escapes(text, last):
        return len(text)
    tail = text[last:]
    if tail != "\\" and not _UNIT.fullmatch(tail):
        return len(text)
    pair = last - _LONGEST
    if len(tail) < _LONGEST:
        return pair if pair >= 0 and _HIGH.fullmatch(text, pair, last) and _escapes(text, pair) else last
    return last if _HIGH.fullmatch(tail) else len(text)


def _escapes(text: str, at: int) -> bool:
    """Whether the backslash at `at` begins an escape: an even number of them stands right before it."""
    start = at
    while start > 0 and text[start - 1] == "\\":
        start -= 1
    return (at - start) % 2 == 0
