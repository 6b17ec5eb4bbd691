"""The edge profile: what is no well-formed request for a declared route is refused, in our shape, and is witnessed."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from envoy_rig import Gate, edge_in, envoy
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from scripted_processor import ID, Processor, processor
from stack import eventually
from watched_provider import Provider, answer_json, at

from contracts.settings import MIB

HEAD = b"host: x\r\nauthorization: Bearer pcl_k\r\n"
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\n" + HEAD
CLOSE = b"connection: close\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def gate(folder: Path, server: Provider, judge: Processor) -> Iterator[Gate]:
    """Envoy, with short time-outs for slow clients."""
    with envoy(edge_in(folder, request_timeout_s=0.5, headers_timeout_s=0.5, processor_timeout_s=10), at(server)) as made:
        yield made


@pytest.fixture(autouse=True)
def _fresh(server: Provider, judge: Processor) -> None:
    server.received.clear()
    server.answering = answer_json
    judge.seen.clear()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET /v1/chat/completions HTTP/1.1\r\n" + HEAD + b"connection: close\r\n\r\n", 404, "unknown_route"),
        (b"POST /v1/other HTTP/1.1\r\n" + HEAD + CLOSE, 404, "unknown_route"),
        (b"POST /v1/chat/completions/ HTTP/1.1\r\n" + HEAD + CLOSE, 404, "unknown_route"),
        (b"POST /V1/chat/completions HTTP/1.1\r\n" + HEAD + CLOSE, 404, "unknown_route"),
        (b"POST /v1/chat/completions?key=pcl_k HTTP/1.1\r\n" + HEAD + CLOSE, 404, "unknown_route"),
        (b"GET /v1/chat/completions HTTP/1.1\r\n" + HEAD + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n", 404, "unknown_route"),
        (b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"connection: close\r\n\r\n", 404, "unknown_route"),
        (b"CONNECT example.com:443 HTTP/1.1\r\n" + HEAD + b"\r\n", 408, "invalid_request"),
        (CHAT + b"x_api_key: a\r\n" + CLOSE, 400, "invalid_request"),
        (b"POST /v1%2Fchat/completions HTTP/1.1\r\n" + HEAD + CLOSE, 400, "invalid_request"),
        (b"POST /v1%5cchat/completions HTTP/1.1\r\n" + HEAD + CLOSE, 400, "invalid_request"),
        (CHAT + b"x-a: " + b"y" * 70_000 + b"\r\n" + CLOSE, 431, "invalid_request"),
        (CHAT + b"x-a: y\r\n" * 150 + CLOSE, 431, "invalid_request"),
        (CHAT + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, "invalid_request"),
        (b"hello there\r\n\r\n", 400, "invalid_request"),
        (b"POST /v1/chat/completions HTTP/1.1\r\n" + CLOSE, 400, "invalid_request"),
        (b"POST /v1/chat/completions HTTP/1.0\r\n" + CLOSE, 426, "invalid_request"),
        (b"POST /v1/chat/completions HTTP/1.1\r\nhost:", 408, "invalid_request"),
        (CHAT + b"content-length: 20\r\n\r\n{", 408, "invalid_request"),
    ],
    ids=[
        "method", "path", "trailing slash", "case", "query", "websocket", "asterisk", "connect", "underscore", "escaped slash",
        "escaped backslash", "large head", "many headers", "length and chunked", "garbage", "no host", "http/1.0", "slow head", "slow body",
    ],
)  # fmt: skip
def test_what_is_no_request_for_a_route_is_refused(gate: Gate, server: Provider, data: bytes, status: int, code: str) -> None:
    """The status, our code in our shape, nothing upstream, and one more line in the log with that status."""
    before = len(gate.edge.access_log.read_text().splitlines())
    answer, _, body = gate.raw(data).partition(b"\r\n\r\n")
    error = json.loads(body)["error"]

    assert answer.split(b" ")[1] == str(status).encode()
    assert error["code"] == code
    assert set(error) == {"message", "type", "param", "code", "request_id", "details"}
    assert b"content-type: application/json" in answer
    assert b"envoy" not in answer.lower()
    assert server.received == []
    line = gate.lines(before + 1)[-1]
    assert line["status"] == status
    assert error["request_id"] == (line["id"] or line["envoy_id"])
    assert "pcl_k" not in json.dumps(line)


def test_gate_is_not_asked_about_what_was_no_request(gate: Gate, judge: Processor) -> None:
    """Extproc's first message is always a request's head: Envoy's early answers pass it by."""
    gate.raw(CHAT + b"x_api_key: a\r\n" + CLOSE)
    gate.raw(b"POST /v1%2Fchat/completions HTTP/1.1\r\n" + HEAD + CLOSE)
    gate.raw(b"GET /v1/chat/completions HTTP/1.1\r\n" + HEAD + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n")

    assert judge.seen == []


def test_a_path_is_compared_in_one_spelling(gate: Gate, server: Provider) -> None:
    """Dots and doubled slashes are resolved before anything looks at the path."""
    answer = gate.raw(b"POST //v1/x/../chat///completions HTTP/1.1\r\n" + HEAD + CLOSE)

    assert answer.startswith(b"HTTP/1.1 200")
    assert [r.path for r in server.received] == ["/v1/chat/completions"]


def test_request_trailers_stay_here(gate: Gate, server: Provider) -> None:
    """HTTP/1: they are read and dropped."""
    chunked = b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx-t: 1\r\nauthorization: Bearer z\r\n\r\n"
    answer = gate.raw(CHAT + chunked)

    assert answer.startswith(b"HTTP/1.1 200")
    assert server.received[0].body == b"{}"
    assert server.received[0].headers["authorization"] == "Bearer provider-secret"


def http2(gate: Gate, headers: list[tuple[str, str]], body: bytes, trailers: list[tuple[str, str]] | None = None) -> tuple[str, bytes]:
    """One HTTP/2 request with prior knowledge; status and body."""
    connection = H2Connection(H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False))
    with socket.create_connection(("127.0.0.1", gate.edge.port), timeout=20) as client:
        connection.initiate_connection()
        connection.send_headers(1, headers)
        connection.send_data(1, body, end_stream=not trailers)
        if trailers:
            connection.send_headers(1, trailers, end_stream=True)
        client.sendall(connection.data_to_send())
        status, parts = "", []
        while data := client.recv(65536):
            events: list[Event] = connection.receive_data(data)
            client.sendall(connection.data_to_send())
            for event in events:
                if isinstance(event, ResponseReceived):
                    status = dict(event.headers)[b":status"].decode()
                elif isinstance(event, DataReceived):
                    parts.append(event.data)
                elif isinstance(event, StreamReset):
                    return f"reset {event.error_code}", b""
            if any(isinstance(event, StreamEnded) for event in events):
                break
    return status, b"".join(parts)


def h2_head(path: str = "/v1/chat/completions", *more: tuple[str, str]) -> list[tuple[str, str]]:
    """Pseudo-headers and more."""
    return [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", path), *more]


def test_http2_is_served_and_its_trailers_stay_here(gate: Gate, server: Provider) -> None:
    """The provider is spoken to in HTTP/1.1, which has no room for them."""
    status, body = http2(gate, h2_head(), b"{}", [("x-t", "1"), ("authorization", "Bearer z")])

    assert (status, body) == ("200", b'{"ok": true}')
    assert server.received[0].body == b"{}"
    assert server.received[0].headers["authorization"] == "Bearer provider-secret"
    assert "x-t" not in server.received[0].headers


def test_http2_refusals_have_our_shape(gate: Gate, server: Provider) -> None:
    """As over HTTP/1.1."""
    status, body = http2(gate, h2_head("/v1/other"), b"{}")

    assert (status, json.loads(body)["error"]["code"]) == ("404", "unknown_route")
    assert server.received == []


@pytest.mark.parametrize(
    "bad",
    [
        h2_head("/v1/chat/completions", ("x_api_key", "a")),
        h2_head("/v1/chat/completions", ("X-Upper", "a")),
        h2_head("/v1/chat/completions", ("connection", "upgrade")),
    ],
    ids=["underscore", "upper case", "connection"],
)
def test_malformed_http2_reaches_nobody(gate: Gate, server: Provider, bad: list[tuple[str, str]]) -> None:
    """Reset or 400, never served."""
    status, _ = http2(gate, bad, b"{}")

    assert status != "200"
    assert server.received == []


# ── sizes ──────────────────────────────────────────────────────────────────────

LIMIT = 20 * MIB


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [1024, 32_767, 32_768, 32_769, MIB, LIMIT])
def test_a_request_up_to_the_limit_passes_whole(gate: Gate, server: Provider, judge: Processor, size: int, chunked: bool) -> None:
    """Extproc sees it in one piece, the provider gets every byte."""
    body = b"y" * size
    client = gate.connect()
    pieces = (body[start : start + 65536] for start in range(0, size, 65536))
    client.request("POST", "/v1/chat/completions", pieces if chunked else body, {}, encode_chunked=chunked)
    status = client.getresponse().status
    client.close()

    assert status == 200
    assert [len(r.body) for r in server.received] == [size]
    assert [len(m.request_body.body) for m in judge.seen[0] if m.WhichOneof("request") == "request_body"] == [size]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_request_over_the_limit_is_413(gate: Gate, server: Provider, chunked: bool) -> None:
    """By one byte, and nothing of it goes on."""
    size = b"%x" % (LIMIT + 1)
    framing = b"transfer-encoding: chunked\r\n\r\n" + size + b"\r\n" if chunked else b"content-length: %d\r\n\r\n" % (LIMIT + 1)
    answer, _, body = gate.raw(
        CHAT + b"connection: close\r\n" + framing + b"y" * (LIMIT + 1) + (b"\r\n0\r\n\r\n" if chunked else b"")
    ).partition(b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 413")
    assert json.loads(body)["error"]["code"] == "request_too_large"
    assert server.received == []


def of_size(size: int, kind: str) -> object:
    """An answer of so many bytes."""

    def answering(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-type", kind)
        request.send_header("content-length", str(size))
        request.end_headers()
        for start in range(0, size, MIB):
            request.wfile.write(b"x" * min(MIB, size - start))

    return answering


@pytest.mark.parametrize(
    ("size", "kind", "status"),
    [
        (32_769, "application/json", 200),
        (64 * MIB, "application/json", 200),
        (64 * MIB + 1, "application/json", 502),
        (66 * MIB, "text/event-stream", 200),
    ],
)
def test_a_whole_answer_has_a_limit_and_a_stream_has_none(gate: Gate, server: Provider, size: int, kind: str, status: int) -> None:
    """Over it the provider is at fault: 502."""
    server.answering = of_size(size, kind)  # type: ignore[assignment] # as Answering
    reply = gate.ask()

    assert reply.status == status
    if status == 200:
        assert len(reply.body) == size
    else:
        assert reply.error["code"] == "upstream_error"


# ── the witness ────────────────────────────────────────────────────────────────

FIELDS = {
    "id", "envoy_id", "time", "method", "path", "status", "flags", "details", "duration_us", "duration_ms", "upstream_us",
    "request_bytes", "response_bytes", "client_address", "user_agent", "route", "provider", "upstream_failure", "connection_details",
}  # fmt: skip


@pytest.fixture
def apart(server: Provider) -> Iterator[Gate]:
    """An Envoy with an empty log and a trusted proxy in front."""
    with TemporaryDirectory(prefix="pcl") as name:
        path = Path(name)
        with processor(path / "x.sock"), envoy(edge_in(path, trusted_hops=1), at(server)) as made:
            yield made


def test_one_line_a_stream_with_these_fields_and_no_secret(apart: Gate) -> None:
    """What ingest reads. Neither key, credential, query nor any header but the agent, which is cut."""
    apart.ask(b'{"a": 1}', user_agent='app/1 "quoted" ' + "z" * 300)
    apart.ask(path="/v1/nothing?secret=pcl_query")
    first, second = apart.lines(2)
    text = apart.edge.access_log.read_text()

    assert set(first) == set(second) == FIELDS
    assert (first["id"], first["route"], first["provider"]) == (ID, "chat", "main")
    assert (first["status"], first["flags"], first["details"]) == (200, "-", "via_upstream")
    assert (first["method"], first["path"], first["request_bytes"], first["response_bytes"]) == ("POST", "/v1/chat/completions", 8, 12)
    assert first["user_agent"].startswith('app/1 "quoted" zzz')
    assert len(first["user_agent"]) == 200
    assert first["time"].endswith("Z")
    assert first["duration_us"] >= first["upstream_us"] > 0
    assert (second["path"], second["status"]) == ("/v1/nothing", 404)
    assert [word for word in ("pcl_", "Bearer", "secret", "provider-") if word in text] == []


def test_the_error_that_envoy_writes_is_found_in_the_log(apart: Gate) -> None:
    """Without extproc's id, the app's request id is the log's envoy_id."""
    assert apart.edge.processor is not None
    apart.edge.processor.unlink()  # new connections fail; the one Envoy may hold is none yet
    reply = apart.ask()
    line = apart.lines(1)[0]

    assert reply.error["request_id"] == reply.headers["x-portcullis-request-id"] == line["envoy_id"]
    assert line["id"] is None


def test_a_trusted_proxys_word_is_taken_and_no_other(apart: Gate) -> None:
    """One hop is trusted: the last address it names, not those before it."""
    apart.ask(x_forwarded_for="6.6.6.6, 10.2.0.7")

    assert apart.lines(1)[0]["client_address"] == "10.2.0.7"


def test_envoys_counter_equals_the_lines(apart: Gate) -> None:
    """What `audit stats` sets beside its rows."""
    for number in range(5):
        apart.ask(path=f"/v1/{number}")

    assert len(apart.lines(5)) == 5
    assert apart.requests == 5


def test_a_client_that_leaves_is_told_by_its_flag(apart: Gate, server: Provider) -> None:
    """DC, with the exchange's id."""

    def silent(request: BaseHTTPRequestHandler) -> None:
        request.rfile.read(1)
        request.close_connection = True

    server.answering = silent
    server.received.clear()
    client = apart.connect()
    client.request("POST", "/v1/chat/completions", b"{}")
    eventually(lambda: server.received, "the request at the provider")
    client.close()
    line = apart.lines(1)[0]

    assert (line["id"], line["flags"], line["status"], line["details"]) == (ID, "DC", 0, "downstream_remote_disconnect")


def test_the_log_rotates_without_loss(apart: Gate) -> None:
    """Rename, make the new one private, ask Envoy to reopen: old lines there, new lines here."""
    log = apart.edge.access_log
    apart.ask(path="/v1/one")
    apart.lines(1)
    log.rename(log.with_suffix(".1"))
    os.close(os.open(log, os.O_CREAT | os.O_WRONLY, 0o600))
    assert apart.admin("/reopen_logs", "POST")[0] == 200
    apart.ask(path="/v1/two")

    assert [line["path"] for line in apart.lines(1)] == ["/v1/two"]
    assert json.loads(log.with_suffix(".1").read_text())["path"] == "/v1/one"
    assert log.stat().st_mode & 0o777 == 0o600


def test_admin_is_a_private_socket_only(apart: Gate) -> None:
    """Mode 0600, and the app's port does not lead there."""
    assert apart.edge.admin.stat().st_mode & 0o777 == 0o600
    assert apart.ask(path="/stats", method="GET").status == 404


def test_a_second_envoy_on_the_port_is_an_error(apart: Gate) -> None:
    """Never half of the traffic."""
    with TemporaryDirectory(prefix="pcl") as name:
        other = edge_in(Path(name), port=apart.edge.port)
        with pytest.raises(AssertionError, match="in use"), envoy(other):
            pass
