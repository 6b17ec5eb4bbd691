"""Carries admin events from the state to the audit, in the order of their commits, until each is known to be stored.

    State.commit ─► table events ─► Outbox ─► POST /events on ingest's socket ─► audit.events ─► State.delivered

An event leaves the state once ingest has said that it is stored. What was sent twice, because an answer or a control was
lost in between, ingest stores once. While ingest is down they wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
import orjson

from contracts.errors import PortcullisError, Unusable
from contracts.events import AdminEvent, event_document
from controlplane.state import State

log = logging.getLogger(__name__)

MOST_EVENTS: Final = 200
MOST_BYTES: Final = 4 << 20
"""Of one delivery; an event that is larger goes alone."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds between tries; also the longest that an event of another control waits for this one to look."""
_PATIENCE: Final = aiohttp.ClientTimeout(total=60, sock_connect=5)


class _RefusedError(PortcullisError):
    """Ingest did not store the events; why is the text."""


class Outbox:
    """`run` is a task, and ends by being cancelled. `trouble`: why nothing is delivered for now, else empty."""

    def __init__(self, state: State, socket: Path) -> None:
        self._state, self._socket = state, socket
        self._woken = asyncio.Event()
        self.trouble = ""

    def wake(self) -> None:
        """There is something to deliver."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver for ever."""
        pause = FIRST_PAUSE
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._socket)), timeout=_PATIENCE) as session:
            while True:
                self._woken.clear()
                try:
                    while await self._deliver(session):
                        pause = FIRST_PAUSE
                except (aiohttp.ClientError, OSError, TimeoutError, _RefusedError, Unusable) as error:
                    self._tell(str(error) or type(error).__name__)
                    await asyncio.sleep(pause)
                    pause = min(LONGEST_PAUSE, pause * 2)
                else:
                    self._tell("")
                    await self._until_woken()

    async def _deliver(self, session: aiohttp.ClientSession) -> bool:
        """Take the next few there. False: none wait."""
        waiting = await asyncio.to_thread(self._state.waiting_events, MOST_EVENTS)
        if not waiting:
            return False
        events, body = _load(waiting)
        async with session.post("http://ingest/events", data=body) as answer:
            if answer.status != HTTPStatus.OK:
                raise _RefusedError(f"ingest answers {answer.status}: {(await answer.text())[:300]}")
            await answer.read()
        await asyncio.to_thread(self._state.delivered, [event.id for event in events])
        return True

    async def _until_woken(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_PAUSE):
                await self._woken.wait()
        except TimeoutError:
            return

    def _tell(self, trouble: str) -> None:
        """Log a change for the worse or the better, not its repetition."""
        if trouble and not self.trouble:
            log.warning("admin events can't be delivered for now, and wait in the state: %s", trouble)
        elif self.trouble and not trouble:
            log.info("admin events are delivered again")
        self.trouble = trouble


def _load(waiting: Sequence[AdminEvent]) -> tuple[Sequence[AdminEvent], bytes]:
    """As many of the first events as go together, and the body of the request."""
    texts, size = [orjson.dumps(event_document(event)) for event in waiting], 0
    for count, text in enumerate(texts):
        size += len(text)
        if size > MOST_BYTES and count:
            return waiting[:count], b'{"events":[' + b",".join(texts[:count]) + b"]}"
    return waiting, b'{"events":[' + b",".join(texts) + b"]}"
