"""The command line against the real control process."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from contracts.errors import Unusable
from controlplane.cli.client import DeclinedError, SystemDownError, find
from custody import virtual_key
from tests.contract.control_parts import FILE, SECRET, ControlPart


@pytest.fixture
def control(shared: ControlPart) -> ControlPart:
    """It, with nothing applied."""
    assert shared.apply("organisation: acme\n")[0] == 200
    return shared


def file(control: ControlPart, text: str = FILE) -> str:
    """A declarative file beside the data folder."""
    path = control.data.parent / "acme.yaml"
    path.write_text(text)
    return str(path)


def test_apply_shows_its_plan_and_new_keys_once(control: ControlPart) -> None:
    """People see what changes, and each new key's secret; the second time there is nothing to see."""
    first = control.command("apply", "-f", file(control), "--data", str(control.data))
    assert (first.returncode, first.stderr) == (0, "")
    assert "+ key one" in first.stdout
    shown = [word for word in first.stdout.split() if virtual_key.parse(word)]
    assert len(shown) == 2
    assert SECRET not in first.stdout
    second = control.command("apply", "-f", file(control), "--data", str(control.data))
    revision = control.apply()[1]["revision"]
    assert second.stdout == f"nothing to change; revision {revision} is in force\n"


def test_a_keys_file_takes_the_secrets_and_keeps_older_ones(control: ControlPart) -> None:
    """--keys-file: JSON, 0600, nothing shown; a later apply adds to it and loses none."""
    keys = control.data.parent / "keys.json"
    words = ("--data", str(control.data), "--keys-file", str(keys))
    done = control.command("apply", "-f", file(control), *words)
    assert done.returncode == 0
    assert "pcl_" not in done.stdout
    held = json.loads(keys.read_text())
    assert held.keys() == {"one", "two"}
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    more = control.command("apply", "-f", file(control, FILE.replace("  one:", "  three:")), "--json", *words)
    assert json.loads(more.stdout)["keys"] == {}
    assert json.loads(keys.read_text()).keys() == {"one", "two", "three"}
    assert json.loads(keys.read_text())["two"] == held["two"]
    assert [path.name for path in keys.parent.iterdir() if path.name.startswith(".keys.json")] == []


def test_a_keys_file_that_can_not_be_written_stops_the_apply(control: ControlPart) -> None:
    """No secret is made that nobody would ever see."""
    other = control.data.parent / "other.json"
    other.write_text("not keys")
    for path in (other, control.data.parent / "none" / "keys.json"):
        done = control.command("apply", "-f", file(control), "--data", str(control.data), "--keys-file", str(path))
        assert done.returncode == 1
        assert str(path) in done.stderr
    assert control.ask("GET", "/api/v1/keys")[1] == []
    assert other.read_text() == "not keys"


def test_secrets_come_from_variables_and_files(control: ControlPart) -> None:
    """A file's path is relative to the declarative file; what is missing is named with its line."""
    text = FILE.replace("{env: MAIN_SECRET}", "{file: main.secret}")
    missing = control.command("apply", "-f", file(control, text), "--data", str(control.data))
    assert missing.returncode == 1
    assert ":6: credentials.main.secret.file:" in missing.stderr
    (control.data.parent / "main.secret").write_text(f"{SECRET}\n")
    assert control.command("apply", "-f", file(control, text), "--data", str(control.data)).returncode == 0
    kept = control.command("apply", "-f", file(control, FILE.replace("MAIN", "NO")), "--data", str(control.data))
    assert "the one that is kept stays in force" in kept.stdout
    unset = control.command(
        "apply", "-f", file(control, FILE.replace("MAIN", "NO").replace("main:", "other-main:")), "--data", str(control.data)
    )
    assert "the environment variable NO_SECRET is not set" in unset.stderr
    same = control.command("apply", "-f", file(control, FILE), "--data", str(control.data))
    assert "nothing to change" in same.stdout


def test_exit_codes_tell_what_went_wrong(shared: ControlPart, tmp_path: Path) -> None:
    """0 done, 1 refused, 2 wrong usage, 3 system down; errors are one sentence on stderr."""
    data = str(shared.data)
    assert shared.command("key", "list", "--data", data, "--json").returncode == 0
    refused = shared.command("apply", "-f", str(tmp_path / "none.yaml"), "--data", data)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert shared.command("apply", "--data", data).returncode == 2
    assert shared.command("keys").returncode == 2
    down = shared.command("key", "list", "--data", str(tmp_path))
    assert (down.returncode, down.stdout) == (3, "")
    assert "portcullis up" in down.stderr
    assert shared.command("audit", "stats", "--data", data).returncode == 3
    wrong = shared.command("key", "list", environ={"PORTCULLIS_CONTROL": shared.url, "PORTCULLIS_TOKEN": "x" * 40})
    assert wrong.returncode == 1
    assert "admin token" in wrong.stderr


def test_the_variables_name_a_system(shared: ControlPart) -> None:
    """PORTCULLIS_CONTROL and PORTCULLIS_TOKEN, with no data folder at hand."""
    done = shared.command("key", "list", "--json", environ={"PORTCULLIS_CONTROL": shared.url, "PORTCULLIS_TOKEN": shared.token})
    assert done.returncode == 0


def test_the_token_is_not_shown_to_a_network(tmp_path: Path) -> None:
    """Plain HTTP to another machine is refused before anything is sent; so is what is no URL."""
    for url in ("http://10.0.0.1:8081", "http://control.example", "ftp://x", "nowhere", "http://"):
        with pytest.raises(Unusable, match="PORTCULLIS_CONTROL"):
            find(None, {"PORTCULLIS_CONTROL": url, "PORTCULLIS_TOKEN": "t"})
    assert find(None, {"PORTCULLIS_CONTROL": "https://control.example", "PORTCULLIS_TOKEN": "t"}).url == "https://control.example"
    with pytest.raises(SystemDownError):
        find(tmp_path, {})


def test_a_reader_that_had_enough_is_no_error(control: ControlPart) -> None:
    """A closed pipe (`… | head`) ends the command quietly."""
    control.apply()
    out, into = os.pipe()
    os.close(out)

    line = [sys.executable, "-m", "controlplane.cli", "key", "list", "--data", str(control.data)]
    done = subprocess.run(line, env=control.environ, stdout=into, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(into)
    assert (done.returncode, done.stderr) == (0, b"")


async def test_audit_questions_reach_ingest_and_its_errors_come_back(shared: ControlPart) -> None:
    """Query, stats and tail are passed on over ingest's socket; its errors become problem documents."""
    got: list[Any] = []

    async def query(request: web.Request) -> web.Response:
        got.append(await request.json())
        if "DROP" in got[-1]["sql"]:
            return web.json_response({"error": "Only reading statements."}, status=400)
        return web.json_response(
            {"columns": ["n", "who"], "types": ["UInt8", "String"], "rows": [[1, "a\x1b[31mb"], [22, "c"]], "truncated": True}
        )

    async def tail(request: web.Request) -> web.Response:
        if "after" in request.query:
            return web.json_response({"error": "enough"}, status=503)
        row = {
            "id": "0199",
            "status": 200,
            "outcome": "served",
            "team": "search",
            "cost_nanousd": 1500,
            "findings_prompt": {"EMAIL_ADDRESS": 1},
        }
        return web.json_response({"rows": [row], "next": "life-1"})

    app = web.Application()
    app.add_routes([web.post("/query", query), web.get("/tail", tail)])
    runner = web.AppRunner(app)
    await runner.setup()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(shared.data / "run" / "ingest.sock"))
    await web.SockSite(runner, listener).start()
    try:
        data = ("--data", str(shared.data))
        shown = await asyncio.to_thread(shared.command, "audit", "query", "SELECT 1", *data)
        assert shown.stdout.splitlines() == [" n  who", " 1  a\\x1b[31mb", "22  c"]
        assert "more rows" in shown.stderr
        raw = await asyncio.to_thread(shared.command, "audit", "query", "SELECT 1", "--json", *data)
        assert json.loads(raw.stdout)["rows"][1] == [22, "c"]
        refused = await asyncio.to_thread(shared.command, "audit", "query", "DROP TABLE x", *data)
        assert (refused.returncode, refused.stderr) == (1, "portcullis: Only reading statements.\n")
        followed = await asyncio.to_thread(shared.command, "audit", "tail", *data)
        assert followed.stdout == "200 served  search  0+0 tokens  0.0000015 USD  found EMAIL_ADDRESS  0199\n"
        assert followed.returncode == 3
        client = find(shared.data, {})
        with pytest.raises(DeclinedError):
            await asyncio.to_thread(client.call, "GET", "/api/v1/none")
    finally:
        await runner.cleanup()
        (shared.data / "run" / "ingest.sock").unlink()
    assert got[0] == {"sql": "SELECT 1"}
