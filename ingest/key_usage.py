"""What a virtual key was used for: GET /usage?key_id=…&days=30 → {"key_id", "days", "by_day": [{…}], "total": {…}}.

A day is one of UTC, and has the columns of queries/key_usage.sql: requests, refused, failed, aborted, tokens by class,
cost_nanousd, old_secret (requests with the secret before the last rotation) and last_use (seconds of the Unix epoch).
Days without a request are left out; with none at all the total's last_use is null.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from ingest.answers import answered, down, not_open, refused
from ingest.clickhouse import EngineDownError
from ingest.query import Queries
from ingest.sql_files import question

MOST_DAYS: Final = 400
DAYS: Final = "30"
SUMS: Final = (
    "requests",
    "refused",
    "failed",
    "aborted",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_nanousd",
    "old_secret",
)


class KeyUsage:
    """Answers from a read-only session."""

    def __init__(self, queries: Queries, is_ready: Callable[[], bool]) -> None:
        self._queries, self._is_ready = queries, is_ready

    def routes(self) -> list[web.RouteDef]:
        """The endpoint."""
        return [web.get("/usage", self.answer)]

    async def answer(self, request: web.Request) -> web.Response:
        """One key's days."""
        key_id, days = request.query.get("key_id", ""), request.query.get("days", DAYS)
        if not re.fullmatch(r"[0-9A-Za-z]{1,64}", key_id):
            return refused("key_id: must be a key's public id")
        if not re.fullmatch(r"[0-9]{1,3}", days) or not 1 <= int(days) <= MOST_DAYS:
            return refused(f"days: must be a whole number from 1 to {MOST_DAYS}")
        if not self._is_ready():
            return not_open()
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._queries.pool, self.usage, key_id, int(days))
        except EngineDownError as error:
            return down(error)
        return answered(found)

    def usage(self, key_id: str, days: int) -> dict[str, Any]:
        """The answer. Blocks. Raises EngineDownError."""
        names = ("day", *SUMS, "last_use")
        with self._queries.session() as engine:
            rows = engine.rows(question("key_usage"), {"key_id": key_id, "days": days})
        by_day = [{**dict(zip(names, row, strict=True)), "day": str(row[0])} for row in rows]
        total: dict[str, Any] = {name: sum(day[name] for day in by_day) for name in SUMS}
        return {
            "key_id": key_id,
            "days": days,
            "by_day": by_day,
            "total": {**total, "last_use": max((day["last_use"] for day in by_day), default=None)},
        }
