"""Envoy short of memory refuses, in our shape, and serves again when it has some."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from envoy_rig import Gate, edge_in, envoy
from scripted_processor import processor
from stack import eventually
from watched_provider import Provider, at, provider

from contracts.settings import MIB
from ingest.endings import ending

BODY = 100 * MIB
HEAP = 100 * MIB


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


def test_over_its_heap_envoy_refuses_and_comes_back(folder: Path, server: Provider) -> None:
    """While one app's huge upload is held, another's request is 503; when that app leaves, it is served."""
    edge = edge_in(folder, request_bytes=BODY, heap_bytes=HEAP)
    assert edge.processor is not None
    with processor(edge.processor), envoy(edge, at(server)) as gate:
        assert gate.ask().status == 200
        with socket.create_connection(("127.0.0.1", gate.edge.port), timeout=20) as greedy:
            greedy.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % BODY)
            greedy.sendall(b"x" * (BODY - 1))
            reply = eventually(lambda: refused(gate), "refused")
        assert (reply.status, reply.error["code"]) == (503, "gate_unavailable")
        line = eventually(lambda: [line for line in gate.lines(1) if line["status"] == reply.status], "the refusal's line")[0]
        assert ending(line["flags"], line["details"], line["status"]).termination == "gate_died"
        assert not any(request.body.startswith(b"x") for request in server.received)
        eventually(lambda: gate.ask().status == 200, "served again", 60)


def refused(gate: Gate) -> object:
    """An answer that is no 200."""
    reply = gate.ask()
    return reply if reply.status != 200 else None
