"""Administrative events, from control into `audit.events`: POST /events {"events": […]} → {"stored", "known"}.

Once it is answered with 200 all of them are stored, each once, however often they are sent. Else none of them is known to
be: 400 for what is no event, 503 while the database is not there; control sends them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from uuid import UUID

import orjson
from aiohttp import web

from contracts.events import COLUMNS, AdminEvent, event_of
from ingest.answers import answered, down, not_open, refused
from ingest.clickhouse import Engine, EngineDownError, EngineRefusedError
from ingest.sql_files import question

MOST_BYTES: Final = 64 << 20
NAMES: Final = tuple(COLUMNS)
TYPES: Final = tuple(meta["ch"] for meta in COLUMNS.values())
_TIME_BITS: Final = 63
_NO_EVENTS: Final = 'The body must be JSON: {"events": […]}, each as contracts/events.py has it.'


class Events:
    """Writes events through a session of its own, in a thread of its own, so that they stay in order."""

    def __init__(self, opened: Callable[[], Engine], is_ready: Callable[[], bool]) -> None:
        self._opened, self._is_ready = opened, is_ready
        self._thread = ThreadPoolExecutor(1, "events")
        self._engine: Engine | None = None

    def routes(self) -> list[web.RouteDef]:
        """The endpoint."""
        return [web.post("/events", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        """Store what is not stored yet."""
        try:
            body = await request.clone(client_max_size=MOST_BYTES).read()
            events = [_sound(document) for document in orjson.loads(body)["events"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            return refused(_NO_EVENTS)
        if not self._is_ready():
            return not_open()
        try:
            stored = await asyncio.get_running_loop().run_in_executor(self._thread, self.store, events)
        except EngineRefusedError as error:
            return refused(f"The audit database can't take these events: {error}")
        except EngineDownError as error:
            return down(error)
        return answered({"stored": stored, "known": len(events) - stored})

    def store(self, events: Sequence[AdminEvent]) -> int:
        """Insert those that are not there, and say how many these were. Blocks. Raises EngineDownError, EngineRefusedError."""
        if not events:
            return 0
        if self._engine is None:
            self._engine = self._opened()
        times = [event.time for event in events]
        asked = {"ids": [event.id for event in events], "since": min(times), "until": max(times)}
        seen = {name for (name,) in self._engine.rows(question("events_known"), asked)}
        fresh = {event.id: event for event in events if event.id not in seen}
        if fresh:
            self._engine.insert_into("events", NAMES, TYPES, [_row(event) for event in fresh.values()])
        return len(fresh)

    def close(self) -> None:
        """End the session, after what is being stored."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._engine:
            self._engine.close()


def _sound(document: Mapping[str, Any]) -> AdminEvent:
    """An event whose values the table can take. Raises ValueError, TypeError, AttributeError."""
    event = event_of({**document, "id": str(UUID(document["id"]))})
    if isinstance(event.time, bool) or not isinstance(event.time, int) or not 0 <= event.time < 1 << _TIME_BITS:
        raise ValueError("time")
    if not all(isinstance(value, str) for name, value in zip(NAMES, _row(event), strict=True) if name != "time"):
        raise TypeError("not a string")
    return event


def _row(event: AdminEvent) -> list[Any]:
    """Values in the order of NAMES; things as JSON, an absent one as the empty string."""
    found = {name: getattr(event, name) for name in NAMES}
    for side in ("before", "after"):
        found[side] = "" if found[side] is None else orjson.dumps(found[side], option=orjson.OPT_SORT_KEYS).decode()
    return list(found.values())
