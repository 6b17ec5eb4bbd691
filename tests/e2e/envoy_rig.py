"""Real Envoy, for tests that stand between a provider they watch and an ext_proc server they script."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Final

from plain_http import UnixConnection
from stack import eventually, free_port

from contracts.snapshot import ProviderRecord, Snapshot
from controlplane.envoy.config import render_edge, write
from controlplane.envoy.edge import Edge
from controlplane.envoy.examples import CHAT
from controlplane.envoy.listener import REQUESTS_COUNTER
from controlplane.envoy.program import arguments, binary

KEY: Final = "Bearer pcl_client"


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
        connection = UnixConnection(self.edge.admin)
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
