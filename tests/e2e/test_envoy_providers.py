"""Providers come and go without a restart; their TLS is checked; their failures have our codes."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from tempfile import TemporaryDirectory

import pytest
from certificates import Authority
from cryptography import x509
from envoy_rig import Gate, edge_in, envoy
from scripted_processor import Processor, door, govern, processor
from stack import eventually
from watched_provider import Provider, answer_json, at, provider

from contracts.snapshot import ProviderRecord


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: sockets live in it."""
    with TemporaryDirectory(prefix="pcl") as name:
        yield Path(name)


@pytest.fixture
def server() -> Iterator[Provider]:
    """The provider."""
    with provider() as made:
        yield made


@pytest.fixture
def judge(folder: Path) -> Iterator[Processor]:
    """The processor."""
    with processor(folder / "x.sock") as made:
        yield made


def to(name: str) -> Callable[..., Iterator[object]]:
    """Let through to this provider."""
    return lambda messages: govern(messages, lambda: door(name))


# ── they come and go ───────────────────────────────────────────────────────────


class Stream:
    """An event stream that gives a piece when told to."""

    def __init__(self) -> None:
        self.more = threading.Semaphore(0)
        self.last = False

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        """Answer."""
        request.send_response(200)
        request.send_header("content-type", "text/event-stream")
        request.send_header("transfer-encoding", "chunked")
        request.end_headers()
        while self.more.acquire(timeout=30) and not self.last:
            request.wfile.write(b"9\r\ndata: x\n\n\r\n")
        request.wfile.write(b"0\r\n\r\n")

    def give(self) -> None:
        """One piece more."""
        self.more.release()

    def end(self) -> None:
        """No more."""
        self.last = True
        self.more.release()


def test_a_provider_is_added_and_removed_under_a_running_stream(folder: Path, server: Provider, judge: Processor) -> None:
    """The stream that runs through the removed provider goes on to its end; new requests to it are refused."""
    stream = Stream()
    server.answering = stream
    first, second = at(server, "first"), None
    judge.script = to("first")  # type: ignore[assignment] # as govern
    with provider() as newcomer, envoy(edge_in(folder), first) as gate:
        client = gate.connect()
        client.request("POST", "/v1/chat/completions", b"{}", {"content-type": "application/json"})
        stream.give()
        answer = client.getresponse()
        assert answer.read(9) == b"data: x\n\n"

        second = at(newcomer, "second")
        gate.apply(first, second)
        judge.script = to("second")  # type: ignore[assignment] # as govern
        eventually(lambda: gate.ask().status == 200, "the added provider serves")
        stream.give()
        assert answer.read(9) == b"data: x\n\n"

        server.answering = answer_json  # for requests that come before Envoy has read the new routes
        gate.apply(second)
        judge.script = to("first")  # type: ignore[assignment] # as govern
        eventually(lambda: gate.ask().status == 503, "the removed provider's door is shut")
        eventually(lambda: "provider/first" not in gate.admin("/clusters")[1], "its cluster is gone")
        stream.give()
        assert answer.read(9) == b"data: x\n\n"
        stream.end()
        assert answer.read() == b""
        client.close()
        judge.script = to("second")  # type: ignore[assignment] # as govern
        assert gate.ask().status == 200
        assert gate.process.poll() is None


def test_no_request_is_lost_while_others_come_and_go(folder: Path, server: Provider, judge: Processor) -> None:
    """Providers are added and removed ten times under steady requests to one that stays; each is answered 200."""
    stays = at(server, "stays")
    judge.script = to("stays")  # type: ignore[assignment] # as govern
    statuses: list[int] = []
    done = threading.Event()
    with envoy(edge_in(folder), stays) as gate:

        def ask() -> None:
            while not done.is_set():
                statuses.append(gate.ask().status)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for number in range(10):
                gate.apply(stays, ProviderRecord(f"extra{number}", "openai", "http://127.0.0.1:1"))
                eventually(lambda n=number: f"provider/extra{n}" in gate.admin("/clusters")[1], "added")  # type: ignore[misc] # a default
                gate.apply(stays)
        finally:
            done.set()
            thread.join()

    assert set(statuses) == {200}


def test_a_provider_with_another_base_path_and_dialect(folder: Path, server: Provider, judge: Processor) -> None:
    """The base path stands before the dialect's; a provider of another dialect has no door on this route."""
    odd = at(server, "odd", "/openai/deployments/x%20y")
    other = ProviderRecord("other", "anthropic", f"http://127.0.0.1:{server.port}")
    with envoy(edge_in(folder), odd, other) as gate:
        judge.script = to("odd")  # type: ignore[assignment] # as govern
        assert gate.ask().status == 200
        judge.script = to("other")  # type: ignore[assignment] # as govern
        assert gate.ask().status == 503

    assert [r.path for r in server.received] == ["/openai/deployments/x%20y/chat/completions"]


# ── they fail ──────────────────────────────────────────────────────────────────


def reset(request: BaseHTTPRequestHandler) -> None:
    """Reset the connection."""
    request.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()
    raise ConnectionError


def garbage(request: BaseHTTPRequestHandler) -> None:
    """Answer what is no HTTP."""
    request.wfile.write(b"what is this\r\n\r\n")
    request.close_connection = True


def cut(request: BaseHTTPRequestHandler) -> None:
    """Promise a hundred bytes, give one."""
    request.send_response(200)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", "100")
    request.end_headers()
    request.wfile.write(b"{")
    request.close_connection = True


def silence(request: BaseHTTPRequestHandler) -> None:
    """Wait for Envoy to give up."""
    request.connection.settimeout(20)
    with suppress(OSError):
        request.rfile.read(1)
    request.close_connection = True


@pytest.mark.parametrize(
    ("answering", "status", "code"),
    [
        (reset, 502, "upstream_error"),
        (garbage, 502, "upstream_error"),
        (cut, 502, "upstream_error"),
        (silence, 504, "upstream_timeout"),
    ],
)
def test_a_failing_provider_has_our_code(
    folder: Path, server: Provider, judge: Processor, answering: Callable[[BaseHTTPRequestHandler], None], status: int, code: str
) -> None:
    """In our shape, whatever failed; and the request was sent once."""
    server.answering = answering
    with envoy(edge_in(folder, upstream_idle_s=0.5), at(server)) as gate:
        reply = gate.ask()

    assert (reply.status, reply.error["code"]) == (status, code)
    assert len(server.received) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://no-such-host.invalid/v1"])
def test_a_provider_that_can_not_be_reached_is_502(folder: Path, judge: Processor, url: str) -> None:
    """Nobody listens there, or the name is unknown."""
    with envoy(edge_in(folder), ProviderRecord("main", "openai", url, insecure=True)) as gate:
        reply = gate.ask()

    assert (reply.status, reply.error["code"]) == (502, "upstream_error")
    assert b"127.0.0.1" not in reply.body


# ── TLS ────────────────────────────────────────────────────────────────────────


LOCALHOST = x509.DNSName("localhost")
ELSEWHERE = x509.DNSName("api.example.com")
LOOPBACK = x509.IPAddress(ip_address("127.0.0.1"))


def secure(server: Provider, host: str) -> ProviderRecord:
    """Its record, by https."""
    return ProviderRecord("main", "openai", f"https://{host}:{server.port}/v1")


@pytest.mark.parametrize(("host", "name"), [("localhost", LOCALHOST), ("127.0.0.1", LOOPBACK)])
def test_a_trusted_certificate_of_that_name_is_taken(folder: Path, judge: Processor, host: str, name: x509.GeneralName) -> None:
    """By name with SNI, and by address."""
    authority = Authority(folder, "ca")
    context = authority.server(name)
    asked: list[str | None] = []
    context.sni_callback = lambda _connection, server_name, _context: asked.append(server_name)
    with provider(context) as server, envoy(edge_in(folder, trust=authority.bundle), secure(server, host)) as gate:
        assert gate.ask().status == 200

    assert asked == (["localhost"] if host == "localhost" else [None])
    assert server.received[0].headers["host"] == f"{host}:{server.port}"


@pytest.mark.parametrize(
    ("signer", "host", "name"),
    [
        ("other", "localhost", LOCALHOST),
        ("ca", "localhost", ELSEWHERE),
        ("ca", "localhost", LOOPBACK),
        ("ca", "127.0.0.1", LOCALHOST),
    ],
    ids=["untrusted authority", "another name", "an address for a name", "a name for an address"],
)
def test_any_other_certificate_is_502(folder: Path, judge: Processor, signer: str, host: str, name: x509.GeneralName) -> None:
    """The handshake is tried, and no byte of the request is sent."""
    authorities = {authority: Authority(folder, authority) for authority in ("ca", "other")}
    with (
        provider(authorities[signer].server(name)) as server,
        envoy(edge_in(folder, trust=authorities["ca"].bundle), secure(server, host)) as gate,
    ):
        reply = gate.ask()
        line = gate.lines(1)[0]

    assert (reply.status, reply.error["code"]) == (502, "upstream_error")
    assert server.received == []
    assert server.connections > 0
    assert "UF" in line["flags"]
    assert b"CERTIFICATE" not in reply.body


def test_https_is_never_tried_in_plain(folder: Path, judge: Processor, server: Provider) -> None:
    """A server that speaks plain HTTP on an https:// provider's port gets no request."""
    authority = Authority(folder, "ca")
    with envoy(edge_in(folder, trust=authority.bundle), secure(server, "localhost")) as gate:
        assert gate.ask().status == 502

    assert server.received == []


def test_a_stalled_stream_is_cut(folder: Path, server: Provider, judge: Processor) -> None:
    """In the middle of an answer there is no status left to send: the connection ends early, and the log says SI."""

    def stall(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-type", "text/event-stream")
        request.send_header("transfer-encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"9\r\ndata: x\n\n\r\n")
        silence(request)

    server.answering = stall
    with envoy(edge_in(folder, upstream_idle_s=0.5), at(server)) as gate:
        started = time.monotonic()
        raw = gate.raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        line = gate.lines(1)[0]

    assert raw.endswith(b"9\r\ndata: x\n\n\r\n"), "no final chunk: the client can tell"
    assert line["flags"] == "SI"
    assert time.monotonic() - started < 20


def stops(gate: Gate) -> int:
    """Exit code after SIGTERM."""
    gate.process.terminate()
    return gate.process.wait(20)


def test_envoy_stops_on_sigterm_and_leaves_no_socket_open(folder: Path, server: Provider, judge: Processor) -> None:
    """Exit code 0, and the port is free."""
    edge = edge_in(folder)
    with envoy(edge, at(server)) as gate:
        assert stops(gate) == 0
    with envoy(edge, at(server)) as gate:
        assert gate.ask().status == 200
