"""Follows Envoy's access log through renames, truncation and restarts, by inode and offset."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

log = logging.getLogger(__name__)

CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class LogCursor:
    """All before it has been read."""

    inode: int = 0
    offset: int = 0


class AccessLog:
    """The tail of one log. Old files may lie beside it under any name that starts with its own."""

    def __init__(self, path: Path, cursor: LogCursor) -> None:
        self.cursor = cursor
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> tuple[list[tuple[bytes, str]], bool]:
        """Whole lines, each with its place `inode:offset`, at most a chunk, and whether that was all there is."""
        if self._file is None and not self._open():
            return [], True
        lines = self._lines()
        if lines and self._is_more():
            return lines, False
        if not self._has_next():
            return lines, True
        late = self._lines()  # Envoy writes to the next file by now, so to this one no more
        if not late:
            self._turn()
        return lines + late, False

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()
        self._file = None

    def _open(self) -> bool:
        """Open the file the cursor is in; where there is none such, the oldest that may not have been read: `.old`, or the log."""
        beside = sorted(self._path.parent.glob(self._path.name + "*")) if self._path.parent.is_dir() else []
        oldest = next((path for path in beside if path.suffix == ".old"), self._path)
        return self._open_file(next((path for path in beside if _inode(path) == self.cursor.inode), oldest))

    def _open_file(self, path: Path) -> bool:
        try:
            self._file = path.open("rb")
        except FileNotFoundError:
            return False
        inode = os.fstat(self._file.fileno()).st_ino
        if inode != self.cursor.inode:
            self.cursor = LogCursor(inode)
        return True

    def _lines(self) -> list[tuple[bytes, str]]:
        if self._file is None:
            return []
        inode, offset = self.cursor.inode, self.cursor.offset
        if os.fstat(self._file.fileno()).st_size < offset:
            log.warning("access log: %s was truncated; reading it from its start", self._path)
            offset = 0
        self._file.seek(offset)
        whole = self._file.read(CHUNK)
        whole = whole[: whole.rfind(b"\n") + 1]
        lines = []
        for line in whole.splitlines(keepends=True):
            lines.append((line, f"{inode}:{offset}"))
            offset += len(line)
        self.cursor = LogCursor(inode, offset)
        return lines

    def _is_more(self) -> bool:
        """Whether the file goes on behind the cursor, if only with the start of a line."""
        return self._file is not None and os.fstat(self._file.fileno()).st_size > self.cursor.offset

    def _has_next(self) -> bool:
        """Whether the log has been renamed, and begun anew with something in it."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return False
        return status.st_ino != self.cursor.inode and status.st_size > 0

    def _turn(self) -> None:
        """Go on with the new file."""
        self.close()
        self.cursor = LogCursor()
        self._open_file(self._path)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
