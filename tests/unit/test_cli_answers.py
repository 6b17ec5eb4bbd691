"""What the command line says of an answer: tables, secrets that are shown once, complaints, exit codes."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recording_control import Recording

from controlplane.cli import main

ISSUED = {"key": {"name": "app", "id": "Ab0"}, "secret": "pcl_planted", "planes": []}
CREATE = ["key", "create", "app", "--team", "t", "--project", "p", "--environment", "dev", "--model", "m"]


def problem(code: str, detail: str, *errors: tuple[str, str], status: int = 422) -> dict[str, Any]:
    """A problem document."""
    blamed = [{"field": field, "detail": text} for field, text in errors]
    return {"type": "about:blank", "title": "x", "status": status, "code": code, "detail": detail, **({"errors": blamed} if errors else {})}


def test_a_new_keys_secret_stands_alone_on_the_standard_output(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """A script takes it with $(…); what is for people goes to the standard error."""
    control.answer("POST", "/keys", ISSUED, 201)
    assert main(CREATE) == 0
    shown = capsys.readouterr()
    assert shown.out == "pcl_planted\n"
    assert "key app (Ab0) is made" in shown.err
    assert main([*CREATE, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ISSUED


def test_a_secret_file_takes_it_instead(control: Recording, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """0600 and nothing shown, as JSON neither; a file that is there, or can't be, stops the call before a secret is made."""
    control.answer("POST", "/keys", ISSUED, 201)
    file = tmp_path / "app.key"
    assert main([*CREATE, "--secret-file", str(file), "--json"]) == 0
    assert file.read_text() == "pcl_planted\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = capsys.readouterr()
    assert "pcl_planted" not in shown.out + shown.err
    assert [path.name for path in tmp_path.iterdir()] == ["app.key"]
    for place in (file, tmp_path / "none" / "app.key"):
        assert main([*CREATE, "--secret-file", str(place)]) == 1
    assert len(control.asked) == 1


def test_a_rotation_says_until_when_the_old_secret_works(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the new secret."""
    control.answer("POST", "/keys/app/rotate", {**ISSUED, "old_secret_until": 1_800_000_000})
    assert main(["key", "rotate", "app"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "pcl_planted\n"
    assert "the old one works until 2027-01-15 08:00 UTC" in shown.err


def test_a_plane_that_is_late_is_named(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3: the change is made, and that plane may still go by what was before."""
    late = {"plane": "berlin", "revision": "3", "problem": "has not answered within 2 s"}
    control.answer("POST", "/keys/app/revoke", {"key": {}, "planes": [{"plane": "extproc-0", "revision": "4", "problem": ""}, late]})
    assert main(["key", "revoke", "app"]) == 3
    shown = capsys.readouterr()
    assert shown.out == "key app is revoked, for good\n"
    assert shown.err == "portcullis: berlin: has not answered within 2 s\n"


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (problem("invalid_request", "a: is wrong; b: is missing", ("a", "is wrong"), ("b", "is missing")), 1, ["a: is wrong", "b: is missing"]),
        (problem("invalid_request", "No.", ("a", "is wrong")), 1, ["No.", "a: is wrong"]),
        (problem("unusable", "one\ntwo"), 1, ["one", "two"]),
        (problem("unusable", "a: is wrong\nb: is missing", ("a", "is wrong"), ("b", "is missing")), 1, ["a: is wrong", "b: is missing"]),
        (problem("in_use", "Keys need it: x.", status=409), 1, ["Keys need it: x.", "With --cascade they go too."]),
        (problem("unauthorized", "No token.", status=401), 1, ["No token.", "The right one is in the data folder, in vault/admin-token; name that folder with --data, or set PORTCULLIS_TOKEN."]),
        (problem("not_found", "No team x.", status=404), 1, ["No team x."]),
        (problem("audit_unavailable", "Ingest is down.", status=503), 3, ["Ingest is down."]),
        ("<html>", 3, None),
        ({"detail": "x", "status": 500, "errors": [1]}, 3, None),
    ],
)  # fmt: skip
def test_a_complaint_is_a_line_for_each_thing(
    control: Recording, answer: Any, code: int, said: list[str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each field to blame, and what to do; 1 where it was refused, 3 where whoever should answer does not."""
    control.answer("DELETE", "/teams/x", answer, answer.get("status", 500) if isinstance(answer, dict) else 500)
    assert main(["team", "remove", "x"]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert all(line.startswith("portcullis: ") for line in lines)
    assert "Traceback" not in shown.err
    if said is not None:
        assert lines == [f"portcullis: {line}" for line in said]


@pytest.mark.parametrize(("kind", "name", "path"), [("team", "x", "/teams/x"), ("project", "x/y", "/teams/x/projects/y")])
def test_what_is_there_already_is_named(control: Recording, capsys: pytest.CaptureFixture[str], kind: str, name: str, path: str) -> None:
    """Not the condition that was sent, and no advice to repeat what would be refused again."""
    control.answer("PUT", path, problem("changed_meanwhile", "If-None-Match: *", status=412), 412)
    assert main([kind, "add", name]) == 1
    said = f"portcullis: {kind} '{name}' is there already, and stays as it is; change that one, or take another name.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("keys", [{}, {"k": "pcl_planted"}])
def test_an_apply_names_the_file_of_keys_only_where_it_made_any(
    control: Recording, capsys: pytest.CaptureFixture[str], tmp_path: Path, keys: dict[str, str]
) -> None:
    """A second apply made none."""
    control.answer("POST", "/apply", {"notes": [], "changes": [], "revision": "7", "dry_run": False, "keys": keys, "planes": []})
    (tmp_path / "gate.yaml").write_text("organisation: acme\n")
    assert main(["apply", "-f", str(tmp_path / "gate.yaml"), "--keys-file", str(tmp_path / "keys.json")]) == 0
    assert ("secrets of new keys are in" in capsys.readouterr().out) == bool(keys)


def test_wrong_words_are_2_and_are_not_repeated(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """Who types a secret where none is taken does not find it in a log; nothing is asked."""
    for words in (
        ["credential", "set", "c", "sk-planted", "--provider", "a"],
        ["credential", "set", "c", "--secret", "sk-planted", "--provider", "a"],
        ["credential", "set", "c", "--secret=sk-planted", "--provider", "a"],
        ["credential", "sk-planted"],
        ["sk-planted"],
        ["key", "rotate", "app", "--grace", "sk-planted"],
        ["key", "edit", "app", "--expires", "sk-planted"],
        ["key", "edit", "app", "--expires", "2027-01-01T00:00:00"],
        ["key", "edit", "app", "--label", "sk-planted"],
        ["model", "edit", "m", "--price", "input=sk-planted"],
        ["model", "edit", "m", "--price", "input=1e5"],
        ["model", "edit", "m", "--price", "{sk-planted"],
        ["environment", "add", "e", "--content", "sk-planted"],
        ["project", "add", "sk-planted"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2, words
        assert "planted" not in capsys.readouterr().err
    assert control.asked == []


def test_the_vaults_rotation_is_followed_to_its_end(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """Progress on the standard error until it is over; 3 with the plane that holds it up where it is not."""

    def vault(state: str, moved: int, *waiting: str) -> dict[str, Any]:
        rotation = {"state": state, "moved": moved, "total": 9, "left": 9 - moved, "waiting_for": list(waiting), "note": ""}
        return {"keys_from": "f", "terms": [1, 2], "newest_term": 2, "sealed": {}, "peppers": [], "rotation": rotation}

    for step in (vault("running", 0), vault("running", 4), vault("idle", 9)):
        control.answer("GET", "/vault", step)
    assert main(["vault", "rotate"]) == 0
    shown = capsys.readouterr()
    assert [line.split(" ")[0] for line in shown.err.splitlines()] == ["0", "4", "9"]
    assert control.asked[0].told == ("POST", "/vault/rotate", {"what": "kek"})
    control.answers.clear()
    control.answer("GET", "/vault", vault("unfinished", 9, "berlin"))
    assert main(["vault", "rotate", "--json"]) == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out)["rotation"]["state"] == "unfinished"
    assert "not in force yet on berlin" in shown.err
    assert main(["vault", "status"]) == 0


def test_thin_verbs_load_the_standard_library_only() -> None:
    """The tree of verbs, and every module of theirs, brings no package along: the command starts at once."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "from controlplane import cli; cli.parser()\n"
        "found = {name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)\n"
        "print(*sorted(found))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["contracts", "controlplane"]
