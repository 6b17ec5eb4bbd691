"""Control's port for planes on other machines. Whoever reaches it is a stranger until a certificate says otherwise.

Strangers are counted, from the moment their connection is taken to the moment it is gone: so many at once, and so many of one
address. One too many is hung up on at once, and tries again. So nobody without a certificate can take the files (descriptors) and
the time that control needs to hear administrators and the planes that it knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from contracts.errors import Unusable
from controlplane.planes.snapshots import GREETING_S
from extproc.edge.snapshot_wire import SILENCE_S

log = logging.getLogger("control.planes")

MOST_STRANGERS: Final = 64
MOST_OF_ONE: Final = 16
"""Of one address, behind which there may be several planes."""
_WAITING: Final = 128
_PAUSE_S: Final = 0.2
"""Until another try where the system gives no connection (no more descriptors, most often)."""


@dataclass(eq=False, slots=True)
class Visit:
    """A stranger's stay, which ends once: it is known, or it is gone."""

    strangers: Counter[str]
    address: str
    over: bool = False

    def end(self) -> None:
        """It counts no more."""
        if not self.over:
            self.over = True
            self.strangers[self.address] -= 1
            self.strangers += Counter()  # forgets addresses that nobody is from


Welcome = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Visit], Awaitable[None]]


@dataclass(eq=False, slots=True)
class Door:
    """An open port. `welcome` has a conversation until it ends, and ends the visit of whom it knows."""

    listener: socket.socket
    context: ssl.SSLContext
    welcome: Welcome
    strangers: Counter[str] = field(default_factory=Counter)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def open(self) -> None:
        """Take connections from now on."""
        self._watch(asyncio.ensure_future(self._take()))

    async def close(self) -> None:
        """Take no more, and hang up on everybody."""
        tasks = [*self.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.listener.close()

    async def _take(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, place = await loop.sock_accept(self.listener)
            except OSError as error:
                log.warning("no connection of a plane can be taken for now: %s", error.strerror)
                await asyncio.sleep(_PAUSE_S)
                continue
            address = str(place[0])
            if self.strangers.total() >= MOST_STRANGERS or self.strangers[address] >= MOST_OF_ONE:
                connection.close()
                continue
            self.strangers[address] += 1
            self._watch(asyncio.ensure_future(self._receive(connection, Visit(self.strangers, address))))

    async def _receive(self, connection: socket.socket, visit: Visit) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            _notice_death(connection)
            with contextlib.suppress(OSError):  # no TLS, or none that is good enough
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol, connection, ssl=self.context, ssl_handshake_timeout=GREETING_S, ssl_shutdown_timeout=GREETING_S
                )
                await self.welcome(reader, asyncio.StreamWriter(transport, protocol, reader, loop), visit)
        finally:
            connection.close()
            visit.end()

    def _watch(self, task: asyncio.Task[None]) -> None:
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def listener_at(listen: str) -> socket.socket:
    """A socket that listens at HOST:PORT. Raises Unusable where that can't be."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        listener = socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=_WAITING)
    except OSError as error:
        raise Unusable(f"control.planes: can't listen on {listen}: {error.strerror or error}") from None
    listener.setblocking(False)
    return listener


def _notice_death(connection: socket.socket) -> None:
    """Give a connection up that takes nothing for so long, where the system can (Linux: tcp(7))."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SILENCE_S * 1000))
