"""`portcullis demo` from end to end."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from plain_http import ask
from stack import command, environment, eventually, free_port, short_folder


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder that is not there yet."""
    folder = short_folder()
    yield folder / "data"
    shutil.rmtree(folder)


def settings() -> dict[str, str]:
    """Free ports for a demo."""
    ports = {f"PORTCULLIS_{name}_LISTEN": f"127.0.0.1:{free_port()}" for name in ("GATEWAY", "CONTROL")}
    return environment(**ports)


def run(data: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`portcullis demo --once`."""
    return subprocess.run(command("demo", "--once", "--data", data), capture_output=True, text=True, env=env, timeout=110, check=False)


def test_once_shows_three_requests_and_their_rows_and_can_be_run_again(data: Path) -> None:
    """Exit code 0, the three results, three rows, and no trace of the address at the provider; a second run does the same."""
    env = settings()
    for _ in range(2):
        done = run(data, env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [line[:3] for line in done.stdout.splitlines() if line[:1].isdigit()] == ["1. ", "2. ", "3. "]
        assert "NOT AS IT SHOULD BE" not in done.stdout
        table = done.stdout.partition("The audit rows they left:")[2].split("\n")[2:5]
        assert [line.split()[0] for line in table] == ["served", "refused", "served"]
        assert "[EMAIL_ADDRESS" in done.stdout
    assert not (data / "run" / "ready.json").exists()


def test_it_refuses_to_replace_another_system(data: Path) -> None:
    """A data folder with keys of its own is left alone."""
    env = settings()
    gate = data.parent / "gate.yaml"
    gate.write_text("organisation: acme\nenvironments: {dev: {}}\nteams: {a: {projects: {b: {}}}}\n", "utf-8")
    with subprocess.Popen(command("up", "--data", data), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as system:
        try:
            eventually((data / "run" / "ready.json").exists, "the system", 90)
            subprocess.run(command("apply", "-f", gate, "--data", data), env=env, check=True, capture_output=True)
        finally:
            system.send_signal(signal.SIGINT)
    done = run(data, env)
    assert done.returncode == 1
    assert "name another with --data" in done.stderr


@pytest.mark.timeout(180)
def test_it_stays_up_and_its_key_works(data: Path) -> None:
    """Without --once it goes on: ready.json has the mock and a key that an app can use, until Ctrl-C ends it with 0."""
    env = settings()
    log = data.parent / "log"
    with log.open("wb") as out, subprocess.Popen(command("demo", "--data", data), env=env, stdout=out, stderr=out) as demo:
        try:
            eventually(lambda: "Ctrl-C" in log.read_text("utf-8", "replace"), "the demo's last words", 110)
            ready = json.loads((data / "run" / "ready.json").read_bytes())
            body = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}).encode()
            headers = {"authorization": f"Bearer {ready['key']}", "content_type": "application/json"}
            assert ask(ready["gateway"], "POST", "/v1/chat/completions", body, **headers).status == 200
            assert len(ask(ready["mock"], "GET", "/__received").body.splitlines()) == 3
            assert ready["key"] in log.read_text("utf-8")
        finally:
            demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
