"""Reads a spool folder from a cursor on, tells what its writer is doing, and deletes what is stored.

The writer only appends and never reopens a segment; this side only reads and deletes. A segment is final once a later
one exists or its writer is dead; only of a final segment does a torn or corrupt tail mean anything. The newest segment
is never deleted: its number is what the next writer counts from.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from ingest.columns import Row
from ingest.frame import MAX_PAYLOAD, OVERHEAD, BadSegmentError, Cut, Header, Tail, cut, read_header
from ingest.unread import UnreadRow
from ingest.witness import Life, Writer

log = logging.getLogger(__name__)

CHUNK: Final = 2 * (MAX_PAYLOAD + OVERHEAD)
STALE_SECONDS: Final = 3.0


class Record(NamedTuple):
    """One record. `kind`: row, intent, or "" where the payload is neither (`row` then is what could be read)."""

    kind: str
    row: Row | UnreadRow
    segment: int
    writer: str
    size: int


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """All before it has been read."""

    segment: int = 0
    offset: int = 0


class SpoolReader:
    """The reader of one folder. `counts`: where torn and corrupt ends are counted; several readers may share them."""

    def __init__(self, folder: Path, cursor: Cursor, counts: Counter[str] | None = None) -> None:
        self.name = folder.name
        self.cursor = cursor
        self.counts: Counter[str] = Counter() if counts is None else counts
        self._folder = folder
        self._headers: dict[int, Header] = {}
        self._told: dict[int, Tail] = {}

    def writer(self) -> Writer:
        """Who writes here and whether it lives: the lock is free when it is dead, held and stale when it has stopped."""
        try:
            fd = os.open(self._folder / "writer.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return Writer("", Life.DEAD)
        try:
            name = os.read(fd, 200).decode(errors="replace")
            age = time.time() - os.fstat(fd).st_mtime
            return Writer(name, Life.DEAD if _is_free(fd) else Life.STOPPED if age > STALE_SECONDS else Life.ALIVE)
        finally:
            os.close(fd)

    def read(self, writer: Writer) -> tuple[list[Record], bool]:
        """The next records, at most about a chunk, and whether that is all that was there when asked. `writer`: asked for before."""
        numbers = self.segments()
        if numbers and numbers[-1] < self.cursor.segment:
            log.warning("spool: %s was replaced; reading it from its first segment", self._folder)
            self.cursor = Cursor()
        records: list[Record] = []
        for number in numbers:
            if number < self.cursor.segment:
                continue
            if number > self.cursor.segment:
                self.cursor = Cursor(number)
            final = number < numbers[-1] or self._is_dead(number, writer)
            while not self._read_on(number, records, final=final):
                if sum(record.size for record in records) >= CHUNK:
                    return records, False
        return records, True

    def again(self) -> Iterator[Record]:
        """All records before the cursor that still exist: their intents may be open."""
        for number in self.segments():
            at = 0
            while number <= self.cursor.segment:
                found, end, _ = self._cut(number, at)
                for offset, record in found:
                    if Cursor(number, offset) <= self.cursor:
                        yield record
                if end == at:
                    break
                at = end

    def segments(self) -> list[int]:
        """Numbers of the segments that exist, in order."""
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - asked several times a second, and a Path costs ten times as much
        except FileNotFoundError:
            return []
        return sorted(int(name[:-4]) for name in names if name.endswith(".seg") and name[:-4].isdecimal())

    def delete(self, stored: Cursor, needed: Iterable[int], dead: Path) -> None:
        """Delete the segments before `stored` that no open intent needs. A damaged one is kept, in the folder `dead`."""
        keep = set(needed)
        for number in self.segments()[:-1]:
            if number >= stored.segment or number in keep:
                continue
            self._headers.pop(number, None)
            if self._told.pop(number, None) is Tail.CORRUPT:
                dead.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._path(number).rename(dead / f"{self._folder.name}-{self._path(number).name}")
            else:
                self._path(number).unlink(missing_ok=True)

    def unread(self) -> int:
        """Bytes between the cursor and the end."""
        total = 0
        for number in self.segments():
            with contextlib.suppress(FileNotFoundError):
                size = self._path(number).stat().st_size
                total += max(0, size - self.cursor.offset) if number == self.cursor.segment else size if number > self.cursor.segment else 0
        return total

    # ── one segment ────────────────────────────────────────────────────────────

    def _read_on(self, number: int, records: list[Record], *, final: bool) -> bool:
        """Add records from the cursor on, about a chunk of them; whether the segment has no more for now."""
        found, end, tail = self._cut(number, self.cursor.offset)
        self.cursor = Cursor(number, end)
        records += [record for _, record in found]
        if tail is Tail.CLEAN or found or (tail is Tail.TORN and not final):
            return not found
        if final and number not in self._told:
            self._tell(number, tail)
        return True

    def _tell(self, number: int, tail: Tail) -> None:
        """A final segment does not end where its last frame does. Torn is what a killed writer leaves; corrupt is damage."""
        self._told[number] = tail
        self.counts[tail.value] += 1
        if tail is Tail.CORRUPT:
            log.error("spool: %s is corrupt from byte %d on; the rest of it is skipped and kept", self._path(number), self.cursor.offset)

    def _cut(self, number: int, at: int) -> tuple[list[tuple[int, Record]], int, Tail]:
        """Frames of a segment from offset `at` on: (offset behind it, record); where they end; what is there."""
        try:
            with self._path(number).open("rb") as file:
                header = self._headers.get(number) or read_header(file.read(CHUNK if at == 0 else 4096))
                if header is None:
                    return [], at, Tail.TORN
                self._headers[number] = header
                file.seek(max(at, header.end))
                found = cut(file.read(CHUNK), max(at, header.end))
        except FileNotFoundError:
            return [], at, Tail.CLEAN
        except BadSegmentError:
            return [], at, Tail.CORRUPT
        return _records(found, number, header.writer), found.end, found.tail

    def _is_dead(self, number: int, writer: Writer) -> bool:
        header = self._headers.get(number)
        return writer.life is Life.DEAD or (header is not None and header.writer != writer.name)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:010d}.seg"


def _records(found: Cut, number: int, writer: str) -> list[tuple[int, Record]]:
    return [(offset, _record(payload, number, writer)) for offset, payload in found.frames]


def _record(payload: bytes, number: int, writer: str) -> Record:
    size = len(payload)
    unread = UnreadRow.of(payload)
    if unread is not None:
        return Record("intent", unread, number, writer, size)
    try:
        read = orjson.loads(payload)
        kind = next(iter(read))
        row = read[kind]
        if kind in {"row", "intent"} and isinstance(row["id"], str) and isinstance(row["time"], int):
            return Record(kind, row, number, writer, size)
    except (ValueError, TypeError, KeyError, StopIteration, AttributeError):
        read = {"unreadable": payload.hex()}
    return Record("", {"record": read}, number, writer, size)


def _is_free(fd: int) -> bool:
    """Try the lock for an instant; the writer knows that this happens and tries again."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(fd, fcntl.LOCK_UN)
    return True
