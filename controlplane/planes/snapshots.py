"""Control's end of the snapshot push; what is said, and in what shape, is told in extproc/edge/snapshot_wire.py.

Every connected plane has one sender, which always brings it to the newest estate in one push: what changed since the revision that
the plane has, or everything in pieces. A slow plane skips what it missed and holds up nobody. Whoever publishes waits for the planes
a bounded time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.snapshot import KeyRecord
from controlplane.estate import Changes, Estate
from controlplane.planes.view import Projects, Reseal, Shown, View, is_of
from extproc.edge.snapshot_wire import STILL, STILL_S, Item, batches, begin, end, framed, piece, read_message, receive
from extproc.edge.unix_socket import bind, leave

log = logging.getLogger("control.snapshots")

PATIENCE_S: Final = 2.0
"""How long a change waits for the planes."""
GREETING_S: Final = 5.0
MOST_SAID: Final = 1 << 20
"""Bytes of what a plane says at once: several times what a report of many keys has."""
_LONGEST_PROBLEM: Final = 500

Rehashed = Callable[[Mapping[str, Any], Callable[[KeyRecord], bool]], None]
"""Takes what a plane reports of keys that it hashed anew (vault_peppers.moved), and which keys may be its to report of."""


@dataclass(frozen=True, slots=True)
class PlaneReport:
    """What a plane said about a snapshot: `revision` it has answered for, and the problem it met."""

    plane: str
    revision: str
    problem: str = ""

    def document(self) -> dict[str, str]:
        """The JSON object for whoever made a change."""
        return {"plane": self.plane, "revision": self.revision, "problem": self.problem}


@dataclass(eq=False, slots=True)
class Connected:
    """A connected plane: what it is sent, and what it answered last. `offered` was sent last; `base` is what it has in force."""

    name: str
    view: View
    writer: asyncio.StreamWriter
    reseal: Reseal | None
    epoch: str
    base: str
    report: PlaneReport
    offered: str = "none"

    def has_answered(self, revision: int) -> bool:
        """Whether it has answered for that revision, or a later one."""
        return bool(self.report.revision) and int(self.report.revision) >= revision

    def may_report(self, key: KeyRecord) -> bool:
        """Whether the key is one of the plane's projects."""
        return is_of(key, self.view.shown.projects)

    def answer(self, revision: int, patience: float) -> PlaneReport:
        """What it has said about that revision, or that it has said nothing for so many seconds."""
        if self.has_answered(revision):
            return self.report
        return PlaneReport(self.name, self.report.revision, f"has not answered within {patience:g} s and may still use the rules of before")


class Publisher:
    """Holds the estate in force and tells every plane that connects. `on_rehashed` is told what planes report of keys."""

    def __init__(self, estate: Estate, on_rehashed: Rehashed = lambda _reports, _may: None) -> None:
        self._estate, self._on_rehashed = estate, on_rehashed
        self._views: dict[Projects | None, View] = {None: View(estate, None)}
        self._planes: set[Connected] = set()
        self._news = asyncio.Condition()
        self._conversations: set[asyncio.Task[None]] = set()

    @property
    def revision(self) -> str:
        """What the planes are told now."""
        return str(self._estate.revision)

    async def listen(self, path: Path) -> Listening:
        """Listen for the planes of this machine at `path`. Raises Unusable where that can't be."""
        listener, mine = bind(path)
        return Listening(path, mine, await asyncio.start_unix_server(self._at_socket, sock=listener), self)

    async def publish(self, estate: Estate, changes: Changes, patience: float = PATIENCE_S) -> list[PlaneReport]:
        """Put `estate`, which `changes` made, in force, and wait until every connected plane has answered, at most `patience` seconds."""
        async with self._news:
            if changes or estate.revision != self._estate.revision:  # a step that changes nothing takes no view's room for those that do
                self._estate = estate
                for view in self._views.values():
                    view.after(estate, changes)
            self._news.notify_all()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._news.wait_for(lambda: all(plane.has_answered(estate.revision) for plane in self._planes))
            return [plane.answer(estate.revision, patience) for plane in sorted(self._planes, key=lambda plane: plane.name)]

    def planes(self) -> list[PlaneReport]:
        """The connected planes, and what each answered last."""
        return [plane.report for plane in self._planes]

    async def close(self) -> None:
        """End every conversation."""
        for task in self._conversations:
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    def hang_up(self, name: str) -> None:
        """End those with one plane."""
        for plane in [plane for plane in self._planes if plane.name == name]:
            plane.writer.transport.abort()  # what is on its way to it is not sent any more, and nobody waits for it to take it

    @contextlib.asynccontextmanager
    async def guarded(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        """A conversation with a plane: what goes wrong in it ends it, and nothing else."""
        task = asyncio.current_task()
        if task is not None:
            self._conversations.add(task)
            task.add_done_callback(self._conversations.discard)
        try:
            yield
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

    async def talk(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        greeting: Mapping[str, Any],
        projects: Projects | None = None,
        reseal: Reseal | None = None,
    ) -> None:
        """Tell a plane that has greeted us, until it leaves. Raises OSError, EOFError, ValueError, TypeError or KeyError."""
        name = str(greeting["plane"])
        base, epoch = str(greeting["revision"]), str(greeting["epoch"])
        plane = Connected(name, self._view(projects), writer, reseal, epoch, base, PlaneReport(name, ""))
        sender = asyncio.ensure_future(self._keep_told(plane))
        self._planes.add(plane)
        try:
            while True:
                await self._heard(plane, read_message(await receive(reader, MOST_SAID)))
                await asyncio.sleep(0)  # a plane that talks without end has its turn, and no more
        finally:
            self._planes.discard(plane)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sender
            self._forget_views()
            async with self._news:
                self._news.notify_all()

    def _view(self, projects: Projects | None) -> View:
        if projects not in self._views:
            self._views[projects] = View(self._estate, projects)
        return self._views[projects]

    def _forget_views(self) -> None:
        """A view of some projects is kept while a plane is there to be shown it."""
        used = {plane.view.shown.projects for plane in self._planes} | {None}
        self._views = {projects: view for projects, view in self._views.items() if projects in used}

    async def _at_socket(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self.guarded(writer):
            async with asyncio.timeout(GREETING_S):
                greeting = read_message(await receive(reader))
            await self.talk(reader, writer, greeting)

    async def _keep_told(self, plane: Connected) -> None:
        while True:
            if await self._has_news(plane):
                await self._send(plane, plane.view.shown)
            else:
                plane.writer.write(framed(STILL))
                await plane.writer.drain()

    async def _has_news(self, plane: Connected) -> bool:
        """Wait for something to tell a plane; False: there was nothing for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STILL_S), self._news:
                return await self._news.wait_for(lambda: plane.offered != plane.view.shown.revision)
        return False

    async def _send(self, plane: Connected, shown: Shown) -> None:
        """One push, a piece at a time, so that neither this process nor the plane is stopped by it."""
        touched = plane.view.since(plane.epoch, plane.base)
        base = "" if touched is None else plane.base
        items: Iterable[Item] = shown.items(plane.reseal) if touched is None else (shown.item(touch, plane.reseal) for touch in touched)
        plane.offered = plane.base = shown.revision
        plane.epoch = plane.view.epoch
        plane.writer.write(framed(begin(shown.revision, plane.epoch, base)))
        for batch in batches(items):
            plane.writer.write(framed(piece(batch)))
            await plane.writer.drain()
            await asyncio.sleep(0)
        plane.writer.write(framed(end(shown.revision)))
        await plane.writer.drain()

    async def _heard(self, plane: Connected, said: dict[str, Any]) -> None:
        if "rehashed" in said:
            self._on_rehashed(dict(said["rehashed"]), plane.may_report)
            return
        plane.report = PlaneReport(plane.name, str(int(said["revision"])), _line(str(said["problem"])))
        if said["in_force"] != said["revision"]:
            plane.base = str(said["in_force"])
        if plane.report.problem:
            log.warning("plane %s, snapshot %s: %s", plane.name, plane.report.revision, plane.report.problem)
        async with self._news:
            self._news.notify_all()


def _line(text: str) -> str:
    """What a plane says is wrong, fit for a log and a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text[:_LONGEST_PROBLEM])


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
        await self.publisher.close()
        await self.server.wait_closed()
        if self.mine is not None:
            leave(self.path, self.mine)
