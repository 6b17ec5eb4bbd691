"""Workers: what they give back is what was asked for, whatever becomes of one concerns one piece of work, and none outlives extproc."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import offload_work as work
import pytest
from hypothesis import given
from hypothesis import strategies as st
from offload_stories import LOOPS, Tell, gone, refused, teller, until

from contracts.errors import GateUnavailable, GuardrailBlocked, InvalidApiKey, UpstreamError
from extproc.edge import driver, worker
from extproc.edge.offload import BUSY, DIED, LATE, Offload
from extproc.edge.worker import APART, InWorker, packed, unpacked

ROOT: Final = Path(__file__).resolve().parent.parent.parent
BODY: Final = bytes(range(256)) * (20 << 12)


@pytest.fixture(params=LOOPS)
def tell(request: pytest.FixtureRequest) -> Tell:
    """Tells stories on either event loop."""
    return teller(request.param)


# ── what comes back ───────────────────────────────────────────────────────────


def test_work_is_done_in_another_process(tell: Tell) -> None:
    """The result is what the work gave for these arguments, and each worker serves on."""

    async def story(offload: Offload) -> None:
        assert not offload.pids, "none is started before there is work"
        pid, arguments = await offload.run(work.told, (1, "two", None, BODY))
        assert {pid} == offload.pids != {os.getpid()}
        assert arguments == (1, "two", None, BODY)
        assert await offload.run(work.told, ()) == (pid, ())

    tell(story)


@pytest.mark.parametrize("size", [0, 1, APART - 1, APART, APART + 1, 1 << 20, len(BODY)])
def test_bodies_of_any_size_come_back_as_they_were(tell: Tell, size: int) -> None:
    """On both sides of the length from which bytes travel beside the pickle, alone and inside other values."""
    body = BODY[:size]

    async def story(offload: Offload) -> None:
        assert await offload.run(work.echo, (body,)) == body
        assert await offload.run(work.echo, ({"a": [body, body, b"x"], "b": (body[::-1], 1)},)) == {
            "a": [body, body, b"x"],
            "b": (body[::-1], 1),
        }

    tell(story)


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary(max_size=50), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_message_says_what_was_packed(value: Any) -> None:
    """Whichever byte strings travel apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "APART", 10)
        head, *pieces = packed(value)
        assert unpacked(pieces) == value
        lengths = [length for (length,) in worker.LENGTH.iter_unpack(head[worker.COUNT.size :])]
        assert lengths == [len(piece) for piece in pieces]
        assert worker.COUNT.unpack(head[: worker.COUNT.size]) == (len(pieces),)


def test_what_is_named_twice_travels_once() -> None:
    """A body that two arguments share."""
    assert len(packed((BODY, [BODY, BODY]))) == 3


def test_refusals_come_back_whole(tell: Tell) -> None:
    """Class, message, reasons and what else they carry; also of classes whose arguments are not what they keep."""

    async def story(offload: Offload) -> None:
        with pytest.raises(GuardrailBlocked) as blocked:
            await offload.run(work.refuses, ("blocked",))
        assert (blocked.value.message, str(blocked.value)) == ("1 × CREDIT_CARD", "1 × CREDIT_CARD")
        assert (blocked.value.reasons, blocked.value.retry_after_s) == (("CREDIT_CARD",), 7)
        with pytest.raises(InvalidApiKey) as key:
            await offload.run(work.refuses, ("key",))
        assert vars(key.value) == vars(InvalidApiKey())
        with pytest.raises(UpstreamError) as upstream:
            await offload.run(work.refuses, ("upstream",))
        assert (upstream.value.termination, upstream.value.provider) == ("upstream_garbage", (500, b"x" * 100_000))
        with pytest.raises(work.Refusing, match=r"^ONE$") as own:
            await offload.run(work.refuses, ("own",))
        assert own.value.two == 2

    tell(story)


def test_a_fault_says_where_in_the_worker_and_the_log_no_more(tell: Tell, caplog: pytest.LogCaptureFixture) -> None:
    """The places come along; the text, which may hold anything, is not logged."""

    async def story(offload: Offload) -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            await offload.run(work.refuses, ("bug",))
        assert type(caught.value.__cause__) is InWorker
        driver.complain(caught.value)

    tell(story)
    assert "ZeroDivisionError" in caplog.text
    assert "in a worker at offload_work.py:" in caplog.text
    assert "jane" not in caplog.text


def test_what_can_not_travel_is_an_error_and_the_worker_goes_on(tell: Tell, caplog: pytest.LogCaptureFixture) -> None:
    """Arguments, results and exceptions that can't be pickled."""

    async def story(offload: Offload) -> None:
        pid, _ = await offload.run(work.told, ())
        with pytest.raises(TypeError):
            await offload.run(work.echo, (threading.Lock(),))
        with pytest.raises(TypeError):
            await offload.run(work.gives_what_cannot_travel, ())
        with pytest.raises(RuntimeError, match=r"^ValueError in a worker$"):
            await offload.run(work.refuses_with_what_cannot_travel, ())
        assert await offload.run(work.told, ()) == (pid, ())

    tell(story)
    assert "jane" not in caplog.text


def test_nothing_is_kept_once_there_is_an_answer(tell: Tell) -> None:
    """Neither arguments nor results: they hold bodies, and a worker may be idle for a minute."""

    async def story(offload: Offload) -> None:
        argument = work.Held()
        result = await offload.run(work.echo, (argument,))
        kept = weakref.ref(argument), weakref.ref(result)
        del argument, result
        await asyncio.sleep(0)  # the loop's own call that brought the answer holds it until we pause
        assert [held() for held in kept] == [None, None]

    gc.disable()
    try:
        tell(story)
    finally:
        gc.enable()


# ── workers that come to grief ────────────────────────────────────────────────


@pytest.mark.parametrize(
    "how", [(work.dies, (signal.SIGKILL,)), (work.dies, (signal.SIGSEGV,)), (work.leaves, ())], ids=["kill", "crash", "exit"]
)
def test_a_death_concerns_one_piece_of_work(
    tell: Tell, how: tuple[Callable[..., None], tuple[Any, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    """What waits behind it is done by the worker's successor."""

    async def story(offload: Offload) -> None:
        first, _ = await offload.run(work.told, ())
        dying = offload.run(*how)
        behind = [offload.run(work.told, (number,)) for number in range(3)]
        assert await refused(dying) == DIED
        done = await asyncio.gather(*behind)
        assert [arguments for _, arguments in done] == [(0,), (1,), (2,)]
        assert len({pid for pid, _ in done}) == 1
        assert done[0][0] != first

    tell(story)
    assert "a worker ended by itself" in caplog.text


def test_a_worker_that_died_idle_costs_nothing(tell: Tell) -> None:
    """The next piece of work finds a fresh one."""

    async def story(offload: Offload) -> None:
        first, _ = await offload.run(work.told, ())
        os.kill(first, signal.SIGKILL)
        await until(lambda: gone(first))
        for _turn in range(3):
            await asyncio.sleep(0)  # the loop hears of it
        second, _ = await offload.run(work.told, ())
        assert second != first

    tell(story)


def test_work_without_end_is_ended(tell: Tell, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that takes too long is killed, though it holds the interpreter's lock, and the next one serves on."""

    async def story(offload: Offload) -> None:
        stuck = offload.run(work.stuck, ())
        assert await refused(stuck) == LATE
        pids = set(offload.pids)
        await until(lambda: not pids & offload.pids)
        assert all(gone(pid) for pid in pids)
        assert (await offload.run(work.told, ()))[1] == ()

    tell(story, limit_s=1.0)
    assert "took over 1.0 s" in caplog.text


def test_work_that_waits_too_long_is_refused(tell: Tell, tmp_path: Path) -> None:
    """The time counts from asking, so a place in the queue is no promise."""

    async def story(offload: Offload) -> None:
        busy = offload.run(work.waits_for, (str(tmp_path / "never"),))
        waiting = offload.run(work.told, ())
        assert await refused(waiting) == LATE
        assert await refused(busy) == LATE

    tell(story, limit_s=0.5)


def test_a_worker_that_can_not_be_started_is_a_refusal(
    tell: Tell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when the machine has no room for a process; once it has, all is well."""

    async def story(offload: Offload) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", "/nowhere/python")
            assert await refused(offload.run(work.told, ())) == DIED
        assert (await offload.run(work.told, ()))[1] == ()

    tell(story)
    assert "no worker could be started" in caplog.text


# ── how many ──────────────────────────────────────────────────────────────────


def test_so_many_may_wait_and_no_more(tell: Tell, tmp_path: Path) -> None:
    """What comes when the queue is full is refused at once; what is in it is done."""

    async def story(offload: Offload) -> None:
        gate = tmp_path / "gate"
        await offload.run(work.told, ())
        busy = offload.run(work.waits_for, (str(gate),))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the worker has taken it
        waiting = [offload.run(work.told, (number,)) for number in range(2)]
        with pytest.raises(GateUnavailable, match=BUSY):
            offload.run(work.told, ())
        gate.touch()
        await busy
        assert [(await answer)[1] for answer in waiting] == [(0,), (1,)]

    tell(story, waiting=2)


def test_two_workers_work_side_by_side_and_no_third_comes(tell: Tell, tmp_path: Path) -> None:
    """More work than workers waits."""

    async def story(offload: Offload) -> None:
        gate = tmp_path / "gate"
        answers = [offload.run(work.waits_for, (str(gate),)) for _ in range(5)]
        await until(lambda: len(offload.pids) == 2)
        gate.touch()
        assert len(set(await asyncio.gather(*answers))) == 2

    tell(story, workers=2)


def test_work_whose_app_has_left_is_not_begun(tell: Tell, tmp_path: Path) -> None:
    """A cancelled answer takes its work out of the queue; one that is under way is let go when it is done."""

    async def story(offload: Offload) -> None:
        gate, made = tmp_path / "gate", tmp_path / "made"
        under_way = offload.run(work.waits_for, (str(gate),))
        left = offload.run(work.makes, (str(made),))
        behind = offload.run(work.told, ())
        await until(lambda: len(offload.pids) == 1)
        left.cancel()
        under_way.cancel()
        gate.touch()
        assert (await behind)[1] == ()
        assert not made.exists()

    tell(story)


def test_an_idle_worker_ends(tell: Tell) -> None:
    """What large bodies left in its memory goes back; the next piece of work starts another."""

    async def story(offload: Offload) -> None:
        first, _ = await offload.run(work.told, ())
        await until(lambda: not offload.pids)
        assert gone(first)
        assert (await offload.run(work.told, ()))[0] != first

    tell(story, idle_s=0.02)


def test_closing_refuses_what_is_asked(tell: Tell, tmp_path: Path) -> None:
    """Under way and waiting alike; nobody waits for ever."""
    answers: list[Awaitable[Any]] = []

    async def story(offload: Offload) -> None:
        await offload.run(work.told, ())
        answers.extend(offload.run(work.waits_for, (str(tmp_path / "never"),)) for _ in range(3))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await offload.close()
        assert {await refused(answer) for answer in answers} == {BUSY, DIED}

    tell(story)
