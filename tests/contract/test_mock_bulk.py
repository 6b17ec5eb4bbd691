"""Streams of any length and of any end, in every dialect that streams."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mock_client import GONE, Client, events, mocked

MANY = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hello"}]},
    "/v1/completions": {"prompt": "Hello"},
    "/v1/responses": {"input": "Hello"},
    "/v1/messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]},
}
ASKS = [pytest.param(path, {"model": "tiny", "stream": True, **ask}, id=path) for path, ask in MANY.items()]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of a mock of its own."""
    async with mocked() as client:
        yield client


def text(body: bytes) -> str:
    """What the deltas of a stream say."""
    return "".join(_said(document) for document in events(body))


def _said(document: dict[str, Any]) -> str:
    for choice in document.get("choices", []):
        return str(choice.get("text") or choice.get("delta", {}).get("content") or "")
    delta = document.get("delta", "")
    return str(delta if isinstance(delta, str) else delta.get("text", ""))


@pytest.mark.parametrize(("path", "ask"), ASKS)
async def test_bulk_says_the_text_over_and_over(client: Client, path: str, ask: dict[str, Any]) -> None:
    """About so many bytes of the text that is scripted, or of the mock's own, in a stream with a proper end."""
    await client.script({"bulk": 100_000, "text": ["äb ", "cd "]}, {"bulk": 100_000})
    _, scripted = await client.chat(ask, path)
    _, own = await client.chat(ask, path)
    assert text(scripted) == ("äb cd " * 20_000)[: len(text(scripted))]
    assert 100_000 <= len(text(scripted).encode()) < 100_000 + 9
    assert 100_000 <= len(text(own).encode()) < 102_000
    assert await client.sent() == {"bytes": (await client.sent())["bytes"], "state": "whole"}


@pytest.mark.parametrize(("path", "ask"), ASKS)
async def test_bulk_whole(client: Client, path: str, ask: dict[str, Any]) -> None:
    """An answer that is not streamed has all of it."""
    await client.script({"bulk": 50_000, "text": "0123456789"})
    _, body = await client.chat({**ask, "stream": False}, path)
    assert body.count(b"0123456789") == 5_000


@pytest.mark.parametrize(("path", "ask"), ASKS)
async def test_a_slow_client_holds_the_provider(client: Client, path: str, ask: dict[str, Any]) -> None:
    """Nothing is written beyond the buffers while nobody reads, and little is held; `__sent` tells, and that the client has gone."""
    await client.script({"bulk": 1 << 30})
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]), limit=1 << 12)
    tracemalloc.start()
    body = json.dumps(ask).encode()
    writer.write(b"POST %b HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (path.encode(), len(body), body))
    await reader.readuntil(b"\r\n\r\n")
    held = await _held(client)
    assert held < 64 << 20
    await reader.readexactly(held)
    assert (await client.sent())["bytes"] > held
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    writer.transport.abort()
    await _becomes(client, "gone")


async def _becomes(client: Client, state: str) -> None:
    while (await client.sent())["state"] != state:
        pass  # asking is waiting: the test's own time limit ends it


async def _held(client: Client) -> int:
    """Bytes written once no more are."""
    before, now, same = -1, 0, 0
    while same < 20:
        before, now = now, (await client.sent())["bytes"]
        same = same + 1 if before == now else 0
    return now


@pytest.mark.parametrize("bulk", [0, 100_000])
@pytest.mark.parametrize("fault", ["reset_mid", "truncated", "stall_mid"])
@pytest.mark.parametrize(("path", "ask"), ASKS)
async def test_streams_break_off(client: Client, path: str, ask: dict[str, Any], fault: str, bulk: int) -> None:
    """The body ends where it is told to, however long it would be; a stall lasts until the client goes."""
    await client.script({"fault": fault, "after_bytes": 300, "bulk": bulk})
    async with client.session.post(f"{client.url}{path}", json=ask) as answer:
        assert len(await answer.content.readexactly(300)) == 300
        if fault == "stall_mid":
            assert (await client.sent())["state"] == "under way"
            answer.close()
        else:
            with pytest.raises(GONE):
                await answer.content.readexactly(1)
    await _becomes(client, "gone" if fault == "stall_mid" else "cut")


@pytest.mark.parametrize(("path", "ask"), ASKS)
async def test_streams_in_any_dress(client: Client, path: str, ask: dict[str, Any]) -> None:
    """Chunk sizes, gzip, trailers and bulk go together, and the bytes are the same underneath."""
    await client.script({"bulk": 30_000}, {"bulk": 30_000, "fault": "encoded", "chunk_sizes": [1000, 7], "trailers": {"x-sum": "1"}})
    _, plain = await client.chat(ask, path)
    answer, dressed = await client.chat(ask, path)
    assert answer.headers["content-encoding"] == "gzip"
    assert text(gzip.decompress(dressed)) == text(plain)


async def test_nothing_to_say_in_bulk_is_refused(client: Client) -> None:
    """An empty text can't be said until it is long."""
    async with client.session.post(f"{client.url}/__script", json={"bulk": 9, "text": ["", ""]}) as answer:
        assert answer.status == 400
        assert "bulk" in (await answer.json())["error"]


async def test_bulk_echo_of_nothing(client: Client) -> None:
    """An echo of no words says the mock's own text instead of nothing for ever."""
    await client.script({"bulk": 5_000, "echo": True})
    _, body = await client.chat({"model": "tiny", "stream": True}, "/v1/chat/completions")
    assert len(text(body)) >= 5_000
