"""A peer that speaks frames by hand: what a well-behaved client never sends, and byte-exact looks at what comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from extproc.edge import h2_frames as h2
from extproc.edge.grpc_stream import Server

Reply = bytes | Awaitable[bytes | None] | None


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frames(wire: bytes) -> list[Frame]:
    """The frames in some bytes, which must be whole."""
    out, pos = [], 0
    while pos < len(wire):
        high, low, kind, flags, stream = h2.HEAD.unpack_from(wire, pos)
        end = pos + 9 + (high << 8 | low)
        assert end <= len(wire), "a frame is cut"
        out.append(Frame(kind, flags, stream, wire[pos + 9 : end]))
        pos = end
    return out


def message(data: bytes) -> bytes:
    """A gRPC message."""
    return b"\0" + len(data).to_bytes(4, "big") + data


def messages(wire: bytes, stream: int) -> list[bytes]:
    """The gRPC messages that came on one stream; a cut one at the end is left out."""
    data = b"".join(frame.payload for frame in frames(wire) if frame.kind == h2.DATA and frame.stream == stream)
    out, pos = [], 0
    while pos + 5 <= len(data):
        end = pos + 5 + int.from_bytes(data[pos + 1 : pos + 5], "big")
        if end > len(data):
            break
        out.append(data[pos + 5 : end])
        pos = end
    return out


def status(wire: bytes, stream: int) -> int | None:
    """The grpc-status that a stream ended with; None: it did not."""
    for frame in frames(wire):
        if frame.kind == h2.HEADERS and frame.stream == stream and frame.flags & h2.END_STREAM:
            length_at = frame.payload.index(b"grpc-status") + 11
            return int(frame.payload[length_at + 1 : length_at + 1 + frame.payload[length_at]])
    return None


def headers(stream: int, flags: int = h2.END_HEADERS, block: bytes = b"\x83") -> bytes:
    """Open a stream."""
    return h2.frame(h2.HEADERS, flags, stream, block)


def data(stream: int, payload: bytes, flags: int = 0) -> bytes:
    """Bytes on a stream, cut into frames."""
    cuts = [payload[pos : pos + h2.FRAME_LIMIT] for pos in range(0, len(payload), h2.FRAME_LIMIT)] or [b""]
    return b"".join(h2.frame(h2.DATA, flags if cut is cuts[-1] else 0, stream, cut) for cut in cuts)


GREETING = h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) + h2.frame(h2.WINDOW_UPDATE, 0, 0, h2.U32.pack(1 << 24))


class Wire:
    """The peer's end: a transport that keeps what is written to it."""

    def __init__(self, exchanges: Any = None, *, greet: bytes = GREETING, limit: int = 1 << 20) -> None:
        self.exchanges = exchanges or Echo()
        self.server = Server(Path("unused"), self.exchanges, limit)
        self.connection = self.server.connection()
        self.written = b""
        self.closed = self.reading = False
        self.connection.connection_made(self)  # type: ignore[arg-type]  # as much of a transport as a connection uses
        self.reading = True
        self.say(greet)

    def say(self, *wire: bytes) -> bytes:
        """Send bytes; returns what they were answered with at once."""
        before = len(self.written)
        for part in wire:
            self.connection.data_received(part)
        return self.written[before:]

    def hang_up(self) -> None:
        """The connection is lost."""
        self.connection.connection_lost(None)

    # asyncio's transport, as far as a connection uses it

    def set_write_buffer_limits(self, high: int) -> None:
        """Taken as it is."""

    def write(self, wire: bytes) -> None:
        """Kept."""
        assert not self.closed, "written after the end"
        self.written += wire

    def close(self) -> None:
        """Noted."""
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        """Noted."""
        self.reading = False

    def resume_reading(self) -> None:
        """Noted."""
        self.reading = True


class Echo:
    """Every message comes back, or what `answer` makes of it."""

    def __init__(self, answer: Callable[[bytes, Any], Reply] = lambda data, _stream: data) -> None:
        self.answer = answer
        self.taken: list[tuple[int, bytes]] = []
        self.ends: list[int] = []
        self.over: list[Any] = []

    def message(self, data: bytes, stream: Any, /) -> Reply:
        """Keep it and answer."""
        self.taken.append((stream.id, data))
        return self.answer(data, stream)

    def ended(self, stream: Any, /) -> None:
        """Keep it."""
        self.ends.append(stream.id)
        self.over.append(stream)
