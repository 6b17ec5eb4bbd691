"""The servers that the transport's suite compares: our framing on either event loop, and grpc.aio with the same handler."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc

from extproc.edge.grpc_stream import Exchanges, Server, new_loop, serve

T = TypeVar("T")
KINDS = ("uvloop", "asyncio", "oracle")
LIMIT = 6 << 20


def run(kind: str, scenario: Coroutine[Any, Any, T]) -> T:
    """Run a scenario on the loop of that kind of server; it has 60 s."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop if kind == "asyncio" else new_loop) as runner:
        return runner.run(asyncio.wait_for(scenario, 60))


@contextmanager
def folder() -> Iterator[Path]:
    """A short 0700 folder for sockets."""
    made = Path(tempfile.mkdtemp(prefix="pcl-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until something holds; the scenario's own limit ends a wait in vain."""
    while not true():  # noqa: ASYNC110 - what is waited for is state of the product, which sets no event for tests
        await asyncio.sleep(0.001)


class Served(Protocol):
    """A running server."""

    def drain(self) -> None:
        """Take nothing new."""

    async def drained(self) -> None:
        """All is over."""

    async def close(self) -> None:
        """End everything now."""


class OracleStream:
    """What a handler sees of a stream, on grpc.aio."""

    def __init__(self, context: Any) -> None:
        self.context, self.state, self.id = context, None, id(context)
        self.failed: tuple[int, str] | None = None

    def send(self, reply: bytes) -> None:
        """Not wanted by this suite's handler."""
        raise NotImplementedError

    def fail(self, grpc_status: int, why: str) -> None:
        """Remembered, and done after the handler has returned."""
        self.failed = grpc_status, why


class Oracle(grpc.GenericRpcHandler):
    """grpc.aio with the same handler: the yardstick for what gRPC is."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges
        # By default grpc refuses some of more than 1,000 requests that are not taken up yet.
        pending = [("grpc.server.max_pending_requests", 5000), ("grpc.server.max_pending_requests_hard_limit", 5000)]
        sizes = [("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", -1)]
        self.server = grpc.aio.server(handlers=[self], options=[*pending, *sizes])
        self.stopping: asyncio.Task[None] | None = None

    def service(self, handler_call_details: Any) -> Any:  # noqa: ARG002 - grpc calls it so
        """Any method is served by the one handler."""
        return grpc.stream_stream_rpc_method_handler(self.exchange)

    async def exchange(self, requests: AsyncIterator[bytes], context: Any) -> None:
        """One stream."""
        stream: Any = OracleStream(context)
        try:
            async for data in requests:
                await self.answer(data, stream)
        finally:
            self.exchanges.ended(stream)

    async def answer(self, data: bytes, stream: Any) -> None:
        """One message."""
        try:
            reply = self.exchanges.message(data, stream)
            reply = await reply if isawaitable(reply) else reply
        except Exception:  # noqa: BLE001 - as the product does
            await stream.context.abort(grpc.StatusCode.INTERNAL, "raised")
        if stream.failed:
            await stream.context.abort(next(code for code in grpc.StatusCode if code.value[0] == stream.failed[0]), stream.failed[1])
        if reply is not None:
            await stream.context.write(reply)

    def drain(self) -> None:
        """No new streams; open ones have a minute."""
        self.stopping = asyncio.ensure_future(self.server.stop(60))

    async def drained(self) -> None:
        """All is over."""
        if self.stopping is not None:
            await self.stopping

    async def close(self) -> None:
        """End everything now."""
        await self.server.stop(None)
        await self.drained()


async def start(kind: str, path: Path, exchanges: Exchanges) -> Server | Oracle:
    """Listen on a path, in place of a predecessor."""
    if kind != "oracle":
        return await serve(path, exchanges, message_limit=LIMIT)
    oracle = Oracle(exchanges)
    fresh = path.with_name(f"{path.name}-{id(oracle)}")  # grpc removes the path that it bound when it stops: not a successor's
    oracle.server.add_insecure_port(f"unix:{fresh}")
    await oracle.server.start()
    fresh.rename(path)
    return oracle


@asynccontextmanager
async def serving(kind: str, path: Path, exchanges: Exchanges) -> AsyncIterator[Server | Oracle]:
    """A server for the length of a block."""
    server = await start(kind, path, exchanges)
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def client(path: Path) -> AsyncIterator[Callable[..., Any]]:
    """The client of grpcio: call it with an iterator of messages, or with nothing for read() and write()."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"unix:{path}", options=options) as channel:
        yield channel.stream_stream("/envoy.service.ext_proc.v3.ExternalProcessor/Process")


class Scripted:
    """A handler that does what the message says, so that both servers can be told the same.

    `wait` is answered once `go` is set; `hold` waits too and, when cancelled, finishes what it began before it ends; `raise`,
    `raise later` and `fail` end the stream; anything else comes back as it is, `later …` from a task.
    """

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.waiting = 0
        self.log: list[str] = []
        self.ends: list[Any] = []

    def message(self, data: bytes, stream: Any, /) -> bytes | Awaitable[bytes | None] | None:
        """Do as told."""
        stream.state = (stream.state or 0) + 1
        if data == b"raise":
            raise RuntimeError("as asked")
        if data == b"fail":
            stream.fail(9, "as asked: 100 % wrong")
            return None
        if data[:5] in {b"wait", b"hold", b"raise", b"later"}:
            return self.later(data)
        return data

    async def later(self, data: bytes) -> bytes:
        """The awaitable kinds."""
        if data == b"raise later":
            await asyncio.sleep(0)
            raise RuntimeError("as asked")
        if data[:5] == b"later":
            await asyncio.sleep(0)
            return data
        self.waiting += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.log.append("cancelled")
            if data == b"hold":
                await asyncio.shield(asyncio.sleep(0.01))
                self.log.append("finished")
            raise
        return data

    def ended(self, stream: Any, /) -> None:
        """Counted."""
        self.log.append("ended")
        self.ends.append(stream)
