"""The access log is begun anew when it has grown; whoever is killed meanwhile, each line is read once."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from ingest.access_log import AccessLog, LogCursor
from ingest.rotation import PATIENCE, Rotation, old_of

MOST = 40


class KilledError(BaseException):
    """Stands for SIGKILL."""


class Envoy:
    """Writes lines to the file it has open; told to reopen, it does so with the next line, as Envoy's flush thread does."""

    def __init__(self, path: Path) -> None:
        self.path, self.written, self.deaf = path, list[bytes](), False
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._told = False

    def write(self) -> None:
        """One line."""
        if self._told:
            self._file.close()
            self._file, self._told = self.path.open("ab", buffering=0), False
        self.written.append(b"line %d\n" % len(self.written))
        self._file.write(self.written[-1])

    def reopen(self) -> bool:
        """As asked on the admin socket."""
        self._told = not self.deaf
        return self._told

    def close(self) -> None:
        """End."""
        self._file.close()


class Ingest:
    """Reads and rotates; `kept` are the lines before the cursor that its ledger has."""

    def __init__(self, envoy: Envoy) -> None:
        self.envoy, self.kept, self.cursor, self.now = envoy, list[bytes](), LogCursor(), PATIENCE
        self.restart()

    def restart(self) -> None:
        """A new life, from the ledger."""
        self.log = AccessLog(self.envoy.path, self.cursor)
        self.rotation = Rotation(self.envoy.path, self.envoy.reopen, MOST)
        self.read: list[bytes] = []

    def step(self) -> None:
        """As the shipper does."""
        self.now += PATIENCE // 2
        lines, at_end = self.log.read()
        self.read += [line for line, _ in lines]
        if at_end:
            self.rotation.step(self.log.cursor, self.now)
        self.kept, self.cursor, self.read = self.kept + self.read, self.log.cursor, []
        self.rotation.forget(self.cursor)


@pytest.fixture
def envoy(tmp_path: Path) -> Any:
    """One that has opened its log."""
    made = Envoy(tmp_path / "access.jsonl")
    yield made
    made.close()


def test_a_log_that_has_grown_is_begun_anew_and_the_old_one_deleted(envoy: Envoy) -> None:
    """Its successor is readable by its owner alone; the disk holds little more than the limit, whatever is written."""
    ingest = Ingest(envoy)
    for _ in range(60):
        envoy.write()
        ingest.step()
        assert sum(path.stat().st_size for path in envoy.path.parent.iterdir()) < 3 * MOST

    assert ingest.kept == envoy.written
    assert sorted(path.name for path in envoy.path.parent.iterdir()) in (["access.jsonl"], ["access.jsonl", "access.jsonl.old"])
    assert stat.S_IMODE(envoy.path.stat().st_mode) == 0o600
    ingest.log.close()


def test_what_is_not_read_to_its_end_or_is_small_is_left_alone(envoy: Envoy) -> None:
    """Nothing is renamed before its time."""
    rotation = Rotation(envoy.path, envoy.reopen, MOST)
    envoy.write()
    status = envoy.path.stat()
    rotation.step(LogCursor(status.st_ino, status.st_size), 0)
    for _ in range(10):
        envoy.write()
    rotation.step(LogCursor(status.st_ino, status.st_size), 0)

    assert [path.name for path in envoy.path.parent.iterdir()] == ["access.jsonl"]


def test_an_envoy_that_does_not_hear_goes_on_in_the_old_log_and_is_asked_again(envoy: Envoy) -> None:
    """Its lines are read all the while; the old log stays until it writes to the new one."""
    ingest, envoy.deaf = Ingest(envoy), True
    for _ in range(20):
        envoy.write()
        ingest.step()
    assert ingest.kept == envoy.written
    assert old_of(envoy.path).exists()

    envoy.deaf = False
    for _ in range(8):
        ingest.step()
    envoy.write()
    for _ in range(3):
        ingest.step()

    assert ingest.kept == envoy.written
    assert not old_of(envoy.path).exists()
    ingest.log.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), [(Path, "rename"), (os, "open"), (Envoy, "reopen"), (Path, "unlink")])
def test_killed_at_any_instant_each_line_is_read_once(
    envoy: Envoy, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, after: bool
) -> None:
    """The next life goes on with the step that is missing."""
    real: Callable[..., Any] = getattr(owner, name)
    calls = itertools.count(1)

    def call(*arguments: Any, **named: Any) -> Any:
        deadly = next(calls) % 2 == 1
        if deadly and not after:
            raise KilledError
        result = real(*arguments, **named)
        if deadly:
            if isinstance(result, int) and name == "open":
                os.close(result)
            raise KilledError
        return result

    monkeypatch.setattr(owner, name, call)
    ingest, killed = Ingest(envoy), 0
    for _ in range(60):
        envoy.write()
        try:
            ingest.step()
        except KilledError:
            killed += 1
            ingest.log.close()
            ingest.restart()
    monkeypatch.undo()
    for _ in range(5):
        ingest.step()

    assert killed >= 3
    assert ingest.kept == envoy.written
    assert envoy.path.stat().st_size < len(b"".join(envoy.written)) // 2
    ingest.log.close()
