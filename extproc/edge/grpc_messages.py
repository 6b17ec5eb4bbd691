"""The messages of one gRPC stream: in, out, in order, and an end that is never clean too early.

To Envoy a clean close (status 0) means "go on without me", which would let an ungoverned request through. So status 0 is
sent in one case only: the client has ended its own side and every message has had its reply. Everything else that ends a
stream from here carries an error status, which Envoy turns into a refusal.

Wire format: gRPC over HTTP/2, https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from struct import Struct
from typing import Any, Protocol

from extproc.edge import h2_frames as h2
from extproc.edge.h2_connection import Connection, report

_PREFIX = Struct(">BI")  # compressed?, length
_ONE_FRAME = Struct(h2.HEAD.format + "BI")  # both heads of a message that fits into one DATA frame


class Status:
    """gRPC status codes that are sent from here."""

    OK, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 0, 8, 12, 13, 14


class Exchanges(Protocol):
    """What answers the messages. Called on the event loop only."""

    def message(self, data: bytes, stream: Stream, /) -> bytes | Awaitable[bytes | None] | None:
        """Take one gRPC message; returns its reply.

        None: no reply now (`stream.send` brings it later). An awaitable of bytes or None, a fresh one for each message, runs
        as a task. Messages of one stream come in order, the next one only when the last one's awaitable is done and its
        reply is out. Raising ends the stream with status 13.

        When the stream ends while the awaitable runs, it is cancelled once: CancelledError reaches it where it waits, and it
        may shield what must be finished.
        """

    def ended(self, stream: Stream, /) -> None:
        """The stream is over, whatever ended it, and nothing of it runs any more. Called exactly once for every stream.

        Envoy ends good exchanges too by a reset: only the messages tell whether something was missing.
        """


class Served(Protocol):
    """What a stream wants of its server."""

    message_limit: int  # bytes

    def message(self, data: bytes, stream: Stream, /) -> bytes | Awaitable[bytes | None] | None:
        """`Exchanges.message`."""

    def stream_over(self, stream: Stream, /) -> None:
        """Nothing of the stream runs any more."""


class Stream:
    """One exchange's conversation. `state` is the handler's own; `id` is unique within its connection only."""

    __slots__ = (
        "_connection",
        "_lacking",
        "_message",
        "_owed",
        "_parts",
        "_replied",
        "_running",
        "_server",
        "_task",
        "_waiting",
        "credit",
        "ended",
        "half_closed",
        "id",
        "offset",
        "state",
        "unsent",
        "window",
    )

    def __init__(self, connection: Connection, stream_id: int, server: Served) -> None:
        self.id = stream_id
        self.state: Any = None
        self.ended = False
        # HTTP/2's side, kept by the connection
        self.window, self.credit = connection.first_window, 0
        self.unsent, self.offset, self.half_closed = b"", 0, False
        # gRPC's side
        self._connection, self._server, self._message = connection, server, server.message
        self._parts: list[bytes] | None = None  # of a message that is not whole yet
        self._lacking = 0
        self._owed = 0  # messages taken and not yet replied to
        self._replied = self._running = False
        self._task: asyncio.Future[bytes | None] | None = None
        self._waiting: deque[bytes] | None = None  # messages that came while busy

    # ── for the handler ───────────────────────────────────────────────────────

    def send(self, reply: bytes) -> None:
        """Reply to the oldest message that has had none. After the stream's end it does nothing."""
        if self._owed and not self.ended:
            self._owed -= 1
        self.aside(reply)

    def aside(self, reply: bytes) -> None:
        """Send a message that replies to none, before the reply to the one in hand. After the stream's end it does nothing."""
        if self.ended:
            return
        connection = self._connection
        if not self._replied:
            self._replied = True
            connection.out.append(h2.response_head(self.id))
        size = len(reply) + _PREFIX.size
        if size <= connection.frame_limit and size <= self.window and size <= connection.window and not self.unsent:
            self.window -= size
            connection.window -= size
            connection.out.append(_ONE_FRAME.pack(size >> 8, size & 255, h2.DATA, 0, self.id, 0, len(reply)) + reply)
        else:
            connection.send(self, _PREFIX.pack(0, len(reply)) + reply)
        if self.half_closed:
            self._finish()
        if not connection.reading:
            connection.flush()

    def fail(self, grpc_status: int, why: str) -> None:
        """End the stream with an error: Envoy refuses the exchange, or cuts it where its answer has begun.

        `why` is for Envoy's log: names and counts, never content. After the stream's end it does nothing.
        """
        if grpc_status == Status.OK:
            raise ValueError("status 0 would let the exchange through: fail() needs an error status")
        if not self.ended:
            self._end(grpc_status, why)

    # ── for the connection ────────────────────────────────────────────────────

    @property
    def busy(self) -> bool:
        """The next message has to wait: for this one's awaitable, or for Envoy to read its reply."""
        return self._task is not None or self._running or bool(self.unsent)

    def received(self, payload: bytes) -> None:
        """Take bytes of messages; most often exactly one message."""
        if self._parts is not None:  # joined once: adding to one growing bytes object takes quadratic time
            self._parts.append(payload)
            self._lacking -= len(payload)
            if self._lacking > 0:
                return
            payload, self._parts = b"".join(self._parts), None
        elif len(payload) >= _PREFIX.size:
            compressed, size = _PREFIX.unpack_from(payload)
            if size == len(payload) - _PREFIX.size and not compressed and self._task is None and not self._waiting and not self.unsent:
                self._handle(payload[_PREFIX.size :])  # a frame is smaller than any limit of a message
                return
        self._split(payload)

    def peer_ended(self) -> None:
        """The client has said all it will say."""
        if self._parts is not None:
            self.fail(Status.INTERNAL, "the stream ended within a message")
        else:
            self._finish()

    def unblocked(self) -> None:
        """Envoy has room for all that was sent: messages that waited for that are next."""
        if not self.busy:
            self._resume()

    def gone(self) -> None:
        """The stream has left its connection. What still runs of it is cancelled, and awaited, before it is over."""
        self.ended = True
        self._waiting = self._parts = None
        if self._running:
            return
        if self._task is None:
            self._over()
        elif self._task is not asyncio.current_task():
            self._task.cancel()

    # ── messages ──────────────────────────────────────────────────────────────

    def _split(self, payload: bytes) -> None:
        pos, size = 0, len(payload)
        lacking = _PREFIX.size
        while size - pos >= _PREFIX.size:
            compressed, length = _PREFIX.unpack_from(payload, pos)
            if compressed or length > self._server.message_limit:
                self._unreadable(compressed)
                return
            end = pos + _PREFIX.size + length
            if end > size:
                lacking += length
                break
            self._take(payload[pos + _PREFIX.size : end])
            if self.ended:
                return
            pos = end
        if pos < size:
            self._parts, self._lacking = [payload[pos:]], lacking - (size - pos)

    def _unreadable(self, compressed: int) -> None:
        if compressed:
            self.fail(Status.UNIMPLEMENTED, "a compressed message: remove compression from the ext_proc cluster")
        else:
            self.fail(Status.RESOURCE_EXHAUSTED, f"a message is over {self._server.message_limit} bytes")

    def _take(self, message: bytes) -> None:
        if self._task is not None or self._running or self.unsent or self._waiting:
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(message)
            return
        self._handle(message)

    def _handle(self, message: bytes) -> None:
        self._owed += 1
        self._running = True
        try:
            reply = self._message(message, self)
            if type(reply) is bytes:  # bytes only, never a subclass: the fastest test
                self.send(reply)
            elif reply is not None:
                self._task = asyncio.ensure_future(reply)  # type: ignore[arg-type]  # the odd type fails with TypeError, as it should
                self._task.add_done_callback(self._done)
        except Exception as error:  # noqa: BLE001 - whatever it is, this stream ends with an error, and only this one
            self._raised(error)
        finally:
            self._running = False
        if self.ended:
            if self._task is None:
                self._over()
            else:
                self._task.cancel()

    def _done(self, task: asyncio.Future[bytes | None]) -> None:
        """The awaitable of a message is done: its reply, then the messages that waited."""
        self._task = None
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if self.ended:
            if error is not None and not task.cancelled():
                report("an exchange ends", error)
            self._over()
            return
        if error is not None:
            self._raised(error)
        elif type(reply := task.result()) is bytes:
            self.send(reply)
        elif reply is not None:
            self._raised(TypeError(f"a reply is {type(reply).__name__}, not bytes"))
        self._resume()
        self._connection.flush()

    def _resume(self) -> None:
        while self._waiting and not self.busy and not self.ended:
            self._handle(self._waiting.popleft())
        if not self.ended:
            self._connection.give_credit(self)
            if self.half_closed:
                self._finish()

    # ── the end ───────────────────────────────────────────────────────────────

    def _raised(self, error: BaseException) -> None:
        report("an exchange ends", error)
        if not self.ended:
            self._end(Status.INTERNAL, "an error within Portcullis; its log names the place")

    def _finish(self) -> None:
        """The one clean close: the client ended its side, and every message has its reply, whole."""
        if not (self.ended or self.busy or self._waiting or self._owed or self._parts):
            self._end(Status.OK, "")

    def _end(self, status: int, why: str) -> None:
        self._connection.end(self, h2.trailers(self.id, status, why, first=not self._replied))
        self._connection.flush()

    def _over(self) -> None:
        self._server.stream_over(self)
