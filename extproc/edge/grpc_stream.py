"""gRPC for Envoy's ext_proc on a Unix socket: the server, from listening to the end of the last stream.

This is all of it: HTTP/2 below is h2_connection.py, the socket is unix_socket.py, messages and replies are grpc_messages.py,
and what they mean is the business of an `Exchanges`. Any method path is served alike: there is one peer and one method.
Only Unix sockets.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

from extproc.edge import h2_frames as h2
from extproc.edge import unix_socket
from extproc.edge.grpc_messages import Exchanges, Status, Stream
from extproc.edge.h2_connection import Connection, report

__all__ = ["MESSAGE_LIMIT", "Exchanges", "Server", "Status", "Stream", "new_loop", "serve"]

MESSAGE_LIMIT = 65 << 20
"""Bytes in one message: the largest answer body by default (64 MiB) and Envoy's words around it."""

ACCEPT_PAUSE_S = 1.0
FLUSH_S = 1.0
"""Seconds that `close` gives a peer to read our last words."""


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop to serve on: uvloop where it is installed, else asyncio's own, about half as fast and otherwise the same."""
    try:
        import uvloop  # noqa: PLC0415 - there is no wheel of it on every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Server:
    """Everything that listens and serves on one path. Made by `serve`."""

    def __init__(self, path: Path, exchanges: Exchanges, message_limit: int) -> None:
        self.path, self.message_limit = path, max(message_limit, h2.FRAME_LIMIT)
        self.message, self._ended = exchanges.message, exchanges.ended
        self._loop = asyncio.get_running_loop()
        self._open = 0
        self._draining = False
        self._connections: set[Connection] = set()
        self._changed = asyncio.Event()
        self._connecting: set[asyncio.Task[None]] = set()  # kept, or the loop would forget them

    @property
    def live(self) -> int:
        """Streams that were opened and have not had their `ended` yet."""
        return self._open

    @property
    def connections(self) -> int:
        """Connections that Envoy holds open."""
        return len(self._connections)

    def listen(self) -> None:
        """Take over the path."""
        self._socket, self._mine = unix_socket.bind(self.path)
        self._loop.add_reader(self._socket, self._accept)

    # Accepting is ours, not asyncio's Server: that one drops a connection which it accepted just before it is closed.

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:  # most often no file descriptor is left: wait, rather than try without a pause
                report("a connection of Envoy was not accepted", error)
                self._loop.remove_reader(self._socket)
                self._loop.call_later(ACCEPT_PAUSE_S, self._accept_again)
                return
            accepted.setblocking(False)
            task = self._loop.create_task(self._connect(accepted, self.connection()))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def _accept_again(self) -> None:
        if not self._draining:
            self._loop.add_reader(self._socket, self._accept)

    async def _connect(self, accepted: socket.socket, connection: Connection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError as error:
            report("a connection of Envoy was lost", error)
            accepted.close()
            self._lost(connection)

    def connection(self) -> Connection:
        """A fresh connection's protocol object."""
        connection = Connection(self._opened, self._lost)
        self._connections.add(connection)
        if self._draining:
            connection.drain()
        return connection

    def drain(self) -> None:
        """Take no new connection and, once Envoy has heard it, no new stream; what is open goes on.

        Call it when a successor listens on the path (its socket stays), or to stop for good (ours is removed). Then await
        `drained`, as long as you like, and `close`.
        """
        if self._draining:
            return
        self._draining = True
        for connection in self._connections:
            connection.drain()
        unix_socket.leave(self.path, self._mine)
        self._loop.remove_reader(self._socket)
        self._accept()  # those that connected before the path led elsewhere
        self._socket.close()

    async def drained(self) -> None:
        """After `drain`: wait until every stream is over and every connection closed. A peer that hangs can make it wait for ever."""
        while self._open or self._connections:
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """End every stream with UNAVAILABLE, wait for its handler to finish, and close. Await `drained` first to lose nothing."""
        self.drain()
        for connection in list(self._connections):
            for stream in list(connection.streams.values()):
                stream.fail(Status.UNAVAILABLE, "the processor is stopping")
            connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self.drained()
        for connection in self._connections:
            connection.abort()
        await self.drained()

    # ── for connections and streams ───────────────────────────────────────────

    def _opened(self, connection: Connection, stream_id: int) -> Stream:
        self._open += 1
        return Stream(connection, stream_id, self)

    def stream_over(self, stream: Stream) -> None:
        """Tell the handler, once."""
        self._open -= 1
        if not self._open:
            self._changed.set()
        try:
            self._ended(stream)
        except Exception as error:  # noqa: BLE001 - the stream is over either way, and the others must go on
            report("an exchange's end was not taken", error)

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._changed.set()


async def serve(path: Path, exchanges: Exchanges, *, message_limit: int = MESSAGE_LIMIT) -> Server:
    """Listen on a Unix socket for Envoy.

    The folder must be 0700 and the path at most 100 bytes, or Unusable is raised; the socket is 0600. A predecessor on the
    same path keeps its connections; new ones come here. Run it on a loop of `new_loop`, which is uvloop where that is
    installed: `asyncio.Runner(loop_factory=new_loop)`. `message_limit` is in bytes, and at least 16 KiB.
    """
    server = Server(path, exchanges, message_limit)
    server.listen()
    return server
