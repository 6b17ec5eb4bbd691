"""Exchanges without a valid key: ten rows a minute for each source prefix and reason, then one row with the count.

So a flood of bad keys, or of requests that are broken off before anyone has looked at a key, can't fill the audit, and
sum(count) still equals the exchanges. What is held back here is part of the ledger (`to_json`), so a restart neither loses
nor doubles it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from ingest.columns import Row

ROWS_A_MINUTE: Final = 10
MINUTE: Final = 60_000_000_000
SETTLE: Final = 5_000_000_000
"""How long after its minute a window stays open for rows that come late, in nanoseconds."""
MOST_WINDOWS: Final = 10_000
"""Beyond this many at once, all other prefixes share one window for each reason: memory stays bounded."""

Name = tuple[str, str, int]


@dataclass(slots=True)
class _Window:
    written: int
    held: int = 0
    first: Row | None = None


class Keyless:
    """Decides which of these rows are written. Time is an argument, in nanoseconds of the Unix epoch."""

    def __init__(self) -> None:
        self._windows: dict[Name, _Window] = {}

    @property
    def held(self) -> int:
        """Exchanges that wait for their minute's aggregated row."""
        return sum(window.held for window in self._windows.values())

    def admit(self, row: Row) -> bool:
        """Whether this row is to be written as it is. Otherwise it is counted, and `due` gives the count."""
        window = self._window(row)
        if window.written < ROWS_A_MINUTE:
            window.written += 1
            return True
        window.first = window.first or row
        window.held += row.get("count", 1)
        return False

    def due(self, now: int, *, all_of_them: bool = False) -> list[Row]:
        """Aggregated rows of the minutes that are over."""
        over = [name for name in self._windows if all_of_them or (name[2] + 1) * MINUTE + SETTLE <= now]
        closed = [(name, self._windows.pop(name)) for name in over]
        return [_aggregated(name, window.first, window.held) for name, window in closed if window.first]

    def to_json(self) -> list[list[object]]:
        """State for the ledger."""
        return [[*name, window.written, window.held, window.first] for name, window in self._windows.items()]

    @classmethod
    def from_json(cls, state: list[list[object]]) -> Keyless:
        """State from the ledger."""
        keyless = cls()
        for address, code, minute, written, held, first in state:
            keyless._windows[address, code, minute] = _Window(written, held, first)  # type: ignore[index,arg-type] # as to_json wrote it
        return keyless

    def _window(self, row: Row) -> _Window:
        minute = row["time"] // MINUTE
        name = (prefix(row.get("client_address", "")), row.get("error_code", ""), minute)
        if name not in self._windows and len(self._windows) >= MOST_WINDOWS:
            name = ("", name[1], minute)
        return self._windows.setdefault(name, _Window(0))


def is_keyless(row: Row) -> bool:
    """A refusal, or a request that its app broke off, that no valid key stands behind."""
    return row.get("outcome") in {"refused", "aborted"} and not row.get("key_id")


def prefix(address: str) -> str:
    """Source prefix: /24 of an IPv4 address, /64 of an IPv6 address; an IPv4 address written as IPv6 counts as IPv4."""
    try:
        parsed = ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return ""
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ip_network(f"{mapped}/{24 if mapped.version == 4 else 64}", strict=False))  # noqa: PLR2004 - IP versions


def _aggregated(name: Name, first: Row, held: int) -> Row:
    """The first row held back, with the count, and without what was particular to it alone."""
    particular = ("user_agent", "path", "trace_id", "span_id", "envoy_id", "decision_id")
    return {**first, **dict.fromkeys(particular, ""), "client_address": name[0], "count": held}
