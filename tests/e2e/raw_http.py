"""HTTP as no well-behaved client or provider speaks it: bytes and frames by hand, and what came back.

Each talk has a source address of its own (127.x.y.1), so its rows are found by it and no two are aggregated.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

import hpack
import pytest

PATIENCE_S: Final = 10.0
"""How long an answer is waited for where none should fail to come."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; header names are lower case, a name that came twice has both values."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str:
        """A header's first value, empty where it is missing."""
        return next((value for found, value in self.headers if found == name), "")

    @property
    def error(self) -> Mapping[str, Any]:
        """The refusal that is its body; empty where it is none."""
        with suppress(ValueError, TypeError, KeyError):
            found = json.loads(self.body)["error"]
            if isinstance(found, dict):
                return found
        return {}

    @property
    def code(self) -> str:
        """The refusal's code, in either family's shape; empty where it is none."""
        return str(self.error.get("code") or (self.error.get("details") or {}).get("error_code") or "")


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a talk. `ended`: how streams and connection ended where no answer did, in words; `raw`: all bytes that came."""

    source: str
    answers: Sequence[Answer]
    ended: Sequence[str]
    raw: bytes

    @property
    def app(self) -> str:
        """In words: `404 unknown_route`, `200, then 400 invalid_request`, `connection closed`."""
        said = [f"{answer.status} {answer.code}".strip() for answer in self.answers if answer.status >= 200]
        return ", then ".join([*said, *self.ended]) or "nothing"


class Sources:
    """Source addresses, each with a /24 of its own."""

    def __init__(self) -> None:
        self._numbers = itertools.count(256)

    def fresh(self) -> str:
        """One that nobody had. Where the machine has only 127.0.0.1 the test is skipped, or fails in CI."""
        number = next(self._numbers)
        address = f"127.{number >> 8}.{number & 255}.1"
        try:
            with socket.socket() as probe:
                probe.bind((address, 0))
        except OSError as why:
            if why.errno != errno.EADDRNOTAVAIL or os.environ.get("PORTCULLIS_REQUIRE_ALL") == "1":
                raise
            pytest.skip("this machine's loopback is 127.0.0.1 alone: run on Linux, or give it 127.0.0.0/8")
        return address


# ── HTTP/1.1 ──────────────────────────────────────────────────────────────────


def talk(port: int, source: str, pieces: Sequence[bytes], answers: int = 1) -> Heard:
    """Send bytes; read until so many final answers are whole, or the connection ends."""
    raw, ended = b"", ()
    bare = pieces[0].startswith(b"HEAD ")
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S, source_address=(source, 0)) as client:
        with suppress(ConnectionError):
            for piece in pieces:
                client.sendall(piece)
        while sum(answer.status >= 200 for answer in _answers(raw, bare=bare)) < answers:
            try:
                data = client.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                ended = ("connection closed",)
                break
            raw += data
    return Heard(source, _answers(raw, bare=bare), ended, raw)


_FIRST: Final = re.compile(rb"HTTP/1\.1 (\d{3})[^\r\n]*\r\n")


def _answers(raw: bytes, *, bare: bool) -> list[Answer]:
    """The whole answers in some bytes. `bare`: they are to HEAD, so have no bodies."""
    found: list[Answer] = []
    pos = 0
    while (first := _FIRST.match(raw, pos)) and (end := raw.find(b"\r\n\r\n", pos)) >= 0:
        lines = raw[first.end() : end].decode("latin-1").split("\r\n") if end > first.end() else []
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        body, pos = (b"", end + 4) if bare else _body(int(first[1]), dict(headers), raw, end + 4)
        if pos < 0:
            break
        found.append(Answer(int(first[1]), headers, body))
    return found


def _body(status: int, headers: Mapping[str, str], raw: bytes, pos: int) -> tuple[bytes, int]:
    """A body and where it ends; -1 where it is not whole."""
    if status < 200 or status in {204, 304}:
        return b"", pos
    if headers.get("transfer-encoding") != "chunked":
        end = pos + int(headers.get("content-length", 0))
        return raw[pos:end], end if end <= len(raw) else -1
    parts = []
    while (line := raw.find(b"\r\n", pos)) >= 0:
        size = int(raw[pos:line], 16)
        parts.append(raw[line + 2 : line + 2 + size])
        pos = line + 4 + size
        if not size:
            return b"".join(parts), pos if pos <= len(raw) else -1
    return b"", -1


# ── HTTP/2 (RFC 9113, RFC 7541) ───────────────────────────────────────────────

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, PRIORITISED = 1, 4, 8, 32
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ERRORS: Final = {0: "NO_ERROR", 1: "PROTOCOL_ERROR", 2: "INTERNAL_ERROR", 7: "REFUSED_STREAM", 8: "CANCEL"}


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">HBBBI", len(payload) >> 8, len(payload) & 255, kind, flags, stream) + payload


def block(*fields: tuple[bytes, bytes]) -> bytes:
    """A field block of literals, whatever is in them: neither indexed nor Huffman-coded."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(text: bytes) -> bytes:
    """A string literal; its length is an integer with a prefix of seven bits."""
    left = len(text) - 127
    if left < 0:
        return bytes((len(text),)) + text
    out = [127]
    while left >= 128:
        out.append(left & 127 | 128)
        left >>= 7
    return bytes((*out, left)) + text


GREETING: Final = PREFACE + frame(SETTINGS, 0, 0) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 24))


@dataclass
class Http2:
    """A connection. `statuses`, `bodies` and `ends` are by stream; `gone`: it is over."""

    client: socket.socket
    source: str
    statuses: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)
    ends: dict[int, str] = field(default_factory=dict)
    gone: bool = False
    raw: bytes = b""
    _decoder: hpack.Decoder = field(default_factory=hpack.Decoder)
    _rest: bytes = b""

    def send(self, *wire: bytes) -> None:
        """Send bytes; an end of the connection shows when it is read."""
        with suppress(OSError):
            for piece in wire:
                self.client.sendall(piece)

    def listen(self, *streams: int, pieces: int = 0) -> None:
        """Read until these streams are over, or one has a body of so many bytes, or the connection has ended.

        With no streams: until the connection has ended.
        """
        while not self.gone and not (streams and all(stream in self.ends for stream in streams)):
            if pieces and any(len(self.bodies.get(stream, b"")) >= pieces for stream in streams):
                return
            try:
                data = self.client.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                self.gone = True
                return
            self.raw += data
            self._rest += data
            self._frames()

    def _frames(self) -> None:
        while len(self._rest) >= 9:
            high, low, kind, flags, stream = struct.unpack_from(">HBBBI", self._rest)
            size = high << 8 | low
            if len(self._rest) < 9 + size:
                return
            payload, self._rest = self._rest[9 : 9 + size], self._rest[9 + size :]
            self._frame(kind, flags, stream, payload)

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags:
            self.send(frame(SETTINGS, 1, 0))
        elif kind == GOAWAY and struct.unpack_from(">II", payload)[1]:
            self.gone = True
        elif kind == RST_STREAM:
            number = struct.unpack(">I", payload)[0]
            self.ends.setdefault(stream, f"stream reset, {ERRORS.get(number, number)}")
        elif kind == HEADERS:
            self.statuses[stream] = [(str(name), str(value)) for name, value in self._decoder.decode(payload)]
        elif kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b"") + payload
        if kind in {HEADERS, DATA} and flags & END_STREAM:
            self.ends.setdefault(stream, "")

    @property
    def heard(self) -> Heard:
        """What came, stream by stream."""
        answers = [
            Answer(int(dict(headers)[":status"]), [pair for pair in headers if pair[0] != ":status"], self.bodies.get(stream, b""))
            for stream, headers in sorted(self.statuses.items())
        ]
        ended = [end for _, end in sorted(self.ends.items()) if end and end != "stream reset, NO_ERROR"]
        return Heard(self.source, answers, [*ended, *(["connection closed"] if self.gone else [])], self.raw)


@contextmanager
def http2(port: int, source: str, greeting: bytes = GREETING) -> Iterator[Http2]:
    """A connection with prior knowledge, its settings sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S, source_address=(source, 0)) as client:
        made = Http2(client, source)
        made.send(greeting)
        yield made


# ── a provider that answers with any bytes ────────────────────────────────────


def head_of(lines: BinaryIO) -> bytes:
    """The lines of a request up to the blank one, or as many as come; none where the connection is over."""
    read: list[bytes] = []
    while (line := lines.readline()) not in {b"", b"\r\n"}:
        read.append(line)
    return b"".join(read)


@dataclass
class Provider:
    """Answers by the request's user agent. `received`: heads and bodies by user agent."""

    port: int = 0
    answers: dict[str, Sequence[bytes]] = field(default_factory=dict)
    received: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    connections: int = 0

    def serve(self, client: socket.socket) -> None:
        """One connection: a request, its answer, and the next; a last piece of no bytes closes."""
        with suppress(OSError, ValueError), client, client.makefile("rb") as lines:
            while head := head_of(lines):
                length = re.search(rb"content-length: (\d+)", head)
                body = lines.read(int(length[1])) if length else b""
                agent = re.search(rb"user-agent: ([^\r]*)", head)
                name = agent[1].decode() if agent else ""
                self.received.setdefault(name, []).append((head, body))
                for piece in self.answers[name]:
                    if not piece:
                        return
                    client.sendall(piece)
                    time.sleep(0.005)  # so that pieces stay pieces


@contextmanager
def raw_provider() -> Iterator[Provider]:
    """A provider on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Provider(server.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    made.connections += 1
                    threading.Thread(target=made.serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield made
        finally:
            server.shutdown(socket.SHUT_RDWR)
