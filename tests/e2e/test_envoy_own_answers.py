"""A route that the gate answers itself: extproc's answer is what the app gets, and nothing leads from there to a provider."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from envoy_rig import Gate, Reply, edge_in, envoy
from scripted_processor import ID, Processor, govern, head, set_header
from stack import eventually
from watched_provider import Provider, at

from controlplane.envoy.config import render_edge, write
from controlplane.envoy.examples import CHAT
from controlplane.envoy.routes import Door
from extproc.edge.proto.ext_proc_pb2 import ProcessingRequest, ProcessingResponse
from ingest.endings import Ending, ending

MODELS = Door("models", "openai", "GET", "/v1/models", "")
LISTING = b'{"object": "list", "data": []}'


@pytest.fixture(scope="module")
def gate(folder: Path, server: Provider, judge: Processor) -> Iterator[Gate]:
    """Envoy, once it knows the route."""
    with envoy(edge_in(folder, processor_timeout_s=2), at(server)) as made:
        write(made.folder, render_edge(made.edge, replace(made.snapshot, revision="y"), [CHAT, MODELS]))
        judge.script = govern
        eventually(lambda: asked(made).status == 503, "the route")
        yield made


def asked(gate: Gate) -> Reply:
    """A listing, as the SDKs ask for it."""
    return gate.ask(b"", path=MODELS.path, method=MODELS.method)


def listing(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
    """Extproc's own answer to a request's head."""
    next(messages)
    said = ProcessingResponse()
    said.immediate_response.status.code = 200
    said.immediate_response.body = LISTING
    said.immediate_response.details = "portcullis_served"
    said.immediate_response.headers.set_headers.append(set_header("content-type", "application/json"))
    said.immediate_response.headers.set_headers.append(set_header("x-portcullis-request-id", ID))
    yield said


def test_the_gates_own_answer_is_what_the_app_gets(gate: Gate, judge: Processor, server: Provider) -> None:
    """Given to the head, which is all there is of a request without a body; the closed route behind it is not seen."""
    judge.script = listing
    judge.seen.clear()

    reply = asked(gate)

    assert (reply.status, reply.body) == (200, LISTING)
    assert (reply.headers["content-type"], reply.headers["x-portcullis-request-id"]) == ("application/json", ID)
    assert server.received == []
    assert [[message.WhichOneof("request") for message in messages] for messages in judge.seen] == [["request_headers"]]
    assert judge.seen[0][0].request_headers.end_of_stream


def test_the_second_witness_reads_it_as_served(gate: Gate, judge: Processor) -> None:
    """Envoy's line has our word for it among its details, and no flag."""
    judge.script = listing
    before = len(gate.lines(0))
    asked(gate)
    line = gate.lines(before + 1)[-1]

    assert ending(line["flags"], line["details"], int(line["status"])) == Ending("served", "complete")


def test_no_metadata_opens_a_door_there(gate: Gate, judge: Processor, server: Provider) -> None:
    """Even if extproc named a provider for it, none is reached."""

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        for message in messages:
            said = head(provider="main", route="models") if message.WhichOneof("request") == "request_headers" else ProcessingResponse()
            if said.HasField("request_headers"):
                said.request_headers.response.clear_route_cache = True
            else:
                getattr(said, str(message.WhichOneof("request"))).SetInParent()
            yield said

    judge.script = script
    reply = asked(gate)

    assert (reply.status, reply.error["code"]) == (503, "gate_unavailable")
    assert server.received == []


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/models"), ("HEAD", "/v1/models"), ("GET", "/v1/models?limit=1"), ("GET", "/v1/models/x")]
)
def test_only_exactly_this_request_is_declared(gate: Gate, judge: Processor, method: str, path: str) -> None:
    """Another method, a query or a longer path is no route."""
    judge.script = govern
    assert gate.ask(b"", path=path, method=method).status == 404
