"""The control process, real; planes that follow it are in planes_parts.py."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0

FILE = """\
organisation: acme
providers:
  local: {dialect: openai, url: http://127.0.0.1:9901/v1}
  other: {dialect: openai, url: http://127.0.0.1:9902/v1}
credentials:
  main: {provider: local, secret: {env: MAIN_SECRET}}
models:
  cheap: {provider: local, model: tiny, price: {input: 0.15, output: 0.60}}
environments:
  dev: {}
teams:
  search: {projects: {ranking: {}}}
keys:
  one: {team: search, project: ranking, environment: dev, models: [cheap]}
  two: {team: search, project: ranking, environment: dev, models: ["*"]}
"""
SECRET = "sk-planted-8841"


def until(probe: Callable[[], Any]) -> Any:
    """Ask until the answer is true."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{probe} stayed false")
        time.sleep(0.02)


async def soon(probe: Callable[[], Any]) -> Any:
    """As `until`, without stopping the loop."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := probe()):  # noqa: ASYNC110 - what is awaited is in another process
            await asyncio.sleep(0.02)
        return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """What a call was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class ControlPart:
    """`python -m controlplane.server`, started on a data folder."""

    data: Path
    port: int
    child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """The admin token."""
        return (self.data / "vault" / "admin-token").read_text().strip()

    @property
    def environ(self) -> dict[str, str]:
        """Its environment."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "PORTCULLIS_CONTROL_LISTEN": f"127.0.0.1:{self.port}", "MAIN_SECRET": SECRET}

    def start(self) -> None:
        """Start it and wait until it answers; also leave the ready.json that the command looks for."""
        command = [sys.executable, "-m", "controlplane.server", "--data", str(self.data)]
        with (self.data.parent / "control.log").open("ab") as log:
            self.child = subprocess.Popen(command, cwd=ROOT, env=self.environ, stderr=log, stdout=log)
        until(self.answers)
        ready = {"control": self.url, "admin_token_file": str(self.data / "vault" / "admin-token")}
        (self.data / "run" / "ready.json").write_text(json.dumps(ready))

    def answers(self) -> bool:
        """Whether /readyz does."""
        if self.child is not None and self.child.poll() is not None:
            raise RuntimeError(self.log)
        try:
            return self.ask("GET", "/readyz", token="")[0] == http.client.OK
        except OSError:
            return False

    def stop(self) -> int:
        """Stop it as the supervisor does; its exit code."""
        if self.child is None:
            return 0
        self.child.terminate()
        code = self.child.wait(PATIENCE_S)
        self.child = None
        return code

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.data.parent / "control.log").read_text()

    def answer(
        self, method: str, path: str, body: object = None, *, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """What one call is answered; it is made with the right token, unless told otherwise."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            bearer = self.token if token is None else token
            sent = {"authorization": f"Bearer {bearer}", **(headers or {})}
            connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body) if body is not None else None, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON of one call."""
        answer = self.answer(method, path, body, token=token, headers=headers)
        return answer.status, json.loads(answer.body)

    def apply(self, text: str = FILE, *, dry_run: bool = False, secret: str = SECRET) -> tuple[int, Any]:
        """Apply a file."""
        return self.ask("POST", "/api/v1/apply", {"document": text, "file": "f.yaml", "secrets": {"main": secret}, "dry_run": dry_run})

    def command(self, *words: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `portcullis …` against it."""
        line = [sys.executable, "-m", "controlplane.cli", *words]
        return subprocess.run(
            line, cwd=self.data.parent, env={**self.environ, **(environ or {})}, capture_output=True, text=True, timeout=60, check=False
        )
