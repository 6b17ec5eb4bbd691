"""What our HTTP/2 says, frame by frame, to a peer that no client library would play (RFC 9113)."""

from __future__ import annotations

import asyncio

import pytest

from extproc.edge import h2_frames as h2
from extproc.edge.h2_connection import CONNECTION_WINDOW, MAX_STREAMS
from extproc.edge.h2_frames import Code
from tests.contract.transport_servers import until
from tests.contract.transport_wire import Echo, Frame, Wire, data, frames, headers, message, messages, status

U32 = h2.U32.pack
HALF = h2.END_HEADERS | h2.END_STREAM


def setting(name: int, value: int) -> bytes:
    """A SETTINGS frame of one pair."""
    return h2.frame(h2.SETTINGS, 0, 0, h2.SETTING.pack(name, value))


CONNECTION_ERRORS = {
    "no preface": (Code.PROTOCOL_ERROR, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
    "first frame is no SETTINGS": (Code.PROTOCOL_ERROR, h2.PREFACE + h2.frame(h2.PING, 0, 0, bytes(8))),
    "first frame is DATA": (Code.PROTOCOL_ERROR, h2.PREFACE + data(1, b"x")),
    "first frame is SETTINGS ACK": (Code.PROTOCOL_ERROR, h2.PREFACE + h2.frame(h2.SETTINGS, h2.ACK, 0)),
}

GREETED_ERRORS = {
    "frame too long": (Code.FRAME_SIZE_ERROR, b"\x00\x40\x01" + bytes(6)),
    "SETTINGS on a stream": (Code.PROTOCOL_ERROR, h2.frame(h2.SETTINGS, 0, 1)),
    "SETTINGS cut": (Code.FRAME_SIZE_ERROR, h2.frame(h2.SETTINGS, 0, 0, bytes(5))),
    "SETTINGS ACK with payload": (Code.FRAME_SIZE_ERROR, h2.frame(h2.SETTINGS, h2.ACK, 0, bytes(6))),
    "ENABLE_PUSH 2": (Code.PROTOCOL_ERROR, setting(h2.ENABLE_PUSH, 2)),
    "INITIAL_WINDOW_SIZE 2^31": (Code.FLOW_CONTROL_ERROR, setting(h2.INITIAL_WINDOW_SIZE, 1 << 31)),
    "MAX_FRAME_SIZE small": (Code.PROTOCOL_ERROR, setting(h2.MAX_FRAME_SIZE, 16_383)),
    "MAX_FRAME_SIZE 2^24": (Code.PROTOCOL_ERROR, setting(h2.MAX_FRAME_SIZE, 1 << 24)),
    "PING short": (Code.FRAME_SIZE_ERROR, h2.frame(h2.PING, 0, 0, bytes(7))),
    "PING on a stream": (Code.PROTOCOL_ERROR, h2.frame(h2.PING, 0, 1, bytes(8))),
    "WINDOW_UPDATE short": (Code.FRAME_SIZE_ERROR, h2.frame(h2.WINDOW_UPDATE, 0, 0, bytes(3))),
    "WINDOW_UPDATE 0 on the connection": (Code.PROTOCOL_ERROR, h2.window_update(0, 0)),
    "WINDOW_UPDATE over 2^31-1": (Code.FLOW_CONTROL_ERROR, h2.window_update(0, h2.MAX_WINDOW)),
    "WINDOW_UPDATE on an idle stream": (Code.PROTOCOL_ERROR, h2.window_update(1, 1)),
    "HEADERS on stream 0": (Code.PROTOCOL_ERROR, headers(0)),
    "HEADERS on an even stream": (Code.PROTOCOL_ERROR, headers(2)),
    "HEADERS with padding too long": (Code.PROTOCOL_ERROR, headers(1, h2.END_HEADERS | h2.PADDED, b"\x05abc")),
    "HEADERS padded and empty": (Code.PROTOCOL_ERROR, headers(1, h2.END_HEADERS | h2.PADDED, b"")),
    "HEADERS too short for priority": (Code.FRAME_SIZE_ERROR, headers(1, h2.END_HEADERS | h2.WITH_PRIORITY, b"abc")),
    "HEADERS on a closed stream": (Code.STREAM_CLOSED, headers(1) + h2.reset(1, Code.NO_ERROR) + headers(1)),
    "HEADERS on a skipped stream": (Code.STREAM_CLOSED, headers(3) + headers(1)),
    "DATA on stream 0": (Code.PROTOCOL_ERROR, data(0, b"x")),
    "DATA on an idle stream": (Code.PROTOCOL_ERROR, data(1, b"x")),
    "DATA on an even stream": (Code.PROTOCOL_ERROR, headers(3) + data(2, b"x")),
    "DATA with padding too long": (Code.PROTOCOL_ERROR, headers(1) + h2.frame(h2.DATA, h2.PADDED, 1, b"\x04abc")),
    "DATA padded and empty": (Code.PROTOCOL_ERROR, headers(1) + h2.frame(h2.DATA, h2.PADDED, 1)),
    "RST_STREAM on an idle stream": (Code.PROTOCOL_ERROR, h2.reset(1, Code.NO_ERROR)),
    "RST_STREAM on stream 0": (Code.PROTOCOL_ERROR, h2.reset(0, Code.NO_ERROR)),
    "RST_STREAM short": (Code.FRAME_SIZE_ERROR, headers(1) + h2.frame(h2.RST_STREAM, 0, 1, bytes(3))),
    "CONTINUATION alone": (Code.PROTOCOL_ERROR, h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1)),
    "header block interrupted": (Code.PROTOCOL_ERROR, headers(1, 0) + h2.frame(h2.PING, 0, 0, bytes(8))),
    "header block interrupted by DATA": (Code.PROTOCOL_ERROR, headers(1, 0) + data(1, b"x")),
    "header block interrupted by an unknown frame": (Code.PROTOCOL_ERROR, headers(1, 0) + h2.frame(0x20, 0, 1)),
    "CONTINUATION of another stream": (Code.PROTOCOL_ERROR, headers(1, 0) + h2.frame(h2.CONTINUATION, h2.END_HEADERS, 3)),
    "PUSH_PROMISE": (Code.PROTOCOL_ERROR, h2.frame(h2.PUSH_PROMISE, h2.END_HEADERS, 1, bytes(4))),
    "GOAWAY on a stream": (Code.PROTOCOL_ERROR, h2.frame(h2.GOAWAY, 0, 1, bytes(8))),
    "GOAWAY short": (Code.FRAME_SIZE_ERROR, h2.frame(h2.GOAWAY, 0, 0, bytes(7))),
    "PRIORITY on stream 0": (Code.PROTOCOL_ERROR, h2.frame(h2.PRIORITY, 0, 0, bytes(5))),
    "PRIORITY short": (Code.FRAME_SIZE_ERROR, h2.frame(h2.PRIORITY, 0, 1, bytes(4))),
    "new window overflows a stream's": (
        Code.FLOW_CONTROL_ERROR,
        headers(1) + h2.window_update(1, h2.MAX_WINDOW - h2.DEFAULT_WINDOW) + setting(h2.INITIAL_WINDOW_SIZE, h2.DEFAULT_WINDOW + 1),
    ),
}

STREAM_ERRORS = {
    "WINDOW_UPDATE 0": (Code.PROTOCOL_ERROR, headers(1) + h2.window_update(1, 0)),
    "WINDOW_UPDATE over 2^31-1": (Code.FLOW_CONTROL_ERROR, headers(1) + h2.window_update(1, h2.MAX_WINDOW)),
    "depends on itself": (Code.PROTOCOL_ERROR, headers(1, h2.END_HEADERS | h2.WITH_PRIORITY, U32(1) + b"\x10\x83")),
    "trailers do not end it": (Code.PROTOCOL_ERROR, headers(1) + headers(1)),
}


async def ends_by_goaway(wire: Wire, code: Code, says: bytes) -> None:
    """The connection says GOAWAY with that code, closes, and every stream is over."""
    last = frames(wire.say(says))[-1]
    assert (last.kind, int.from_bytes(last.payload[4:8], "big")) == (h2.GOAWAY, code)
    assert wire.closed
    wire.hang_up()
    assert wire.server.live == 0


@pytest.mark.parametrize(("code", "says"), CONNECTION_ERRORS.values(), ids=CONNECTION_ERRORS)
async def test_a_wrong_greeting_ends_the_connection(code: Code, says: bytes) -> None:
    """Whoever does not begin as an HTTP/2 client is sent away."""
    await ends_by_goaway(Wire(greet=b""), code, says)


@pytest.mark.parametrize(("code", "says"), GREETED_ERRORS.values(), ids=GREETED_ERRORS)
async def test_a_connection_error_ends_the_connection(code: Code, says: bytes) -> None:
    """The RFC's connection errors: GOAWAY with the code it names."""
    await ends_by_goaway(Wire(), code, says)


@pytest.mark.parametrize(("code", "says"), STREAM_ERRORS.values(), ids=STREAM_ERRORS)
async def test_a_stream_error_ends_one_stream(code: Code, says: bytes) -> None:
    """The RFC's stream errors: RST_STREAM with the code it names; another stream goes on."""
    wire = Wire()
    assert Frame(h2.RST_STREAM, 0, 1, U32(code)) in frames(wire.say(says))
    assert messages(wire.say(headers(3) + data(3, message(b"x"))), 3) == [b"x"]
    assert not wire.closed
    wire.hang_up()


async def test_data_after_the_peers_end_is_a_stream_error() -> None:
    """DATA on a half-closed stream whose reply is still awaited: STREAM_CLOSED."""
    wire = Wire(Echo(lambda _data, _stream: None))
    wire.say(headers(1) + data(1, message(b"x"), h2.END_STREAM))
    assert frames(wire.say(data(1, b"y"))) == [Frame(h2.RST_STREAM, 0, 1, U32(Code.STREAM_CLOSED))]
    assert wire.exchanges.ends == [1]


async def test_greeting_and_settings_are_answered() -> None:
    """Our settings come first, the peer's are acknowledged, a PING comes back, unknown frames and settings are ignored."""
    wire = Wire()
    assert [frame.kind for frame in frames(wire.written)] == [h2.SETTINGS, h2.WINDOW_UPDATE, h2.SETTINGS]
    assert frames(wire.say(setting(0x99, 7))) == [Frame(h2.SETTINGS, h2.ACK, 0, b"")]
    assert frames(wire.say(h2.frame(h2.PING, 0, 0, b"12345678"))) == [Frame(h2.PING, h2.ACK, 0, b"12345678")]
    assert wire.say(h2.frame(h2.PING, h2.ACK, 0, b"12345678"), h2.frame(0x77, 0xFF, 5, b"?"), h2.frame(h2.SETTINGS, h2.ACK, 0)) == b""
    assert wire.say(h2.frame(h2.PRIORITY, 0, 9, bytes(5)), h2.frame(h2.GOAWAY, 0, 0, bytes(8))) == b""


async def test_padding_priority_and_continuation_are_read() -> None:
    """A head in three pieces with padding and priority, and padded DATA, are a message like any other."""
    wire = Wire()
    flags = h2.PADDED | h2.WITH_PRIORITY
    wire.say(headers(1, flags, b"\x02" + bytes(5) + b"\x83" + b"\0\0"), h2.frame(h2.CONTINUATION, 0, 1, b"\x86"))
    wire.say(h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1))
    said = wire.say(h2.frame(h2.DATA, h2.PADDED | h2.END_STREAM, 1, b"\x03" + message(b"hi") + bytes(3)))
    assert messages(said, 1) == [b"hi"]
    assert status(said, 1) == 0


async def test_trailers_end_a_stream() -> None:
    """HEADERS with END_STREAM, also when it comes with the block's last piece, is the peer's end."""
    wire = Wire()
    wire.say(headers(1) + data(1, message(b"a")), headers(3) + data(3, message(b"b")), headers(5, 0 | h2.END_STREAM))
    assert status(wire.say(h2.frame(h2.CONTINUATION, h2.END_HEADERS, 5)), 5) == 0
    assert status(wire.say(headers(1, HALF)), 1) == 0
    assert status(wire.say(headers(3, h2.END_STREAM) + h2.frame(h2.CONTINUATION, h2.END_HEADERS, 3)), 3) == 0
    assert wire.say(headers(1, HALF)) == b"", "trailers that crossed our end are no error"


async def test_late_frames_of_a_closed_stream_are_ignored_and_credited() -> None:
    """DATA, WINDOW_UPDATE and RST_STREAM after our end; the connection's window gets the bytes back."""
    wire = Wire()
    wire.say(headers(1), h2.reset(1, Code.NO_ERROR))
    assert wire.say(h2.window_update(1, 5), h2.reset(1, Code.NO_ERROR)) == b""
    said = frames(wire.say(*[data(1, bytes(h2.FRAME_LIMIT))] * (CONNECTION_WINDOW // 2 // h2.FRAME_LIMIT + 1)))
    assert said == [Frame(h2.WINDOW_UPDATE, 0, 0, U32(CONNECTION_WINDOW // 2 + h2.FRAME_LIMIT))]


async def test_replies_wait_for_the_streams_window() -> None:
    """Not a byte more than the peer's window leaves; a later WINDOW_UPDATE or SETTINGS lets the rest out, in order."""
    wire = Wire()
    wire.say(setting(h2.INITIAL_WINDOW_SIZE, 10))
    assert messages(wire.say(headers(1) + data(1, message(b"x" * 20) + message(b"second"))), 1) == []
    assert [len(frame.payload) for frame in frames(wire.written) if frame.kind == h2.DATA] == [10]
    assert wire.exchanges.taken == [(1, b"x" * 20)], "the next message waits until this reply is out"
    wire.say(h2.window_update(1, 5), setting(h2.INITIAL_WINDOW_SIZE, 0))
    assert messages(wire.written, 1) == []
    wire.say(setting(h2.INITIAL_WINDOW_SIZE, 31))
    assert messages(wire.written, 1) == [b"x" * 20, b"second"]


async def test_replies_wait_for_the_connections_window() -> None:
    """Streams that the connection's window blocks go on, oldest first, when it widens; the peer's end waits for the reply."""
    wire = Wire(greet=h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) + setting(h2.INITIAL_WINDOW_SIZE, 1 << 20))
    big = b"y" * h2.DEFAULT_WINDOW
    wire.say(headers(1) + data(1, message(big), h2.END_STREAM), headers(3) + data(3, message(b"small"), h2.END_STREAM))
    assert messages(wire.written, 1) == messages(wire.written, 3) == []
    assert status(wire.written, 1) is None
    wire.say(h2.window_update(0, 5))
    assert (messages(wire.written, 1), status(wire.written, 1)) == ([big], 0)
    wire.say(h2.window_update(0, 10))
    assert (messages(wire.written, 3), status(wire.written, 3)) == ([b"small"], 0)
    assert wire.exchanges.ends == [1, 3]


async def test_the_peers_frame_limit_is_kept() -> None:
    """A reply is cut into the default 16,384 bytes, or as large as the peer allows."""
    wire = Wire()
    body = message(b"z" * 40_000)
    wire.say(headers(1) + data(1, body), setting(h2.MAX_FRAME_SIZE, 1 << 20), headers(3) + data(3, body))
    cuts = {stream: [len(f.payload) for f in frames(wire.written) if f.kind == h2.DATA and f.stream == stream] for stream in (1, 3)}
    assert cuts == {1: [16_384, 16_384, 7_237], 3: [40_005]}


async def test_a_busy_stream_gets_no_credit() -> None:
    """While a message is awaited the peer may fill one window, and no more: over it, the stream ends. Memory is bounded."""
    gate = asyncio.Event()

    async def held() -> bytes:
        await gate.wait()
        return b"done"

    wire = Wire(Echo(lambda data, _stream: held() if data == b"hold" else b"ok"))
    wire.say(headers(1) + data(1, message(b"hold")))
    fill = data(1, message(b"f" * 1000)) * 700
    assert [frame for frame in frames(wire.say(fill)) if frame.kind == h2.WINDOW_UPDATE] == []
    gate.set()
    await until(lambda: len(wire.exchanges.taken) == 701)
    given = [int.from_bytes(frame.payload, "big") for frame in frames(wire.written) if frame.kind == h2.WINDOW_UPDATE and frame.stream]
    assert sum(given) == 9 + 700 * 1005, "when it is free again, all of it is given back"
    gate.clear()
    wire.say(data(1, message(b"hold")))
    said = wire.say(*[data(1, bytes(16_384))] * 65)
    assert Frame(h2.RST_STREAM, 0, 1, U32(Code.FLOW_CONTROL_ERROR)) in frames(said)
    await until(lambda: wire.exchanges.ends == [1])


async def test_a_peer_that_does_not_read_is_not_read_from() -> None:
    """Over the high-water mark reading stops; it goes on below it; a fault in between cuts the peer off."""
    wire = Wire()
    wire.connection.pause_writing()
    assert not wire.reading
    wire.connection.resume_writing()
    assert wire.reading
    wire.connection.pause_writing()
    wire.say(data(0, b"x"))
    assert wire.closed


async def test_streams_are_limited() -> None:
    """One stream over the advertised limit is refused, and retried by the peer without harm."""
    wire = Wire()
    for stream in range(1, 2 * MAX_STREAMS, 2):
        wire.connection.data_received(headers(stream))
    over = 2 * MAX_STREAMS + 1
    assert frames(wire.say(headers(over))) == [Frame(h2.RST_STREAM, 0, over, U32(Code.REFUSED_STREAM))]
    assert wire.server.live == MAX_STREAMS
    wire.hang_up()
    assert len(wire.exchanges.ends) == MAX_STREAMS


async def test_a_blocked_stream_that_goes_leaves_nothing() -> None:
    """Reset while its reply waits for the window: what waited is gone with it."""
    wire = Wire()
    wire.say(setting(h2.INITIAL_WINDOW_SIZE, 1), headers(1) + data(1, message(b"x")))
    assert wire.connection.blocked
    wire.say(h2.reset(1, Code.NO_ERROR))
    assert not wire.connection.blocked
    assert wire.exchanges.ends == [1]


async def test_drain_takes_what_crosses_it() -> None:
    """First GOAWAY without a limit; a stream that was on its way is served; after the PING's answer the rest is refused."""
    wire = Wire()
    wire.say(headers(1))
    before = len(wire.written)
    wire.connection.drain()
    goaway, ping = frames(wire.written[before:])
    assert (goaway.kind, goaway.payload[:8]) == (h2.GOAWAY, U32(h2.MAX_ID) + U32(0))
    assert wire.say(h2.frame(h2.PING, h2.ACK, 0, bytes(8))) == b"", "the answer to another PING proves nothing"
    assert messages(wire.say(headers(3) + data(3, message(b"crossed"))), 3) == [b"crossed"]
    assert frames(wire.say(h2.frame(h2.PING, h2.ACK, 0, ping.payload))) == [Frame(h2.GOAWAY, 0, 0, U32(3) + U32(0))]
    assert frames(wire.say(headers(5))) == [Frame(h2.RST_STREAM, 0, 5, U32(Code.REFUSED_STREAM))]
    assert messages(wire.say(data(1, message(b"on"), h2.END_STREAM)), 1) == [b"on"]
    assert not wire.closed
    assert status(wire.say(data(3, b"", h2.END_STREAM)), 3) == 0
    assert wire.closed
