"""The plane's end of the snapshot push; what is said, and in what shape, is told in snapshot_wire.py.

A push is staged beside what is in force, a piece at a time between requests, and put in force by one assignment at its end. Then it
is written to the copy on disk, and only then answered: a plane never restarts into a key that it said is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from contracts import VERSION
from contracts.errors import Unusable
from contracts.snapshot import LiveSecret, Snapshot
from custody import virtual_key
from extproc.edge.snapshot_build import Assembly, Push
from extproc.edge.snapshot_copy import Copy
from extproc.edge.snapshot_wire import SILENCE_S, STILL, framed, message, read_message, receive

log = logging.getLogger("extproc.snapshot")

_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.5
"""A plane that lost control comes back within this, so that a revocation waits no longer."""
_MOST_TOLD: Final = 500
"""Keys that control is told of at once; one that is left out is told of at its next use."""
_TOLD_AFTER_S: Final = 0.2
_REFUSED: Final = b'{"refused"'
FIRST_S: Final = 5.0
"""How long a plane that starts waits for what control says: its copy may hold a key that was revoked while it was down."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Connection]]
"""Reaches control. Raises OSError where it is not there."""


def on_socket(path: Path) -> Connect:
    """Control on this machine."""
    return lambda: asyncio.open_unix_connection(path)


class Follower:
    """Starts from the copy, then does what control says. `on_snapshot` raises Unusable to stay with the old one."""

    def __init__(self, plane: str, connect: Connect, on_snapshot: Callable[[Snapshot], None], copy: Copy) -> None:
        self._plane, self._connect, self._on_snapshot, self._copy = plane, connect, on_snapshot, copy
        self._assembly = Assembly()
        self._rehashed: dict[str, dict[str, str]] = {}
        self._news = asyncio.Event()
        self._first = asyncio.Event()

    @property
    def revision(self) -> str:
        """What is in force; empty: nothing."""
        return self._assembly.snapshot.revision

    def start(self) -> None:
        """Take the copy in force, where there is one that can be used. Blocks; nothing is served yet."""
        try:
            found = self._copy.load()
            if found is not None:
                self._on_snapshot(found.snapshot)
                self._assembly = found
        except Unusable as error:
            log.warning("%s; every request is refused until control sends a snapshot", error)

    async def told(self) -> None:
        """Wait, while `run` runs, until control has said what is in force, or can't be reached; at most FIRST_S."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                await self._first.wait()

    async def run(self) -> NoReturn:
        """Follow for ever."""
        pause = _PAUSE_S
        try:
            while True:
                if await self._conversation():
                    pause = _PAUSE_S
                self._first.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
        finally:
            self._copy.close()

    def rehashed(self, key_id: str, old: LiveSecret, new: LiveSecret) -> None:
        """Tell control that a key's secret, known by `old`, is `new` under the newest pepper."""
        if len(self._rehashed) < _MOST_TOLD:
            self._rehashed[key_id] = {"old": old.hash, "new": virtual_key.told(new)}
            self._news.set()

    async def _conversation(self) -> bool:
        """One connection, until it ends; whether there was one."""
        try:
            reader, writer = await self._connect()
        except OSError:
            return False
        except Unusable as error:
            log.warning("%s", error)
            return False
        pushes: asyncio.Queue[Push] = asyncio.Queue()
        keeping, telling = asyncio.ensure_future(self._kept(pushes, writer)), asyncio.ensure_future(self._told(writer))
        try:
            writer.write(framed(message(self._greeting())))
            while True:
                async with asyncio.timeout(SILENCE_S):
                    body = await receive(reader)
                if body != STILL:
                    self._heard(body, pushes)
                await asyncio.sleep(0)  # what is read already does not keep the requests waiting
        except (OSError, EOFError):
            log.info("control is gone; snapshot %s stays in force", self.revision or "none")
        except Unusable as error:
            log.warning("control refuses this plane: %s", error)
        except (ValueError, KeyError, TypeError):
            log.warning("control sent what is no snapshot; %s stays in force", self.revision or "none")
        finally:
            self._assembly.drop()
            await self._hung_up(keeping, telling, pushes, writer)
        return True

    def _greeting(self) -> dict[str, Any]:
        return {"plane": self._plane, "version": VERSION, "epoch": self._assembly.epoch, "revision": self.revision}

    def _heard(self, body: bytes, pushes: asyncio.Queue[Push]) -> None:
        if body.startswith(_REFUSED):
            raise Unusable(str(read_message(body)["refused"]))
        push = self._assembly.feed(body)
        if push is None:
            return
        trouble = push.trouble
        try:
            if not trouble:
                self._on_snapshot(push.snapshot)
        except Unusable as error:
            trouble = str(error)
        if trouble:
            pushes.put_nowait(replace(push, frames=(), trouble=trouble))
        else:
            self._assembly.accept(push)
            pushes.put_nowait(push)
        self._first.set()

    async def _kept(self, pushes: asyncio.Queue[Push], writer: asyncio.StreamWriter) -> None:
        """Keep each push and answer it, while the next one may be in force already."""
        while True:
            push = await pushes.get()
            problem = push.trouble or await self._keep(push)
            in_force = self.revision if push.trouble else push.snapshot.revision
            writer.write(framed(message({"revision": push.snapshot.revision, "in_force": in_force, "problem": problem})))
            pushes.task_done()

    async def _keep(self, push: Push) -> str:
        """Write the copy; the problem there was. A write that has begun is waited for, whatever happens."""
        writing: asyncio.Future[None] = asyncio.ensure_future(asyncio.to_thread(self._copy.keep, push))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            raise
        except (OSError, Unusable) as error:
            return f"in force, but its copy can't be kept: {error.strerror if isinstance(error, OSError) else error}"
        return ""

    async def _told(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(_TOLD_AFTER_S)
            rehashed, self._rehashed = self._rehashed, {}
            self._news.clear()
            writer.write(framed(message({"rehashed": rehashed})))
            await writer.drain()

    async def _hung_up(
        self, keeping: asyncio.Future[None], telling: asyncio.Future[None], pushes: asyncio.Queue[Push], writer: asyncio.StreamWriter
    ) -> None:
        """End the conversation; what is in force and not kept yet is kept first."""
        joined = asyncio.ensure_future(pushes.join())
        try:
            await asyncio.wait([joined, keeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.close()
            for task in (joined, keeping, telling):
                task.cancel()
            for end in await asyncio.gather(joined, keeping, telling, return_exceptions=True):
                if isinstance(end, Exception) and not isinstance(end, OSError):
                    log.error("snapshot: %s", type(end).__name__)
            with contextlib.suppress(OSError):
                await writer.wait_closed()
