"""What a worker is: a process that has nothing of ours, stands back, hears no Ctrl-C, and does not outlive extproc."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import offload_work as work
import pytest
from offload_stories import LOOPS, Tell, gone, teller

from extproc.edge.offload import Offload
from extproc.edge.worker import NICE

ROOT: Final = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(params=LOOPS)
def tell(request: pytest.FixtureRequest) -> Tell:
    """Tells stories on either event loop."""
    return teller(request.param)


def test_a_worker_has_nothing_of_ours(tell: Tell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No open file, no socket but its own, no secret of the environment, no core dump; and it stands back."""
    monkeypatch.setenv("PORTCULLIS_SECRET", "sk-1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-2")

    async def story(offload: Offload) -> None:
        with (tmp_path / "spool").open("wb") as spool:
            os.set_inheritable(spool.fileno(), True)
            seen = await offload.run(work.surroundings, ())
        assert set(seen["files"]) <= {"0", "1", "2"}
        assert seen["files"]["0"].startswith("socket:")
        assert seen["files"]["1"] == os.devnull
        assert seen["nice"] == min(19, os.nice(0) + NICE)
        assert seen["core"] == (0, 0)
        assert "sk-" not in str(seen["environment"])
        assert seen["threads"] == 1

    tell(story)


def test_a_worker_takes_no_notice_of_ctrl_c(tell: Tell) -> None:
    """What is under way is finished; who ends workers is extproc."""

    async def story(offload: Offload) -> None:
        assert await offload.run(work.survives_sigint, ())

    tell(story)


PARENT: Final = """
import asyncio, sys, offload_work
from extproc.edge.offload import Offload
async def main():
    offload = Offload(workers=2, limit_s=float(sys.argv[1]))
    stuck = offload.run(offload_work.stuck, ())
    idle, _ = await offload.run(offload_work.told, ())
    while len(offload.pids) < 2: await asyncio.sleep(0.005)
    print(*offload.pids, flush=True)
    await stuck
asyncio.run(main())
"""


def test_no_worker_outlives_extproc(tmp_path: Path) -> None:
    """Killed without a word, extproc takes its workers along: the idle one and the busy one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(work.__file__).parent)])}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, "60" if sys.platform == "linux" else "3"],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=tmp_path,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
    while not all(map(gone, pids)):
        time.sleep(0.02)
