"""Envoy lets nothing through that extproc did not open: whatever extproc does or fails to do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from envoy_rig import Gate, edge_in, envoy
from scripted_processor import CREDENTIAL, ID, Processor, door, govern, head, passing, set_header
from stack import eventually
from watched_provider import Provider, answer_json, at

from extproc.edge.proto import ext_proc_pb2 as pb
from extproc.edge.proto.ext_proc_pb2 import ProcessingRequest, ProcessingResponse


@pytest.fixture(scope="module")
def gate(folder: Path, server: Provider, judge: Processor) -> Iterator[Gate]:
    """Envoy."""
    with envoy(edge_in(folder, processor_timeout_s=2), at(server)) as made:
        yield made


@pytest.fixture(autouse=True)
def _fresh(server: Provider, judge: Processor) -> None:
    server.received.clear()
    server.answering = answer_json
    judge.script = govern


def answer(message: ProcessingRequest) -> ProcessingResponse:
    """What `govern` says to this message."""
    kind = message.WhichOneof("request")
    return head() if kind == "request_headers" else door() if kind == "request_body" else passing(message)


def test_the_door_opens_on_metadata_and_a_cleared_route(gate: Gate, server: Provider) -> None:
    """The one way through: metadata in the answer to the body, with clear_route_cache. The credential is swapped."""
    reply = gate.ask(b'{"a": 1}')

    assert reply.status == 200
    assert [(r.method, r.path, r.body) for r in server.received] == [("POST", "/v1/chat/completions", b'{"a": 1}')]
    assert server.received[0].headers["authorization"] == CREDENTIAL
    assert server.received[0].headers["host"] == f"127.0.0.1:{server.port}"


def test_nothing_of_the_inside_reaches_the_provider(gate: Gate, server: Provider) -> None:
    """No x-envoy-*, x-forwarded-* or x-request-id, not even those that the app invents."""
    gate.ask(b"{}", x_envoy_retry_on="5xx", x_forwarded_for="1.2.3.4", x_request_id="mine", x_portcullis_user="u")

    leaked = [name for name in server.received[0].headers if name.startswith(("x-envoy", "x-forwarded", "x-request", "x-portcullis"))]
    assert leaked == []


def test_nothing_of_a_providers_own_envoy_reaches_the_app(gate: Gate, server: Provider) -> None:
    """No x-envoy-* of its answer, known or not, which no ext_proc answer could take off."""

    def answering(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        for name in ("upstream-service-time", "overloaded", "of-tomorrow"):
            request.send_header(f"x-envoy-{name}", "true")
        request.send_header("content-length", "2")
        request.end_headers()
        request.wfile.write(b"{}")

    server.answering = answering

    reply = gate.ask()

    assert (reply.status, reply.body) == (200, b"{}")
    assert [name for name in reply.headers if name.startswith("x-envoy")] == []


@pytest.mark.parametrize("kind", ["response_headers", "response_body"])
def test_a_clean_close_on_the_way_back_is_503(gate: Gate, judge: Processor, server: Provider, kind: str) -> None:
    """The provider's answer is held back, and what it says under our header's name with it."""

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        for message in messages:
            if message.WhichOneof("request") == kind:
                return
            yield answer(message)

    def forging(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("x-portcullis-request-id", "forged")
        request.send_header("content-length", "6")
        request.end_headers()
        request.wfile.write(b"secret")

    judge.script = script
    server.answering = forging
    reply = gate.ask()

    assert (reply.status, reply.error["code"]) == (503, "gate_unavailable")
    assert reply.headers["x-portcullis-request-id"] == ID
    assert len(server.received) == 1


@pytest.mark.parametrize("kind", ["request_headers", "request_body"])
def test_a_clean_close_on_the_way_in_is_503(gate: Gate, judge: Processor, server: Provider, kind: str) -> None:
    """A clean close is none to Envoy; and were it one, the route would be shut all the same."""

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        for message in messages:
            if message.WhichOneof("request") == kind:
                return
            yield answer(message)

    judge.script = script
    reply = gate.ask()

    assert (reply.status, reply.error["code"]) == (503, "gate_unavailable")
    assert server.received == []


@pytest.mark.parametrize("kind", ["request_headers", "request_body", "response_headers", "response_body"])
def test_an_error_at_any_message_is_503(gate: Gate, judge: Processor, kind: str) -> None:
    """Extproc broke: neither the request nor the answer goes on."""

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        for message in messages:
            if message.WhichOneof("request") == kind:
                raise RuntimeError("broken on purpose")
            yield answer(message)

    judge.script = script
    reply = gate.ask()

    assert (reply.status, reply.error["code"]) == (503, "gate_unavailable")
    assert b"broken" not in reply.body
    assert "x-provider-secret" not in reply.headers


@pytest.mark.parametrize("kind", ["request_headers", "request_body", "response_headers", "response_body"])
def test_a_late_answer_is_503(gate: Gate, judge: Processor, kind: str) -> None:
    """Over message_timeout, at any message."""
    late = threading.Event()

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        for message in messages:
            if message.WhichOneof("request") == kind:
                late.wait(20)
                return
            yield answer(message)

    judge.script = script
    try:
        reply = gate.ask()
    finally:
        late.set()

    assert (reply.status, reply.error["code"]) == (503, "gate_unavailable")


def test_answers_without_metadata_are_503(gate: Gate, judge: Processor, server: Provider) -> None:
    """Even with the credential set and the route cache cleared."""

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        for message in messages:
            said = answer(message)
            said.ClearField("dynamic_metadata")
            yield said

    judge.script = script

    assert gate.ask().status == 503
    assert server.received == []


@pytest.mark.parametrize(("provider_name", "route"), [("main", "embeddings"), ("other", "chat"), ("", "chat")])
def test_metadata_for_another_door_is_503(gate: Gate, judge: Processor, server: Provider, provider_name: str, route: str) -> None:
    """Provider and route must both be the ones of the declared route."""
    judge.script = lambda messages: govern(messages, lambda: door(provider_name, route))

    assert gate.ask().status == 503
    assert server.received == []


def test_metadata_in_another_namespace_is_503(gate: Gate, judge: Processor, server: Provider) -> None:
    """Only the namespace `portcullis` is taken from extproc."""

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        for message in messages:
            said = answer(message)
            said.ClearField("dynamic_metadata")
            said.dynamic_metadata.update({"envoy.lb": {"provider": "main", "route": "chat"}})
            yield said

    judge.script = script

    assert gate.ask().status == 503
    assert server.received == []


@pytest.mark.parametrize("kind", ["response_body", "response_headers", "request_trailers"])
def test_an_answer_to_another_message_is_503(gate: Gate, judge: Processor, server: Provider, kind: str) -> None:
    """Garbage of the right protocol."""

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        next(messages)
        said = ProcessingResponse()
        getattr(said, kind).SetInParent()
        yield said
        yield from (answer(message) for message in messages)

    judge.script = script
    reply = gate.ask()

    assert (reply.status, reply.error["code"]) == (503, "gate_unavailable")
    assert server.received == []


@pytest.mark.parametrize("where", ["request_headers", "request_body"])
@pytest.mark.parametrize("name", [":path", ":authority", ":method", ":scheme", "host", "transfer-encoding", "x-envoy-retry-on"])
def test_extproc_may_not_steer(gate: Gate, judge: Processor, server: Provider, name: str, where: str) -> None:
    """Where a request goes is the route's business; to try otherwise ends the exchange."""

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        for message in messages:
            said = answer(message)
            if message.WhichOneof("request") == where:
                getattr(said, where).response.header_mutation.set_headers.append(set_header(name, "zzz"))
            yield said

    judge.script = script
    reply = gate.ask()

    assert (reply.status, reply.error["code"]) == (503, "gate_unavailable")
    assert server.received == []


def test_extprocs_own_refusal_stands(gate: Gate, judge: Processor, server: Provider) -> None:
    """Its status, headers and body are not rewritten: its details begin with our word."""

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        next(messages)
        said = ProcessingResponse()
        said.immediate_response.status.code = 404  # type: ignore[assignment] # a number on the wire
        said.immediate_response.body = b'{"error":{"code":"mine"}}'
        said.immediate_response.details = "portcullis_refused"
        said.immediate_response.headers.set_headers.append(set_header("content-type", "application/json"))
        said.immediate_response.headers.set_headers.append(set_header("x-portcullis-request-id", ID))
        yield said

    judge.script = script
    reply = gate.ask()

    assert (reply.status, reply.body) == (404, b'{"error":{"code":"mine"}}')
    assert reply.headers["content-type"] == "application/json"
    assert server.received == []


def test_the_error_names_the_exchange(gate: Gate, judge: Processor) -> None:
    """Where extproc gave the exchange an id, Envoy's own answer carries it, in header and body alike."""
    judge.script = lambda messages: govern(messages, lambda: door("gone"))
    reply = gate.ask()

    assert reply.headers["x-portcullis-request-id"] == ID
    assert reply.error["request_id"] == ID


def test_how_extproc_tells_envoys_answer_from_the_providers(gate: Gate, judge: Processor) -> None:
    """The attribute response.code_details is there with the answer's head: via_upstream, or why not."""
    judge.seen.clear()
    gate.ask()
    judge.script = lambda messages: govern(messages, lambda: door("gone"))
    gate.ask()

    def details(messages: list[pb.ProcessingRequest]) -> str:
        found = next(m for m in messages if m.WhichOneof("request") == "response_headers")
        return found.attributes["envoy.filters.http.ext_proc"].fields["response.code_details"].string_value

    assert [details(messages) for messages in judge.seen] == ["via_upstream", "direct_response"]
    first = judge.seen[0][0].attributes["envoy.filters.http.ext_proc"].fields
    assert first["source.address"].string_value.startswith("127.0.0.1:")
    assert len(first["request.id"].string_value) == 36


SERVE = """
import sys, threading
from pathlib import Path
from scripted_processor import Processor
Processor(Path(sys.argv[1])).start()
threading.Event().wait()
"""


def serve(path: Path, root: Path) -> subprocess.Popen[bytes]:
    """A processor in a process of its own, to be killed."""
    search = os.pathsep.join([str(root), str(root / "tests" / "e2e")])
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(SERVE), str(path)], env={**os.environ, "PYTHONPATH": search})

    def answers() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(path)) == 0

    eventually(answers, "the processor's socket")
    return process


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_dead_or_stopped_processor_is_503_and_a_new_one_serves(root: Path, server: Provider, how: signal.Signals) -> None:
    """Killed with -9 or stopped: closed. When it is back, Envoy uses it without a restart."""
    with TemporaryDirectory(prefix="pcl") as name:
        edge = edge_in(Path(name), processor_timeout_s=2)
        assert edge.processor is not None
        process = serve(edge.processor, root)
        try:
            with envoy(edge, at(server)) as gate:
                eventually(lambda: gate.ask().status == 200, "served")
                server.received.clear()
                process.send_signal(how)
                if how == signal.SIGKILL:
                    process.wait(20)
                refused = gate.ask()
                assert (refused.status, refused.error["code"]) == (503, "gate_unavailable")
                assert server.received == []
                process.kill()
                process.wait(20)
                edge.processor.unlink(missing_ok=True)
                process = serve(edge.processor, root)
                eventually(lambda: gate.ask().status == 200, "served again")
        finally:
            process.kill()
            process.wait(20)


def test_without_a_processor_it_is_503(server: Provider) -> None:
    """Not started yet: Envoy is up, and closed."""
    with TemporaryDirectory(prefix="pcl") as name, envoy(edge_in(Path(name)), at(server)) as gate:
        refused = gate.ask()
        unknown = gate.ask(path="/v1/nothing")

    assert (refused.status, refused.error["code"]) == (503, "gate_unavailable")
    assert unknown.status == 503
    assert b"socket" not in refused.body.lower()
    assert server.received == []
