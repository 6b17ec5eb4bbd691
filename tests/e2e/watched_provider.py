"""A provider that keeps what it gets, counts who connects, and answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any

from contracts.snapshot import ProviderRecord


@dataclass
class Received:
    """One request as the provider got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answering = Callable[[BaseHTTPRequestHandler], None]


def answer_json(request: BaseHTTPRequestHandler) -> None:
    """A short JSON answer."""
    body = b'{"ok": true}'
    request.send_response(200)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(body)))
    request.send_header("x-provider-secret", "internal")
    request.end_headers()
    request.wfile.write(body)


class Provider(ThreadingHTTPServer):
    """Keeps what it gets, answers by `answering`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, tls: SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.received: list[Received] = []
        self.connections = 0
        self.answering: Answering = answer_json
        self.tls = tls

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def get_request(self) -> tuple[Any, Any]:
        """Count connections, also those whose TLS handshake fails."""
        connection, address = super().get_request()
        self.connections += 1
        return connection, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        """TLS in the connection's own thread."""
        with suppress(OSError), self.tls.wrap_socket(request, server_side=True) if self.tls else request as wrapped:
            _Request(wrapped, client_address, self)

    def shutdown_request(self, request: Any) -> None:
        """Close, whoever wrapped it."""
        with suppress(OSError):
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is not this server's affair."""


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider

    def do_POST(self) -> None:
        body = self._chunks() if "transfer-encoding" in self.headers else self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.received.append(Received(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.server.answering(self)

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    do_GET = do_POST  # noqa: N815 - the library's name

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextmanager
def provider(tls: SSLContext | None = None) -> Iterator[Provider]:
    """A provider on a port of its own."""
    server = Provider(tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def at(server: Provider, name: str = "main", path: str = "/v1") -> ProviderRecord:
    """A provider's record for a local server."""
    scheme = "https" if server.tls else "http"
    return ProviderRecord(name, "openai", f"{scheme}://127.0.0.1:{server.port}{path}", insecure=not server.tls)
