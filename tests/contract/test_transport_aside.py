"""A message that replies to none, before the one that does: on our framing alone, since Envoy's word for it is not gRPC's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import pytest
from transport_servers import KINDS, client, folder, run, serving


class Patient:
    """Asks for time before it answers; `now` says both at once."""

    def message(self, data: bytes, stream: Any, /) -> bytes | Awaitable[bytes | None] | None:
        """An aside, then the reply."""
        stream.aside(b"wait for " + data)
        return data if data == b"now" else self.later(data)

    async def later(self, data: bytes) -> bytes:
        """Some turns of the loop on."""
        for _turn in range(3):
            await asyncio.sleep(0)
        return data

    def ended(self, stream: Any, /) -> None:
        """Nothing may be said any more, and nothing breaks."""
        stream.aside(b"too late")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "oracle"])
@pytest.mark.parametrize("size", [5, 3 << 20], ids=["small", "more than a window"])
def test_an_aside_comes_first_and_owes_nothing(kind: str, size: int) -> None:
    """Each message has its aside and then its reply, in order, and the stream ends well: no reply is missing."""
    large = b"x" * size

    async def said() -> AsyncIterator[bytes]:
        for message in (b"now", b"later", large):
            yield message

    async def scenario() -> None:
        with folder() as made:
            async with serving(kind, made / "s", Patient()), client(made / "s") as call:
                asked = call(said())
                got = [reply async for reply in asked]
                assert await asked.code() is grpc.StatusCode.OK
        assert got == [b"wait for now", b"now", b"wait for later", b"later", b"wait for " + large, large]

    run(kind, scenario())
