"""HTTP/1.1 on the wire (RFC 9112), as much of it as a provider needs: requests read, answers written.

By hand and not by a framework, because the mock must also be able to answer wrongly: a body cut
short, a reset at a chosen byte, real trailers, bytes that are no HTTP at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

LONGEST_HEAD = 256 << 10
"""Bytes; Envoy's own limit of request headers is 60 KiB."""


class Malformed(ValueError):  # noqa: N818 - named for what the peer's bytes are
    """The peer doesn't speak HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are lower case; a name that came twice has its values joined by `, `."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request of a connection; None where the peer has closed it. Raises Malformed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, headers = _head(head)
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Request(method, path, headers, await _body(reader, headers))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError:
        raise Malformed("the head is too long") from None


def _head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3:  # noqa: PLR2004 - method, target, version
        raise Malformed("the first line is no request line")
    headers: dict[str, str] = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        key, text = name.strip().lower(), value.strip()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return parts[0], parts[1], headers


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    try:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await _chunked(reader)
        return await reader.readexactly(int(headers.get("content-length", "0")))
    except ValueError:
        raise Malformed("the body's length is no number") from None


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":  # trailers of a request are of no use here
        pass
    return b"".join(pieces)


def head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """An answer's head."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unassigned"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(piece: bytes) -> bytes:
    """One chunk of a chunked body; `piece` is not empty, for an empty one would end the body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def last_chunk(trailers: Mapping[str, str]) -> bytes:
    """The end of a chunked body, with its trailers."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
    return b"0\r\n%b\r\n" % fields.encode("latin-1")
