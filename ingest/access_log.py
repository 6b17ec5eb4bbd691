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
        """Whole lines, each with its place `inode:offset`, at most about a chunk, and whether that was all there is."""
        if self._file is None and not self._open():
            return [], True
        lines = self._lines()
        if lines:
            return lines, False
        return [], not self._next_file()

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()
        self._file = None

    def _open(self) -> bool:
        """Open the file the cursor is in, else the log itself."""
        beside = sorted(self._path.parent.glob(self._path.name + "*")) if self._path.parent.is_dir() else []
        found = next((path for path in beside if _inode(path) == self.cursor.inode), self._path)
        try:
            self._file = found.open("rb")
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

    def _next_file(self) -> bool:
        """Where the log has been renamed and begun anew, turn to the new one."""
        if _inode(self._path) in {None, self.cursor.inode}:
            return False
        self.close()
        self.cursor = LogCursor()
        return self._open()


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
