"""Begins the access log anew when it has grown and all of it is read, so that it never fills the disk.

1. rename the log; 2. create the new one, 0600; 3. ask Envoy to open it; 4. once Envoy writes to it, the reader has read the
old one to its end; 5. once the ledger says so, delete the old one. That the old one exists is all there is to know: whoever
finds it, in this life or the next, goes on with the step that is missing. Source: Envoy's admin, `POST /reopen_logs`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ingest.access_log import LogCursor

log = logging.getLogger(__name__)

MOST_BYTES: Final = 64 << 20
PATIENCE: Final = 5_000_000_000
"""How long Envoy has to open the new log before it is asked again, in nanoseconds."""


def old_of(path: Path) -> Path:
    """Where the log lies that is being read to its end."""
    return path.with_name(path.name + ".old")


class Rotation:
    """Call `step` often and `forget` after each commit of the ledger. `reopen` asks Envoy, and says whether it will."""

    def __init__(self, path: Path, reopen: Callable[[], bool], most_bytes: int = MOST_BYTES) -> None:
        self._path, self._old = path, old_of(path)
        self._reopen, self._most_bytes = reopen, most_bytes
        self._under_way = self._old.exists()
        self._asked_at = 0

    def step(self, cursor: LogCursor, now: int) -> None:
        """Begin, or go on with what was begun. `cursor`: all before it has been read. Raises OSError."""
        if not self._under_way and self._is_due(cursor):
            self._path.rename(self._old)
            self._under_way, self._asked_at = True, 0
        if self._under_way:
            self._create()
            self._ask(now)

    def forget(self, stored: LogCursor) -> None:
        """Delete the old log, if the ledger's cursor stands in the new one. Raises OSError."""
        if self._under_way and stored.inode and stored.inode == _status(self._path)[0]:
            self._old.unlink(missing_ok=True)
            self._under_way = False

    def _is_due(self, cursor: LogCursor) -> bool:
        inode, size = _status(self._path)
        return size >= self._most_bytes and cursor == LogCursor(inode, size)

    def _create(self) -> None:
        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return

    def _ask(self, now: int) -> None:
        """An empty log is one that Envoy does not write to yet."""
        if _status(self._path)[1] or 0 <= now - self._asked_at < PATIENCE:
            return
        self._asked_at = now
        if self._reopen():
            log.info("access log: %s was begun anew", self._path)


def _status(path: Path) -> tuple[int, int]:
    """Inode and size; zeros where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_ino, status.st_size
