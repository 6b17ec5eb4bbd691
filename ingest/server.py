"""`python -m ingest.server --data DIR [-c FILE]`: ships rows, and answers questions about them on `run/ingest.sock`.

GET  /healthz          200 once the tables exist; 503 with a reason before
POST /query            {"sql": …} → {"columns", "types", "rows", "truncated"}; 400, 408 or 503 → {"error"}
GET  /stats            counts; see `stats`
GET  /tail?after=PLACE {"rows", "next"}: waits up to 20 s for rows stored after PLACE; none given: the last 10, if there are any
POST /events           administrative events to store; see ingest.events
GET  /usage?key_id=…   what a key was used for, by day; see ingest.key_usage
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from contracts.errors import Unusable
from contracts.settings import Settings
from extproc.config import load
from ingest.answers import answered, down, not_open, refused
from ingest.clickhouse import EngineDownError
from ingest.columns import Row
from ingest.envoy_admin import count
from ingest.events import Events
from ingest.key_usage import KeyUsage
from ingest.ledger import Ledger
from ingest.query import Queries, QueryRefusedError
from ingest.recent import Recent
from ingest.worker import Worker, folder_of, places, stored

log = logging.getLogger("ingest")

PATIENCE: Final = 20.0
LAST_ROWS: Final = 10
MOST_SQL: Final = 1 << 20
GC_THRESHOLDS: Final = (50_000, 20, 20)
"""Rows come and go by the thousand and are in no cycle: looking for cycles at Python's usual rate would cost a tenth of all CPU."""


class Door:
    """The HTTP side."""

    def __init__(self, settings: Settings, worker: Worker, queries: Queries, recent: Recent, events: Events) -> None:
        self._settings, self._worker, self._queries, self._recent = settings, worker, queries, recent
        self._events, self._usage = events, KeyUsage(queries, worker.ready.is_set)

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=MOST_SQL)
        app.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.post("/query", self.query),
                web.get("/stats", self.stats),
                web.get("/tail", self.tail),
                *self._events.routes(),
                *self._usage.routes(),
            ]
        )
        return app

    async def healthz(self, _request: web.Request) -> web.Response:
        """Whether the tables exist."""
        if self._worker.ready.is_set():
            return answered({"ready": True, "trouble": self._worker.standing.trouble})
        return answered({"ready": False, "error": self._worker.standing.trouble or "the audit database is being opened"}, 503)

    async def query(self, request: web.Request) -> web.Response:
        """Run someone's SQL."""
        try:
            sql = orjson.loads(await request.read())["sql"]
        except (ValueError, KeyError, TypeError):
            sql = None
        if not isinstance(sql, str):
            return refused('The body must be JSON: {"sql": "SELECT …"}.')
        if not self._worker.ready.is_set():
            return not_open()
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._queries.pool, self._queries.ask, sql)
        except QueryRefusedError as error:
            return refused(error.message, error.status)
        return answered(asdict(answer))

    async def stats(self, _request: web.Request) -> web.Response:
        """Counts, and which of them can be compared.

        accepted      exchanges that ingest has read of, by either witness, open intents among them
        stored        sum(count) of the table
        spooled       exchanges read of but not stored yet; `unread_bytes` is not read yet. `open` of these are under way,
                      `held` are refusals without a key that wait for their minute's aggregated row
        envoy         streams Envoy began since `since` (Unix seconds, ± 1); `envoy_active` of them still run
        stored_since  stored exchanges that began since then

        With nothing under way, `unread_bytes` 0 and `spooled` = `held`: envoy - envoy_active = stored_since + held, as
        long as no exchange of an earlier Envoy lies within a second of this one's start; and accepted = stored + held
        + dead, but for rows that were in the database before this spool.
        """
        envoy = await count(self._settings.run / "envoy-admin.sock")
        standing, counts = self._worker.standing, self._worker.standing.counts
        try:
            total, later = await asyncio.get_running_loop().run_in_executor(self._queries.pool, self._stored, envoy.since if envoy else 0)
        except EngineDownError as error:
            return down(error)
        return answered(
            {
                "accepted": counts.get("exchanges", 0) + standing.open_intents,
                "stored": total,
                "spooled": standing.spooled + standing.open_intents,
                "open": standing.open_intents,
                "held": standing.held,
                "unread_bytes": standing.unread_bytes,
                "dead": counts.get("dead", 0),
                "late": counts.get("late", 0),
                "duplicate": counts.get("duplicate", 0),
                "corrupt": counts.get("corrupt", 0),
                "torn": counts.get("torn", 0),
                "witnessed": counts.get("lines", 0),
                "witness_rows": counts.get("witnessed", 0),
                "envoy": envoy.total if envoy else None,
                "envoy_active": envoy.active if envoy else None,
                "since": envoy.since if envoy else None,
                "stored_since": later if envoy else None,
                "trouble": standing.trouble,
            }
        )

    async def tail(self, request: web.Request) -> web.Response:
        """Rows as they are stored. Who names no place sees something at once: the last rows, also those of an earlier life."""
        place = request.query.get("after") or self._recent.place
        if not request.query.get("after"):
            try:
                rows = await self._last_rows()
            except QueryRefusedError as error:
                return refused(error.message, error.status)
            if rows:
                return answered({"rows": rows, "next": place})
        rows, following = await self._recent.after(place, PATIENCE)
        return answered({"rows": rows, "next": following})

    async def _last_rows(self) -> list[Row]:
        rows = self._recent.last(LAST_ROWS)
        if len(rows) == LAST_ROWS or not self._worker.ready.is_set():
            return rows
        return await asyncio.get_running_loop().run_in_executor(self._queries.pool, self._queries.last, LAST_ROWS)

    def _stored(self, since: int) -> tuple[int, int]:
        with self._queries.session() as engine:
            return stored(engine, since)


async def serve(settings: Settings) -> None:
    """Ship and answer until SIGTERM or SIGINT. Raises Unusable."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    socket = settings.run / "ingest.sock"
    folder_of(socket)
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    ledger = Ledger(places(settings).ledger)  # first of all: whoever holds it is the one ingest of this folder
    recent = Recent(uuid.uuid4().hex[:8])
    worker = Worker(settings, ledger, lambda rows: _on_loop(loop, recent.add, rows), lambda: _on_loop(loop, stop.set))
    queries = Queries(worker.open_engine, in_session=settings.audit == "chdb")
    events = Events(worker.open_engine, worker.ready.is_set)
    runner = web.AppRunner(Door(settings, worker, queries, recent, events).app(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    socket.unlink(missing_ok=True)
    await web.UnixSite(runner, str(socket)).start()
    socket.chmod(0o600)
    worker.start()
    await stop.wait()
    await runner.cleanup()
    await asyncio.to_thread(worker.stop)
    await asyncio.to_thread(queries.close)
    await asyncio.to_thread(events.close)
    ledger.close()
    if worker.failed:
        raise worker.failed


def main(arguments: list[str] | None = None) -> int:
    """The process. 0: stopped on request. 2: settings or files can't be used."""
    parser = argparse.ArgumentParser("ingest.server", description="Ships audit rows from the spool to ClickHouse.")
    parser.add_argument("--data", type=Path)
    parser.add_argument("-c", "--config", type=Path)
    given = parser.parse_args(arguments)
    os.umask(0o077)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    try:
        asyncio.run(serve(load(given.config, given.data, os.environ)))
    except Unusable as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence for people
        return 2
    return 0


def _on_loop(loop: asyncio.AbstractEventLoop, what: Any, *arguments: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended first
        loop.call_soon_threadsafe(what, *arguments)


if __name__ == "__main__":
    sys.exit(main())
