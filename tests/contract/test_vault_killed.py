"""A rotation of the vault's keys that is killed anywhere loses nothing, and the next one finishes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

KILLED = """
import asyncio, json, os, shutil, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from vault_parts import ACTOR, filled, opened, rotation
from contracts.settings import Settings
from controlplane.state import State
from controlplane.vault import open_vault
from extproc.edge.kek import KekFile

settings = Settings(data=Path(sys.argv[1]))

def killed(nth):
    state = State.open(settings)
    turning = rotation(state, open_vault(settings, state.load()))
    steps = 0

    def step():
        nonlocal steps
        steps += 1
        if steps == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event, arguments):
        if event in ("open", "os.rename", "os.remove", "os.link") and "vault" in str(arguments[0]):
            step()

    sys.addaudithook(audit)
    fsync, commit, sealed = os.fsync, State.commit, State.reseal
    os.fsync = lambda file: (step(), fsync(file), step())
    State.commit = lambda *a: (step(), commit(*a), step())
    State.reseal = lambda *a: (step(), sealed(*a), step())
    asyncio.run(turning.kek(ACTOR))

def forked(nth):
    child = os.fork()
    if not child:
        try:
            killed(nth)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if opened(settings) != before:
        sys.exit(f"killed at step {{nth}}: something is lost")
    return status, sorted(KekFile(settings.data / "vault" / "kek").read().terms)

filled(settings, 120)[0].close()
before, found, clean = opened(settings), [], settings.data.with_name("clean")
shutil.copytree(settings.data, clean)
while not found or found[-1][0][0] == -signal.SIGKILL:
    shutil.rmtree(settings.data)
    shutil.copytree(clean, settings.data)
    found.append([forked(len(found) + 1), forked(0)])
print(json.dumps(found))
"""


@pytest.mark.timeout(300)
def test_killed_at_any_step_it_is_finished_by_the_next(tmp_path: Path, root: Path) -> None:
    """Kill -9 before and after each touch of the file of keys, each sync and each commit: all opens, and the next call finishes."""
    script, data = tmp_path / "killed.py", tmp_path / "data"
    script.write_text(KILLED.format(tests=str(root / "tests" / "contract"), root=str(root)))
    one = subprocess.run([sys.executable, str(script), str(data)], capture_output=True, text=True, check=False, timeout=280)
    assert one.returncode == 0, one.stderr
    found = json.loads(one.stdout)
    assert len(found) > 12
    assert {tuple(terms) for (_, terms), _ in found[:-1]} == {(1,), (1, 2), (2,)}, "each stage was met"
    assert {(status, *terms) for _, (status, terms) in found} <= {(0, 2), (0, 3)}, (
        "finished by the next; it makes a term where none was begun"
    )
    for (_, stopped), (_, finished) in found[:-1]:
        assert finished == [2] or stopped == [2], "what was begun is gone on with, by the same term"
    assert sorted(path.name for path in (data / "vault").iterdir()) == ["kek"]
    assert (data / "vault" / "kek").stat().st_mode & 0o777 == 0o600
