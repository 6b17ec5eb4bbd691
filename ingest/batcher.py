"""When a batch of rows is due: by count, by bytes, or by the age of its first row; but batches of few rows keep a pace.

An insert costs the engine some 15 ms of CPU however few its rows are (files, merges), so under load rows wait for each
other, and the first rows after a quiet spell do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ingest.columns import Row

MOST_ROWS: Final = 5_000
MOST_BYTES: Final = 8 << 20
MOST_AGE: Final = 200_000_000
PACE: Final = 1_000_000_000
"""Nanoseconds between batches that are not full."""


@dataclass(slots=True)
class Batcher:
    """Collects rows. Time is an argument, in nanoseconds; `size` is what a row took in the spool, in bytes."""

    most_rows: int = MOST_ROWS
    most_bytes: int = MOST_BYTES
    most_age: int = MOST_AGE
    pace: int = PACE
    rows: list[Row] = field(default_factory=list)
    _bytes: int = 0
    _since: int = 0
    _taken: int | None = None

    def add(self, row: Row, size: int, now: int) -> None:
        """Take a row in. Never refuses: who reads asks `full` before reading on."""
        if not self.rows:
            self._since = now
        self.rows.append(row)
        self._bytes += size

    @property
    def full(self) -> bool:
        """Whether no more should be read before the batch is stored."""
        return len(self.rows) >= self.most_rows or self._bytes >= self.most_bytes

    def due(self, now: int) -> bool:
        """Whether the batch is to be stored now."""
        aged = _is_past(self._since, self.most_age, now) and (self._taken is None or _is_past(self._taken, self.pace, now))
        return bool(self.rows) and (self.full or aged)

    def take(self, now: int | None = None) -> list[Row]:
        """All rows, in the order they came; the batcher is empty then. `now`: the pace is kept from here on."""
        taken, self.rows, self._bytes = self.rows, [], 0
        if taken:
            self._taken = now
        return taken


def _is_past(since: int, span: int, now: int) -> bool:
    """Whether `span` is over. A clock that was set back makes nobody wait for it."""
    return not 0 <= now - since < span
