"""One HTTP/2 connection with Envoy on the server's side (RFC 9113): frames in and out, flow control both ways, drain.

One read of the socket takes the frames of many streams, and one write answers them all. What the bytes of a stream mean
is not known here: a `FramedStream` (grpc_stream.py) gets them.

Memory is bounded by the peer's own behaviour: a stream that is busy gets no further credit, so at most a window of its
bytes waits; a peer that does not read its answers is not read from either.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ClassVar

from extproc.edge import h2_frames as h2
from extproc.edge.h2_frames import Code, Fault, StreamFault, need
from extproc.edge.h2_sending import STREAM_WINDOW, FramedStream, Sending

log = logging.getLogger(__name__)

CONNECTION_WINDOW = 1 << 26
MAX_STREAMS = 1 << 16
UNSENT_LIMIT = 1 << 22
"""Bytes written but not taken by the peer, above which we stop reading from it."""

_HELLO = h2.hello(STREAM_WINDOW, CONNECTION_WINDOW, MAX_STREAMS)
_DRAIN = b"draining"  # a PING whose answer proves that the peer has seen our first GOAWAY


def report(what: str, error: BaseException) -> None:
    """Log an error by type and place. Its text may hold content, so it stays out."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an awaitable"
    log.error("%s by %s at %s", what, type(error).__name__, place)


class Connection(Sending, asyncio.Protocol):
    """`opens(self, id)` makes a stream for a new id; `over(self)` is called when the connection is lost."""

    def __init__(self, opens: Callable[[Connection, int], FramedStream], over: Callable[[Connection], None]) -> None:
        super().__init__()
        self.opens, self.over = opens, over
        self._rest, self._credit, self._last = b"", 0, 0
        self._made = self._greeted = self._settled = self._choked = False
        self._draining = self._final = False
        self._block_of = 0  # the stream whose header block goes on in CONTINUATION frames; 0: none
        self._block_ends = False

    # ── asyncio's side ────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet: a server speaks first."""
        self._made = True
        self.transport = transport  # type: ignore[assignment]  # a stream transport, by create_unix_server's contract
        if self.closing:
            self.transport.abort()
            return
        self.transport.set_write_buffer_limits(high=UNSENT_LIMIT)
        self.transport.write(_HELLO)
        if self._draining:
            self._say_drain()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        """Every stream ends with its connection."""
        self.closing = True
        self.out.clear()
        while self.streams:
            self.leave(next(iter(self.streams.values())))
        self.over(self)

    def pause_writing(self) -> None:
        """The peer does not read: ask nothing more of it, so that nothing more is answered."""
        self._choked = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._choked = False
        if not self.closing:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take every frame that is whole, answer with one write."""
        if self.closing:
            return
        self.reading = True
        try:
            self._rest = self._frames(self._rest + data if self._rest else data)
        except Fault as fault:
            self._fail(fault)
        except Exception as error:  # noqa: BLE001 - a bug of ours must end this connection, not leave its streams waiting
            report("a connection's exchanges end", error)
            self._fail(Fault(Code.INTERNAL_ERROR, "internal error"))
        finally:
            self.reading = False
        self.flush()

    # ── frames in ─────────────────────────────────────────────────────────────

    def _frames(self, buf: bytes) -> bytes:
        """Handle whole frames; returns the start of one that isn't."""
        pos, size, unpack, data = 0, len(buf), h2.HEAD.unpack_from, h2.DATA
        if not self._greeted:
            need(buf[:24] == h2.PREFACE[:size], Code.PROTOCOL_ERROR, "no HTTP/2 preface: only Envoy's gRPC client may connect here")
            if size < len(h2.PREFACE):
                return buf
            self._greeted, pos = True, len(h2.PREFACE)
        while size - pos >= 9:  # noqa: PLR2004 - a frame's head
            high, low, kind, flags, stream_id = unpack(buf, pos)
            length = high << 8 | low
            if length > h2.FRAME_LIMIT:
                raise Fault(Code.FRAME_SIZE_ERROR, "a frame is over 16384 bytes")
            end = pos + 9 + length
            if end > size:
                break
            if kind == data and self._settled and not self._block_of:
                self._data(stream_id & h2.MAX_ID, flags, buf[pos + 9 : end])
            else:
                self._other(kind, stream_id & h2.MAX_ID, flags, buf[pos + 9 : end])
            pos = end
        return buf[pos:] if pos else buf

    def _other(self, kind: int, stream_id: int, flags: int, payload: bytes) -> None:
        if not self._settled:
            need(kind == h2.SETTINGS and not flags & h2.ACK, Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._settled = True
        if self._block_of and (kind != h2.CONTINUATION or stream_id != self._block_of):
            raise Fault(Code.PROTOCOL_ERROR, "a header block is interrupted")
        take = self._TAKES.get(kind)
        if take is None:
            return  # unknown types are ignored (RFC 9113, 5.5)
        try:
            take(self, stream_id, flags, payload)
        except StreamFault as fault:
            self.reset(stream_id, fault.code)

    def _data(self, stream_id: int, flags: int, payload: bytes) -> None:
        size = len(payload)
        self._credit += size
        if self._credit > CONNECTION_WINDOW >> 1:
            self.out.append(h2.window_update(0, self._credit))
            self._credit = 0
        stream = self.streams.get(stream_id)
        if stream is None:
            self._known(stream_id, "DATA")
            return
        if stream.half_closed:
            self.reset(stream_id, Code.STREAM_CLOSED)
            return
        stream.credit += size
        if stream.credit > STREAM_WINDOW:
            self.reset(stream_id, Code.FLOW_CONTROL_ERROR)
            return
        if flags:
            payload = h2.unpadded(payload, flags)
        if payload:
            stream.received(payload)
        if stream.credit > STREAM_WINDOW >> 1:
            self.give_credit(stream)
        if flags & h2.END_STREAM:
            self._peer_ended(stream)

    def _headers(self, stream_id: int, flags: int, payload: bytes) -> None:
        fresh = stream_id > self._last
        if fresh:
            self._last = stream_id
        if not flags & h2.END_HEADERS:
            self._block_of, self._block_ends = stream_id, bool(flags & h2.END_STREAM)
        if flags & (h2.PADDED | h2.WITH_PRIORITY):
            h2.check_headers(stream_id, flags, payload)
        if not fresh:
            self._trailers(stream_id, flags)
        elif not stream_id & 1:
            raise Fault(Code.PROTOCOL_ERROR, "HEADERS on a stream that no client can open")
        elif self._final or len(self.streams) >= MAX_STREAMS:
            raise StreamFault(Code.REFUSED_STREAM, "no more streams here")
        else:
            self.streams[stream_id] = stream = self.opens(self, stream_id)
            if flags & h2.END_STREAM and flags & h2.END_HEADERS:
                self._peer_ended(stream)

    def _trailers(self, stream_id: int, flags: int) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:  # trailers that crossed our end of the stream are no error; anything else is
            self._known(stream_id, "HEADERS")
            need(bool(flags & h2.END_STREAM), Code.STREAM_CLOSED, "HEADERS on a closed stream")
        elif stream.half_closed:
            raise StreamFault(Code.STREAM_CLOSED, "HEADERS after the end of the stream")
        elif not flags & h2.END_STREAM:
            raise StreamFault(Code.PROTOCOL_ERROR, "trailers do not end their stream")
        elif flags & h2.END_HEADERS:
            self._peer_ended(stream)

    def _continuation(self, stream_id: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - a row of the table
        need(self._block_of != 0, Code.PROTOCOL_ERROR, "CONTINUATION without a header block")
        if flags & h2.END_HEADERS:
            self._block_of = 0
            stream = self.streams.get(stream_id)
            if stream is not None and self._block_ends:
                self._peer_ended(stream)

    def _reset_stream(self, stream_id: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - a row of the table
        if len(payload) != h2.U32.size:
            raise Fault(Code.FRAME_SIZE_ERROR, "RST_STREAM is not four bytes long")
        stream = self.streams.get(stream_id)
        if stream is not None:
            self.leave(stream)
        else:
            self._known(stream_id, "RST_STREAM")

    def _settings(self, stream_id: int, flags: int, payload: bytes) -> None:
        need(stream_id == 0, Code.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & h2.ACK:
            need(not payload, Code.FRAME_SIZE_ERROR, "SETTINGS ACK with a payload")
            return
        for name, value in h2.settings(payload):
            if name == h2.INITIAL_WINDOW_SIZE:
                self._first_window(value)
            elif name == h2.MAX_FRAME_SIZE:
                self.frame_limit = value
        self.out.append(h2.frame(h2.SETTINGS, h2.ACK, 0))
        self.unblock()

    def _first_window(self, value: int) -> None:
        """A new initial window moves the window of every open stream, below zero too (RFC 9113, 6.9.2)."""
        change, self.first_window = value - self.first_window, value
        for stream in self.streams.values():
            stream.window += change
            need(stream.window <= h2.MAX_WINDOW, Code.FLOW_CONTROL_ERROR, "a stream's window is over 2^31-1")

    def _window_update(self, stream_id: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - a row of the table
        credit = h2.increment(payload)
        if stream_id == 0:
            need(credit > 0, Code.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            self.window += credit
            need(self.window <= h2.MAX_WINDOW, Code.FLOW_CONTROL_ERROR, "the connection's window is over 2^31-1")
            self.unblock()
            return
        self._known(stream_id, "WINDOW_UPDATE")
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        if not credit:
            raise StreamFault(Code.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        stream.window += credit
        if stream.window > h2.MAX_WINDOW:
            raise StreamFault(Code.FLOW_CONTROL_ERROR, "the stream's window is over 2^31-1")
        if stream.unsent:
            self.send_unsent(stream)

    def _ping(self, stream_id: int, flags: int, payload: bytes) -> None:
        need(stream_id == 0, Code.PROTOCOL_ERROR, "PING on a stream")
        need(len(payload) == 8, Code.FRAME_SIZE_ERROR, "PING is not eight bytes long")  # noqa: PLR2004 - RFC 9113, 6.7
        if not flags & h2.ACK:
            self.out.append(h2.frame(h2.PING, h2.ACK, 0, payload))
        elif payload == _DRAIN and self._draining and not self._final:
            self._final = True
            self.out.append(h2.goaway(self._last, Code.NO_ERROR))
            self._close_if_idle()

    def _goaway(self, stream_id: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - a row of the table
        need(stream_id == 0, Code.PROTOCOL_ERROR, "GOAWAY on a stream")
        need(len(payload) >= 8, Code.FRAME_SIZE_ERROR, "GOAWAY is too short")  # noqa: PLR2004 - RFC 9113, 6.8

    def _priority(self, stream_id: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - a row of the table
        need(stream_id != 0, Code.PROTOCOL_ERROR, "PRIORITY on the connection")
        need(len(payload) == 5, Code.FRAME_SIZE_ERROR, "PRIORITY is not five bytes long")  # noqa: PLR2004 - RFC 9113, 6.3

    def _stray(self, stream_id: int, flags: int, payload: bytes) -> None:  # noqa: ARG002 - a row of the table
        raise Fault(Code.PROTOCOL_ERROR, "a client never sends PUSH_PROMISE")

    _TAKES: ClassVar[dict[int, Callable[[Connection, int, int, bytes], None]]] = {
        h2.DATA: _data,
        h2.HEADERS: _headers,
        h2.PRIORITY: _priority,
        h2.RST_STREAM: _reset_stream,
        h2.SETTINGS: _settings,
        h2.PUSH_PROMISE: _stray,
        h2.PING: _ping,
        h2.GOAWAY: _goaway,
        h2.WINDOW_UPDATE: _window_update,
        h2.CONTINUATION: _continuation,
    }

    def _known(self, stream_id: int, what: str) -> None:
        """That stream was opened once; late frames of closed streams are no error (RFC 9113, 5.1)."""
        if not (stream_id & 1 and stream_id <= self._last):
            raise Fault(Code.PROTOCOL_ERROR, f"{what} on a stream that was never opened")

    def _peer_ended(self, stream: FramedStream) -> None:
        if stream.id in self.streams:
            stream.half_closed = True
            stream.peer_ended()

    def leave(self, stream: FramedStream) -> None:
        """Forget a stream; the last one ends a drained connection."""
        super().leave(stream)
        if self._final:
            self._close_if_idle()

    # ── the end ───────────────────────────────────────────────────────────────

    def drain(self) -> None:
        """No new streams here, in two steps (RFC 9113, 6.8).

        Say so without a limit, and close once the peer has heard it and every stream is done: a stream that crosses the
        first step on its way is still served.
        """
        if not self._draining and not self.closing:
            self._draining = True
            if self._made:
                self._say_drain()

    def _say_drain(self) -> None:
        self.transport.write(h2.goaway(h2.MAX_ID, Code.NO_ERROR) + h2.frame(h2.PING, 0, 0, _DRAIN))

    def close(self) -> None:
        """Write what is left and close; a peer that does not read is cut off."""
        if self.closing:
            return
        self.flush()
        self.closing = True
        if self._choked:
            self.abort()
        elif self._made:
            self.transport.close()

    def abort(self) -> None:
        """Close without a word more."""
        if self._made:
            self.transport.abort()

    def _close_if_idle(self) -> None:
        if not self.streams and not self.closing:
            self.reading = False
            self.close()

    def _fail(self, fault: Fault) -> None:
        log.warning("the HTTP/2 connection with Envoy ends: %s", fault.why)
        self.out.append(h2.goaway(self._last, fault.code, fault.why))
        self.reading = False
        self.close()
