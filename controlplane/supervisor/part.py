"""One part of the system as a process: started, waited for, its log passed on, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from contracts.errors import PortcullisError
from controlplane.supervisor.screen import Screen

_CHILD: Final = Path(__file__).with_name("child.py")
_ASK_AGAIN_S: Final = 0.01
_KILLED_S: Final = 5.0
_PIECE: Final = 1 << 16
_LONGEST_LINE: Final = 8 << 10

Ready = Callable[[], Awaitable[bool]]


class PartFailedError(PortcullisError):
    """A part ended, or never became ready; the text names it and what it said last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a part is run. `address` is for people; `start_s` and `stop_s` bound its start and its stop."""

    name: str
    command: Sequence[str]
    address: str
    ready: Ready
    start_s: float = 60.0
    stop_s: float = 10.0
    drain: Callable[[], Awaitable[None]] | None = None
    """What is done before it is told to stop."""
    withheld: frozenset[str] = frozenset()
    """Environment variables that it does not get: what it has no business with."""


@dataclass(slots=True)
class Part:
    """A part that runs, or ran. `watch_fd`: read end of the pipe that tells of the supervisor's death, where a pipe is needed."""

    plan: Plan
    screen: Screen
    watch_fd: int = -1
    last_line: str = ""
    _process: asyncio.subprocess.Process | None = None
    _reading: asyncio.Future[None] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises PartFailedError."""
        self.last_line = ""
        wrapper = [sys.executable, "-I", "-S", str(_CHILD), str(os.getpid()), str(self.watch_fd)]
        self._process = await asyncio.create_subprocess_exec(
            *wrapper,
            *self.plan.command,
            env={name: value for name, value in os.environ.items() if name not in self.plan.withheld},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the supervisor; the parts are stopped in their order
            pass_fds=(self.watch_fd,) if self.watch_fd >= 0 else (),
        )
        self._reading = asyncio.ensure_future(self._read_log(self._process))
        try:
            async with asyncio.timeout(self.plan.start_s):
                await self._until_ready()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self.ended()
            raise PartFailedError(f"{self.plan.name} was not ready within {self.plan.start_s:g} s{self._said()}.") from None

    async def ended(self) -> str:
        """Wait until the process is gone and its log read; says how it ended."""
        if self._process is None or self._reading is None:
            return "never started"
        code = await self._process.wait()
        with contextlib.suppress(TimeoutError):  # a grandchild may hold the log open
            await asyncio.wait_for(asyncio.shield(self._reading), 1.0)
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ask it to end, and make it where it doesn't within its time or somebody is in a hurry."""
        if self._process is None:
            return
        if self.plan.drain and self._process.returncode is None and not hurry.is_set():
            await self.plan.drain()
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a part that was stopped takes its SIGTERM only when it goes on
        if not await _within(self.plan.stop_s, self.ended(), hurry):
            self.screen.note(f"{self.plan.name} did not stop by itself and is killed")
            self._signal(signal.SIGKILL)
            await _within(_KILLED_S, self.ended(), asyncio.Event())
        if self._reading is not None:
            self._reading.cancel()

    def failed(self, how: str) -> PartFailedError:
        """The error for people: how it ended, and what it said last."""
        return PartFailedError(f"{self.plan.name} {how}{self._said()}.")

    def _said(self) -> str:
        return f"; it said last: {self.last_line.rstrip('.')}" if self.last_line else " and said nothing"

    async def _until_ready(self) -> None:
        ending = asyncio.ensure_future(self.ended())
        try:
            while not await self.plan.ready():
                if ending.done():
                    raise self.failed(await ending)
                await asyncio.wait([ending], timeout=_ASK_AGAIN_S)
        finally:
            ending.cancel()

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        rest = b""
        while piece := await process.stdout.read(_PIECE):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._line(line)
            if len(rest) > _LONGEST_LINE:
                self._line(rest)
                rest = b""
        if rest:
            self._line(rest)

    def _line(self, raw: bytes) -> None:
        text = raw[:_LONGEST_LINE].decode("utf-8", "replace").rstrip()
        if text:
            self.last_line = text
            self.screen.log(self.plan.name, text)

    def _signal(self, number: signal.Signals) -> None:
        """To the part and whatever it started: it leads a process group of its own."""
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGTERM:
                self._process.send_signal(number)
            else:
                os.killpg(self._process.pid, number)


async def _within(seconds: float, work: Awaitable[object], hurry: asyncio.Event) -> bool:
    """Whether `work` was done in time, and before anybody was in a hurry."""
    doing, hurrying = asyncio.ensure_future(work), asyncio.ensure_future(hurry.wait())
    try:
        done, _ = await asyncio.wait([doing, hurrying], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return doing in done
    finally:
        doing.cancel()
        hurrying.cancel()
