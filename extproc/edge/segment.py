"""One spool segment being written: opened fresh, appended to, never reopened."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import Unusable
from ingest.frame import write_header

LOCK_PATIENCE_SECONDS = 2.0


@dataclass(slots=True)
class Segment:
    """An open segment. `opened` is monotonic seconds; `broken`: a failed write's remains could not be cut off."""

    fd: int
    size: int
    opened: float
    broken: bool = False

    def append(self, frame: bytes) -> None:
        """Write `frame` whole or not at all. Raises OSError."""
        try:
            _write_all(self.fd, frame)
        except OSError:
            self._cut_back()
            raise
        self.size += len(frame)

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self.fd, self.size)
        except OSError:
            self.broken = True


def open_segment(folder: Path, number: int, plane: str, writer: str) -> Segment:
    """Create segment `number` with its header, or nothing. Raises OSError."""
    path = folder / f"{number:010d}.seg"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        start = write_header(plane, writer)
        _write_all(fd, start)
    except OSError:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return Segment(fd, len(start), time.monotonic())


def take_lock(path: Path, writer: str) -> int:
    """Hold the folder's lock for as long as this process lives; the file names the writer. Raises Unusable.

    Ingest tries the lock for an instant to see whether the writer is dead, so one refusal proves nothing.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + LOCK_PATIENCE_SECONDS
    while not _try_lock(fd):
        if time.monotonic() > until:
            os.close(fd)
            raise Unusable(f"another extproc writes the spool in {path.parent}: stop it, or give this one another data folder")
        time.sleep(0.01)
    os.ftruncate(fd, 0)
    os.pwrite(fd, writer.encode(), 0)
    return fd


def sync_folder(folder: Path) -> None:
    """Make new names in `folder` survive the machine."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_all(fd: int, data: bytes) -> None:
    """Write all of `data`; a short write goes on until it is done or the disk says why not."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, data[done:])
