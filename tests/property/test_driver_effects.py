"""What the driver does about bytes held and about work: the sum is right whatever ends an exchange, and work gives what a call gives.

The exchanges here are stories of the tests' own, told what to do by the bodies of Envoy's messages.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import offload_work as work
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook import WORLD

from contracts.errors import GateUnavailable, GuardrailBlocked, Refused
from contracts.snapshot import LiveSecret
from extproc.core.effects import AT_ONCE, Answer, Complain, Compute, Hold, Next, OwnAnswer, PassBody, PassHead, Rehash, Reply, TakeTurn
from extproc.core.events import Gone, RequestHead, ResponseBody
from extproc.core.world import World
from extproc.edge import driver
from extproc.edge.driver import Gate
from extproc.edge.offload import DIED, Offload
from extproc.edge.proto import ext_proc_pb2 as pb

LIMIT: Final = 1000
SMALL_WORLD: Final = replace(WORLD, limits=replace(WORLD.limits, inflight_bytes=LIMIT))
HEAD: Final = pb.ProcessingRequest(request_headers=pb.HttpHeaders()).SerializeToString()

Told = Callable[[bytes], Awaitable[Reply | None]]


@dataclass
class Stream:
    """A stream as the driver sees it."""

    state: Any = None
    status: int = 0
    asides: list[bytes] = field(default_factory=list)

    def aside(self, message: bytes) -> None:
        """A message that is no reply."""
        self.asides.append(message)

    def fail(self, status: int, _why: str) -> None:
        """The stream ends with an error."""
        self.status = status


@dataclass
class Tale:
    """A story that does what `told` makes of each message, until that gives the last reply; how it ended is kept."""

    told: Told
    ends: list[str] = field(default_factory=list)

    async def __call__(self, _world: World, _head: RequestHead) -> None:
        """In the exchange's place."""
        try:
            event = await Next(PassHead())
            while isinstance(event, ResponseBody):
                reply = await self.told(event.data)
                if reply is not None:
                    await Answer(reply)
                    break
                event = await Next(PassBody())
            self.ends.append("answered")
        except Refused as why:
            self.ends.append(why.code)
            await Answer(OwnAnswer(why.status, (), b"", why.code))
        except Gone:
            self.ends.append("gone")
        except ZeroDivisionError as fault:
            await Complain(fault)
            self.ends.append("bug")
            raise


def piece(data: bytes) -> bytes:
    """A message with a body."""
    return pb.ProcessingRequest(response_body=pb.HttpBody(body=data)).SerializeToString()


def gate_for(told: Told, elsewhere: Offload | None = None, world: World = WORLD) -> tuple[Gate, Tale]:
    """A gate whose exchanges do as they are told."""
    tale = Tale(told)
    driver.exchange = tale  # put back by the fixture
    nobody: Any = None
    return Gate(lambda: world, nobody, nobody, nobody, elsewhere), tale


@pytest.fixture(autouse=True)
def _own_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "exchange", None)


def say(gate: Gate, stream: Stream, data: bytes) -> Any:
    """One message's reply, or a wait for it."""
    return gate.message(data, stream)  # type: ignore[arg-type]  # a stream as far as the driver goes


def begun(gate: Gate) -> Stream:
    """A new exchange."""
    stream = Stream()
    assert isinstance(say(gate, stream, HEAD), bytes)
    return stream


# ── bytes held ────────────────────────────────────────────────────────────────


async def holds(data: bytes) -> Reply | None:
    """`hold N`, `try N` (and go on if it can't be), `answer`, `refuse`, `bug`."""
    verb, _, number = data.decode().partition(" ")
    if verb == "hold":
        await Hold(int(number))
    elif verb == "try":
        with pytest.raises(GateUnavailable) as caught:
            await Hold(int(number))
        assert caught.value.retry_after_s == 1
    elif verb == "refuse":
        raise GuardrailBlocked("no")
    elif verb == "bug":
        raise ZeroDivisionError
    return OwnAnswer(200, (), b"") if verb == "answer" else None


STEPS: Final = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["hold", "hold", "hold", "try", "answer", "refuse", "bug", "gone"]),
        st.integers(0, LIMIT // 2) | st.integers(0, 2 * LIMIT),
    ),
    max_size=30,
)


@given(STEPS)
def test_what_is_held_is_counted_whatever_comes(steps: list[tuple[int, str, int]]) -> None:
    """After each step the sum is that of the exchanges under way; it never passes the limit, and is 0 when all are over."""
    gate, tale = gate_for(holds, world=SMALL_WORLD)
    streams: dict[int, Stream] = {}
    model: dict[int, int] = {}
    for who, verb, size in steps:
        if who not in streams:
            streams[who], model[who] = begun(gate), 0
        fits = sum(model.values()) - model[who] + size <= LIMIT
        if verb == "gone":
            gate.ended(streams[who])  # type: ignore[arg-type]  # as above
        elif verb in {"hold", "try"}:
            say(gate, streams[who], piece(f"{'hold' if fits or verb == 'hold' else 'try'} {size}".encode()))
        else:
            say(gate, streams[who], piece(verb.encode()))
        if verb in {"hold", "try"} and fits:
            model[who] = size
        elif verb != "try":
            del streams[who], model[who]
        assert gate.held == sum(model.values()) <= LIMIT
    for stream in streams.values():
        gate.ended(stream)  # type: ignore[arg-type]  # as above
        gate.ended(stream)  # type: ignore[arg-type]  # twice changes nothing
    assert gate.held == 0
    assert set(tale.ends) <= {"answered", "gone", "bug", "guardrail_blocked", "gate_unavailable"}


def test_a_hold_takes_the_place_of_the_one_before() -> None:
    """An exchange may hold the whole limit, then less, then the whole limit again."""
    gate, _ = gate_for(holds, world=SMALL_WORLD)
    one, two = begun(gate), begun(gate)
    say(gate, one, piece(b"hold 1000"))
    say(gate, two, piece(b"try 1"))
    say(gate, one, piece(b"hold 10"))
    say(gate, two, piece(b"hold 990"))
    assert gate.held == 1000
    say(gate, two, piece(b"answer"))
    assert gate.held == 10
    say(gate, one, piece(b"hold 1000"))
    assert gate.held == 1000


# ── work ──────────────────────────────────────────────────────────────────────


def computes(size: int, do: Callable[..., Any], *arguments: Any) -> Told:
    """A story that has work done and replies with what it gave."""

    async def told(_data: bytes) -> Reply | None:
        value: Any = await Compute(size, do, arguments)
        return OwnAnswer(200, (), b"") if value is None else PassBody(value)

    return told


def test_small_work_is_done_at_once() -> None:
    """The reply is there when the message has been given; no event loop is needed."""
    gate, tale = gate_for(computes(AT_ONCE, work.echo, b"x" * AT_ONCE))
    reply = pb.ProcessingResponse.FromString(say(gate, begun(gate), piece(b"")))
    assert reply.response_body.response.body_mutation.body == b"x" * AT_ONCE
    assert tale.ends == ["answered"]


@pytest.mark.parametrize("size", [1, AT_ONCE + 1], ids=["here", "in a worker"])
@pytest.mark.parametrize(("kind", "end"), [("blocked", "guardrail_blocked"), ("bug", "bug")])
async def test_what_work_raises_is_raised_in_the_exchange(size: int, kind: str, end: str, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal is one, a bug is a bug; wherever the work was done. A bug's place is logged, its text is not."""
    offload = Offload(workers=1, limit_s=60)
    gate, tale = gate_for(computes(size, work.refuses, kind), offload)
    stream = begun(gate)
    reply = say(gate, stream, piece(b""))
    if not isinstance(reply, bytes | None):
        await reply
    await offload.close()
    assert tale.ends == [end]
    assert (stream.status != 0) == (end == "bug")
    if end == "bug":
        assert "offload_work.py:" in caplog.text
        assert "jane" not in caplog.text


async def test_large_work_is_awaited_and_others_are_served_meanwhile(tmp_path: Any) -> None:
    """While one exchange waits for a worker, another goes through from start to end."""
    offload, door = Offload(workers=1, limit_s=60), tmp_path / "door"

    async def told(data: bytes) -> Reply | None:
        if data == b"large":
            pid = await Compute(AT_ONCE + 1, work.waits_for, (str(door),))
            return PassBody(str(pid).encode())
        return PassBody(b"small")

    gate, tale = gate_for(told, offload)
    large = asyncio.ensure_future(say(gate, begun(gate), piece(b"large")))
    await asyncio.sleep(0)
    assert isinstance(say(gate, begun(gate), piece(b"small")), bytes)
    assert tale.ends == ["answered"]
    door.touch()
    reply = pb.ProcessingResponse.FromString(await large)
    assert int(reply.response_body.response.body_mutation.body) in offload.pids
    assert tale.ends == ["answered", "answered"]
    await offload.close()


async def test_a_worker_that_dies_refuses_its_exchange_only() -> None:
    """The exchange whose work it was is refused; the one behind it is answered."""
    offload = Offload(workers=1, limit_s=60)

    async def told(data: bytes) -> Reply | None:
        if data == b"dies":
            with pytest.raises(GateUnavailable, match=DIED):
                await Compute(AT_ONCE + 1, work.dies, (signal.SIGKILL,))
        return PassBody(await Compute(AT_ONCE + 1, work.echo, (data,)))

    gate, tale = gate_for(told, offload)
    replies = await asyncio.gather(say(gate, begun(gate), piece(b"dies")), say(gate, begun(gate), piece(b"lives")))
    bodies = [pb.ProcessingResponse.FromString(reply).response_body.response.body_mutation.body for reply in replies]
    assert bodies == [b"dies", b"lives"]
    assert tale.ends == ["answered", "answered"]
    await offload.close()


async def test_an_app_that_leaves_while_work_is_under_way_is_let_go(tmp_path: Any) -> None:
    """The exchange hears of it at once and holds nothing any more; the worker goes on to the next."""
    offload, door = Offload(workers=1, limit_s=60), tmp_path / "door"

    async def told(data: bytes) -> Reply | None:
        await Hold(500)
        if data == b"stays":
            return PassBody(await Compute(AT_ONCE + 1, work.echo, (data,)))
        await Compute(AT_ONCE + 1, work.waits_for, (str(door),))
        return None

    gate, tale = gate_for(told, offload, world=SMALL_WORLD)
    stream = begun(gate)
    waiting = asyncio.ensure_future(say(gate, stream, piece(b"leaves")))
    await asyncio.sleep(0)
    assert gate.held == 500
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.ended(stream)  # type: ignore[arg-type]  # as above
    assert (tale.ends, gate.held) == (["gone"], 0)
    door.touch()
    await say(gate, begun(gate), piece(b"stays"))
    assert tale.ends == ["gone", "answered"]
    await offload.close()


# ── turns, and secrets under an older pepper ──────────────────────────────────


@given(st.lists(st.sampled_from(["one", "other"]), max_size=20))
def test_turns_are_counted_by_circle_over_all_exchanges(circles: list[str]) -> None:
    """Each exchange has the next turn of its circle, and takes none of another's."""
    turns: list[tuple[str, int]] = []

    async def told(data: bytes) -> Reply | None:
        turns.append((data.decode(), await TakeTurn(data.decode())))
        return OwnAnswer(200, (), b"")

    gate, _ = gate_for(told)
    for circle in circles:
        say(gate, begun(gate), piece(circle.encode()))
    for circle in ("one", "other"):
        assert [turn for name, turn in turns if name == circle] == list(range(circles.count(circle)))


OLD, NEW = LiveSecret("0" * 64, 1), LiveSecret("1" * 64, 2)


async def rehashes(_data: bytes) -> Reply | None:
    """Tell of a secret, and answer."""
    await Rehash("4rT9bQz01LmX", OLD, NEW)
    return OwnAnswer(200, (), b"")


def test_a_secret_under_an_older_pepper_is_told_to_who_listens() -> None:
    """And to nobody where nobody does."""
    heard: list[tuple[str, LiveSecret, LiveSecret]] = []
    gate, tale = gate_for(rehashes)
    say(gate, begun(gate), piece(b""))
    gate.rehashed = lambda *told: heard.append(told)
    say(gate, begun(gate), piece(b""))
    assert heard == [("4rT9bQz01LmX", OLD, NEW)]
    assert tale.ends == ["answered", "answered"]


def test_a_listener_that_breaks_is_no_matter_of_the_exchange(caplog: pytest.LogCaptureFixture) -> None:
    """The exchange goes on, the operator is told where it broke, and no hash is logged."""

    def breaks(*told: Any) -> None:
        raise ValueError(told)

    gate, tale = gate_for(rehashes)
    gate.rehashed = breaks
    assert isinstance(say(gate, begun(gate), piece(b"")), bytes)
    assert tale.ends == ["answered"]
    assert "ValueError" in caplog.text
    assert OLD.hash not in caplog.text


class Body:
    """What a weak reference can watch."""


def test_a_refused_exchange_is_let_go_without_the_collector() -> None:
    """A refusal's traceback must not keep alive what its exchange held: a body of 20 MiB, perhaps."""
    bodies: list[weakref.ref[Body]] = []

    async def told(data: bytes) -> Reply | None:
        body = Body()
        bodies.append(weakref.ref(body))
        await (Compute(1, work.blocks, ()) if data == b"work" else Hold(LIMIT + 1))
        return None

    gate, tale = gate_for(told, world=SMALL_WORLD)
    gc.collect()
    gc.disable()
    try:
        for data in (b"work", b"hold"):
            stream = begun(gate)
            assert isinstance(say(gate, stream, piece(data)), bytes)
            stream.state = None
        assert tale.ends == ["guardrail_blocked", "gate_unavailable"]
        assert [body() for body in bodies] == [None, None]
    finally:
        gc.enable()
