"""The working folder of someone who reads a page and types its commands, with the programs that they started."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stack import environment, free_port, short_folder


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    """The commands of a console block."""
    lines = block.splitlines()
    assert all(line.startswith("$ ") for line in lines), "a console block shows commands only, each behind '$ '"
    return [line.removeprefix("$ ") for line in lines]


@dataclass
class Desk:
    """A user's working folder, with the system they started."""

    folder: Path
    environment: dict[str, str]

    def run(self, line: str) -> str:
        """A command line as it stands; what it prints."""
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, env=self.environment, cwd=self.folder, timeout=110, check=False
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """A piece of Python in the folder; every warning is an error."""
        line = [sys.executable, "-W", "error", "-c", code]
        return subprocess.run(line, capture_output=True, text=True, env=self.environment, cwd=self.folder, timeout=60, check=False)

    @contextlib.contextmanager
    def open(self, line: str, printed: str = "printed") -> Iterator[Path]:
        """A command line that stays, until Ctrl-C; where it prints."""
        place = self.folder / printed
        with place.open("wb") as out:
            # A session of its own stands for a terminal: Ctrl-C reaches all that runs in it.
            running = subprocess.Popen(
                ["sh", "-c", line], stdout=out, stderr=out, env=self.environment, cwd=self.folder, start_new_session=True
            )
        try:
            yield place
        finally:
            os.killpg(running.pid, signal.SIGINT)
            running.wait(60)

    @property
    def gateway(self) -> str:
        """Where apps connect."""
        return str(json.loads((self.folder / "data" / "run" / "ready.json").read_bytes())["gateway"])


@contextlib.contextmanager
def fresh_desk(root: Path) -> Iterator[Desk]:
    """A fresh working folder with the project's `.venv`, documents and rules, and free ports."""
    folder = short_folder()
    work = folder / "p"
    work.mkdir()
    try:
        for name in ("docs", "policies"):
            shutil.copytree(root / name, work / name)
        install(work / ".venv")
        ports = {f"PORTCULLIS_{name}_LISTEN": f"127.0.0.1:{free_port()}" for name in ("GATEWAY", "CONTROL")}
        yield Desk(work, environment(**ports))
    finally:
        shutil.rmtree(folder)


def install(place: Path) -> None:
    """The environment that runs this test, in the project's place. One without the command gets it as a line of shell."""
    if (Path(sys.prefix) / "bin" / "portcullis").exists():
        place.symlink_to(sys.prefix)
        return
    (place / "bin").mkdir(parents=True)
    command = place / "bin" / "portcullis"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m controlplane.cli "$@"\n', "utf-8")
    command.chmod(0o755)
