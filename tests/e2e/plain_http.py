"""HTTP as an app speaks it, for tests: one request, and all that came back of the answer."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What the app got; header names are lower case. `broken`: the body broke off."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: bool = False

    @property
    def id(self) -> str:
        """The exchange's id."""
        return self.headers.get("x-portcullis-request-id", "")

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The refusal's code."""
        return str(self.document["error"]["code"])

    @property
    def text(self) -> str:
        """What the model said, unary or streamed."""
        if not self.headers.get("content-type", "").startswith("text/event-stream"):
            return str(self.document["choices"][0]["message"]["content"])
        events = [line.removeprefix("data: ") for line in self.body.decode().split("\n") if line.startswith("data: {")]
        return "".join(choice["delta"].get("content") or "" for event in events for choice in json.loads(event)["choices"])


def ask(url: str, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
    """One HTTP request on a connection of its own. Raises OSError or HTTPException where no head comes back."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return read_reply(connection.getresponse())
    finally:
        connection.close()


def read_reply(answer: http.client.HTTPResponse) -> Reply:
    """The whole answer, or as much of it as comes."""
    headers = {name.lower(): value for name, value in answer.getheaders()}
    pieces: list[bytes] = []
    try:
        while piece := answer.read1(1 << 16):
            pieces.append(piece)
    except (http.client.HTTPException, OSError):
        return Reply(answer.status, headers, b"".join(pieces), broken=True)
    # http.client takes a connection that ends before content-length for a normal end.
    short = answer.length is not None and answer.length > 0
    return Reply(answer.status, headers, b"".join(pieces), broken=short)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))
