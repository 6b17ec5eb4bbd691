"""Control's end of the snapshot push; the protocol is told in extproc/edge/snapshot.py.

Every connected plane has one sender that always sends the newest snapshot, so a slow plane skips
what it missed and holds up nobody. Whoever publishes waits for the planes a bounded time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from contracts.snapshot import Snapshot
from extproc.edge.snapshot import framed, receive
from extproc.edge.unix_socket import bind, leave

log = logging.getLogger("control.snapshots")

PATIENCE_S: Final = 2.0
"""How long an apply waits for the planes."""
_GREETING_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class PlaneReport:
    """What a plane said about a snapshot: `revision` it has answered for, and the problem it met."""

    plane: str
    revision: str
    problem: str = ""

    def document(self) -> dict[str, str]:
        """The JSON object for whoever applied."""
        return {"plane": self.plane, "revision": self.revision, "problem": self.problem}


@dataclass(eq=False, slots=True)
class _Plane:
    """A connected plane, and what it answered last."""

    name: str
    writer: asyncio.StreamWriter
    sent: str = ""
    report: PlaneReport = field(default_factory=lambda: PlaneReport("", ""))


class Publisher:
    """Holds the snapshot in force and tells every plane that connects."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._planes: set[_Plane] = set()
        self._news = asyncio.Condition()
        self._conversations: set[asyncio.Task[None]] = set()

    async def listen(self, path: Path) -> Listening:
        """Listen for planes at `path`. Raises Unusable where that can't be."""
        listener, mine = bind(path)
        return Listening(path, mine, await asyncio.start_unix_server(self._welcome, sock=listener), self)

    async def publish(self, snapshot: Snapshot, patience: float = PATIENCE_S) -> list[PlaneReport]:
        """Put `snapshot` in force and wait until every connected plane has answered, at most `patience` seconds."""
        async with self._news:
            self.snapshot = snapshot
            self._news.notify_all()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._news.wait_for(lambda: all(plane.report.revision == snapshot.revision for plane in self._planes))
            return [_told(plane, snapshot.revision, patience) for plane in sorted(self._planes, key=lambda plane: plane.name)]

    def planes(self) -> list[PlaneReport]:
        """The connected planes, and what each answered last."""
        return [plane.report for plane in self._planes]

    async def hang_up(self) -> None:
        """End every conversation."""
        for task in self._conversations:
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._conversations.add(task)
            task.add_done_callback(self._conversations.discard)
        try:
            await self._conversation(reader, writer)
        except (OSError, EOFError):
            log.info("a plane left")
        except (ValueError, TypeError, KeyError):
            log.warning("hung up on a peer that is no plane: it does not speak the plane's protocol")
        except asyncio.CancelledError:
            log.debug("hanging up")  # asyncio's server reports a cancelled conversation as an error; ours is meant
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_GREETING_S):
            greeting = await receive(reader)
        plane = _Plane(str(greeting["plane"]), writer, report=PlaneReport(str(greeting["plane"]), ""))
        sender = asyncio.ensure_future(self._keep_told(plane))
        self._planes.add(plane)
        try:
            while True:
                await self._heard(plane, await receive(reader))
        finally:
            self._planes.discard(plane)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sender
            async with self._news:
                self._news.notify_all()

    async def _keep_told(self, plane: _Plane) -> None:
        while True:
            async with self._news:
                await self._news.wait_for(lambda: plane.sent != self.snapshot.revision)
                snapshot = self.snapshot
            plane.sent = snapshot.revision
            plane.writer.write(framed({"snapshot": snapshot.document()}))
            await plane.writer.drain()

    async def _heard(self, plane: _Plane, answer: dict[str, Any]) -> None:
        plane.report = PlaneReport(plane.name, str(answer["revision"]), str(answer["problem"]))
        if plane.report.problem:
            log.warning("plane %s, snapshot %s: %s", plane.name, plane.report.revision, plane.report.problem)
        async with self._news:
            self._news.notify_all()


def _told(plane: _Plane, revision: str, patience: float) -> PlaneReport:
    if plane.report.revision == revision:
        return plane.report
    return PlaneReport(plane.name, plane.report.revision, f"has not answered within {patience:g} s and may still use the rules of before")


@dataclass(frozen=True, slots=True)
class Listening:
    """The socket, open."""

    path: Path
    mine: tuple[int, int] | None
    server: asyncio.Server
    publisher: Publisher

    async def close(self) -> None:
        """Stop listening, hang up, and take the socket's name away if it is still ours."""
        self.server.close()
        await self.publisher.hang_up()
        await self.server.wait_closed()
        if self.mine is not None:
            leave(self.path, self.mine)
