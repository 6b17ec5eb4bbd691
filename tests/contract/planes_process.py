"""A plane's follower, or a control that never stops changing things, as a process of its own, to be killed at any instant.

    python -m tests.contract.planes_process plane|control DATA [NAME]

Control changes two keys at a time, to the same number; the test's own estate must be on disk nowhere, so it is made here.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from contracts.settings import Settings
from extproc.edge.kek import kek_of
from extproc.edge.snapshot import Follower, on_socket
from extproc.edge.snapshot_copy import Copy
from tests.contract.planes_parts import control, estate_of, key, put

KEYS = 3000


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def follow(data: Path, name: str) -> None:
    """Follow for ever."""
    settings = Settings(data=data)
    follower = Follower(
        name, on_socket(settings.run / "snapshot.sock"), lambda _snapshot: None, Copy(settings.copy_of(name), name, kek_of(settings).read)
    )
    follower.start()
    say(follower.revision)
    await follower.run()


async def change(data: Path) -> None:
    """Change two keys together, again and again."""
    async with control(data, estate_of(data, map(key, range(KEYS)))) as told:
        say("ready")
        for number in itertools.count(1):
            pair = [key(at, labels={"n": str(number)}) for at in (0, KEYS - 1)]
            await told.make(put(told.estate, *pair), patience=0.05)
            await asyncio.sleep(0)


if __name__ == "__main__":
    role, folder, *name = sys.argv[1:]
    asyncio.run(follow(Path(folder), *name) if role == "plane" else change(Path(folder)))
