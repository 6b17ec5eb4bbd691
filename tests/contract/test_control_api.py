"""The control process: its API, its command line, and what it keeps."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from contracts.errors import Unusable
from controlplane.client import DeclinedError, SystemDownError, find
from controlplane.state import State
from custody import virtual_key
from tests.contract.control_parts import FILE, SECRET, ControlPart, free_port


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPart]:
    """A control process for tests that may share what is applied."""
    part = ControlPart(tmp_path_factory.mktemp("c") / "d", free_port())
    part.start()
    yield part
    part.stop()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlPart]:
    """A control process on a fresh folder."""
    part = ControlPart(tmp_path / "d", free_port())
    part.start()
    yield part
    part.stop()


def file(control: ControlPart, text: str = FILE) -> str:
    """A declarative file beside the data folder."""
    path = control.data.parent / "acme.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("path", ["/api/v1/keys", "/api/v1/apply", "/api/v1/audit/stats", "/api/v1/none", "/", "/healthz/x"])
@pytest.mark.parametrize("token", ["", "x", "pcladmin_" + "A" * 43, "é"])
def test_nothing_is_said_without_the_token(shared: ControlPart, path: str, token: str) -> None:
    """Every path but the two probes is 401 without the right token, also those that don't exist."""
    status, answer = shared.ask("GET", path, headers={"authorization": f"Bearer {token}".encode("latin-1").decode("latin-1")})
    assert (status, answer["code"]) == (401, "unauthorized")


def test_the_probes_need_no_token(shared: ControlPart) -> None:
    """Whoever starts the process may ask whether it is well."""
    assert shared.ask("GET", "/healthz", token="")[0] == shared.ask("GET", "/readyz", token="")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "", "[::2]:8081", "[x", "localhost.evil"])
def test_another_sites_name_is_refused(shared: ControlPart, host: str) -> None:
    """A web page whose name resolves to this machine can't call the API, even if it had the token."""
    assert shared.ask("GET", "/api/v1/keys", headers={"host": host})[0] in {400, 421}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8081", "LOCALHOST", "[::1]:8081"])
def test_own_names_are_taken(shared: ControlPart, host: str) -> None:
    """The names of loopback, with any port."""
    assert shared.ask("GET", "/api/v1/keys", headers={"host": host})[0] == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, {"document": 1}, {}, {"document": FILE, "secrets": {"main": 1}}, {"document": FILE, "secrets": []}, {"document": FILE, "dry_run": "no"}],
)  # fmt: skip
def test_a_malformed_apply_is_a_problem_document(shared: ControlPart, body: Any) -> None:
    """Whatever is posted, the answer is a problem document with status 400."""
    status, answer = shared.ask("POST", "/api/v1/apply", body)
    assert (status, answer["status"], answer["type"]) == (400, 400, "about:blank")


def test_errors_have_one_shape(shared: ControlPart) -> None:
    """Not found, wrong method, too large: problem documents with a code and a sentence."""
    asked = [shared.ask("GET", "/none"), shared.ask("GET", "/api/v1/apply"), shared.ask("POST", "/api/v1/apply", b"x" * (9 << 20))]
    assert [(status, answer["code"]) for status, answer in asked] == [
        (404, "not_found"), (405, "method_not_allowed"), (413, "request_entity_too_large"),
    ]  # fmt: skip
    assert all(answer["detail"].endswith(".") for _, answer in asked)


def test_a_file_with_problems_changes_nothing(control: ControlPart) -> None:
    """All problems come back with their lines, and neither state nor Envoy's files moved."""
    control.apply()
    before = {path: path.read_bytes() for path in (control.data / "run" / "envoy").iterdir()}
    status, answer = control.apply(FILE.replace("provider: local, model", "provider: locl, model").replace("dev: {}", "dev: {keep: 1}"))
    assert (status, answer["code"]) == (422, "unusable")
    assert [line.split(":")[1] for line in answer["detail"].splitlines()] == ["8", "10"]
    assert control.ask("GET", "/api/v1/planes")[1]["revision"] == "1"
    assert {path: path.read_bytes() for path in (control.data / "run" / "envoy").iterdir()} == before


def test_a_secret_that_no_header_carries_is_refused_and_not_repeated(shared: ControlPart) -> None:
    """The complaint names the credential only."""
    status, answer = shared.apply(secret="planted\r\nx-evil: 1")
    assert status == 422
    assert "credentials.main.secret" in answer["detail"]
    assert "planted" not in json.dumps(answer)


def test_applying_twice_changes_nothing(control: ControlPart) -> None:
    """The second time there is no change, no new revision and no new secret; ids and hashes stay."""
    first, second = control.apply()[1], control.apply()[1]
    assert (first["revision"], second["revision"]) == ("1", "1")
    assert set(first["keys"]) == {"one", "two"}
    assert (second["changes"], second["keys"]) == ([], {})


def test_a_dry_run_changes_nothing_and_shows_no_key(control: ControlPart) -> None:
    """It answers with the same plan and leaves everything as it was."""
    answer = control.apply(dry_run=True)[1]
    assert answer["keys"] == {}
    assert {change["sign"] for change in answer["changes"]} == {"+"}
    assert control.ask("GET", "/api/v1/keys")[1] == []
    assert control.apply()[1]["changes"] == answer["changes"]


def test_what_left_the_file_is_removed_and_what_stayed_keeps_its_secret(control: ControlPart) -> None:
    """One key goes, one changes, one comes; only the new one gets a secret; the one that stayed keeps its id."""
    control.apply()
    before = {key["name"]: key["id"] for key in control.ask("GET", "/api/v1/keys")[1]}
    other = FILE.replace("  one:", "  three:").replace('models: ["*"]', 'models: ["*"], may_set_user: true')
    answer = control.apply(other)[1]
    told = [(change["sign"], change["name"], change["fields"]) for change in answer["changes"]]
    assert told == [("+", "three", []), ("~", "two", ["may_set_user"]), ("-", "one", [])]
    assert set(answer["keys"]) == {"three"}
    after = {key["name"]: key["id"] for key in control.ask("GET", "/api/v1/keys")[1]}
    assert after.keys() == {"two", "three"}
    assert after["two"] == before["two"]


def test_the_price_keeps_its_version_until_it_changes(control: ControlPart) -> None:
    """Rows can name the price they were made with: an unrelated change leaves the version, another price gets its own."""

    def version() -> str:
        control.stop()
        state = State(control.data)
        price = state.load().snapshot.models["cheap"].price
        state.close()
        control.start()
        return price.version if price else ""

    control.apply()
    control.apply(FILE.replace("one:", "uno:"))
    assert version() == "declared:1"
    control.apply(FILE.replace("0.60", "0.61"))
    assert version() == "declared:3"


def test_everything_survives_a_restart(control: ControlPart) -> None:
    """After a restart the same keys are there, applying the same file changes nothing, and Envoy's files are rewritten."""
    control.apply()
    keys = control.ask("GET", "/api/v1/keys")[1]
    assert control.stop() == 0
    for path in (control.data / "run" / "envoy").iterdir():
        path.unlink()
    control.start()
    assert control.ask("GET", "/api/v1/keys")[1] == keys
    assert control.apply()[1]["changes"] == []
    assert "9902" in (control.data / "run" / "envoy" / "cds.yaml").read_text()


def test_killed_at_any_time_it_starts_again(control: ControlPart) -> None:
    """Kill -9 right after an apply: the state is whole, and the socket it left behind is replaced."""
    control.apply()
    assert control.child is not None
    control.child.kill()
    control.child.wait()
    control.start()
    assert len(control.ask("GET", "/api/v1/keys")[1]) == 2


def test_envoy_files_are_there_before_the_first_apply(control: ControlPart) -> None:
    """Whoever waits for /readyz can start Envoy next."""
    assert {path.name for path in (control.data / "run" / "envoy").iterdir()} >= {"bootstrap.yaml", "cds.yaml", "rds.yaml"}


def test_a_taken_port_is_one_sentence(control: ControlPart) -> None:
    """A second one says what is in the way, and ends with 1."""
    second = ControlPart(control.data.parent / "e", control.port)
    second.data.mkdir(mode=0o700)
    with (second.data.parent / "second.log").open("wb") as log:
        command = [sys.executable, "-m", "controlplane.server", "--data", str(second.data)]
        assert subprocess.run(command, env=second.environ, stderr=log, stdout=log, timeout=60, check=False).returncode == 1
    last = (second.data.parent / "second.log").read_text().splitlines()[-1]
    assert last.startswith(f"control.listen: can't listen on 127.0.0.1:{control.port}")


# ── the command line ────────────────────────────────────────────────────────────


def test_apply_shows_its_plan_and_new_keys_once(control: ControlPart) -> None:
    """People see what changes, and each new key's secret; the second time there is nothing to see."""
    first = control.command("apply", "-f", file(control), "--data", str(control.data))
    assert (first.returncode, first.stderr) == (0, "")
    assert "+ key one" in first.stdout
    shown = [word for word in first.stdout.split() if virtual_key.parse(word)]
    assert len(shown) == 2
    assert SECRET not in first.stdout
    second = control.command("apply", "-f", file(control), "--data", str(control.data))
    assert second.stdout == "nothing to change; revision 1 is in force\n"


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
    unset = control.command("apply", "-f", file(control, FILE.replace("MAIN", "NO")), "--data", str(control.data))
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
