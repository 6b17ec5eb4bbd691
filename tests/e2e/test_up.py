"""`portcullis up` through its life: ready, a part dying, stopping; and each way of not even starting."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plain_http import ask
from stack import PARTS, Stack, alive, command, environment, eventually, free_port, short_folder


@pytest.fixture
def bare() -> Iterator[Stack]:
    """A system that governs nothing yet."""
    with Stack(None) as stack:
        yield stack


def test_ready_says_where_everything_is(gate: Stack) -> None:
    """ready.json has the contract's fields, is for its owner only, and what it names answers."""
    file = gate.data / "run" / "ready.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(gate.ready) == {"gateway", "control", "pids", "admin_token_file"}
    assert set(gate.pids) == set(PARTS)
    assert all(alive(pid) for pid in gate.pids.values())
    assert ask(gate.ready["control"], "GET", "/readyz").status == 200
    assert ask(gate.gateway, "GET", "/nowhere").status == 404


def test_one_line_a_part(gate: Stack) -> None:
    """Each part is announced with its address, and its log has its name in front."""
    announced = [line.split() for line in gate.log.splitlines() if line.startswith("  ")]
    assert sorted(line[0] for line in announced) == sorted(PARTS)
    assert ["envoy", "ready", gate.gateway] in announced
    assert "control  | " in gate.log


def test_everything_is_private(gate: Stack) -> None:
    """No folder and no file under the data folder is open to others."""
    paths = [gate.data, *gate.data.rglob("*")]
    assert [str(path) for path in paths if path.exists() and not path.is_symlink() and path.stat().st_mode & 0o077] == []


def test_no_core_dumps(gate: Stack) -> None:
    """A part that crashes writes no memory to disk."""
    for pid in gate.pids.values():
        limits = Path(f"/proc/{pid}/limits").read_text("utf-8")
        assert next(line for line in limits.splitlines() if line.startswith("Max core")).split()[4:6] == ["0", "0"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_nothing(bare: Stack, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with 0, and no process, socket or port is left; then it starts again."""
    pids = [*bare.pids.values()]
    assert bare.process is not None
    bare.process.send_signal(number)
    assert bare.process.wait(60) == 0
    assert bare.left_behind(pids) == []
    bare.start()
    assert set(bare.pids) == set(PARTS)


def test_a_hung_part_can_not_hold_up_the_stop(bare: Stack) -> None:
    """A part under SIGSTOP goes with the others."""
    pids = [*bare.pids.values()]
    bare.kill("extproc", signal.SIGSTOP)
    assert bare.stop() == 0
    assert bare.left_behind(pids) == []


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_dies_is_started_again(own_gate: Stack, part: str) -> None:
    """Killed with -9 it comes back under a new id, ready.json says so, and the next request passes."""
    own_gate.back(part, own_gate.kill(part))
    eventually(lambda: own_gate.chat().status == 200, "an answer again")
    assert f"{part} was killed by SIGKILL and is started again" in own_gate.log


def test_a_part_that_keeps_dying_ends_the_system(bare: Stack) -> None:
    """Five deaths in half a minute: one sentence names the part, the exit code is 1, nothing is left."""
    seen = set(bare.pids.values())
    assert bare.process is not None
    for _ in range(5):
        pid = bare.kill("extproc")
        eventually(lambda gone=pid: bare.process.poll() is not None or _other(bare, gone), "the next life")
        seen |= set(bare.pids.values()) if bare.process.poll() is None else set()
    assert bare.process.wait(60) == 1
    assert "stopping: extproc died 5 times within 30 s" in bare.log
    assert bare.left_behind([*seen]) == []


def _other(system: Stack, gone: int) -> bool:
    try:
        return system.pids["extproc"] != gone
    except FileNotFoundError:
        return False


def test_parts_die_with_a_killed_supervisor(bare: Stack) -> None:
    """Kill -9 of the supervisor takes every part along, and the next start works at once."""
    pids = [*bare.pids.values()]
    assert bare.process is not None
    bare.process.kill()
    bare.process.wait()
    eventually(lambda: not any(map(alive, pids)), "every part gone")
    (bare.data / "run" / "ready.json").unlink()
    bare.start()
    assert set(bare.pids) == set(PARTS)


def test_the_pipe_watch_kills_a_part_too(tmp_path: Path) -> None:
    """Where the kernel can't tell of a parent's death, a watcher sees its pipe close and kills the part."""
    reading, writing = os.pipe()
    child = Path(sys.modules["stack"].ROOT) / "controlplane" / "supervisor" / "child.py"
    run = [sys.executable, "-I", "-S", child, str(os.getpid()), str(reading), sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(run, pass_fds=(reading,)) as part:
        os.close(reading)
        assert part.poll() is None
        os.close(writing)
        assert part.wait(30) == -signal.SIGKILL


# ── what it refuses, each with one sentence ───────────────────────────────────


class Refusing:
    """A start that is refused."""

    def __init__(self) -> None:
        self.folder = short_folder()
        self.data = self.folder / "data"

    def up(self, **variables: str) -> str:
        """Try to start; the sentence it gives."""
        done = subprocess.run(
            command("up", "--data", self.data),
            capture_output=True,
            text=True,
            env=environment(**variables),
            cwd=self.folder,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
        lines = done.stderr.splitlines()
        assert len(lines) == 1, lines
        return lines[0]


@pytest.fixture
def refusing() -> Iterator[Refusing]:
    """Nothing is there yet."""
    attempt = Refusing()
    yield attempt
    shutil.rmtree(attempt.folder)


@pytest.mark.parametrize("field", ["gateway", "control"])
def test_a_port_in_use(refusing: Refusing, field: str) -> None:
    """The sentence names the setting, the address and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
        other.close()
        port = taken.getsockname()[1]
        names = {"PORTCULLIS_GATEWAY_LISTEN": free, "PORTCULLIS_CONTROL_LISTEN": free + 1 if free < 65535 else free - 1}
        names[f"PORTCULLIS_{field.upper()}_LISTEN"] = port
        said = refusing.up(**{name: f"127.0.0.1:{value}" for name, value in names.items()})
    assert f"{field}.listen: can't listen on 127.0.0.1:{port}" in said
    assert "choose another port" in said


def test_a_missing_binary(refusing: Refusing) -> None:
    """The sentence names the setting and the path."""
    said = refusing.up(PORTCULLIS_ENVOY="/nowhere/envoy")
    assert "envoy: /nowhere/envoy" in said


def test_a_broken_config(refusing: Refusing) -> None:
    """The sentence names file, line and field."""
    (refusing.folder / "portcullis.yaml").write_text("gateway: {listen: nonsense}\n", "utf-8")
    assert "portcullis.yaml:1" in refusing.up()


def test_a_folder_that_others_may_open(refusing: Refusing) -> None:
    """It says how to close it."""
    refusing.data.mkdir(mode=0o755)
    assert "chmod 700" in refusing.up()


def test_a_data_folder_that_is_a_file(refusing: Refusing) -> None:
    """It says which, and how to name another."""
    refusing.data.write_text("")
    assert "--data" in refusing.up()


def test_a_path_too_long_for_sockets(refusing: Refusing) -> None:
    """It says so before anything is made."""
    refusing.data = refusing.folder / ("long" * 25)
    assert "too long" in refusing.up()
    assert not refusing.data.exists()


def test_a_folder_in_use(gate: Stack) -> None:
    """The sentence names the process that has it, and that one goes on."""
    run = command("up", "-c", gate.config, "--data", gate.data)
    done = subprocess.run(run, capture_output=True, text=True, env=gate.environment, timeout=60, check=False)
    assert done.returncode == 1
    assert gate.process is not None
    assert f"is in use by a running system (process {gate.process.pid})" in done.stderr
    assert gate.chat().status == 200


def test_a_part_that_fails_at_once(refusing: Refusing) -> None:
    """A part that can't start is named with its last line, and the others are stopped."""
    done = subprocess.run(
        command("up", "--data", refusing.data),
        capture_output=True,
        text=True,
        env=environment(
            PORTCULLIS_POLICY=f"embedded://{refusing.folder}/no-such-rules",
            PORTCULLIS_GATEWAY_LISTEN=f"127.0.0.1:{free_port()}",
            PORTCULLIS_CONTROL_LISTEN=f"127.0.0.1:{free_port()}",
        ),
        timeout=90,
        check=False,
    )
    assert done.returncode == 1
    assert "stopping: extproc ended with exit code 1; it said last: " in done.stderr
    assert "no-such-rules" in done.stderr
    assert [path.name for path in (refusing.data / "run").iterdir() if path.is_socket()] == []


def test_the_first_start_shows_the_admin_token_once(bare: Stack) -> None:
    """It is in the log of the first start, opens the API, and is not shown by the second."""
    token = (bare.data / "vault" / "admin-token").read_text("utf-8").strip()
    assert bare.log.count(token) == 1
    assert json.loads(ask(bare.ready["control"], "GET", "/api/v1/keys", authorization=f"Bearer {token}").body) == []
    bare.stop()
    bare.start()
    assert bare.log.count(token) == 1
