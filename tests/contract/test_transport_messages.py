"""What becomes of gRPC messages and streams, whatever the handler does with them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from extproc.edge import h2_frames as h2
from extproc.edge.h2_frames import Code
from tests.contract.transport_servers import until
from tests.contract.transport_wire import Echo, Frame, Reply, Wire, data, frames, headers, message, messages, status

U32 = h2.U32.pack


def setting(name: int, value: int) -> bytes:
    """A SETTINGS frame of one pair."""
    return h2.frame(h2.SETTINGS, 0, 0, h2.SETTING.pack(name, value))


def test_messages_come_whole_however_they_are_cut() -> None:
    """Prefix and body over many frames, several messages in one, empty ones."""

    async def scenario() -> None:
        sent = [b"", b"a", b"b" * 70_000, b"", b"c" * 10]
        wire = Wire()
        stream = b"".join(map(message, sent))
        wire.say(setting(h2.INITIAL_WINDOW_SIZE, 1 << 20), headers(1))
        for pos in range(0, len(stream), 7_001):
            wire.say(data(1, stream[pos : pos + 7_001]))
        wire.say(headers(3))
        for byte in message(b"slow"):
            wire.say(data(3, bytes((byte,))))
        assert messages(wire.written, 1) == sent
        assert messages(wire.written, 3) == [b"slow"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (b"\x01" + message(b"x")[1:], 12),
        (b"\x00\xff\xff\xff\xff", 8),
        (message(b"x" * 30_000), 8),
        (message(b"ok") + message(b"x" * 30_000), 8),
    ],
    ids=["compressed", "huge by its prefix", "over the limit", "over the limit, after another"],
)
async def test_unreadable_messages_end_the_stream(says: bytes, code: int) -> None:
    """Compressed: UNIMPLEMENTED. Over the limit: RESOURCE_EXHAUSTED, before its bytes are kept."""
    wire = Wire(limit=20_000)
    said = wire.say(headers(1) + data(1, says))
    assert status(said, 1) == code
    assert frames(said)[-1] == Frame(h2.RST_STREAM, 0, 1, U32(Code.NO_ERROR))
    assert wire.exchanges.ends == [1]


@pytest.mark.parametrize("cut", [1, 4, 5, 7])
async def test_an_end_within_a_message_is_an_error(cut: int) -> None:
    """Never a clean close for a message that is not whole."""
    wire = Wire()
    assert status(wire.say(headers(1) + data(1, message(b"abc")[:cut], h2.END_STREAM)), 1) == 13


async def test_no_clean_close_while_a_reply_is_owed() -> None:
    """A handler that answers later keeps the stream open over the peer's end; the last reply owed brings the clean close."""
    kept: list[Any] = []
    wire = Wire(Echo(lambda _data, stream: kept.append(stream)))
    wire.say(headers(1) + data(1, message(b"1") + message(b"2"), h2.END_STREAM))
    kept[0].send(b"one")
    assert status(wire.written, 1) is None
    kept[0].send(b"two")
    assert (messages(wire.written, 1), status(wire.written, 1)) == ([b"one", b"two"], 0)
    kept[0].send(b"late")
    kept[0].fail(13, "late")
    assert messages(wire.written, 1) == [b"one", b"two"]
    assert wire.exchanges.ends == [1]


async def test_two_replies_to_one_message_are_both_sent() -> None:
    """Replies sent from within the handler all precede the clean close."""

    def twice(data: bytes, stream: Any) -> bytes:
        stream.send(data)
        return data

    wire = Wire(Echo(twice))
    said = wire.say(headers(1) + data(1, message(b"x"), h2.END_STREAM))
    assert (messages(said, 1), status(said, 1)) == ([b"x", b"x"], 0)


async def test_fail_refuses_status_zero() -> None:
    """Nothing lets a handler end a stream cleanly: the attempt is its own error, and the stream ends with INTERNAL."""
    wire = Wire(Echo(lambda _data, stream: stream.fail(0, "")))
    assert status(wire.say(headers(1) + data(1, message(b"x"))), 1) == 13


@pytest.mark.parametrize("reply", ["text", 7, bytearray(b"x")], ids=["str", "int", "bytearray"])
async def test_a_reply_that_is_no_bytes_is_an_error(reply: Any) -> None:
    """At once and from an awaitable."""

    async def later() -> Any:
        return reply

    wire = Wire(Echo(lambda data, _stream: reply if data == b"now" else later()))
    wire.say(headers(1) + data(1, message(b"now")), headers(3) + data(3, message(b"later")))
    await until(lambda: not wire.server.live)
    assert (status(wire.written, 1), status(wire.written, 3)) == (13, 13)


async def test_fail_from_within_an_awaitable_lets_it_finish() -> None:
    """A handler that fails its own stream is not cancelled by that, and the end comes after it."""
    order: list[str] = []

    async def failing(stream: Any) -> bytes:
        stream.fail(14, "no")
        await asyncio.sleep(0)
        order.append("finished")
        return b"unheard"

    class Ordered(Echo):
        def ended(self, stream: Any, /) -> None:  # noqa: ARG002 - the protocol's signature
            order.append("ended")

    wire = Wire(Ordered(lambda _data, stream: failing(stream)))
    wire.say(headers(1) + data(1, message(b"x")))
    await until(lambda: not wire.server.live)
    assert order == ["finished", "ended"]
    assert status(wire.written, 1) == 14
    assert messages(wire.written, 1) == []


async def test_an_awaitable_of_a_stream_that_failed_at_once_is_cancelled() -> None:
    """fail() and then an awaitable: it never starts, and the stream ends once."""
    started: list[bool] = []

    async def unwanted() -> bytes:
        started.append(True)
        return b"unheard"

    def failing(_data: bytes, stream: Any) -> Reply:
        stream.fail(14, "no")
        return unwanted()

    wire = Wire(Echo(failing))
    assert status(wire.say(headers(1) + data(1, message(b"x"))), 1) == 14
    assert wire.exchanges.ends == []
    await until(lambda: not wire.server.live)
    assert (started, wire.exchanges.ends) == ([], [1])


async def test_an_error_in_ended_harms_no_other_stream() -> None:
    """It is logged, and the connection goes on."""

    class Broken(Echo):
        def ended(self, stream: Any, /) -> None:  # noqa: ARG002 - the protocol's signature
            raise RuntimeError("as asked")

    wire = Wire(Broken())
    wire.say(headers(1), h2.reset(1, Code.NO_ERROR))
    assert messages(wire.say(headers(3) + data(3, message(b"x"))), 3) == [b"x"]


async def test_content_of_an_error_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception's text may hold a prompt or a key: the log has its type and place only."""

    def raising(data: bytes, stream: Any) -> bytes:
        raise ValueError(data.decode())

    Wire(Echo(raising)).say(headers(1) + data(1, message(b"pcl_secret")))
    assert "ValueError" in caplog.text
    assert "pcl_secret" not in caplog.text
