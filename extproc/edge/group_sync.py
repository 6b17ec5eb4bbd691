"""Group commit: many writers wait for one fdatasync.

Whoever asks while a sync runs shares the next one with all others who asked meanwhile; a sync that began before
the write it is asked for would prove nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from functools import partial

Asked = list[tuple[int, "asyncio.Future[bool]"]]


class GroupSync:
    """Syncs file descriptors in the loop's executor, one group at a time, and closes those that are done with."""

    def __init__(self) -> None:
        self._asked: Asked = []
        self._closing: list[int] = []
        self._running: asyncio.Future[dict[int, bool]] | None = None

    def after_now(self, fd: int) -> asyncio.Future[bool]:
        """Resolve once all that was written to `fd` so far is on disk: True, or False if the disk refused."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append((fd, answer))
        self._kick()
        return answer

    def close_after(self, fd: int) -> None:
        """Close `fd` once no sync that was asked for needs it."""
        self._closing.append(fd)
        self._close_idle()

    async def idle(self) -> None:
        """Wait until nothing is asked for any more."""
        while self._running:
            await asyncio.wait([self._running])

    def _kick(self) -> None:
        if self._running or not self._asked:
            return
        group, self._asked = self._asked, []
        self._running = asyncio.get_running_loop().run_in_executor(None, _sync_all, {fd for fd, _ in group})
        self._running.add_done_callback(partial(self._synced, group))

    def _synced(self, group: Asked, done: asyncio.Future[dict[int, bool]]) -> None:
        self._running = None
        on_disk = {} if done.cancelled() else done.result()
        for fd, answer in group:
            if not answer.done():
                answer.set_result(on_disk.get(fd, False))
        self._kick()
        self._close_idle()

    def _close_idle(self) -> None:
        if self._running:
            return
        for fd in self._closing:
            with contextlib.suppress(OSError):
                os.close(fd)
        self._closing.clear()


def _sync_all(fds: set[int]) -> dict[int, bool]:
    return {fd: _sync(fd) for fd in fds}


def _sync(fd: int) -> bool:
    try:
        os.fdatasync(fd)
    except OSError:
        return False
    return True
