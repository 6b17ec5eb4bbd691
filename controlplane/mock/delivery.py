"""An answer goes out as it is told: in pieces, late, cut short, with trailers, or not at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Final

from controlplane.mock.answers import Answer
from controlplane.mock.http1 import chunk, head, last_chunk
from controlplane.mock.script import Step

NO_HTTP: Final = b"\x16\x03\x01 this is no HTTP at all\r\n\r\n\x00\xff"
_MID: Final = ("reset_mid", "stall_mid", "truncated")


class Wire:
    """One connection as the deliverer sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Write, and wait while the peer is slow. Raises ConnectionError where it has gone."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End with a TCP reset: a linger time of 0 makes the kernel send RST for FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()

    async def wait_until_gone(self) -> None:
        """Say nothing until the peer gives up."""
        while await self.reader.read(1 << 16):
            pass


async def deliver(wire: Wire, answer: Answer, step: Step) -> bool:
    """Send an answer with its delays and its fault; whether the connection may serve another request."""
    if step.delay_ms:
        await asyncio.sleep(step.delay_ms / 1000)
    if step.fault in ("reset", "close", "stall", "garbage"):
        await _instead(wire, step.fault)
        return False
    await wire.send(head(answer.status, _headers(answer, step)) + (b"" if answer.chunked else _whole(answer, step)))
    if answer.chunked:
        await _pieces(wire, answer, step)
    if step.fault in _MID:
        await _break_off(wire, step.fault)
        return False
    return True


async def _instead(wire: Wire, fault: str) -> None:
    if fault == "reset":
        wire.reset()
    elif fault == "stall":
        await wire.wait_until_gone()
    elif fault == "garbage":
        await wire.send(NO_HTTP)


async def _break_off(wire: Wire, fault: str) -> None:
    if fault == "reset_mid":
        wire.reset()
    elif fault == "stall_mid":
        await wire.wait_until_gone()


def _headers(answer: Answer, step: Step) -> Iterator[tuple[str, str]]:
    yield from answer.headers.items()
    if not answer.chunked:
        yield "content-length", str(sum(map(len, answer.pieces)))
        return
    yield "transfer-encoding", "chunked"
    if step.trailers:
        yield "trailer", ", ".join(step.trailers)


def _whole(answer: Answer, step: Step) -> bytes:
    return b"".join(_until(answer, step))


async def _pieces(wire: Wire, answer: Answer, step: Step) -> None:
    for number, piece in enumerate(_until(answer, step)):
        if number and step.chunk_delay_ms:
            await asyncio.sleep(step.chunk_delay_ms / 1000)
        await wire.send(chunk(piece))
    if step.fault not in _MID:
        await wire.send(last_chunk(step.trailers))


def _until(answer: Answer, step: Step) -> Iterator[bytes]:
    """The body's pieces, as far as the fault lets them go."""
    total = sum(map(len, answer.pieces))
    left = total if step.fault not in _MID else step.after_bytes if step.after_bytes is not None else total // 2
    for piece in answer.pieces:
        if left <= 0:
            return
        yield piece[:left]
        left -= len(piece)
