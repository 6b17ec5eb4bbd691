"""Real Envoy between a provider we can watch and an ext_proc server we can script (grpcio: the oracle)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final

import grpc

from contracts.snapshot import ProviderRecord, Snapshot
from controlplane.envoy_config import render_edge, write
from controlplane.envoy_edge import Edge
from controlplane.envoy_examples import CHAT
from controlplane.envoy_listener import REQUESTS_COUNTER
from controlplane.envoy_program import arguments, binary
from extproc.edge.proto import ext_proc_pb2 as pb

Script = Callable[[Iterator[pb.ProcessingRequest]], Iterator[pb.ProcessingResponse]]

KEY: Final = "Bearer pcl_client"
CREDENTIAL: Final = "Bearer provider-secret"
ID: Final = "0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d"


def eventually(probe: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Ask until the answer is true; the limit is only there so that a broken part fails the test."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"never came: {what}")


# ── the processor ──────────────────────────────────────────────────────────────


def set_header(name: str, value: str) -> pb.HeaderValueOption:
    """Overwrite one header."""
    return pb.HeaderValueOption(header=pb.HeaderValue(key=name, raw_value=value.encode()), append_action=2)


def head(*, remove: Sequence[str] = ("authorization",), **metadata: str) -> pb.ProcessingResponse:
    """Answer to the request's head."""
    answer = pb.ProcessingResponse()
    answer.request_headers.response.header_mutation.remove_headers.extend(remove)
    answer.dynamic_metadata.update({"portcullis": {"id": ID, **metadata}})
    return answer


def door(provider: str = "main", route: str = "chat", body: bytes | None = None) -> pb.ProcessingResponse:
    """Answer to the request's body that opens the route."""
    answer = pb.ProcessingResponse()
    change = answer.request_body.response
    change.clear_route_cache = True
    change.header_mutation.set_headers.append(set_header("authorization", CREDENTIAL))
    if body is not None:
        change.body_mutation.body = body
        change.header_mutation.set_headers.append(set_header("content-length", str(len(body))))
    answer.dynamic_metadata.update({"portcullis": {"id": ID, "provider": provider, "route": route}})
    return answer


def passing(message: pb.ProcessingRequest) -> pb.ProcessingResponse:
    """Answer to anything on the way back: as it was, stamped; event streams in pieces."""
    kind = message.WhichOneof("request")
    answer = pb.ProcessingResponse()
    getattr(answer, str(kind)).SetInParent()
    if kind == "response_headers":
        stream = any(h.key == "content-type" and b"event-stream" in h.raw_value for h in message.response_headers.headers.headers)
        if stream or message.response_headers.end_of_stream:
            answer.response_headers.response.header_mutation.set_headers.append(set_header("x-portcullis-request-id", ID))
        if stream:
            answer.mode_override.CopyFrom(pb.ProcessingMode(response_header_mode=1, response_body_mode=1, response_trailer_mode=1))
    elif kind == "response_body":  # a header set here counts only while the head is held, so where the body is whole
        answer.response_body.response.header_mutation.set_headers.append(set_header("x-portcullis-request-id", ID))
    return answer


def govern(messages: Iterator[pb.ProcessingRequest], opener: Callable[[], pb.ProcessingResponse] = door) -> Iterator[pb.ProcessingResponse]:
    """The whole conversation of an exchange that is let through."""
    for message in messages:
        kind = message.WhichOneof("request")
        if kind == "request_headers":
            yield head()
        elif kind == "request_body":
            yield opener()
        else:
            yield passing(message)


@dataclass
class Processor:
    """An ext_proc server on a Unix socket; `script` may be changed at any time, `seen` is one list an exchange."""

    path: Path
    script: Script = govern
    seen: list[list[pb.ProcessingRequest]] = field(default_factory=list)

    def start(self) -> grpc.Server:
        """Serve."""
        server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", -1)])
        handler = grpc.stream_stream_rpc_method_handler(
            self._exchange,
            request_deserializer=pb.ProcessingRequest.FromString,
            response_serializer=pb.ProcessingResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("envoy.service.ext_proc.v3.ExternalProcessor", {"Process": handler}),)
        )
        server.add_insecure_port(f"unix:{self.path}")
        server.start()
        return server

    def _exchange(self, messages: Iterator[pb.ProcessingRequest], _: grpc.ServicerContext) -> Iterator[pb.ProcessingResponse]:
        mine: list[pb.ProcessingRequest] = []
        self.seen.append(mine)

        def watched() -> Iterator[pb.ProcessingRequest]:
            for message in messages:
                mine.append(message)
                yield message

        yield from self.script(watched())


# ── the provider ───────────────────────────────────────────────────────────────


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


# ── Envoy ──────────────────────────────────────────────────────────────────────


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(str(self.path))


@dataclass
class Reply:
    """What the app got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The `error` object of our error shape."""
        found: dict[str, Any] = json.loads(self.body)["error"]
        return found


@dataclass
class Gate:
    """Envoy as it runs."""

    edge: Edge
    folder: Path
    process: subprocess.Popen[bytes]
    snapshot: Snapshot

    def admin(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Ask Envoy's admin on its Unix socket."""
        connection = _UnixConnection(self.edge.admin)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def stat(self, name: str) -> int:
        """One counter or gauge."""
        text = self.admin(f"/stats?filter=^{name}$")[1]
        return int(text.rpartition(":")[2] or 0)

    @property
    def requests(self) -> int:
        """Requests that reached the listener."""
        return self.stat(REQUESTS_COUNTER)

    def apply(self, *providers: ProviderRecord) -> None:
        """Render and write anew, as the control plane does when providers change."""
        self.snapshot = replace(self.snapshot, revision=f"{len(self.snapshot.revision)}x", providers={p.name: p for p in providers})
        write(self.folder, render_edge(self.edge, self.snapshot, [CHAT]))

    def connect(self) -> HTTPConnection:
        """A connection of an app."""
        return HTTPConnection("127.0.0.1", self.edge.port, timeout=40)

    def ask(self, body: bytes = b"{}", path: str = CHAT.path, method: str = "POST", **headers: str) -> Reply:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"authorization": KEY, "content-type": "application/json", **named})
            return read(connection.getresponse())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """Bytes as they are; the answer until Envoy closes."""
        with socket.create_connection(("127.0.0.1", self.edge.port), timeout=20) as client:
            client.sendall(data)
            parts = []
            with suppress(ConnectionError):
                while part := client.recv(65536):
                    parts.append(part)
        return b"".join(parts)

    def lines(self, count: int) -> list[dict[str, Any]]:
        """The access log, once it has at least `count` lines."""

        def read_lines() -> list[str] | None:
            found = self.edge.access_log.read_text().splitlines()
            return found if len(found) >= count else None

        return [json.loads(line) for line in eventually(read_lines, f"{count} lines in the access log")]


def read(answer: HTTPResponse) -> Reply:
    """The whole answer."""
    body = answer.read()
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def edge_in(folder: Path, **changes: Any) -> Edge:
    """An edge whose sockets and files are all in one folder."""
    (folder / "envoy").mkdir(mode=0o700, exist_ok=True)
    edge = Edge(
        address="127.0.0.1",
        port=free_port(),
        processor=folder / "x.sock",
        admin=folder / "a.sock",
        access_log=folder / "access.jsonl",
        folder=folder / "envoy",
        processor_timeout_s=5.0,
    )
    return replace(edge, **changes)


@contextmanager
def envoy(edge: Edge, *providers: ProviderRecord) -> Iterator[Gate]:
    """Start Envoy, wait until it says it is ready, stop it."""
    assert edge.folder is not None
    snapshot = Snapshot(revision="x", providers={p.name: p for p in providers})
    write(edge.folder, render_edge(edge, snapshot, [CHAT]))
    os.close(os.open(edge.access_log, os.O_CREAT | os.O_WRONLY, 0o600))
    program = binary("auto")
    log = edge.folder.parent / "envoy.log"
    with log.open("wb") as out:
        process = subprocess.Popen([str(program), *arguments(edge.folder / "bootstrap.yaml")], stdout=out, stderr=out)
    gate = Gate(edge, edge.folder, process, snapshot)
    try:
        eventually(lambda: _ready(gate, log), "Envoy ready")
        yield gate
    finally:
        process.terminate()
        process.wait(20)


def _ready(gate: Gate, log: Path) -> bool:
    if gate.process.poll() is not None:
        raise AssertionError(log.read_text()[-2000:])
    try:
        return gate.admin("/ready")[0] == 200
    except OSError:
        return False


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


@contextmanager
def processor(path: Path, script: Script = govern) -> Iterator[Processor]:
    """An ext_proc server."""
    served = Processor(path, script)
    server = served.start()
    try:
        yield served
    finally:
        server.stop(None).wait()


def at(server: Provider, name: str = "main", path: str = "/v1") -> ProviderRecord:
    """A provider's record for a local server."""
    scheme = "https" if server.tls else "http"
    return ProviderRecord(name, "openai", f"{scheme}://127.0.0.1:{server.port}{path}", insecure=not server.tls)
