"""`portcullis check` and `version`: no running system is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts import VERSION
from controlplane.cli import main
from tests.contract.control_parts import FILE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with sound settings and a sound declarative file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "portcullis.yaml").write_text("policy_timeout_ms: 100\n")
    (tmp_path / "acme.yaml").write_text(FILE)
    return tmp_path


def test_nothing_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sound settings, the rules that come with the product, and a sound file: 0, and no secret is needed."""
    assert main(["check", "-f", "acme.yaml"]) == 0
    assert capsys.readouterr().out == "nothing is wrong\n"


def test_everything_wrong_is_told_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings and file, each with its lines; for scripts as JSON."""
    (folder / "portcullis.yaml").write_text("polcy: x\nstate: postgresql://x\n")
    (folder / "acme.yaml").write_text(FILE.replace("tiny", "'a b'").replace("organisation: acme", "organisation: a b"))
    assert main(["check", "-f", "acme.yaml", "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [line[: line.index(": ")] for line in problems] == ["portcullis.yaml:1", "portcullis.yaml:2", "acme.yaml:1", "acme.yaml:8"]


def test_rules_are_checked_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of rules that can't be used, or is not there, is a problem with a place."""
    (folder / "portcullis.yaml").write_text("policy: embedded://none\n")
    assert main(["check"]) == 1
    (folder / "none" / "gateway").mkdir(parents=True)
    (folder / "none" / "gateway" / "main.rego").write_text("package gateway\n\nallow if {")
    assert main(["check"]) == 1
    missing, broken = capsys.readouterr().out.split("\n", 1)
    assert "there is no folder" in missing
    assert "main.rego:" in broken


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """For people and for scripts."""
    assert main(["version"]) == main(["version", "--json"]) == 0
    text, document = capsys.readouterr().out.splitlines()
    assert text == f"portcullis {VERSION}"
    assert json.loads(document) == {"version": VERSION}
