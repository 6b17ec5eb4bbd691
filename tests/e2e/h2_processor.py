"""An ext_proc server in bare HTTP/2, for ends of a stream that no gRPC library would make."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset

from extproc.edge.proto import ext_proc_pb2 as pb

Answering = Callable[[pb.ProcessingRequest], pb.ProcessingResponse | None]
Ending = Callable[[H2Connection, int], None]
HEAD = [(":status", "200"), ("content-type", "application/grpc")]
PREFIX = 5
"""Of a gRPC message: compressed or not, and four bytes of length."""


def says_ok(connection: H2Connection, stream: int) -> None:
    """A clean close: trailers with status 0."""
    connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)


def says_ok_twice(connection: H2Connection, stream: int) -> None:
    """Two statuses, both 0."""
    connection.send_headers(stream, [("grpc-status", "0"), ("grpc-status", "0")], end_stream=True)


def says_nothing(connection: H2Connection, stream: int) -> None:
    """The end of the stream, without trailers."""
    connection.send_data(stream, b"", end_stream=True)


def resets_without_error(connection: H2Connection, stream: int) -> None:
    """RST_STREAM with NO_ERROR."""
    connection.reset_stream(stream, error_code=0)


def leaves(connection: H2Connection, stream: int) -> None:
    """GOAWAY with NO_ERROR; then the server hangs up."""
    connection.close_connection()


ENDINGS: tuple[Ending, ...] = (says_ok, says_ok_twice, says_nothing, resets_without_error, leaves)


class _Conversations:
    """All streams of one connection. `unread`: what has come of each open stream's next message."""

    def __init__(self, client: socket.socket, answer: Answering, end: Ending) -> None:
        self.client, self.answer, self.end = client, answer, end
        self.connection = H2Connection(H2Configuration(client_side=False))
        self.unread: dict[int, bytes] = {}
        self.left = False

    def run(self) -> None:
        """Until Envoy or the ending hangs up."""
        self.connection.initiate_connection()
        with self.client, suppress(OSError):
            self.client.sendall(self.connection.data_to_send())
            while not self.left and (data := self.client.recv(1 << 16)):
                for event in self.connection.receive_data(data):
                    if isinstance(event, RequestReceived):
                        self.unread[event.stream_id] = b""
                        self.connection.send_headers(event.stream_id, HEAD)
                    elif isinstance(event, DataReceived):
                        self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                        self._data(event.stream_id, event.data)
                    elif isinstance(event, StreamReset):
                        self.unread.pop(event.stream_id, None)
                    elif isinstance(event, StreamEnded) and self.unread.pop(event.stream_id, None) is not None:
                        says_ok(self.connection, event.stream_id)  # as any server does when the client is done
                self.client.sendall(self.connection.data_to_send())

    def _data(self, stream: int, data: bytes) -> None:
        unread = self.unread.pop(stream, None)
        if unread is None:
            return
        unread += data
        while len(unread) >= PREFIX and len(unread) >= (end := PREFIX + int.from_bytes(unread[1:PREFIX], "big")):
            said = self.answer(pb.ProcessingRequest.FromString(unread[PREFIX:end]))
            if said is None:
                self.left = self.end is leaves
                self.end(self.connection, stream)
                return
            reply = said.SerializeToString()
            self.connection.send_data(stream, b"\0" + len(reply).to_bytes(4, "big") + reply)
            unread = unread[end:]
        self.unread[stream] = unread


@contextmanager
def h2_processor(path: Path, answer: Answering, end: Ending) -> Iterator[None]:
    """Serve on a Unix socket. Where `answer` gives None for a message, the stream ends by `end`."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        threads: list[threading.Thread] = []
        clients: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    clients.append(client)
                    threads.append(threading.Thread(target=_Conversations(client, answer, end).run))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for client in clients:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            path.unlink()
