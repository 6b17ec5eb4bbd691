"""Half a gigabyte of events to an app that reads slowly: the provider is held, and nobody's memory grows with the stream."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from plain_http import ask
from stack import Stack, eventually

MIB: Final = 1 << 20
BULK: Final = 500 * MIB
"""Bytes of text; the stream is a little longer."""

PIECE: Final = "The committee met on Tuesday and decided nothing that it had not decided before. " * 200
"""16 KB an event: what is sent, held and read is the same as with small ones, and mock and reader keep up."""

UNDER_WAY: Final = 128 * MIB
"""Most that the provider may get rid of while the app does not read: buffers of four sockets, of Envoy, and of the gate."""

ROOM: Final = {"extproc": 48 * MIB, "envoy": 96 * MIB}
"""Most that each may grow by during the stream. Envoy's buffer takes whole requests too (limits.request_bytes), and fills first."""

STILL: Final = 40
"""Looks at the mock in a row, a fiftieth of a second apart and more, that show no byte more."""


def resident(gate: Stack) -> dict[str, int]:
    """Bytes of memory that the parts an answer passes through have."""
    found: dict[str, int] = {}
    for part in ROOM:
        lines = Path(f"/proc/{gate.pids[part]}/status").read_text("utf-8").splitlines()
        found[part] = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))
    return found


def sent(gate: Stack) -> dict[str, Any]:
    """How far the mock's answer has got."""
    told: dict[str, Any] = json.loads(ask(gate.mock, "GET", "/__sent").body)
    return told


def held(gate: Stack) -> int:
    """How many bytes the mock has got rid of, once that stands still."""
    seen: list[int] = []

    def still() -> bool:
        told = sent(gate)
        assert told["state"] == "under way", "nobody held the provider"
        seen.append(told["bytes"])
        return len(seen) > STILL and len(set(seen[-STILL:])) == 1

    eventually(still, "a provider that stands still")
    return seen[-1]


@contextmanager
def reading(gate: Stack) -> Iterator[socket.socket]:
    """A chat stream's connection, its request sent; the answer is read from the socket as it comes."""
    body = json.dumps({"model": "cheap", "stream": True, "messages": [{"role": "user", "content": "Tell me all"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {gate.key()}\r\ncontent-type: application/json\r\n"
    host, _, port = gate.gateway.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        yield connection


def test_a_slow_reader_holds_the_provider_and_memory_stays_flat(gate: Stack) -> None:
    """The app stops reading at the start and again in the middle, then takes all; every byte comes, and one row says so."""
    before = resident(gate)
    most = dict.fromkeys(ROOM, 0)
    gate.script({"text": [PIECE], "bulk": BULK})
    with reading(gate) as connection:
        buffer, tail, got, pauses = bytearray(MIB), b"", 0, [MIB, BULK // 2]
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            if pauses and got >= pauses[0]:
                pauses.pop(0)
                assert held(gate) - got < UNDER_WAY
            size = connection.recv_into(buffer)
            assert size, "the stream broke off"
            if got // (16 * MIB) != (got + size) // (16 * MIB):
                most = {part: max(most[part], now - before[part]) for part, now in resident(gate).items()}
            got += size
            tail = (tail + bytes(buffer[max(0, size - 64) : size]))[-64:]
    assert got > BULK
    assert b"data: [DONE]" in tail
    assert sent(gate)["state"] == "whole"
    assert all(most[part] < ROOM[part] for part in ROOM), most
    rows = eventually(lambda: gate.query("SELECT * FROM audit.requests WHERE stream AND response_bytes > 500000000"), "the row")
    assert len(rows) == 1
    assert (rows[0]["outcome"], rows[0]["termination"], rows[0]["usage_source"]) == ("served", "complete", "provider")
    assert rows[0]["chunks"] > BULK // len(PIECE)
