"""The connection loop of the mock provider, and the calls that control it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop

from controlplane.mock.answers import answer
from controlplane.mock.delivery import Sent, Wire, deliver
from controlplane.mock.http1 import LONGEST_HEAD, Malformed, Request, head, read_request
from controlplane.mock.received import Received
from controlplane.mock.script import BadScript, Script, read_steps

CONTROL: Final = "/__"
_BACKLOG: Final = 4096


class Mock:
    """A mock provider in this event loop. `await start()`, then it answers at `url` until `await stop()`."""

    def __init__(self) -> None:
        self.script = Script()
        self.received = Received()
        self.sent = Sent(state="whole")
        self.port = 0
        self._served = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Base address, without the dialect's path."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; port 0 takes a free one. Raises OSError where the port is in use."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port, limit=LONGEST_HEAD, backlog=_BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # a connection's callback always runs in a task
            return
        self._connections.add(task)
        # A peer may go at any point, and stop() may come at any point; neither is an error here.
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            try:
                await self._serve(Wire(reader, writer))
            finally:
                self._connections.discard(task)
                writer.close()

    async def _serve(self, wire: Wire) -> None:
        while True:
            try:
                request = await read_request(wire.reader, wire.writer)
            except Malformed as why:
                await wire.send(_control(400, {"error": str(why)}))
                return
            if request is None or not await self._respond(wire, request):
                return

    async def _respond(self, wire: Wire, request: Request) -> bool:
        last = request.headers.get("connection", "").lower() == "close"
        if request.path.startswith(CONTROL):
            wire.sent = Sent()  # the control calls are not counted
            await wire.send(self._controlled(request))
            return not last
        self.received.add(request)
        self._served += 1
        step = self.script.next()
        self.sent = wire.sent = Sent()
        return await deliver(wire, answer(request, step, self._served), step) and not last

    def _controlled(self, request: Request) -> bytes:
        match request.method, request.path:
            case "GET", "/__received":
                return _ok(self.received.lines(), forgotten=self.received.forgotten)
            case "GET", "/__sent":
                return _control(200, {"bytes": self.sent.bytes, "state": self.sent.state})
            case "DELETE", "/__received":
                self.received.forget()
            case "POST", "/__script":
                try:
                    self.script.add(read_steps(orjson.loads(request.body)))
                except (BadScript, orjson.JSONDecodeError) as why:
                    return _control(400, {"error": str(why)})
            case "DELETE", "/__script":
                self.script.clear()
            case _:
                return _control(404, {"error": "there are GET and DELETE /__received, GET /__sent, POST and DELETE /__script"})
        return _control(200, {})


def _ok(lines: bytes, *, forgotten: int) -> bytes:
    headers = [("content-type", "application/x-ndjson"), ("x-mock-forgotten", str(forgotten)), ("content-length", str(len(lines)))]
    return head(200, headers) + lines


def _control(status: int, document: Any) -> bytes:
    body = orjson.dumps(document)
    return head(status, [("content-type", "application/json"), ("content-length", str(len(body)))]) + body


def main(port: int, port_file: Path | None = None) -> int:
    """Run until SIGINT or SIGTERM. `port_file` gets the number of the port once it listens."""
    try:
        uvloop.run(_until_told(port, port_file))
    except OSError as why:
        sys.stderr.write(f"The mock provider can't listen on 127.0.0.1:{port} ({why.strerror}): choose another --port.\n")
        return 1
    return 0


async def _until_told(port: int, port_file: Path | None) -> None:
    mock = Mock()
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await mock.start(port)
    if port_file is not None:
        fresh = port_file.with_suffix(".new")
        fresh.write_text(f"{mock.port}\n", "utf-8")
        fresh.rename(port_file)
    sys.stdout.write(f"mock provider: {mock.url}\n")
    sys.stdout.flush()
    await told.wait()
    await mock.stop()
