"""HTTP/2 frames as bytes (RFC 9113): how ours are built, and what a peer's must look like. No I/O, no state.

A frame is nine bytes of head (24 bits of length, type, flags, one reserved bit and 31 bits of stream id) and its payload.
Header blocks are never decoded: the peer is one trusted program on a Unix socket and calls one method. Ours are written
as HPACK literals that no table remembers (RFC 7541, 6.2.2), so a block means the same on every stream.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from urllib.parse import quote

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Frame types (RFC 9113, 6). Plain numbers: they are compared for every frame.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
# Flags
ACK = END_STREAM = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
# Settings
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)

DEFAULT_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1
MAX_ID = 2**31 - 1
FRAME_LIMIT = 16_384
"""Largest payload we accept, and the smallest limit a peer may set for ours."""

HEAD = Struct(">HBBBI")
U32 = Struct(">I")
SETTING = Struct(">HI")


class Code(IntEnum):
    """Error codes (RFC 9113, 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7


class Fault(Exception):  # noqa: N818 - the RFC's "connection error"; every one of these is raised to end something
    """The peer broke the protocol: the whole connection ends with GOAWAY(code)."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class StreamFault(Fault):
    """The peer broke the protocol on one stream: that stream ends with RST_STREAM(code), the others go on."""


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame, whole. `payload` is at most the peer's frame limit; the caller cuts."""
    size = len(payload)
    return HEAD.pack(size >> 8, size & 255, kind, flags, stream_id) + payload


def hello(stream_window: int, connection_window: int, max_streams: int) -> bytes:
    """Our first bytes: settings (no header table, so no block depends on an earlier one), then the wider connection window."""
    ours = ((HEADER_TABLE_SIZE, 0), (MAX_CONCURRENT_STREAMS, max_streams), (INITIAL_WINDOW_SIZE, stream_window))
    widen = frame(WINDOW_UPDATE, 0, 0, U32.pack(connection_window - DEFAULT_WINDOW))
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*pair) for pair in ours)) + widen


def goaway(last_id: int, code: Code, why: str = "") -> bytes:
    """The connection's end: streams up to `last_id` may still be answered."""
    return frame(GOAWAY, 0, 0, U32.pack(last_id) + U32.pack(code) + why.encode())


def window_update(stream_id: int, credit: int) -> bytes:
    """`credit` more bytes may come on that stream (0: on the connection)."""
    return frame(WINDOW_UPDATE, 0, stream_id, U32.pack(credit))


def reset(stream_id: int, code: Code) -> bytes:
    """End one stream at once."""
    return frame(RST_STREAM, 0, stream_id, U32.pack(code))


# ── what we answer with, in HPACK ─────────────────────────────────────────────


def _hpack_length(size: int) -> bytes:
    """An integer with a 7-bit prefix (RFC 7541, 5.1); the bit above it says "not Huffman-coded"."""
    if size < 127:  # noqa: PLR2004 - the prefix, all ones, means "more follows"
        return bytes((size,))
    out, size = bytearray((127,)), size - 127
    while size > 127:  # noqa: PLR2004 - seven bits a byte
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out)


def _literal(name: bytes, value: bytes) -> bytes:
    """A header line that no table remembers, with a name of our own."""
    return b"\x00" + _hpack_length(len(name)) + name + _hpack_length(len(value)) + value


# 0x88 is ":status: 200"; 0x0f 0x10 is a literal with the name of static entry 31, content-type (RFC 7541, appendix A).
RESPONSE = b"\x88\x0f\x10" + _hpack_length(16) + b"application/grpc"
_RESPONSE_HEAD = HEAD.pack(0, len(RESPONSE), HEADERS, END_HEADERS, 0)[:5]


def response_head(stream_id: int) -> bytes:
    """A gRPC answer's head, before its first message."""
    return _RESPONSE_HEAD + U32.pack(stream_id) + RESPONSE


def trailers(stream_id: int, status: int, why: str, *, first: bool) -> bytes:
    """A gRPC answer's end. `first`: nothing was answered before, so the head comes along. `why` is cut at 200 characters."""
    block = _literal(b"grpc-status", b"%d" % status)
    if why:
        block += _literal(b"grpc-message", quote(why[:200], safe=" !\"#$&'()*+,/:;<=>?@[]").encode())
    return frame(HEADERS, END_STREAM | END_HEADERS, stream_id, RESPONSE + block if first else block)


# ── what a peer's frames must look like ───────────────────────────────────────


def need(true: bool, code: Code, why: str) -> None:
    """Raise Fault unless `true`."""
    if not true:
        raise Fault(code, why)


def unpadded(payload: bytes, flags: int) -> bytes:
    """A DATA payload without its padding (RFC 9113, 6.1)."""
    if not flags & PADDED:
        return payload
    need(len(payload) > payload[0] if payload else False, Code.PROTOCOL_ERROR, "padding is longer than its frame")
    return payload[1 : len(payload) - payload[0]]


def check_headers(stream_id: int, flags: int, payload: bytes) -> None:
    """Padding and priority of a HEADERS frame fit into it, and the stream does not depend on itself (RFC 9113, 6.2)."""
    body = unpadded(payload, flags)
    if flags & WITH_PRIORITY:
        need(len(body) >= 5, Code.FRAME_SIZE_ERROR, "HEADERS is too short for its priority")  # noqa: PLR2004 - RFC 9113, 6.3
        if U32.unpack_from(body)[0] & MAX_ID == stream_id:
            raise StreamFault(Code.PROTOCOL_ERROR, "a stream depends on itself")


def settings(payload: bytes) -> list[tuple[int, int]]:
    """The peer's settings as (name, value), each in its range (RFC 9113, 6.5.2)."""
    need(len(payload) % 6 == 0, Code.FRAME_SIZE_ERROR, "SETTINGS is not a list of six-byte pairs")
    pairs = list(SETTING.iter_unpack(payload))
    for name, value in pairs:
        if name == ENABLE_PUSH:
            need(value <= 1, Code.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
        elif name == INITIAL_WINDOW_SIZE:
            need(value <= MAX_WINDOW, Code.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is over 2^31-1")
        elif name == MAX_FRAME_SIZE:
            need(FRAME_LIMIT <= value < 1 << 24, Code.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of range")
    return pairs


def increment(payload: bytes) -> int:
    """A WINDOW_UPDATE's credit; 0 is the peer's error, and the caller knows whose (RFC 9113, 6.9)."""
    need(len(payload) == U32.size, Code.FRAME_SIZE_ERROR, "WINDOW_UPDATE is not four bytes long")
    credit: int = U32.unpack(payload)[0] & MAX_WINDOW
    return credit
