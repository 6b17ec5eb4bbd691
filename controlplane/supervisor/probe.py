"""Is it there yet? One question over TCP or a Unix socket, asked until the answer is yes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

Place = Path | tuple[str, int]
"""A Unix socket, or host and port."""

OK: Final = 200
_PATIENCE_S: Final = 2.0


def place_of(listen: str) -> tuple[str, int]:
    """Where to reach what listens on HOST:PORT; an address that means "all of mine" is reached on loopback."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)


async def accepts(place: Place) -> bool:
    """Whether something accepts connections there."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            _, writer = await _open(place)
    except (OSError, TimeoutError):
        return False
    await _close(writer)
    return True


async def answers(place: Place, path: str) -> bool:
    """Whether `GET path` is answered with 200."""
    return (await ask(place, "GET", path))[0] == OK


async def ask(place: Place, method: str, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """One HTTP request without a body: status and body; status 0 where no answer came."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await _open(place)
            try:
                writer.write(_request(method, path, headers or {}))
                return _answer(await reader.read())
            finally:
                await _close(writer)
    except (OSError, TimeoutError, ValueError):
        return 0, b""


async def ask_json(place: Place, path: str, headers: Mapping[str, str]) -> Any:
    """What `GET path` answers, as JSON; None where it is none."""
    status, body = await ask(place, "GET", path, headers)
    try:
        return json.loads(body) if status == OK else None
    except ValueError:
        return None


def _request(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    # Envoy refuses HTTP/1.0, so the answer may be chunked; but it ends with the connection.
    named = {"Host": "localhost", "Connection": "close", "Content-Length": "0", **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _answer(data: bytes) -> tuple[int, bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    chunked = b"\r\ntransfer-encoding: chunked" in head.lower()
    return (int(status[0]) if status and status[0].isdigit() else 0), _joined(body) if chunked else body


def _joined(body: bytes) -> bytes:
    """A chunked body's bytes (RFC 9112, section 7.1), as far as they came."""
    pieces = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0] or b"0", 16)
        if not length:
            break
        pieces.append(body[:length])
        body = body[length + 2 :]
    return b"".join(pieces)


async def _open(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(place, Path):
        return await asyncio.open_unix_connection(str(place))
    return await asyncio.open_connection(*place)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
