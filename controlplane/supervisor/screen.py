"""What people see: lines about the system on the standard output, the parts' logs on the standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass, field
from typing import Final, TextIO

_COLOURS: Final = {"control": 36, "ingest": 35, "extproc": 32, "envoy": 34, "mock": 33}
"""ANSI colours by part (ECMA-48)."""
_WIDTH: Final = 8


@dataclass(slots=True)
class Screen:
    """Writes lines. One that can't be written any more, because nobody reads, is dropped: the system goes on."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)

    def say(self, text: str = "") -> None:
        """A line for whoever started the system."""
        _write(self.out, text)

    def note(self, text: str) -> None:
        """A line about the system's own doings, among the logs."""
        _write(self.err, f"{'portcullis':<{_WIDTH}} | {text}")

    def log(self, part: str, text: str) -> None:
        """A line of a part's log."""
        name = f"{part:<{_WIDTH}} |"
        if part in _COLOURS and self.err.isatty() and "NO_COLOR" not in os.environ:
            name = f"\x1b[{_COLOURS[part]}m{name}\x1b[0m"
        _write(self.err, f"{name} {text}")

    def started(self, part: str, address: str) -> None:
        """A part is ready."""
        self.say(f"  {part:<{_WIDTH}} ready  {address}")


def _write(stream: TextIO, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.write(f"{text}\n")
        stream.flush()
