"""`portcullis doctor` on folders, ports and files as they may be; no system runs."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from controlplane.admin_token import token_file
from controlplane.cli import main
from extproc.edge.kek import KekFile


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder as `up` leaves it, free ports, and settings of nobody else."""
    for name in [name for name in os.environ if name.startswith("PORTCULLIS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for name in ("GATEWAY", "CONTROL"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            monkeypatch.setenv(f"PORTCULLIS_{name}_LISTEN", f"127.0.0.1:{probe.getsockname()[1]}")
    folder = tmp_path / "d"
    (folder / "run").mkdir(parents=True)
    (folder / "state").mkdir()
    for each in (folder, folder / "run", folder / "state"):
        each.chmod(0o700)
    KekFile(folder / "vault" / "kek").make()
    token_file(folder).touch(0o600)
    return folder


def checks(data: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str], dict[str, str]]:
    """Exit code; check → state; check → what to do."""
    code = main(["doctor", "--data", str(data), "--json"])
    found = json.loads(capsys.readouterr().out)["checks"]
    return code, {check["name"]: check["state"] for check in found}, {check["name"]: check["do"] for check in found}


def test_a_system_that_is_not_up_is_3_and_says_how_to_start_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else is wrong."""
    code, states, todo = checks(data, capsys)
    assert code == 3
    assert {name for name, state in states.items() if state not in {"ok", "warn"}} == {"system"}
    assert "portcullis up" in todo["system"]
    assert main(["doctor", "--data", str(data)]) == 3
    assert "  system: start it with `portcullis up`\n" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_made_by_the_first_start(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No complaint about what `up` will make."""
    code, states, _ = checks(data.parent / "none", capsys)
    assert (code, states["data"], states["system"]) == (3, "ok", "down")


def test_what_others_may_read_is_wrong(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder, the vault's keys, the token: each with the command that mends it."""
    data.chmod(0o755)
    (data / "vault" / "kek").chmod(0o644)
    (data / "vault" / "admin-token").chmod(0o640)
    _, states, todo = checks(data, capsys)
    assert (states["data"], states["vault"], states["admin token"]) == ("wrong", "wrong", "wrong")
    assert todo["data"] == f"chmod 700 {data}"
    assert todo["admin token"] == f"chmod 600 {token_file(data)}"
    assert "kek" in todo["vault"]


@pytest.mark.parametrize("kek", [None, b"", b"1 short"])
def test_a_vault_that_can_not_be_opened_is_wrong(data: Path, kek: bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    """A lost or broken file: nothing is made anew over what is sealed."""
    (data / "vault" / "kek").unlink()
    if kek is not None:
        (data / "vault" / "kek").touch(0o600)
        (data / "vault" / "kek").write_bytes(kek)
    _, states, todo = checks(data, capsys)
    assert states["vault"] == "wrong"
    assert "backup" in todo["vault"]


def test_keys_from_a_variable_that_is_not_set_here_are_only_looked_at(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be set where the system runs."""
    monkeypatch.setenv("PORTCULLIS_VAULT", "env:THE_KEK")
    _, states, todo = checks(data, capsys)
    assert states["vault"] == "warn"
    assert "THE_KEK" in todo["vault"]


def test_a_port_that_is_taken_is_wrong(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name of its setting, with the variable that chooses another."""
    host, _, port = os.environ["PORTCULLIS_CONTROL_LISTEN"].rpartition(":")
    with socket.create_server((host, int(port))):
        _, states, todo = checks(data, capsys)
    assert states["control.listen"] == "wrong"
    assert "PORTCULLIS_CONTROL_LISTEN" in todo["control.listen"]
    assert states["gateway.listen"] == "ok"


def test_settings_that_can_not_be_read_are_wrong_each_with_its_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else is looked at: everything else depends on them."""
    Path("portcullis.yaml").write_text("polcy: x\nspool: {durability: no}\n", "utf-8")
    assert main(["doctor", "--data", str(data)]) == 1
    shown = capsys.readouterr().out
    assert "portcullis.yaml:1" in shown
    assert "portcullis.yaml:2" in shown


def test_rules_that_do_not_load_are_wrong(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there, and one with a fault."""
    monkeypatch.setenv("PORTCULLIS_POLICY", "embedded://none")
    assert checks(data, capsys)[1]["rules"] == "wrong"
    Path("none/gateway").mkdir(parents=True)
    Path("none/gateway/main.rego").write_text("package gateway\n\nallow if {", "utf-8")
    assert checks(data, capsys)[1]["rules"] == "wrong"


def test_parts_that_are_gone_are_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ready.json of a system that was killed."""
    ready = {
        "control": "http://127.0.0.1:9",
        "admin_token_file": str(data / "vault" / "admin-token"),
        "pids": {"extproc": 2**22 + 1, "control": os.getpid()},
    }
    (data / "run" / "ready.json").write_text(json.dumps(ready))
    code, states, _ = checks(data, capsys)
    assert (code, states["system"]) == (3, "down")
    assert main(["doctor", "--data", str(data)]) == 3
    assert "not running: extproc" in capsys.readouterr().out


def test_a_control_that_does_not_answer_is_down(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every process is there, and nobody answers."""
    ready = {"control": "http://127.0.0.1:9", "admin_token_file": str(data / "vault" / "admin-token"), "pids": {"control": os.getpid()}}
    (data / "run" / "ready.json").write_text(json.dumps(ready))
    code, states, _ = checks(data, capsys)
    assert (code, states["system"], states["control"]) == (3, "ok", "down")


def test_looking_changes_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file is made, none is touched."""
    before = sorted((path, path.stat().st_mtime_ns) for path in data.rglob("*"))
    checks(data, capsys)
    checks(data.parent / "none", capsys)
    assert sorted((path, path.stat().st_mtime_ns) for path in data.rglob("*")) == before
    assert not (data.parent / "none").exists()
