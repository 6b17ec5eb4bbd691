"""However extproc ends its stream, in the middle of an answer too: nothing that it did not see goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from envoy_rig import Gate, edge_in, envoy
from h2_processor import ENDINGS, Ending, h2_processor, says_ok
from scripted_processor import ID, door, head, passing, processor
from watched_provider import Provider, answer_json, at, provider

from extproc.edge.proto.ext_proc_pb2 import ProcessingRequest, ProcessingResponse
from ingest.endings import ending

EVENT = b"data: secret\n\n"
SEEN = b"data: ******\n\n"


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


@dataclass
class Events:
    """An event stream, one event each time it is told `more`."""

    more: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    over: bool = False

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        """Answer."""
        request.send_response(200)
        request.send_header("content-type", "text/event-stream")
        request.send_header("transfer-encoding", "chunked")
        request.end_headers()
        while self.more.acquire(timeout=30) and not self.over:
            request.wfile.write(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
        request.wfile.write(b"0\r\n\r\n")

    def end(self) -> None:
        """No more."""
        self.over = True
        self.more.release()


def redacting(message: ProcessingRequest) -> ProcessingResponse:
    """Let everything through, with the secret covered."""
    kind = message.WhichOneof("request")
    if kind == "request_headers":
        return head()
    if kind == "request_body":
        return door()
    said = passing(message)
    if kind == "response_body":
        said.response_body.response.body_mutation.body = message.response_body.body.replace(b"secret", b"******")
    return said


def up_to(kind: str, count: int = 1) -> Callable[[ProcessingRequest], ProcessingResponse | None]:
    """Redact, until the message of this kind and number."""
    left = [count]

    def answer(message: ProcessingRequest) -> ProcessingResponse | None:
        left[0] -= message.WhichOneof("request") == kind
        return redacting(message) if left[0] else None

    return answer


def listen(gate: Gate, events: Events, count: int = 8) -> tuple[bytes, bool]:
    """Read up to `count` events, each asked for; what came, and whether the answer broke off."""
    got = b""
    client = gate.connect()
    try:
        client.request("POST", "/v1/chat/completions", b"{}", {"content-type": "application/json"})
        events.more.release()
        answer = client.getresponse()
        for number in range(count):
            if not (piece := answer.read1(1 << 16)):
                return got, False
            got += piece
            if number + 1 < count:
                events.more.release()
        events.end()
        return got + answer.read(), False
    except (HTTPException, ConnectionError):
        return got, True
    finally:
        events.end()
        client.close()


def last_line(gate: Gate) -> dict[str, Any]:
    """Of the access log, once it has one."""
    return gate.lines(1)[-1]


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("chunk", [1, 3])
def test_an_event_stream_is_cut_where_extproc_ends(folder: Path, server: Provider, end: Ending, chunk: int) -> None:
    """The app sees its answer break off, without one byte that extproc did not see; the log says whose fault it was."""
    server.answering = events = Events()
    edge = edge_in(folder)
    assert edge.processor is not None
    with h2_processor(edge.processor, up_to("response_body", chunk), end), envoy(edge, at(server)) as gate:
        got, broken = listen(gate, events)
        line = last_line(gate)

    assert got == SEEN * (chunk - 1)
    assert broken
    assert (line["id"], line["status"]) == (ID, 200)
    assert line["details"].startswith("ext_proc_error")
    assert ending(line["flags"], line["details"], line["status"]).termination == "gate_died"


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
@pytest.mark.parametrize(("kind", "reached"), [("request_headers", 0), ("request_body", 0), ("response_headers", 1), ("response_body", 1)])
def test_a_whole_answer_is_503_wherever_extproc_ends(folder: Path, server: Provider, end: Ending, kind: str, reached: int) -> None:
    """Nothing of the provider's answer comes out, and where there was no verdict nothing goes to it."""
    edge = edge_in(folder)
    assert edge.processor is not None
    server.answering = answer_json
    with h2_processor(edge.processor, up_to(kind), end), envoy(edge, at(server)) as gate:
        reply = gate.ask()

    assert (reply.status, reply.error["code"]) == (503, "gate_unavailable")
    assert "x-provider-secret" not in reply.headers
    assert len(server.received) == reached


def test_a_stream_that_extproc_forgets_is_cut(folder: Path, server: Provider) -> None:
    """One piece is never answered: the exchange ends after message_timeout, and the rest of the stream is not heard."""
    server.answering = events = Events()
    forgotten = threading.Event()

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        answer = up_to("response_body", 3)
        for message in messages:
            said = answer(message)
            if said is None:
                forgotten.wait(30)
                return
            yield said

    edge = edge_in(folder, processor_timeout_s=0.5)
    assert edge.processor is not None
    with processor(edge.processor, script), envoy(edge, at(server)) as gate:
        got, broken = listen(gate, events)
        forgotten.set()
        line = last_line(gate)

    assert (got, broken) == (SEEN * 2, True)
    assert line["details"].startswith("ext_proc_error_per-message_timeout")
    assert ending(line["flags"], line["details"], line["status"]).termination == "gate_died"


def test_good_exchanges_end_well(folder: Path, server: Provider) -> None:
    """Envoy ends their streams itself: none counts as failed, and its log stays empty."""
    edge = edge_in(folder)
    assert edge.processor is not None
    with h2_processor(edge.processor, redacting, says_ok), envoy(edge, at(server)) as gate:
        for _ in range(20):
            server.answering = answer_json
            assert gate.ask().status == 200
            server.answering = events = Events()
            assert listen(gate, events, 3) == (SEEN * 3, False)
        assert gate.stat("http.gateway.ext_proc.streams_started") == 40
        assert gate.stat("http.gateway.ext_proc.streams_failed") == 0

        assert (folder / "envoy.log").read_text() == ""
