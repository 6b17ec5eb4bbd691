"""Event streams, right for any split of the bytes (WHATWG HTML, section "Server-sent events").

The splitter cuts a stream into events and keeps each event's exact bytes, the blank line that ends
it included; joined again they are the stream. A line ends in LF, CR or CRLF, so a CR that is the
last byte in hand may not be the end of its line yet: the event waits for one more byte or the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_EVENT: Final = 8 << 20
"""Bytes of one event that are held while its end is awaited. The last event of a response says all of it again, its images too."""

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BLANK: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")
_END: Final = re.compile(rb"(?>\r\n|\r|\n)(?:\r\n|\n|\r(?!\Z))")
_CLOSED: Final = re.compile(rb"(?:(?>\r\n|\r|\n)|\A)\r\Z")
_LOOK_BACK: Final = 3  # bytes of an end that may have been seen already: CR LF CR


class EventTooLarge(ValueError):  # noqa: N818 - says what the event is, like Malformed
    """An event is larger than the splitter may hold."""


class Event(NamedTuple):
    """One event of a stream.

    Attributes:
        raw: its exact bytes, the blank line included.
        data: its `data` lines joined by LF; None where it has none.
        span: where `data` stands in `raw`, if that is one line and has a colon; else None.
        beside: its lines other than `data`: comments, `event`, `id`, `retry`, and names that mean nothing.
    """

    raw: bytes
    data: bytes | None
    span: tuple[int, int] | None
    beside: bytes = b""

    def with_data(self, data: bytes) -> bytes:
        """The event's bytes with other data. Where it stood on several lines, the data lines come first."""
        if self.span:
            return b"".join((self.raw[: self.span[0]], data, self.raw[self.span[1] :]))
        return _lines(data, self.beside)

    def without_rest(self) -> bytes:
        """The event's bytes with nothing but its data lines; a bare comment where it has none."""
        if self.data is None:
            return b":\n\n"
        return _lines(self.data, b"")


class Splitter:
    """Cuts a stream into events. `feed` each piece; `finish` where the stream ends."""

    __slots__ = ("_first", "_held", "_limit", "_searched")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._held = bytearray()
        self._searched = 0
        self._first = True
        self._limit = limit

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that `piece` ends, one at a time. Take them all before the next piece, or give up the stream.

        Raises:
            EventTooLarge: after the events before it, when one grows past the limit.
        """
        # Added to in place: an event of megabytes comes in hundreds of pieces.
        held = self._held
        held += piece
        start, search = 0, self._searched
        while end := _event_end(held, start, search):
            yield self._event(bytes(held[start:end]))
            start = search = end
        del held[:start]
        self._searched = max(0, len(held) - _LOOK_BACK)
        self._guard(len(held))

    def finish(self) -> Iterator[Event]:
        """The event that only the end of the stream ends: one whose last byte is a CR."""
        if _CLOSED.search(self._held):
            raw = bytes(self._held)
            self._held.clear()
            yield self._event(raw)

    def rest(self) -> bytes:
        """The bytes that are no whole event. A reader drops them when the stream ends."""
        return bytes(self._held)

    def _event(self, raw: bytes) -> Event:
        self._guard(len(raw))
        first, self._first = self._first, False
        text_start = len(_BOM) if first and raw.startswith(_BOM) else 0
        return _read(raw, text_start)

    def _guard(self, size: int) -> None:
        if size > self._limit:
            raise EventTooLarge(f"an event of the stream is over {self._limit} bytes")


def _event_end(held: bytearray, start: int, search: int) -> int:
    """Where the event from `start` ends, or 0. Its end is looked for from `search` on."""
    blank = _BLANK.match(held, start)
    if blank:
        return blank.end()
    if b"\r" not in held:
        found = held.find(b"\n\n", search)
        return found + 2 if found >= 0 else 0
    match = _END.search(held, search)
    return match.end() if match else 0


def _lines(data: bytes, beside: bytes) -> bytes:
    """An event written anew. All its lines end in LF: a CR would join with the LF of the blank line."""
    return b"".join((*(b"data: %b\n" % line for line in data.split(b"\n")), _LINE_END.sub(b"\n", beside), b"\n"))


def _read(raw: bytes, start: int) -> Event:
    if raw.startswith(b"data:", start) and raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:
        begin = start + (6 if raw.startswith(b" ", start + 5) else 5)
        return Event(raw, raw[begin:-2], (begin, len(raw) - 2))
    return _read_lines(raw, start)


def _read_lines(raw: bytes, start: int) -> Event:
    values: list[bytes] = []
    spans: list[tuple[int, int] | None] = []
    beside: list[bytes] = []
    at = start
    for line_end in _LINE_END.finditer(raw, start):
        line = raw[at : line_end.start()]
        name, colon, value = line.partition(b":")
        if name == b"data":
            begin = line_end.start() - len(value) + value.startswith(b" ")
            spans.append((begin, line_end.start()) if colon else None)
            values.append(raw[begin : line_end.start()])
        elif line:
            beside.append(raw[at : line_end.end()])
        at = line_end.end()
    data = b"\n".join(values) if values else None
    return Event(raw, data, spans[0] if len(spans) == 1 else None, b"".join(beside))
