"""Admin events from the state to the audit: in order, each stored once, none lost, whoever dies in between."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from state_parts import event
from test_ingest import Ingest

from contracts.events import event_document
from contracts.settings import Settings
from controlplane.estate import Changes
from controlplane.state import State, outbox
from controlplane.state.outbox import Outbox


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder with a path short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="pe"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def state(data: Path) -> Iterator[State]:
    """A fresh state in it."""
    opened = State.open(Settings(data=data))
    yield opened
    opened.close()


@pytest.fixture
async def ingest(root: Path, data: Path) -> AsyncIterator[Ingest]:
    """The real ingest over it, not started."""
    made = Ingest(root, data)
    yield made
    made.end(signal.SIGKILL)
    await made.spool.close()


@asynccontextmanager
async def delivering(state: State, socket: Path) -> AsyncIterator[Outbox]:
    """An outbox at work."""
    made = Outbox(state, socket)
    task = asyncio.ensure_future(made.run())
    yield made
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def told(state: State, count: int) -> list[str]:
    """That many steps with two events each; their ids in order."""
    ids: list[str] = []
    for _ in range(count):
        events = [event(), event()]
        state.commit(state.load(), Changes(), events)
        ids += [each.id for each in events]
    return ids


async def until(is_so: Callable[[], bool]) -> None:
    """Look until it is so."""
    for _ in range(6000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never became so")


async def stored(ingest: Ingest) -> list[str]:
    """Ids in the table, as often as they are there."""
    sql = {"sql": "SELECT id FROM audit.events"}
    return [row[0] for row in (await ingest.until("/query", lambda status, _: status == 200, sql))["rows"]]


async def test_events_wait_for_ingest_and_are_stored_once(state: State, ingest: Ingest) -> None:
    """Ingest is down, starts, is killed in the middle, starts again: all are there, once each, and none waits."""
    ids = told(state, 5)
    async with delivering(state, ingest.socket) as box:
        await until(lambda: bool(box.trouble))
        assert state.waiting() == 10
        ingest.start()
        await until(lambda: state.waiting() == 0 and not box.trouble)
        for _ in range(3):
            ids += told(state, 20)
            box.wake()
            await until(lambda: state.waiting() < 40)
            ingest.end(signal.SIGKILL)
            ids += told(state, 2)
            ingest.start()
        await ingest.ready()
        await until(lambda: state.waiting() == 0)
    assert sorted(await stored(ingest)) == sorted(ids)


async def test_an_event_is_delivered_at_once_when_control_says_so(state: State, ingest: Ingest) -> None:
    """Woken, it does not wait for its next look."""
    ingest.start()
    await ingest.ready()
    async with delivering(state, ingest.socket) as box:
        for count in (2, 4):
            told(state, 1)
            box.wake()
            await until(lambda: state.waiting() == 0)
            assert len(await stored(ingest)) == count


class Forgetful:
    """An ingest that fails in every way there is, and remembers what it saw: how often an answer is lost is the dice's."""

    def __init__(self, state: State, dice: random.Random) -> None:
        self.state, self._dice = state, dice
        self.seen: list[str] = []
        self.early = 0

    async def take(self, request: web.Request) -> web.Response:
        """Store or not, answer or not."""
        ids = [document["id"] for document in (await request.json())["events"]]
        fate = self._dice.choice(["down", "lost", "well"])
        if fate == "down":
            return web.Response(status=503, text=json.dumps({"error": "not now"}))
        self.seen += [name for name in ids if name not in self.seen]
        waiting = {each.id for each in await asyncio.to_thread(self.state.waiting_events, 1000)}
        self.early += len(set(ids) - waiting)
        if fate == "lost" and request.transport:
            request.transport.abort()
        return web.Response(text="{}")


async def test_order_is_kept_whatever_fails(state: State, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers lost before and after storing, in deliveries of three: seen in the order of commits, let go of only when answered."""
    monkeypatch.setattr(outbox, "MOST_EVENTS", 3)
    monkeypatch.setattr(outbox, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(outbox, "LONGEST_PAUSE", 0.01)
    ingest = Forgetful(state, random.Random(3))
    app = web.Application()
    app.router.add_post("/events", ingest.take)
    runner = web.AppRunner(app)
    await runner.setup()
    (data / "run").mkdir()
    await web.UnixSite(runner, str(data / "run" / "ingest.sock")).start()
    ids = told(state, 30)
    async with delivering(state, data / "run" / "ingest.sock"):
        await until(lambda: state.waiting() == 0)
    await runner.cleanup()
    assert (ingest.seen, ingest.early) == (ids, 0)


def test_large_events_go_in_several_deliveries() -> None:
    """As many together as fit, and one that fits nowhere goes alone; the body names exactly these."""
    large = [event() for _ in range(3)]
    object.__setattr__(large[1], "before", {"a": "x" * outbox.MOST_BYTES})
    for waiting, count in ((large, 1), (large[1:], 1), (large[2:], 1), ([large[0], large[2]], 2)):
        taken, body = outbox._load(waiting)
        assert [each.id for each in taken] == [document["id"] for document in json.loads(body)["events"]]
        assert len(taken) == count


async def test_what_is_no_event_is_refused(ingest: Ingest) -> None:
    """With 400 and how it should be, whatever comes; what stands beside it is not stored."""
    ingest.start()
    await ingest.ready()
    sound = event_document(event())
    odd = [{}, 1, {"id": "x"}, {"id": 1}, {**sound, "time": -1}, {**sound, "time": True}, {**sound, "name": 1}, {**sound, "more": ""}]
    bodies: list[Any] = [{}, [], {"events": 1}, *({"events": [sound, document]} for document in odd)]
    for body in bodies:
        status, found = await ingest.ask("/events", body)
        assert (status, found["error"][:21]) == (400, "The body must be JSON")
    assert await stored(ingest) == []


async def test_use_of_a_key_is_asked_on_the_socket(ingest: Ingest) -> None:
    """A key's days; what is no key's id and no number of days is refused by name."""
    ingest.start()
    ingest.write(3)
    await ingest.stored(3)
    status, found = await ingest.ask("/usage?key_id=k")
    assert (status, found["days"], found["total"]["requests"], len(found["by_day"])) == (200, 30, 3, 1)
    for query, field in (
        ("", "key_id"),
        ("?key_id=a'b", "key_id"),
        ("?key_id=k&days=0", "days"),
        ("?key_id=k&days=401", "days"),
        ("?key_id=k&days=x", "days"),
    ):
        status, found = await ingest.ask(f"/usage{query}")
        assert (status, found["error"].split(":")[0]) == (400, field)
