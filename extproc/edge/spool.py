"""Where rows and intents are put on record: append-only segments that ingest reads and deletes.

The format is in ingest/frame.py. What callers may rely on:

1. `intent` returns, or its future resolves, only when the intent is where `durability` says; else AuditUnavailable.
2. An intent is accepted only if the row that must follow it is sure to fit under `max_bytes`.
3. `row` never raises. A row that can't be written waits in memory and is tried again every second and before every
   append; while one waits no intent is accepted. Only rows of exchanges without an intent may be shed, and only
   beyond `PATIENCE` waiting ones: Envoy's access log still leaves their row (`shed` counts them).
4. A frame is in the file whole or not at all: what a failed write left is cut off, else the segment is given up.
5. One process writes a folder. It holds `writer.lock` and touches it once a second: free means dead, held but stale
   means stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from contracts.audit import COLUMNS, AuditRow, Intent
from contracts.errors import AuditUnavailable
from contracts.settings import Spool as SpoolSettings
from extproc.edge.group_sync import GroupSync
from extproc.edge.segment import Segment, open_segment, sync_folder, take_lock
from ingest.frame import MAX_PAYLOAD, write_frame

log = logging.getLogger(__name__)

SEGMENT_BYTES = 16 << 20
SEGMENT_SECONDS = 10.0
TICK_SECONDS = 1.0
ROW_GROWTH = 4096
"""How much longer than its intent a row may be: findings, reasons, the provider's ids."""
PATIENCE = 10_000
FULL = "The audit spool takes no more records, so nothing may pass. Free disk space or bring ingest back, then try again."


class Spool:
    """The writer of one folder. Use it from one thread. `start` needs a running event loop; without one call `tick`."""

    def __init__(self, folder: Path, settings: SpoolSettings, *, plane: str = "extproc-0", segment_bytes: int = SEGMENT_BYTES) -> None:
        self.shed = 0
        self.written = 0
        self._folder, self._plane = folder, plane
        self._fsync = settings.durability == "fsync"
        # Ingest keeps the newest segment, so no single one may fill the spool: nothing could ever be deleted to make room.
        self._max_bytes, self._segment_bytes = settings.max_bytes, min(segment_bytes, settings.max_bytes // 4)
        self._writer = f"{os.getpid()}-{time.time_ns()}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = take_lock(folder / "writer.lock", self._writer)
        self._segment: Segment | None = None
        self._last = max((int(path.stem) for path in folder.glob("*.seg")), default=0)
        self._used = self._measure()
        self._held: dict[str, int] = {}  # open intent → bytes kept free for its row
        self._owed = 0  # their sum
        self._waiting: deque[bytes] = deque()  # rows that room is held for
        self._patient: deque[bytes] = deque()  # rows of exchanges without an intent
        self._sync = GroupSync()
        self._timer: asyncio.TimerHandle | None = None
        self._ill = False

    # ── what the exchange asks ─────────────────────────────────────────────────

    def intent(self, intent: Intent) -> asyncio.Future[None] | None:
        """Put an intent on record. None: done. A future (durability fsync): done when it resolves. Raises AuditUnavailable."""
        frame = write_frame(_payload("intent", intent.row))
        room = len(frame) + ROW_GROWTH
        if not (self._flush() and self._room(len(frame) + room) and self._try(frame)):
            raise AuditUnavailable(FULL)
        self._owed += room - self._held.pop(intent.row.id, 0)
        self._held[intent.row.id] = room
        return self._durable() if self._fsync else None

    def row(self, row: AuditRow) -> None:
        """Put an exchange's row on record, now or as soon as it can be."""
        frame = write_frame(_payload("row", row))
        owed = row.id in self._held
        if owed:
            self._release(row.id)
        if (self._flush_owed() if owed else self._flush() and self._room(len(frame))) and self._try(frame):
            self._watch(frame)
        elif owed:
            self._waiting.append(frame)
        elif len(self._patient) < PATIENCE:
            self._patient.append(frame)
        else:
            self.shed += 1

    @property
    def waiting(self) -> int:
        """Rows that could not be written yet."""
        return len(self._waiting) + len(self._patient)

    # ── life ───────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Tick once a second on the running event loop, so that a loop that hangs shows as a writer that stopped."""
        self.tick()
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self.start)

    def tick(self) -> None:
        """Show that the writer lives, try what waits, and let go of a segment of some age so that it can be deleted."""
        os.utime(self._lock)
        self._used = self._measure()
        self._flush()
        if self._segment and time.monotonic() - self._segment.opened > SEGMENT_SECONDS:
            self._give_up_segment()

    async def close(self) -> None:
        """Write and sync what can be; then the folder is free for a successor."""
        if self._timer:
            self._timer.cancel()
        self._flush()
        await self._sync.idle()
        if not self._flush():
            log.error("spool: %d rows could not be written before the end; their exchanges are in Envoy's access log", self.waiting)
        self._give_up_segment()
        await self._sync.idle()
        os.close(self._lock)

    # ── room ───────────────────────────────────────────────────────────────────

    def _room(self, size: int) -> bool:
        if self._used + self._owed + size > self._max_bytes:
            self._used = self._measure()  # ingest may have deleted segments since
        return self._used + self._owed + size <= self._max_bytes

    def _release(self, intent_id: str) -> None:
        self._owed -= self._held.pop(intent_id, 0)

    def _measure(self) -> int:
        """Bytes of all segments that exist."""
        total = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".seg"):
                    with contextlib.suppress(FileNotFoundError):
                        total += entry.stat().st_size
        return total

    # ── bytes ──────────────────────────────────────────────────────────────────

    def _flush(self) -> bool:
        """Write what waits. True when nothing waits any more."""
        while self._flush_owed() and self._patient:
            if not (self._room(len(self._patient[0])) and self._try(self._patient[0])):
                return False
            self._watch(self._patient.popleft())
        return not self._waiting

    def _flush_owed(self) -> bool:
        """Write the rows that wait and that room is held for, in order."""
        while self._waiting:
            if not self._try(self._waiting[0]):
                return False
            self._watch(self._waiting.popleft())
        return True

    def _try(self, frame: bytes) -> bool:
        """Append one frame, whole or not at all; say so once when the disk begins or ceases to refuse."""
        try:
            self._append(frame)
        except OSError as error:
            self._tell_ill(error)
            return False
        if self._ill:
            self._ill = False
            log.warning("spool: writing to %s works again", self._folder)
        return True

    def _tell_ill(self, error: OSError) -> None:
        if not self._ill:
            log.error("spool: no record can be written to %s: %s. Requests are refused until it can", self._folder, error.strerror)
        self._ill = True

    def _append(self, frame: bytes) -> None:
        segment = self._segment
        if segment is None or segment.size + len(frame) > self._segment_bytes:
            segment = self._next_segment()
        try:
            segment.append(frame)
        except OSError:
            if segment.broken:
                self._give_up_segment()
            raise
        self._used += len(frame)
        self.written += 1

    def _next_segment(self) -> Segment:
        self._give_up_segment()
        self._segment = open_segment(self._folder, self._last + 1, self._plane, self._writer)
        self._last += 1
        self._used += self._segment.size
        if self._fsync:
            sync_folder(self._folder)
        return self._segment

    def _give_up_segment(self) -> None:
        """Append no more to the current segment."""
        if self._segment:
            self._sync.close_after(self._segment.fd)
        self._segment = None

    # ── durability fsync ───────────────────────────────────────────────────────

    def _watch(self, frame: bytes) -> None:
        """Keep a row until the disk has it; where a sync fails it is written again, to another segment."""
        if not self._fsync or self._segment is None:
            return
        segment = self._segment

        def synced(done: asyncio.Future[bool]) -> None:
            if not done.cancelled() and not done.result():
                self._disown(segment)
                self._waiting.append(frame)

        self._sync.after_now(segment.fd).add_done_callback(synced)

    def _durable(self) -> asyncio.Future[None]:
        segment, answer = self._segment, asyncio.get_running_loop().create_future()

        def synced(done: asyncio.Future[bool]) -> None:
            if done.cancelled() or not done.result():
                self._disown(segment)
                if not answer.done():
                    answer.set_exception(AuditUnavailable(FULL))
            elif not answer.done():
                answer.set_result(None)

        if segment is None:
            raise AuditUnavailable(FULL)
        self._sync.after_now(segment.fd).add_done_callback(synced)
        return answer

    def _disown(self, segment: Segment | None) -> None:
        """After a failed sync nobody knows what of the segment is on disk (see PostgreSQL's fsync story): use another."""
        if segment is self._segment:
            self._give_up_segment()


def _payload(kind: str, row: AuditRow) -> bytes:
    """The record's JSON. A row that JSON or a frame can't hold is trimmed until it can: its exchange counts all the same."""
    try:
        text = orjson.dumps(row, default=_plain)
    except TypeError:
        text = b""
    if not 0 < len(text) <= MAX_PAYLOAD - 64:
        text = orjson.dumps({name: _trimmed(getattr(row, name)) for name in COLUMNS})
    return b'{"%s":%s}' % (kind.encode(), text)


def _plain(value: Any) -> Any:
    """Mappings that are not dicts, such as read-only views."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a row can't hold {type(value).__name__}")


def _trimmed(value: Any) -> Any:
    """Texts cut at 1,000 characters of valid Unicode, numbers within 64 bits, collections at 100 entries."""
    if isinstance(value, str):
        return value[:1000].encode(errors="replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(0, min(value, (1 << 63) - 1))
    if isinstance(value, Mapping):
        return {str(_trimmed(key)): _trimmed(item) for key, item in list(value.items())[:100]}
    return [_trimmed(item) for item in value[:100]] if isinstance(value, list | tuple) else value
