"""The cheapest provider there is: a fixed completion, or a fixed stream of N events when asked to stream.

python bench/provider.py PORT EVENTS
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "model": "tiny-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "A short answer of a dozen words, as chat answers often are, no more."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 90, "completion_tokens": 16, "total_tokens": 106},
    }
).encode()
UNARY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)

LARGE = 1 << 20
"""A body of this length is no stream's, and is let go as it comes."""


def event(text: str, finish: str | None = None) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return (
        b"data: "
        + json.dumps({"id": "chatcmpl-bench", "object": "chat.completion.chunk", "model": "tiny-1", "choices": [choice]}).encode()
        + b"\n\n"
    )


def chunk(data: bytes) -> bytes:
    """HTTP/1.1 chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.buffer = b""
        self.lacking = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request. Of a large body only the length is looked at."""
        if self.lacking:
            self.lacking -= len(data)
            if not self.lacking:
                self.transport.write(UNARY)  # type: ignore[attr-defined]
            return
        self.buffer += data
        head_end = self.buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = int(self.buffer[:head_end].lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        missing = head_end + 4 + length - len(self.buffer)
        if missing and length < LARGE:
            return
        streamed = b'"stream":true' in self.buffer or b'"stream": true' in self.buffer
        self.buffer = b""
        self.lacking = missing
        if streamed:
            self.streaming = asyncio.ensure_future(self.stream())
        elif not missing:
            self.transport.write(UNARY)  # type: ignore[attr-defined]

    async def stream(self) -> None:
        """The events one by one, each in a write of its own."""
        write = self.transport.write  # type: ignore[attr-defined]
        write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(self.events):
            write(chunk(event(f"word{number} ")))
            await asyncio.sleep(0.001)
        write(chunk(event("", "stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n")


async def main(port: int, events: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(lambda: Provider(events), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
