"""Stories with workers in them: told on an event loop of either kind, after which no worker may be left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.errors import GateUnavailable
from extproc.edge.grpc_stream import new_loop
from extproc.edge.offload import Offload

Story = Callable[[Offload], Awaitable[None]]
Tell = Callable[..., None]
LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {"uvloop": new_loop, "asyncio": asyncio.SelectorEventLoop}


def teller(loop: str) -> Tell:
    """What runs a story on such a loop, with workers by `settings`, and ends them."""

    def run(story: Story, **settings: Any) -> None:
        async def whole() -> None:
            offload = Offload(**{"workers": 1, "limit_s": 60.0, **settings})
            try:
                async with asyncio.timeout(60):
                    await story(offload)
            finally:
                pids = set(offload.pids)
                await offload.close()
            assert not offload.pids
            assert all(gone(pid) for pid in pids)

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(whole())

    return run


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return True


async def until(probe: Callable[[], bool]) -> None:
    """Wait for something that comes."""
    while not probe():  # noqa: ASYNC110 - what is waited for is outside this process
        await asyncio.sleep(0.005)


async def refused(answer: Awaitable[Any]) -> str:
    """The refusal's text; it must invite to try again."""
    with pytest.raises(GateUnavailable) as caught:
        await answer
    assert caught.value.retry_after_s == 1
    return caught.value.message
