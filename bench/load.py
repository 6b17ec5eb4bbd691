"""A load generator: keep-alive HTTP/1.1 connections, one request after another on each, latencies kept.

    python bench/load.py HOST PORT CONNECTIONS SECONDS < REQUEST_BYTES

Prints one JSON object: requests, errors (answers that are not 200), p50_ms, p99_ms. Raw protocol on
uvloop, so that the generator is the cheapest process of the run.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

END = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection. Answers must carry a content-length or be chunked."""

    def __init__(self, request: bytes, until: float, latencies: list[float], errors: list[int]) -> None:
        self.request, self.until, self.latencies, self.errors = request, until, latencies, errors
        self.buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with the first request."""
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        """Send the next request, or stop."""
        if time.perf_counter() >= self.until:
            self.transport.close()
            return
        self.sent = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Collect one whole answer."""
        self.buffer += data
        head_end = self.buffer.find(END)
        if head_end < 0:
            return
        head = self.buffer[:head_end].lower()
        if b"transfer-encoding: chunked" in head:
            if not self.buffer.endswith(b"0\r\n\r\n"):
                return
        else:
            length = int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
            if len(self.buffer) < head_end + 4 + length:
                return
        self.latencies.append(time.perf_counter() - self.sent)
        if b" 200 " not in head[:16]:
            self.errors.append(int(head[9:12]))
        self.buffer = b""
        self.ask()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The run is over, or the server hung up."""
        if not self.done.done():
            self.done.set_result(None)


async def main(host: str, port: int, connections: int, seconds: float, request: bytes) -> dict[str, object]:
    """Run the load; its figures."""
    latencies: list[float] = []
    errors: list[int] = []
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Connection(request, until, latencies, errors), host, port) for _ in range(connections)]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    latencies.sort()
    at = lambda share: round(latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000, 3) if latencies else None  # noqa: E731
    return {"requests": len(latencies), "errors": len(errors), "p50_ms": at(0.5), "p99_ms": at(0.99)}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.stdin.buffer.read()))))
