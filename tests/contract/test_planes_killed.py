"""Control and planes, killed with -9 at any instant: nothing half-done is used, and nothing that was answered is forgotten."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from contracts.settings import Settings
from contracts.snapshot import Snapshot
from extproc.edge.kek import kek_of
from extproc.edge.snapshot_copy import Copy
from tests.contract.planes_parts import control, estate_of, key, keyring_of, plane, put, revoked, soon
from tests.contract.planes_process import KEYS

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 6


@asynccontextmanager
async def started(role: str, data: Path, *more: str) -> AsyncIterator[str]:
    """A process of planes_process.py, killed with -9 when the block ends; what it said first."""
    command = [sys.executable, "-m", "tests.contract.planes_process", role, str(data), *more]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def test_a_plane_killed_at_any_instant_restarts_into_what_it_answered_for(tmp_path: Path) -> None:
    """Its copy loads, and is no older than its last answer; a key whose revocation was answered is never back."""
    dice, numbers = random.Random(5), iter(range(10_000))
    settings = Settings(data=tmp_path)
    async with control(tmp_path, estate_of(tmp_path, map(key, range(200)))) as told:
        gone: set[str] = set()
        for _ in range(ROUNDS):
            async with started("plane", tmp_path, "extproc-0"):
                await soon(lambda: [report for report in told.publisher.planes() if report.revision == told.publisher.revision])
                for _ in range(dice.randrange(3, 12)):
                    name = f"key-{next(numbers)}"
                    (report,) = await told.make(revoked(told.estate, name))
                    assert report.problem == ""
                    gone.add(told.estate.of("key")[name].record.id)  # type: ignore[union-attr] - it is a key
                answered = int(told.publisher.revision)
                changes = put(told.estate, key(500, labels={"n": str(answered)}))
                dying = asyncio.ensure_future(told.make(changes, patience=0.5))
                await asyncio.sleep(dice.random() * 0.004)
            await dying
            found = Copy(settings.copy_of("extproc-0"), "extproc-0", kek_of(settings).read).load()
            assert found is not None
            assert answered <= int(found.snapshot.revision) <= answered + 1
            assert not gone & set(found.snapshot.keys)
            await soon(lambda: not told.publisher.planes())


async def test_a_plane_never_has_half_of_what_a_killed_control_was_sending(tmp_path: Path) -> None:
    """Control changes two keys at a time and is killed at any instant; a plane sees both changes or neither, and follows the next control."""
    dice, seen = random.Random(7), []
    keyring_of(tmp_path)

    def look(snapshot: Snapshot) -> None:
        first, last = (dict(snapshot.keys[key(number).id].labels) for number in (0, KEYS - 1))
        seen.append((first == last, len(snapshot.keys)))

    async with plane(tmp_path, on_snapshot=look) as part:
        for _ in range(ROUNDS):
            async with started("control", tmp_path) as said:
                assert said == "ready"
                await asyncio.sleep(dice.random() * 0.1)
            before = len(part.taken)
        async with started("control", tmp_path):
            await soon(lambda: len(part.taken) > before + 3)
    assert set(seen) == {(True, KEYS)}
