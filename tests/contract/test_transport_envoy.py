"""What Envoy makes of the transport: our framing on both event loops, and grpc.aio as the yardstick."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.noop_ext_proc import Noop
from extproc.edge.proto import ext_proc_pb2 as pb
from tests.contract.transport_envoy import Upstream, gateway
from tests.contract.transport_servers import KINDS, folder, run, serving, start, until

pytestmark = pytest.mark.parametrize("kind", KINDS)


class Passing:
    """Passes everything; a request's path may ask for something else at its head."""

    def __init__(self) -> None:
        self.noop = Noop()
        self.go = asyncio.Event()
        self.waiting = self.opened = self.cancelled = self.ends = 0

    def message(self, data: bytes, stream: Any, /) -> bytes | Awaitable[bytes] | None:
        """Do as the path says."""
        asked = pb.ProcessingRequest.FromString(data)
        if asked.WhichOneof("request") != "request_headers":
            return self.noop.message(data, stream)
        self.opened += 1
        path = next(header.raw_value for header in asked.request_headers.headers.headers if header.key == ":path")
        if path == b"/raise":
            raise RuntimeError("as asked")
        if path == b"/fail":
            stream.fail(14, "as asked")
            return None
        return self.held(data, stream) if path == b"/wait" else self.noop.message(data, stream)

    async def held(self, data: bytes, stream: Any) -> bytes:
        """Wait for `go`."""
        self.waiting += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.noop.message(data, stream)

    def ended(self, stream: Any, /) -> None:  # noqa: ARG002 - the protocol's signature
        """Counted."""
        self.ends += 1


Scenario = Callable[[aiohttp.ClientSession, Upstream, Passing, Path], Coroutine[Any, Any, None]]


def play(kind: str, scenario: Scenario) -> None:
    """Run a scenario with Envoy, an upstream and a passing ext_proc; afterwards every stream must have ended, once."""

    async def whole() -> None:
        with folder() as made:
            passing = Passing()
            async with serving(kind, made / "s", passing), gateway(made) as (app, up):
                await scenario(app, up, passing, made)
            await until(lambda: passing.ends >= passing.opened)
            assert passing.ends == passing.opened

    run(kind, whole())


async def post(app: aiohttp.ClientSession, path: str, body: bytes) -> tuple[int, bytes]:
    """One request: its status and body."""
    async with app.post(path, data=BytesIO(body)) as answer:
        return answer.status, await answer.read()


def test_an_exchange_passes(kind: str) -> None:
    """Head and body, both ways; and Envoy's reset at the end of a good exchange is heard as its end."""

    async def scenario(app: aiohttp.ClientSession, up: Upstream, passing: Passing, made: Path) -> None:
        for number in range(20):
            assert await post(app, "/", b"%d" % number) == (200, b"%d" % number)
        assert up.seen == 20

    play(kind, scenario)


def test_five_megabytes_both_ways(kind: str) -> None:
    """Buffered bodies of 5 MB pass unchanged, several at once."""
    body = bytes(range(256)) * 20_000

    async def scenario(app: aiohttp.ClientSession, up: Upstream, passing: Passing, made: Path) -> None:
        answers = await asyncio.gather(*(post(app, "/", body) for _ in range(3)))
        assert [status for status, _ in answers] == [200] * 3
        same = all(got == body for _, got in answers)
        assert same, "a body changed"  # a diff of megabytes would help nobody

    play(kind, scenario)


def test_1300_exchanges_at_once(kind: str) -> None:
    """All are held by the processor together, and all are served."""

    async def scenario(app: aiohttp.ClientSession, up: Upstream, passing: Passing, made: Path) -> None:
        calls = [asyncio.create_task(post(app, "/wait", b"%d" % number)) for number in range(1300)]
        await until(lambda: passing.waiting == 1300)
        passing.go.set()
        assert await asyncio.gather(*calls) == [(200, b"%d" % number) for number in range(1300)]

    play(kind, scenario)


@pytest.mark.parametrize("path", ["/raise", "/fail"])
def test_an_error_status_refuses_the_exchange(kind: str, path: str) -> None:
    """A handler that fails or raises: the app gets an error, the upstream gets nothing, and the next exchange passes."""

    async def scenario(app: aiohttp.ClientSession, up: Upstream, passing: Passing, made: Path) -> None:
        assert [(await post(app, path, b"x"))[0] for _ in range(3)] == [500] * 3
        assert up.seen == 0
        assert await post(app, "/", b"y") == (200, b"y")

    play(kind, scenario)


def test_an_app_that_leaves_cancels_what_is_awaited(kind: str) -> None:
    """The app's disconnect reaches the handler as CancelledError; nothing reaches the upstream."""

    async def scenario(app: aiohttp.ClientSession, up: Upstream, passing: Passing, made: Path) -> None:
        calling = asyncio.create_task(post(app, "/wait", b"x"))
        await until(lambda: passing.waiting == 1)
        calling.cancel()
        with suppress(asyncio.CancelledError):
            await calling
        await until(lambda: passing.cancelled == 1)
        await until(lambda: passing.ends == passing.opened)
        assert up.seen == 0

    play(kind, scenario)


def test_a_rolling_restart_loses_nothing(kind: str) -> None:
    """Three successors on one path, each bound before its predecessor drains, under load: every exchange is served."""

    async def load(app: aiohttp.ClientSession, stop: asyncio.Event) -> list[int]:
        statuses = []
        while not stop.is_set():
            statuses.append((await post(app, "/", b"x" * 1000))[0])
        return statuses

    async def whole() -> None:
        with folder() as made:
            async with AsyncExitStack() as closing:
                serves, stop = Passing(), asyncio.Event()
                server = await start(kind, made / "s", serves)
                closing.push_async_callback(server.close)
                app, up = await closing.enter_async_context(gateway(made))
                loads = [asyncio.create_task(load(app, stop)) for _ in range(8)]
                for _ in range(3):
                    before, serves = serves, Passing()
                    successor = await start(kind, made / "s", serves)
                    closing.push_async_callback(successor.close)
                    server.drain()
                    await server.drained()
                    assert before.ends == before.opened > 0
                    server = successor
                    await until(lambda now=serves: now.ends >= 50)
                stop.set()
                statuses = [status for statuses in await asyncio.gather(*loads) for status in statuses]
                assert statuses.count(200) == up.seen
                if kind != "oracle":  # grpc.aio refuses what it had not taken up when its stop began
                    assert statuses.count(200) == len(statuses)

    run(kind, whole())


def test_a_processor_that_stops_refuses_what_it_holds(kind: str) -> None:
    """An exchange in the processor's hands when it closes gets an error and never reaches the upstream."""

    async def whole() -> None:
        with folder() as made:
            holds = Passing()
            server = await start(kind, made / "s", holds)
            async with gateway(made) as (app, up):
                calling = asyncio.create_task(post(app, "/wait", b"x"))
                await until(lambda: holds.waiting == 1)
                await server.close()
                status, _ = await calling
                assert status == 500
                assert up.seen == 0
            await until(lambda: holds.ends == holds.opened)

    run(kind, whole())
