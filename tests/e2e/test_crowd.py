"""More exchanges at once than Envoy's own limits would let through, and what is refused at the door."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest
from stack import Stack, eventually

CROWD = 1_300
BREAKER = 1_024
"""Envoy's default for open requests, pending requests and connections to one cluster."""

DELAY_MS = 6_000
"""How long the provider lets each wait: long enough that all of them are there at once, on a slow machine too."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The whole gate."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * CROWD
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this machine lets a process open {hard} files; {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        with Stack() as made:
            yield made
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def crowd(port: int, request: bytes, count: int) -> list[bytes]:
    """As many connections as requests; what came on each until it was closed."""

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(writer):
            writer.write(request)
            return await reader.read()

    return await asyncio.gather(*(one() for _ in range(count)))


async def most(stack: Stack, gauge: str, stop: asyncio.Event) -> int:
    """The highest value of one of Envoy's gauges until told to stop."""
    seen = 0
    while not stop.is_set():
        seen = max(seen, await asyncio.to_thread(stack.envoy_counter, gauge))
        await asyncio.sleep(0.05)
    return seen


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_a_crowd_is_served(stack: Stack, stream: bool) -> None:
    """1,300 exchanges are under way at once; each is answered, and each has its row."""
    stack.forget()
    stack.script({"delay_ms": DELAY_MS, "text": "Hello", "repeat": 0})
    body = json.dumps({"model": "cheap", "messages": [{"role": "user", "content": "Hello"}], "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {stack.key()}\r\nuser-agent: crowd-{stream}\r\n"
        f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )

    async def run() -> tuple[list[bytes], int]:
        stop = asyncio.Event()
        watching = asyncio.create_task(most(stack, "cluster.provider/local.upstream_rq_active", stop))
        answers = await crowd(int(stack.gateway.rpartition(":")[2]), head.encode() + body, CROWD)
        stop.set()
        return answers, await watching

    answers, at_once = asyncio.run(run())

    assert Counter(answer.split(b"\r\n", 1)[0] for answer in answers) == {b"HTTP/1.1 200 OK": CROWD}
    assert all((b"[DONE]" in answer) == stream for answer in answers)
    assert at_once > BREAKER
    assert stack.envoy_counter("http.gateway.ext_proc.streams_failed") == 0
    counted = f"SELECT count() AS rows, countIf(outcome = 'served') AS served FROM audit.requests WHERE user_agent = 'crowd-{stream}'"  # noqa: S608 - ours
    eventually(lambda: stack.query(counted) == [{"rows": CROWD, "served": CROWD}], "a row for each")


def test_a_tunnel_is_refused_at_once(stack: Stack) -> None:
    """CONNECT has no path, so no route: 404 from extproc, on its head, without waiting for a body that has no end."""
    port = int(stack.gateway.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert json.loads(body)["error"]["code"] == "unknown_route"
