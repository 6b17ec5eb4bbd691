"""A mock provider in the test's own loop, and somebody who talks to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from controlplane.mock import Mock

ASK = {"model": "tiny", "messages": [{"role": "user", "content": "Hello there"}]}
STREAM = {**ASK, "stream": True}
GONE = (aiohttp.ClientError, ConnectionError)


class Client:
    """Speaks to one mock."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session = url, session

    async def script(self, *steps: dict[str, Any]) -> None:
        """Programme the next answers."""
        async with self.session.post(f"{self.url}/__script", json=list(steps)) as answer:
            assert answer.status == 200, await answer.text()

    async def chat(self, ask: dict[str, Any] = ASK, path: str = "/v1/chat/completions") -> tuple[aiohttp.ClientResponse, bytes]:
        """Ask, and read the whole answer."""
        async with self.session.post(f"{self.url}{path}", json=ask) as answer:
            return answer, await answer.read()

    async def sent(self) -> dict[str, Any]:
        """How far the latest answer has got."""
        async with self.session.get(f"{self.url}/__sent") as answer:
            return dict(await answer.json())

    async def received(self) -> list[dict[str, Any]]:
        """What the mock got."""
        async with self.session.get(f"{self.url}/__received") as answer:
            return [json.loads(line) for line in (await answer.text()).splitlines()]


@asynccontextmanager
async def mocked() -> AsyncIterator[Client]:
    """A client of a mock of its own."""
    mock = Mock()
    await mock.start()
    try:
        async with aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(10)) as session:
            yield Client(mock.url, session)
    finally:
        await mock.stop()


def events(body: bytes) -> list[dict[str, Any]]:
    """The documents of a stream's events, without `[DONE]`."""
    lines = [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]
