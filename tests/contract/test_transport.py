"""What gRPC is, as grpcio's client sees it: our framing on both event loops, and grpc.aio as the yardstick."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.contract.transport_servers import KINDS, LIMIT, Scripted, client, folder, run, serving, start, until

pytestmark = pytest.mark.parametrize("kind", KINDS)

Scenario = Callable[[Scripted, Path, str], Coroutine[Any, Any, None]]


def play(kind: str, scenario: Scenario) -> Scripted:
    """Run a scenario beside a server with the scripted handler; returns the handler."""

    async def whole() -> Scripted:
        with folder() as made:
            script, path = Scripted(), made / "s"
            async with serving(kind, path, script):
                await scenario(script, path, kind)
            return script

    return run(kind, whole())


async def said(*messages: bytes) -> AsyncIterator[bytes]:
    """A client's side: these messages, then its half-close."""
    for message in messages:
        yield message


async def replies(call: Any) -> list[bytes]:
    """All replies of a call, which must end well."""
    got = [reply async for reply in call]
    assert await call.code() is grpc.StatusCode.OK
    return got


async def ends_with(call: Any, code: grpc.StatusCode) -> None:
    """The call must end with that status."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    assert caught.value.code() is code


def test_half_close_is_answered_after_all_replies(kind: str) -> None:
    """Every message has its reply, in order, then status OK; the stream ends once."""

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            assert await replies(call(said(b"a", b"later b", b"", b"c"))) == [b"a", b"later b", b"", b"c"]
        await until(lambda: len(script.ends) == 1)

    assert play(kind, scenario).log == ["ended"]


def test_nothing_said_ends_well(kind: str) -> None:
    """A stream without messages is no error."""

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            assert await replies(call(said())) == []

    assert play(kind, scenario).log == ["ended"]


def test_half_close_waits_for_a_reply_under_way(kind: str) -> None:
    """The client's end does not overtake an awaitable: its reply comes, then OK."""

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            calling = call(said(b"wait", b"after"))
            await until(lambda: script.waiting == 1)
            script.go.set()
            assert await replies(calling) == [b"wait", b"after"]

    play(kind, scenario)


def test_messages_wait_for_an_awaitable_of_their_stream(kind: str) -> None:
    """While one message is awaited its stream's next ones wait; another stream's do not."""

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            held = call(said(b"wait", b"1", b"wait", b"2"))
            await until(lambda: script.waiting == 1)
            assert await replies(call(said(b"other"))) == [b"other"]
            assert script.waiting == 1
            script.go.set()
            assert await replies(held) == [b"wait", b"1", b"wait", b"2"]

    play(kind, scenario)


def test_five_megabytes_both_ways(kind: str) -> None:
    """Bodies far over every window pass unchanged, beside small messages."""
    body = bytes(range(256)) * 20_000

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            streams = [replies(call(said(b"a", body, b"later" + body, b"z"))) for _ in range(3)]
            same = await asyncio.gather(*streams) == [[b"a", body, b"later" + body, b"z"]] * 3
            assert same, "a body changed"  # a diff of megabytes would help nobody

    play(kind, scenario)


def test_message_over_the_limit(kind: str) -> None:
    """It is refused by RESOURCE_EXHAUSTED, and the connection goes on."""

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            await ends_with(call(said(b"a", b"x" * (LIMIT + 1))), grpc.StatusCode.RESOURCE_EXHAUSTED)
            assert await replies(call(said(b"b"))) == [b"b"]

    play(kind, scenario)


def test_1300_exchanges_at_once(kind: str) -> None:
    """All of them are open together on one connection, and all are answered."""

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            calls = [asyncio.create_task(replies(call(said(b"wait", b"%d" % number)))) for number in range(1300)]
            await until(lambda: script.waiting == 1300)
            script.go.set()
            assert await asyncio.gather(*calls) == [[b"wait", b"%d" % number] for number in range(1300)]

    assert len(play(kind, scenario).ends) == 1300


@pytest.mark.parametrize("message", [b"raise", b"raise later"])
def test_a_raising_handler_ends_its_stream_only(kind: str, message: bytes) -> None:
    """Status INTERNAL, never a clean close; a stream beside it on the same connection goes on."""

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            beside = call()
            await beside.write(b"1")
            assert await beside.read() == b"1"
            await ends_with(call(said(b"a", message, b"never")), grpc.StatusCode.INTERNAL)
            await beside.write(b"2")
            assert await beside.read() == b"2"
            await beside.done_writing()
            assert await beside.read() is grpc.aio.EOF
        await until(lambda: len(script.ends) == 2)

    assert play(kind, scenario).log == ["ended", "ended"]


def test_fail_ends_the_stream_with_its_status(kind: str) -> None:
    """The handler's own status and reason arrive."""

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            calling = call(said(b"fail"))
            await ends_with(calling, grpc.StatusCode.FAILED_PRECONDITION)
            assert await calling.details() == "as asked: 100 % wrong"

    play(kind, scenario)


def test_reset_cancels_what_is_awaited(kind: str) -> None:
    """A client that goes away in the middle: CancelledError reaches the handler, it may finish, and then the stream is over."""

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            calling = call()
            await calling.write(b"hold")
            await until(lambda: script.waiting == 1)
            calling.cancel()
            await until(lambda: len(script.ends) == 1)

    assert play(kind, scenario).log == ["cancelled", "finished", "ended"]


def test_lost_connection_ends_every_stream(kind: str) -> None:
    """The client's process is gone: each stream's handler hears it, once."""

    async def scenario(script: Scripted, path: Path, kind: str) -> None:
        async with client(path) as call:
            calls = [call() for _ in range(20)]
            for calling in calls:
                await calling.write(b"wait")
            await until(lambda: script.waiting == 20)
        await until(lambda: len(script.ends) == 20)
        assert script.log.count("cancelled") == 20

    assert len(play(kind, scenario).ends) == 20


def test_close_ends_what_is_open_with_an_error(kind: str) -> None:
    """A processor that stops at once never ends a stream cleanly, and leaves nothing running."""

    async def whole() -> None:
        with folder() as made:
            script = Scripted()
            server = await start(kind, made / "s", script)
            async with client(made / "s") as call:
                calling = call()
                await calling.write(b"wait")
                await until(lambda: script.waiting == 1)
                await server.close()
                with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
                    await calling.read()
                assert await calling.code() is not grpc.StatusCode.OK
            if kind == "oracle":  # it does not wait for its handlers
                await until(lambda: len(script.ends) == 1)
            assert script.log == ["cancelled", "ended"]

    run(kind, whole())


def test_drain_finishes_what_is_open(kind: str) -> None:
    """A stream that is open when the drain begins goes on to its end; new ones go to the successor on the same path."""

    async def whole() -> None:
        with folder() as made:
            path, old, new = made / "s", Scripted(), Scripted()
            async with serving(kind, path, old) as first, client(path) as call:
                open_call = call()
                await open_call.write(b"before")
                assert await open_call.read() == b"before"
                async with serving(kind, path, new):
                    first.drain()
                    while not new.ends:
                        # grpc.aio refuses what it had not taken up when its stop began
                        with suppress(grpc.aio.AioRpcError) if kind == "oracle" else nullcontext():
                            assert await replies(call(said(b"x"))) == [b"x"]
                    await open_call.write(b"after")
                    assert await open_call.read() == b"after"
                    await open_call.done_writing()
                    assert await open_call.read() is grpc.aio.EOF
                    await first.drained()
                    assert path.is_socket()
                    assert await replies(call(said(b"y"))) == [b"y"]

    run(kind, whole())
