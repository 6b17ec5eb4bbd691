"""The last rows that were stored, for `audit tail`: a ring that waiting readers are woken for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from ingest.columns import Row

KEPT: Final = 2_000


class Recent:
    """Lives on the event loop. A place in it is `life-number`; a place of another life means: from now on."""

    def __init__(self, life: str) -> None:
        self._life = life
        self._rows: deque[Row] = deque(maxlen=KEPT)
        self._count = 0
        self._news = asyncio.Event()

    def add(self, rows: Sequence[Row]) -> None:
        """Rows that were just stored."""
        self._rows.extend(rows)
        self._count += len(rows)
        if rows:
            self._news.set()
            self._news = asyncio.Event()

    @property
    def place(self) -> str:
        """Where the next row will stand."""
        return f"{self._life}-{self._count}"

    def last(self, number: int) -> list[Row]:
        """The last so many rows, or fewer."""
        return list(self._rows)[-number:]

    async def after(self, place: str, patience: float) -> tuple[list[Row], str]:
        """Rows after `place`, and the place after them; waits up to `patience` seconds for the first."""
        number = self._number(place)
        if number == self._count:
            news = self._news
            try:
                await asyncio.wait_for(news.wait(), patience)
            except TimeoutError:
                return [], self.place
        fresh = min(self._count - number, len(self._rows))
        return list(self._rows)[len(self._rows) - fresh :], self.place

    def _number(self, place: str) -> int:
        life, _, number = place.rpartition("-")
        if life != self._life or not number.isdecimal():
            return self._count
        return min(int(number), self._count)
