"""An answer goes out as it is told: in pieces, late, cut short, with trailers, or not at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from controlplane.mock.answers import Answer
from controlplane.mock.body import until
from controlplane.mock.http1 import chunk, head, last_chunk
from controlplane.mock.script import Step

NO_HTTP: Final = b"\x16\x03\x01 this is no HTTP at all\r\n\r\n\x00\xff"
_MID: Final = ("reset_mid", "stall_mid", "truncated")
_BULK_BUFFER: Final = 64 << 10
"""Bytes that the kernel may hold of a bulk answer, so that a peer that reads slowly is soon felt here."""


@dataclass(slots=True)
class Sent:
    """How far an answer has got: bytes written, head and chunks' sizes among them, and how it ended.

    `under way` is also a stall that lasts. `cut`: by its fault. `gone`: the peer ended it.
    """

    bytes: int = 0
    state: Literal["under way", "whole", "cut", "gone"] = "under way"


class Wire:
    """One connection as the deliverer sees it. `sent` is about the answer in hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.sent = Sent()

    async def send(self, data: bytes) -> None:
        """Write, and wait while the peer is slow. Raises ConnectionError where it has gone."""
        self.writer.write(data)
        self.sent.bytes += len(data)
        await self.writer.drain()

    def hold_little(self) -> None:
        """Let the kernel hold little of what is written from here on."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BULK_BUFFER)

    def reset(self) -> None:
        """End with a TCP reset: a linger time of 0 makes the kernel send RST for FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()

    async def wait_until_gone(self) -> None:
        """Say nothing until the peer gives up."""
        while await self.reader.read(1 << 16):
            pass
        self.sent.state = "gone"


async def deliver(wire: Wire, answer: Answer, step: Step) -> bool:
    """Send an answer with its delays and its fault; whether the connection may serve another request."""
    try:
        whole = await _deliver(wire, answer, step)
    except (ConnectionError, asyncio.CancelledError):
        wire.sent.state = "gone"
        raise
    if wire.sent.state == "under way":
        wire.sent.state = "whole" if whole else "cut"
    return whole


async def _deliver(wire: Wire, answer: Answer, step: Step) -> bool:
    if step.delay_ms:
        await asyncio.sleep(step.delay_ms / 1000)
    if step.fault in ("reset", "close", "stall", "garbage"):
        await _instead(wire, step.fault)
        return False
    if step.bulk:
        wire.hold_little()
    pieces = until(answer.pieces, answer.half if step.after_bytes is None else step.after_bytes) if step.fault in _MID else answer.pieces
    await wire.send(head(answer.status, _headers(answer, step)) + (b"" if answer.chunked else b"".join(pieces)))
    if answer.chunked:
        await _chunks(wire, pieces, step)
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


async def _chunks(wire: Wire, pieces: Iterable[bytes], step: Step) -> None:
    for number, piece in enumerate(filter(None, pieces)):  # an empty chunk would end the body
        if number and step.chunk_delay_ms:
            await asyncio.sleep(step.chunk_delay_ms / 1000)
        await wire.send(chunk(piece))
    if step.fault not in _MID:
        await wire.send(last_chunk(step.trailers))
