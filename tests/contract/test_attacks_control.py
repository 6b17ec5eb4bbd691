"""Attacks on the control process: by its API, by the command line, and by what a crash leaves behind."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from custody.virtual_key import parse
from extproc.edge.snapshot_wire import framed, message
from tests.contract.control_parts import FILE, ControlPart, free_port, until


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPart]:
    """A control process with a file applied."""
    part = ControlPart(tmp_path_factory.mktemp("c") / "d", free_port())
    part.start()
    part.apply()
    yield part
    part.stop()


@pytest.mark.parametrize(("key", "when"), [("one", "9999-12-31T23:59:59-14:00"), ("two", "0001-01-01T00:00:00+14:00")])
def test_an_end_beyond_the_calendar_is_refused_and_the_key_can_be_revoked(control: ControlPart, key: str, when: str) -> None:
    """In UTC no calendar has it: such a key could be neither listed nor exported, and its revocation was answered with an error."""
    status, told = control.ask("PATCH", f"/api/v1/keys/{key}", {"expires": when})
    assert (status, [error["field"] for error in told["errors"]]) == (400, ["expires"])
    assert control.ask("POST", f"/api/v1/keys/{key}/revoke")[0] == 200


def test_half_a_surrogate_in_a_file_is_refused(control: ControlPart) -> None:
    """It is no text; control does not break on it."""
    assert control.ask("POST", "/api/v1/apply", b'{"document": "organisation: \\ud800"}')[0] == 400


def test_a_plane_elsewhere_is_not_called_as_a_worker_here(control: ControlPart) -> None:
    """It would stand for the worker in answers, and its removal would hang up on it."""
    status, told = control.ask("POST", "/api/v1/planes", {"name": "extproc-0"})
    assert (status, [error["field"] for error in told["errors"]]) == (422, ["name"])
    assert control.ask("GET", "/api/v1/planes") == (200, [])


@pytest.mark.parametrize("empty", ["", ",", " "])
def test_a_plane_for_an_empty_project_is_not_one_for_all(control: ControlPart, empty: str) -> None:
    """A variable that a script left empty must not hand over every credential."""
    done = control.command("plane", "add", "far", "--project", empty)
    assert (done.returncode, done.stdout) == (2, "")
    assert control.ask("GET", "/api/v1/planes") == (200, [])


@pytest.fixture
def part(tmp_path: Path) -> Iterator[ControlPart]:
    """A control process on an empty folder."""
    part = ControlPart(tmp_path / "d", free_port())
    part.start()
    yield part
    part.stop()


def test_control_killed_in_the_middle_of_an_apply_loses_no_new_keys_secret(part: ControlPart, tmp_path: Path) -> None:
    """The change is made and its answer lost; the command waits for control to come back, and is given the same answer."""
    (tmp_path / "file.yaml").write_text(FILE)
    database = sqlite3.connect(part.data / "state" / "portcullis.db")
    words = [sys.executable, "-m", "controlplane.cli", "apply", "-f", "file.yaml", "--keys-file", "keys.json", "--data", str(part.data)]
    # A plane that takes nothing makes the answer wait for it: the change is made, and not answered yet.
    with socket.socket(socket.AF_UNIX) as plane, subprocess.Popen(words, cwd=tmp_path, env=part.environ) as command:
        plane.connect(str(part.data / "run" / "snapshot.sock"))
        plane.sendall(framed(message({"plane": "extproc-0", "version": "0", "epoch": "", "revision": ""})))
        until(lambda: database.execute("SELECT count(*) FROM records").fetchone()[0])
        assert part.child is not None
        part.child.kill()
        part.child.wait()
        part.start()
        assert command.wait(60) == 0
    database.close()
    keys = json.loads((tmp_path / "keys.json").read_text())
    assert [parse(keys[name]) is not None for name in ("one", "two")] == [True, True]
