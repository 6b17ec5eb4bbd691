"""What goes out on one HTTP/2 connection: frames gathered for one write, and the peer's flow control (RFC 9113, 5.2).

What a peer's windows do not let through waits in its stream as one bytes object and an offset: nothing is copied twice.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from extproc.edge import h2_frames as h2
from extproc.edge.h2_frames import Code

STREAM_WINDOW = 1 << 20
"""Bytes that a peer may send on one stream before we take them."""


class FramedStream(Protocol):
    """One stream as its connection sees it. The connection owns `window`, `credit`, `unsent` and `offset`."""

    id: int
    window: int  # bytes that we may still send
    credit: int  # bytes taken in and not yet given back to the peer as credit
    unsent: bytes  # what the window did not let through, from `offset` on
    offset: int
    half_closed: bool  # the peer sends no more

    @property
    def busy(self) -> bool:
        """It can't take more for now: no credit is given."""

    def received(self, payload: bytes) -> None:
        """Take bytes, in order."""

    def peer_ended(self) -> None:
        """No more bytes come."""

    def fail(self, grpc_status: int, why: str, /) -> None:
        """End it with an error status."""

    def unblocked(self) -> None:
        """All of `unsent` is out."""

    def gone(self) -> None:
        """The stream has left its connection, for whatever reason. Called exactly once."""


class Sending:
    """The outgoing half of a connection. `flush` writes what has gathered."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.streams: dict[int, FramedStream] = {}
        self.blocked: dict[int, FramedStream] = {}  # those with unsent bytes, oldest first
        self.out: list[bytes | memoryview] = []
        self.window = self.first_window = h2.DEFAULT_WINDOW
        self.frame_limit = h2.FRAME_LIMIT
        self.reading = False  # a read is under way, and will flush at its end
        self.closing = False

    def flush(self) -> None:
        """Write what has gathered, unless a read is under way that will do it for all streams at once."""
        if self.out and not self.reading:
            if not self.closing:
                self.transport.write(b"".join(self.out))
            self.out.clear()

    def give_credit(self, stream: FramedStream) -> None:
        """Let the peer send on, unless the stream is busy, gone, or will hear nothing more."""
        if stream.credit > STREAM_WINDOW >> 1 and not stream.busy and not stream.half_closed and stream.id in self.streams:
            self.out.append(h2.window_update(stream.id, stream.credit))
            stream.credit = 0

    def send(self, stream: FramedStream, payload: bytes) -> None:
        """Send bytes of one stream in order, as far as both windows let them; the rest follows when they widen."""
        stream.unsent = stream.unsent[stream.offset :] + payload
        stream.offset = 0
        self.blocked[stream.id] = stream
        self.send_unsent(stream)

    def unblock(self) -> None:
        """The connection's window is wider, or every stream's is: send what waited, oldest stream first."""
        for stream in list(self.blocked.values()):
            if self.window <= 0:
                return
            if stream.id in self.streams:
                self.send_unsent(stream)

    def send_unsent(self, stream: FramedStream) -> None:
        """Send as much as the windows let through."""
        waiting, pos = memoryview(stream.unsent), stream.offset
        while (size := min(len(waiting) - pos, self.frame_limit, stream.window, self.window)) > 0:
            self.out.append(h2.HEAD.pack(size >> 8, size & 255, h2.DATA, 0, stream.id))
            self.out.append(waiting[pos : pos + size])
            pos += size
            stream.window -= size
            self.window -= size
        stream.offset = pos
        if pos == len(waiting):
            stream.unsent, stream.offset = b"", 0
            self.blocked.pop(stream.id, None)
            stream.unblocked()

    def end(self, stream: FramedStream, trailers: bytes) -> None:
        """End a stream with these trailers. Where the peer has not ended its side, it is told that we read no more."""
        self.out.append(trailers)
        if not stream.half_closed:
            self.out.append(h2.reset(stream.id, Code.NO_ERROR))
        self.leave(stream)

    def reset(self, stream_id: int, code: Code) -> None:
        """End one stream by RST_STREAM."""
        self.out.append(h2.reset(stream_id, code))
        stream = self.streams.get(stream_id)
        if stream is not None:
            self.leave(stream)

    def leave(self, stream: FramedStream) -> None:
        """Forget a stream."""
        del self.streams[stream.id]
        if stream.unsent:
            del self.blocked[stream.id]
            stream.unsent = b""
        stream.gone()
