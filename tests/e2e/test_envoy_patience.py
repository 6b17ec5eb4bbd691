"""Envoy waits longer for a message where extproc asks for it, so that a large body may wait for a worker; and not for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from envoy_rig import Gate, edge_in, envoy
from scripted_processor import door, head, passing, processor
from watched_provider import Provider, at, provider

from contracts.settings import Settings
from controlplane.envoy.edge import edge_of
from extproc.edge import envoy_wire
from extproc.edge.driver import PATIENCE_S
from extproc.edge.offload import LIMIT_S
from extproc.edge.proto.ext_proc_pb2 import ProcessingRequest, ProcessingResponse

TIMEOUT_S = 0.5


@pytest.fixture(scope="module")
def line() -> Iterator[tuple[Gate, Provider, list[int]]]:
    """Envoy with a processor that asks for as many seconds as `asks` says, and then takes three times the usual timeout."""
    asks: list[int] = []
    pause = threading.Event()

    def script(messages: Iterator[ProcessingRequest]) -> Iterator[ProcessingResponse]:
        for message in messages:
            kind = message.WhichOneof("request")
            if kind == "request_body":
                if asks:
                    yield ProcessingResponse.FromString(envoy_wire.more_time(asks[0]))  # a field that our subset keeps unread
                pause.wait(3 * TIMEOUT_S)
            yield head() if kind == "request_headers" else door() if kind == "request_body" else passing(message)

    with TemporaryDirectory(prefix="pcl") as name, provider() as server, processor(Path(name) / "x.sock", script):
        edge = edge_in(Path(name), processor_timeout_s=TIMEOUT_S, processor_patience_s=10.0)
        with envoy(edge, at(server)) as gate:
            yield gate, server, asks


def test_a_message_that_asks_for_time_gets_it(line: tuple[Gate, Provider, list[int]]) -> None:
    """The reply comes after the timeout, and the exchange goes on."""
    gate, server, asks = line
    asks[:] = [9]
    server.received.clear()
    assert gate.ask(b'{"a": 1}').status == 200
    assert [request.body for request in server.received] == [b'{"a": 1}']


@pytest.mark.parametrize("asked", [[], [11]], ids=["nothing asked", "more than may be asked"])
def test_a_message_that_does_not_is_late(line: tuple[Gate, Provider, list[int]], asked: list[int]) -> None:
    """The timeout stands; nothing reaches the provider."""
    gate, server, asks = line
    asks[:] = asked
    server.received.clear()
    reply = gate.ask()
    assert (reply.status, reply.error["code"]) == (503, "gate_unavailable")
    assert server.received == []


def test_what_is_asked_for_may_be_asked_for() -> None:
    """Reading and rewriting, each within a worker's limit, and the rules' verdict between them."""
    settings = Settings()
    edge = edge_of(settings, Path("/nowhere"))
    assert 2 * LIMIT_S + edge.processor_timeout_s <= PATIENCE_S <= edge.processor_patience_s
