"""`portcullis up`: starts every part, keeps them running, and leaves nothing behind.

    control ─┬─► extproc …      one process for each worker
             └─► envoy          both need what control writes first: the vault, Envoy's files
    ingest                      needs nobody

A part that dies is started again; one that keeps dying takes the system down, with one sentence that
names it. Stopping goes the way of a request: Envoy takes no more, extproc finishes, ingest brings the
rows home, control goes last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from contracts.errors import PortcullisError
from contracts.settings import Settings
from controlplane.admin_token import make_token, token_file
from controlplane.supervisor import plans
from controlplane.supervisor.checks import check, folders, only_one
from controlplane.supervisor.part import Part, PartFailedError, Plan
from controlplane.supervisor.screen import Screen

MOST_DEATHS: Final = 5
WITHIN_S: Final = 30.0
"""A part that dies so often within this time is given up."""
_FIRST_PAUSE_S: Final = 0.1

Task = Callable[["System"], Awaitable[int | None]]
"""What is done once all parts are ready: an exit code ends the system, None lets it go on until it is told to stop."""


class _Done(Exception):  # noqa: N818 - not an error: how the system is told to end
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class System:
    """All parts of one data folder. `extra` plans are started first: the demo's mock provider is one."""

    def __init__(self, settings: Settings, config: Path | None, screen: Screen, extra: Sequence[Plan] = ()) -> None:
        self.settings = settings
        self.screen = screen
        self.told: dict[str, str] = {}
        """What ready.json says besides."""
        workers = plans.workers(settings, config)
        own = [plans.control(settings, config), plans.ingest(settings, config), *workers]
        own += [plans.envoy(settings)] if settings.envoy != "external" else []
        self._after_control = [plan.name for plan in own[2:]]
        self._stop_order = ["envoy", *(plan.name for plan in workers), "ingest", "control", "mock"]
        self._pipe = () if sys.platform == "linux" else os.pipe()
        watch = self._pipe[0] if self._pipe else -1
        self.parts = {plan.name: Part(plan, screen, watch) for plan in [*extra, *own]}
        self._extra = [plan.name for plan in extra]
        self._hurry = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self, task: Task) -> int:
        """Start, do `task`, keep everything running, stop. The exit code."""
        code = 0
        with self._signals():
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._until_told())
                    group.create_task(self._go(task, group))
            except* _Done as done:
                code = max(each.code for each in _leaves(done) if isinstance(each, _Done))
            except* PortcullisError as failed:
                code = 1
                self.screen.note(f"stopping: {_leaves(failed)[0]}")
            finally:
                await self._stop()
        return code

    def write_ready(self) -> None:
        """Say in run/ready.json where everything is; scripts and the command line read it."""
        document: dict[str, object] = {
            "gateway": f"http://{self.settings.gateway.listen}",
            "control": f"http://{self.settings.control.listen}",
            "pids": {name: part.pid for name, part in self.parts.items() if name not in self._extra},
            "admin_token_file": str(token_file(self.settings.data)),
            **self.told,
        }
        _write_private(self.settings.run / "ready.json", document)

    async def _go(self, task: Task, group: asyncio.TaskGroup) -> None:
        await self._start()
        self.write_ready()
        for part in self.parts.values():
            group.create_task(self._keep(part))
        code = await task(self)
        if code is not None:
            raise _Done(code)

    async def _start(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name in (*self._extra, "ingest"):
                group.create_task(self._start_one(self.parts[name]))
            await self._start_one(self.parts["control"])
            for name in self._after_control:
                group.create_task(self._start_one(self.parts[name]))

    async def _start_one(self, part: Part) -> None:
        await part.start()
        self.screen.started(part.plan.name, part.plan.address)

    async def _keep(self, part: Part) -> NoReturn:
        """Start a part again whenever it dies. Raises PartFailedError where that doesn't help."""
        deaths: deque[float] = deque(maxlen=MOST_DEATHS)
        clock = asyncio.get_running_loop().time
        while True:
            how = await part.ended()
            deaths.append(clock())
            recent = sum(1 for death in deaths if clock() - death < WITHIN_S)
            if recent >= MOST_DEATHS:
                raise part.failed(f"died {recent} times within {WITHIN_S:g} s and {how}")
            self.screen.note(f"{part.plan.name} {how} and is started again")
            if recent > 1:
                await asyncio.sleep(_FIRST_PAUSE_S * 2 ** (recent - 2))
            with contextlib.suppress(PartFailedError):  # it is dead again, which the next round counts
                await part.start()
                self.write_ready()
                self.screen.started(part.plan.name, part.plan.address)

    async def _until_told(self) -> NoReturn:
        await self._stopping.wait()
        raise _Done(0)

    async def _stop(self) -> None:
        for name in self._stop_order:
            if name in self.parts:
                await self.parts[name].stop(self._hurry)
        for end in self._pipe:
            os.close(end)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM stop the system; a second one stops it at once."""
        loop = asyncio.get_running_loop()

        def told() -> None:
            if self._stopping.is_set():
                self._hurry.set()
            self._stopping.set()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, told)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


def supervise(settings: Settings, config: Path | None, task: Task, extra: Sequence[Plan] = ()) -> int:
    """Run a system until it is told to stop; its exit code. Raises Unusable where it can't even begin.

    `extra` plans are started beside the others; their processes are not in ready.json.
    """
    os.umask(0o077)
    folders(settings)
    with only_one(settings):
        check(settings)
        screen = Screen()
        _show_token(settings, screen)

        async def whole() -> int:
            return await System(settings, config, screen, extra).run(task)

        return asyncio.run(whole())


def main(settings: Settings, config: Path | None) -> int:
    """`up`: every part, until Ctrl-C or SIGTERM."""
    return supervise(settings, config, _announce)


def _show_token(settings: Settings, screen: Screen) -> None:
    """On the first start, show the admin token this once; it stays in its file."""
    token = make_token(settings.data)
    if token:
        screen.say(f"Admin token, shown this once: {token}")
        screen.say(f"It is also in {token_file(settings.data)}, for the portcullis command.")


async def _announce(system: System) -> None:
    system.screen.say(f"Portcullis is up: applications talk to http://{system.settings.gateway.listen}. Ctrl-C stops it.")


def _write_private(path: Path, document: Mapping[str, object]) -> None:
    """Whole or not at all, and 0600 from its first byte."""
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
    Path(fresh).rename(path)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
