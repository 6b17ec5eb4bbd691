"""The row of an intent, left unread: most intents are soon followed by their row, and nobody asks what they said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

import orjson

_START: Final = re.compile(rb'\{"intent":\{"id":"([0-9A-Za-z-]{1,64})","time":(0|[1-9][0-9]{0,18}),"')
"""How extproc's spool begins an intent. One that begins otherwise is read at once."""


class UnreadRow(Mapping[str, Any]):
    """Column → value. The id is known; the rest is parsed when it is first asked for.

    A payload that turns out to be no JSON leaves the row with id and time: its exchange counts all the same.
    """

    __slots__ = ("_id", "_payload", "_row", "_time")

    def __init__(self, name: str, time: int, payload: bytes) -> None:
        self._id, self._time, self._payload = name, time, payload
        self._row: dict[str, Any] | None = None

    @classmethod
    def of(cls, payload: bytes) -> Self | None:
        """The row in an intent's payload; None where it must be parsed to know."""
        start = _START.match(payload)
        return cls(start[1].decode(), int(start[2]), payload) if start else None

    def __getitem__(self, column: str) -> Any:
        return self._id if column == "id" else self._read()[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> dict[str, Any]:
        if self._row is None:
            self._row = {**self._parsed(), "id": self._id, "time": self._time}
            self._payload = b""
        return self._row

    def _parsed(self) -> dict[str, Any]:
        try:
            row = orjson.loads(self._payload)["intent"]
        except ValueError:
            return {}
        return row if isinstance(row, dict) else {}
