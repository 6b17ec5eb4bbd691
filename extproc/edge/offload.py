"""Work that is too long for the event loop, done in worker processes.

Threads would not do: orjson and re hold the interpreter's lock from start to end. A pool of the standard library would not
either: when one of its workers dies, all of its work is lost, and one that hangs can't be ended. Here a worker has one piece
of work at a time, so whatever becomes of it concerns one exchange.

Workers are started when there is work for them, by exec, so they inherit no socket, no file and no secret, and end when they
have had none for a while: what large bodies leave in their memory goes back.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from contracts.errors import GateUnavailable
from extproc.edge.worker import COUNT, LENGTH, packed, raised, unpacked

log = logging.getLogger(__name__)

WORKERS: Final = max(1, min(2, (os.cpu_count() or 1) // 2))
"""The event loop, Envoy and ingest need the other cores; two are enough for what `limits.inflight_bytes` lets in."""

WAITING: Final = 128
"""Pieces of work that may wait for a worker. More could not be done in LIMIT_S anyway."""

LIMIT_S: Final = 20.0
"""Seconds from asking to having the result, waiting included. 20 MiB take about half a second of a core that has nothing else to do."""

IDLE_S: Final = 60.0

_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME")
"""What a worker has of the environment, which may hold secrets."""

BUSY: Final = "The gate has more large bodies in hand than it can read. Send the request again in a moment."
LATE: Final = "The gate could not read this large body in time. Send the request again in a moment."
DIED: Final = "The gate's worker broke down over this body. If it happens again, tell whoever runs the gate, with this request id."


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    answer: asyncio.Future[Any]
    deadline: float
    timer: asyncio.TimerHandle | None = None

    def answered(self, answer: asyncio.Future[Any]) -> None:
        """There is an answer, or nobody waits for one."""
        if self.timer is not None:
            self.timer.cancel()
        if not answer.cancelled():
            answer.exception()  # seen: whoever asked may have left in this very moment

    def refuse(self, message: str) -> None:
        """Where there is no answer yet, there will be none."""
        self.fail(GateUnavailable(message, retry_after_s=1))

    def fail(self, error: BaseException) -> None:
        """As `refuse`, with an exception of any kind."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def settle(self, reply: list[bytes]) -> None:
        """Give the worker's answer to whoever still waits for it."""
        if self.answer.done():
            return
        well, result = unpacked(reply)
        if well:
            self.answer.set_result(result)
        else:
            self.answer.set_exception(raised(result))


class Offload:
    """The workers of one data plane. `limit_s` and `idle_s` are in seconds."""

    def __init__(self, *, workers: int = WORKERS, waiting: int = WAITING, limit_s: float = LIMIT_S, idle_s: float = IDLE_S) -> None:
        self._most = workers
        self._limit_s, self._idle_s = limit_s, idle_s
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(waiting)
        self._free = 0  # workers that wait for a job
        self._workers: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self.pids: set[int] = set()

    def run(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Have `work(*arguments)` done by a worker; the future has its result, or what it raised.

        Work, arguments and result are pickled; their byte strings from 64 KiB on are not copied into that.

        Raises (here or from the future):
            GateUnavailable: too much is waiting, no result came in time, or the worker died.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, arguments, loop.create_future(), loop.time() + self._limit_s)
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            raise GateUnavailable(BUSY, retry_after_s=1) from None
        job.timer = loop.call_at(job.deadline, job.refuse, LATE)
        job.answer.add_done_callback(job.answered)
        self._staff()
        return job.answer

    async def close(self) -> None:
        """End the workers. What is still asked of them is refused."""
        while not self._jobs.empty():
            self._jobs.get_nowait().refuse(BUSY)
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await asyncio.gather(*self._endings)

    # ── workers ───────────────────────────────────────────────────────────────

    def _staff(self) -> None:
        """Take on a worker where work waits that none is free for."""
        if self._jobs.qsize() > self._free and len(self._workers) < self._most:
            worker = asyncio.ensure_future(self._employed())
            self._workers.add(worker)
            worker.add_done_callback(self._left)

    def _left(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled():
            self._staff()

    async def _employed(self) -> None:
        """One worker, until it has been idle for too long or came to grief."""
        hand: list[_Job] = []  # the job in hand, if there is one; nothing else may keep hold of it, since it holds a body
        await self._next(hand)
        while hand:
            await self._served(hand)

    async def _next(self, hand: list[_Job]) -> None:
        self._free += 1
        try:
            async with asyncio.timeout(self._idle_s):
                while (job := await self._jobs.get()).answer.done():
                    pass  # its app has left, or it has waited too long
                hand.append(job)
        except TimeoutError:
            pass
        finally:
            self._free -= 1

    async def _served(self, hand: list[_Job]) -> None:
        """Do the job in hand and those that come after it in one process. The one that finds the process gone stays in hand."""
        try:
            async with self._process() as line:
                while hand:
                    if not await self._given(line, hand.pop()):
                        return
                    await self._next(hand)
                    if not line.alive:
                        return
        except OSError as why:
            log.error("no worker could be started: %s", why.strerror)  # noqa: TRY400 - a place in here tells nothing
            while hand:
                hand.pop().refuse(DIED)

    async def _given(self, line: _Line, job: _Job) -> bool:
        """Have one job done. False: the worker is of no further use."""
        try:
            message = packed((job.work, job.arguments))
            async with asyncio.timeout_at(job.deadline):
                reply = await line.ask(message)
            job.settle(reply)
        except TimeoutError:
            log.warning("a worker was ended, for its work took over %s s", self._limit_s)
            job.refuse(LATE)
            return False
        except ConnectionError:
            return False
        except Exception as why:  # noqa: BLE001 - what can't travel: raised where the work was asked for
            job.fail(why)
        finally:
            job.refuse(DIED)  # where there is no answer yet
        return True

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[_Line]:
        """A fresh process, and the line to it. It is in our process group: whoever kills us all gets it too."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
            environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)  # noqa: PTH109 - text is wanted
            command = (sys.executable, "-P", "-m", "extproc.edge.worker", str(self._limit_s))
            process = await asyncio.create_subprocess_exec(
                *command, stdin=theirs.fileno(), stdout=asyncio.subprocess.DEVNULL, env=environment
            )
            self.pids.add(process.pid)
            try:
                theirs.close()
                async with _line(ours) as line:
                    yield line
                    if not line.alive:
                        log.error("a worker ended by itself")
            finally:
                # A task of its own: whoever cancels us twice must not leave a process that nobody has waited for.
                ending = asyncio.ensure_future(self._ended(process))
                self._endings.add(ending)
                ending.add_done_callback(self._endings.discard)
                await asyncio.shield(ending)

    async def _ended(self, process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        self.pids.discard(process.pid)


@asynccontextmanager
async def _line(ours: socket.socket) -> AsyncIterator[_Line]:
    transport, line = await asyncio.get_running_loop().connect_accepted_socket(_Line, socket.socket(fileno=ours.detach()))
    try:
        yield line
    finally:
        transport.abort()
        line.forget()


class _Line(asyncio.BufferedProtocol):
    """The socket to one worker, on which one message is under way at most."""

    def __init__(self) -> None:
        self.alive = False
        self._messages = self._read()
        self._answer: asyncio.Future[list[bytes]] | None = None
        self._expect(next(self._messages))

    def ask(self, message: list[bytes]) -> asyncio.Future[list[bytes]]:
        """Send a message; the future has the pieces of the reply, or ConnectionError where the worker is gone."""
        self._answer = asyncio.get_running_loop().create_future()
        if self.alive:
            for piece in message:
                self._transport.write(piece)
        else:
            self._answer.set_exception(ConnectionResetError())
        return self._answer

    def _read(self) -> Generator[int, bytes, None]:
        """Asks for as many bytes as it wants next, and is sent them."""
        while True:
            (count,) = COUNT.unpack((yield COUNT.size))
            lengths = yield count * LENGTH.size
            pieces = []
            for (length,) in LENGTH.iter_unpack(lengths):
                pieces.append((yield length))
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(pieces)
            self._answer = None
            del pieces, lengths  # a body is not kept until the next one comes

    def _expect(self, size: int) -> None:
        # BytesIO lets go of its whole buffer as bytes without a copy, where nothing else of it was read (CPython).
        self._room = io.BytesIO(bytes(size))
        self._view, self._filled = self._room.getbuffer(), 0

    def forget(self) -> None:
        """Let go of what has come; nothing more will."""
        self._messages.close()
        self._view.release()

    # ── for the event loop ────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The worker's socket is ours."""
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment] # a socket's has both directions
        self.alive = True

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """So many came."""
        self._filled += nbytes
        if self._filled == len(self._view):
            self._expect(self._messages.send(self._room.getvalue()))

    def eof_received(self) -> None:
        """The worker has hung up."""
        self.alive = False

    def connection_lost(self, _exc: Exception | None) -> None:
        """The worker is gone."""
        self.alive = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError())
