"""Many at once, and killed in the middle: every step is there as a whole or not at all, on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from state_parts import KEY, altered, event, made

from contracts.settings import Settings
from contracts.snapshot import KeyRecord
from controlplane.estate import Changes, Estate
from controlplane.state import State
from controlplane.state.values import Stale

KEYS = 40
STEPS = 25


def work(kept: Settings, steps: int, statements: int = 0) -> None:
    """Load, change all keys, commit; told that it is stale, begin again. Says so before each try. Dies behind that many statements."""
    state = State.open(kept)
    if statements:
        dies_behind(state, statements)
    while steps:
        estate = state.load()
        changes = step(estate)
        print(estate.revision, flush=True)  # noqa: T201 - the parent reads it
        try:
            state.commit(estate, changes, [event(change) for change in changes.records])
            steps -= 1
        except Stale:
            pass
    state.close()


def dies_behind(state: State, statements: int) -> None:
    """End this process behind so many statements that write, or, where there are no more, as it is about to commit."""
    seen = itertools.count(1)

    def written(_db: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.split(maxsplit=1)[0] in {"UPDATE", "INSERT"} and next(seen) == statements:
            os.kill(os.getpid(), signal.SIGKILL)

    def committing(_db: sa.Connection) -> None:
        if next(seen) == statements:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(state._database.writer, "after_cursor_execute", written)
    sa.event.listen(state._database.writer, "commit", committing)


def step(estate: Estate) -> Changes:
    """Every key gets one revision more as its limit; the first step makes them."""
    if not estate.of("key"):
        return Changes([made("key", _numbered(number)) for number in range(KEYS)], "1")
    number = estate.revision + 1
    return Changes([altered(estate, "key", name, max_tokens=number) for name in estate.of("key")], str(number))


def _numbered(number: int) -> KeyRecord:
    return KeyRecord(**{**{name: getattr(KEY, name) for name in KEY.__slots__}, "name": f"k{number:02}", "max_tokens": 1})


def started(root: Path, kept: Settings, steps: int, statements: int = 0) -> subprocess.Popen[str]:
    """Another process that works."""
    folders = [str(root), str(root / "tests" / "contract")]
    code = f"import sys; sys.path[:0] = {folders}; from pathlib import Path; from contracts.settings import Settings; import test_state_crash as t; "
    code += f"t.work(Settings(data=Path({str(kept.data)!r}), state={kept.state!r}), {steps}, {statements})"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)


def is_whole(state: State) -> None:
    """Whatever the revision is: organisation, all keys and all events are of exactly that many steps."""
    estate = state.load()
    revision = estate.revision
    assert estate.organisation == (str(revision) if revision else "")
    assert {(kept.record.max_tokens, kept.version) for kept in estate.of("key").values()} == ({(revision, revision)} if revision else set())
    limits = [found.after["max_tokens"] if found.after else None for found in state.waiting_events(100_000)]
    assert limits == [number for number in range(1, revision + 1) for _ in range(KEYS)]


def test_killed_in_the_middle_a_step_is_there_or_not(root: Path, kept: Settings) -> None:
    """Kill -9 at five instants of a step; each next life goes on from there."""
    state, dice = State.open(kept), random.Random(5)
    for _ in range(5):
        process = started(root, kept, 1000)
        if process.stdout is None:
            pytest.fail("no output")
        process.stdout.readline()
        since = time.perf_counter()
        process.stdout.readline()
        lasted = time.perf_counter() - since
        seen = int(process.stdout.readline())
        time.sleep(lasted * dice.random())  # an instant within the step that was just begun
        process.kill()
        process.communicate()
        is_whole(state)
        assert state.load().revision >= seen
    state.close()


@pytest.mark.parametrize("statements", range(1, 5))
def test_killed_behind_any_statement_a_step_is_not_there(root: Path, kept: Settings, statements: int) -> None:
    """The estate's row, the records, the events, and the last moment before the commit."""
    state = State.open(kept)
    state.commit(state.load(), first := step(state.load()), [event(change) for change in first.records])
    process = started(root, kept, 1, statements)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert state.load().revision == 1
    is_whole(state)
    state.close()


def test_of_two_at_once_one_is_told(root: Path, kept: Settings) -> None:
    """Three processes that change the same records as fast as they can: every step of each is made once, in one order."""
    state = State.open(kept)
    processes = [started(root, kept, STEPS) for _ in range(3)]
    tries = sum(len(process.communicate()[0].split()) for process in processes)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert state.load().revision == 3 * STEPS
    assert tries >= 3 * STEPS
    is_whole(state)
    state.close()
