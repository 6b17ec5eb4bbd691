"""Any bytes: a reply, a stream error or a closed connection. Never a hang, never another stream's data, never a clean end too early."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import pairwise
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc.edge import h2_frames as h2
from tests.contract.transport_wire import GREETING, Echo, Frame, Wire, data, frames, headers, message, messages, status

STREAMS = (1, 3, 5, 7)
PING = b"areyouok"


def answer(data: bytes, stream: Any) -> bytes | Awaitable[bytes] | None:
    """What a handler may do, by the message's first byte: answer now, later or after a while, raise, fail, send by itself."""
    match data[:1]:
        case b"l":
            return later(data)
        case b"r":
            raise RuntimeError("as asked")
        case b"f":
            stream.fail(14, "as asked")
            return None
        case b"s":
            stream.send(data)
            return None
    return data


async def later(data: bytes) -> bytes:
    """An awaitable reply."""
    for _ in range(len(data)):
        await asyncio.sleep(0)
    return data


texts = st.sampled_from([b"", b"now", b"later", b"lo" * 20, b"raise", b"fail", b"send", b"n" * 300, b"big" * 5_000])
streams = st.sampled_from(STREAMS)
any_id = st.sampled_from((*STREAMS, 0, 2, 9, 11))
said = st.lists(texts.map(message), max_size=4).map(b"".join)
cut_said = st.builds(lambda whole, at: whole[:at], said, st.integers(0, 20))
window = st.sampled_from([0, 1, 10, 1_000, 65_535])
u32 = st.sampled_from([0, 1, 100, 65_535, 1 << 20, h2.MAX_WINDOW, 1 << 31]).map(h2.U32.pack)
pairs = st.tuples(st.sampled_from([1, 2, 3, 4, 5, 99]), st.sampled_from([0, 1, 10, 16_384, 65_535, h2.MAX_WINDOW, 1 << 31]))


def windows(size: int) -> bytes:
    """A new initial window."""
    return h2.frame(h2.SETTINGS, 0, 0, h2.SETTING.pack(h2.INITIAL_WINDOW_SIZE, size))


proper = st.one_of(
    st.builds(data, streams, said, st.sampled_from([0, 0, 0, h2.END_STREAM])),
    st.builds(data, streams, said),
    st.builds(data, streams, cut_said),
    st.builds(h2.window_update, st.sampled_from((*STREAMS, 0)), st.integers(1, 40_000)),
    st.builds(windows, window),
    st.builds(h2.reset, streams, st.just(h2.Code.INTERNAL_ERROR)),
    st.builds(headers, streams, st.just(h2.END_HEADERS | h2.END_STREAM)),
)
improper = st.one_of(
    st.builds(headers, any_id, st.integers(0, 255), st.binary(max_size=8)),
    st.builds(lambda stream, code: h2.frame(h2.RST_STREAM, 0, stream, code), any_id, u32),
    st.builds(lambda stream, credit: h2.frame(h2.WINDOW_UPDATE, 0, stream, credit), any_id, u32),
    st.builds(lambda pair: h2.frame(h2.SETTINGS, 0, 0, h2.SETTING.pack(*pair)), pairs),
    st.builds(data, any_id, st.binary(max_size=30)),
    st.builds(h2.frame, st.integers(0, 12), st.integers(0, 255), any_id, st.binary(max_size=40)),
)
opened = st.builds(lambda size: windows(size) + b"".join(map(headers, STREAMS)), window)
proper_talk = st.builds(lambda start, rest: start + b"".join(rest), opened, st.lists(proper, max_size=20))
conversations = st.one_of(
    proper_talk,
    st.builds(lambda start, rest: start + b"".join(rest), proper_talk, st.lists(st.one_of(proper, improper), max_size=10)),
    st.lists(st.one_of(proper, improper), max_size=10).map(b"".join),
)


async def settle(wire: Wire) -> None:
    """Let every awaitable that can end do so."""
    for _ in range(400):
        await asyncio.sleep(0)
    assert all(stream._task is None for stream in wire.connection.streams.values()), "an awaitable never ended"  # type: ignore[attr-defined]


def check(wire: Wire) -> None:
    """What must hold of any conversation."""
    replied = frames(wire.written)
    for stream in {frame.stream for frame in replied} - {0}:
        taken = [text for number, text in wire.exchanges.taken if number == stream]
        got = messages(wire.written, stream)
        assert got == [text for text in taken if text[:1] not in {b"r", b"f"}][: len(got)], "replies are this stream's own, in order"
        ends = [index for index, frame in enumerate(replied) if frame.stream == stream and ends_stream(frame)]
        late = [frame for frame in replied[ends[0] + 1 :] if frame.stream == stream] if ends else []
        assert all(frame.kind == h2.RST_STREAM for frame in late), "nothing but a reset follows a stream's end"
        if status(wire.written, stream) == 0:
            assert len(got) == len(taken), "the clean close came before a reply"
    assert sorted(set(wire.exchanges.ends)) == sorted(wire.exchanges.ends), "a stream ended twice"


def ends_stream(frame: Frame) -> bool:
    """Trailers or a reset."""
    return frame.kind == h2.RST_STREAM or bool(frame.kind == h2.HEADERS and frame.flags & h2.END_STREAM)


async def whole(parts: list[bytes]) -> Wire:
    """A conversation from its first byte to the loss of the connection."""
    wire = Wire(Echo(answer), greet=b"", limit=20_000)
    for part in parts:
        wire.say(part)
        await asyncio.sleep(0)
    await settle(wire)
    check(wire)
    before = len(wire.written)
    for stream in wire.exchanges.over:
        stream.send(b"late")
        stream.fail(13, "late")
    assert len(wire.written) == before, "something was said on a stream that is over"
    wire.hang_up()
    await settle(wire)
    assert wire.server.live == 0
    return wire


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_bytes_at_all(noise: bytes) -> None:
    """A stranger's bytes, before, instead of and after the greeting."""
    for start in (b"", h2.PREFACE, GREETING, GREETING + headers(1)):
        asyncio.run(whole([start + noise]))


@given(conversations)
@settings(max_examples=400, deadline=None)
@example(headers(1) + data(1, message(b"later") * 3, h2.END_STREAM) + h2.frame(h2.RST_STREAM, 0, 1, h2.U32.pack(8)))
@example(h2.frame(h2.SETTINGS, 0, 0, h2.SETTING.pack(4, 0)) + headers(1) + data(1, message(b"now") + message(b"later"), h2.END_STREAM))
def test_any_frames(says: bytes) -> None:
    """Frames that are each plausible, in any order."""
    asyncio.run(whole([GREETING, says]))


@given(conversations, st.integers(0, 3_000), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_flipped_byte(says: bytes, where: int, value: int) -> None:
    """A conversation with one byte changed: whatever it turns into, the rules hold."""
    changed = bytearray(says)
    if changed:
        changed[where % len(changed)] = value
    asyncio.run(whole([GREETING, bytes(changed)]))


@given(conversations)
@settings(max_examples=150, deadline=None)
def test_a_connection_is_alive_or_closed(says: bytes) -> None:
    """Whatever was said before, in whole frames: a PING is answered unless the connection is closed or waits for a header block."""

    async def scenario() -> None:
        wire = Wire(Echo(answer), limit=20_000)
        wire.say(says)
        await settle(wire)
        if not wire.closed:
            replied = frames(wire.say(h2.frame(h2.PING, 0, 0, PING)))
            assert wire.closed or Frame(h2.PING, h2.ACK, 0, PING) in replied
        wire.hang_up()
        await settle(wire)

    asyncio.run(scenario())


def recorded() -> bytes:
    """A conversation of every kind of frame: three exchanges beside each other, one with a body over the windows, one reset."""
    out = GREETING + h2.frame(h2.SETTINGS, 0, 0, h2.SETTING.pack(h2.INITIAL_WINDOW_SIZE, 10_000))
    out += headers(1, 0, b"\x83\x86") + h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, b"\x84")
    out += headers(3, h2.END_HEADERS | h2.PADDED | h2.WITH_PRIORITY, b"\x01" + bytes(5) + b"\x83\0")
    out += data(1, message(b"head of 1")) + data(3, message(b"head of 3")) + h2.frame(h2.PING, 0, 0, b"12345678")
    body = message(b"body of 1 " * 1_900)
    out += data(1, body[:7]) + data(3, message(b"")) + data(1, body[7:] + message(b"more")[:3]) + data(1, message(b"more")[3:])
    out += headers(5) + data(5, message(b"send of 5") + message(b"a") + message(b"b")) + h2.frame(0x55, 0, 5, b"?")
    out += h2.frame(h2.DATA, h2.PADDED, 3, b"\x04" + message(b"padded") + bytes(4)) + h2.window_update(1, 10_000)
    out += h2.reset(3, h2.Code.INTERNAL_ERROR) + data(3, b"late") + data(5, message(b"raise")) + data(1, b"", h2.END_STREAM)
    return out + h2.frame(h2.GOAWAY, 0, 0, bytes(8))


RECORDED = recorded()


@given(st.lists(st.integers(1, len(RECORDED) - 1), max_size=40))
@settings(max_examples=150, deadline=None)
@example(list(range(1, len(RECORDED))))
@example(list(range(1, 200)))
def test_any_split_of_a_conversation_gives_the_same_bytes(cuts: list[int]) -> None:
    """What comes back does not depend on how the socket cut what came."""

    async def written(parts: list[bytes]) -> bytes:
        return (await whole(parts)).written

    edges = [0, *sorted(set(cuts)), len(RECORDED)]
    parts = [RECORDED[start:end] for start, end in pairwise(edges)]
    assert asyncio.run(written(parts)) == asyncio.run(written([RECORDED]))
