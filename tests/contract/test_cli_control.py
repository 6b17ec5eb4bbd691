"""The verbs of the command line against the real control process: a whole estate, made, changed and taken away, a command at a time."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from custody import virtual_key
from tests.contract.control_parts import ROOT, ControlPart, free_port

SECRET = "sk-planted-5512"
MADE = (
    "provider add local --dialect openai --url http://127.0.0.1:9901/v1",
    "provider add house --dialect openai --url https://models.example/v1 --private",
    "credential set main --provider local",
    "model add org/cheap --provider local --credential main --model tiny --price input=0.15,output=0.60",
    "environment add dev --content none --keep-rows 30d --unpriced",
    "profile add strict --prompt '*=redact' --prompt CREDIT_CARD=block --answer '*=redact'",
    "team add search --project suggest",
    "project add search/ranking",
    "key create one --team search --project ranking --environment dev --model org/cheap --route chat --provider local --address 10.0.0.0/8 --max-tokens 4096 --profile strict --expires 2099-01-01 --may-set-user --owner anna --label cost=42",
)


class Command:
    """`portcullis …` against one control process."""

    def __init__(self, part: ControlPart) -> None:
        self.part = part

    def run(self, words: str, *, code: int = 0, stdin: str = SECRET) -> subprocess.CompletedProcess[str]:
        """Run it; it must end with `code`."""
        line = [sys.executable, "-m", "controlplane.cli", *shlex.split(words), "--data", str(self.part.data)]
        done = subprocess.run(line, cwd=ROOT, env=self.part.environ, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stdout + done.stderr
        return done

    def json(self, words: str) -> Any:
        """What it says to scripts."""
        return json.loads(self.run(f"{words} --json").stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """A control process with an estate that commands made."""
    part = ControlPart(tmp_path_factory.mktemp("m") / "d", free_port())
    part.start()
    command = Command(part)
    for words in MADE:
        command.run(words)
    yield command
    part.stop()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Command]:
    """A control process that governs nothing yet."""
    part = ControlPart(tmp_path / "d", free_port())
    part.start()
    yield Command(part)
    part.stop()


def test_all_that_was_made_is_listed(made: Command) -> None:
    """Every field that a command gave is in the record, and no secret is."""
    assert [provider["name"] for provider in made.json("provider list")] == ["house", "local"]
    assert made.json("provider show house")["private"] is True
    (credential,) = made.json("credential list")
    assert (credential["name"], credential["provider"], credential["draining"]) == ("main", "local", False)
    assert "sealed" not in credential
    (model,) = made.json("models")
    assert (model["name"], model["upstream"], model["price"]["input"], model["keys"]) == ("org/cheap", "tiny", "0.15", {"search": ["one"]})
    key = made.json("key show one")
    shown = ("models", "routes", "providers", "addresses", "max_tokens", "profile", "expires", "may_set_user", "owner", "labels", "status")
    assert [key[name] for name in shown] == [
        ["org/cheap"], ["chat"], ["local"], ["10.0.0.0/8"], 4096, "strict", 4_070_908_800, True, "anna", {"cost": "42"}, "active",
    ]  # fmt: skip
    assert made.json("environment show dev")["unpriced"] is True
    assert [project["project"] for project in made.json("project list")] == ["suggest", "ranking"]
    assert made.json("profile show strict")["prompt"] == {"*": "redact", "CREDIT_CARD": "block"}


@pytest.mark.parametrize("noun", ["provider", "credential", "model", "environment", "team", "project", "profile", "key", "plane"])
def test_each_list_is_a_table_too(made: Command, noun: str) -> None:
    """For people: a line of titles, then a record a line."""
    assert len(made.run(f"{noun} list").stdout.splitlines()) >= (1 if noun == "plane" else 2)


def test_add_does_not_overrule(made: Command) -> None:
    """A second one of the same name is refused, and the first is what it was."""
    before = made.json("provider show local")
    done = made.run("provider add local --dialect anthropic --url https://elsewhere.example", code=1)
    assert "portcullis: " in done.stderr
    assert made.json("provider show local") == before
    made.run("project add search/ranking", code=1)
    made.run("key create one --team search --project ranking --environment dev --model org/cheap", code=1)


def test_an_edit_changes_what_it_names(made: Command) -> None:
    """The rest stays; labels are added to and taken out of."""
    made.run("key edit one --owner bert --label region=eu --label cost=")
    key = made.json("key show one")
    assert (key["owner"], key["labels"], key["max_tokens"]) == ("bert", {"region": "eu"}, 4096)
    made.run("key edit one --max-tokens none --route '' --no-may-set-user")
    key = made.json("key show one")
    assert (key["max_tokens"], key["routes"], key["may_set_user"]) == (None, [], False)
    made.run("model edit org/cheap --price input=1,output=2")
    assert made.json("models")[0]["price"]["output"] == "2"


def test_what_is_disabled_says_so_and_comes_back(made: Command) -> None:
    """A key, its project, its team."""
    for off, on in (
        ("key edit one --disable", "key edit one --enable"),
        ("project disable search/ranking", "project enable search/ranking"),
        ("team disable search", "team enable search"),
    ):
        made.run(off)
        assert made.json("key show one")["status"] == "disabled", off
        made.run(on)
        assert made.json("key show one")["status"] == "active", on


def test_a_credential_is_drained_and_rotated(made: Command) -> None:
    """Its version tells that the secret is another one."""
    made.run("credential drain main")
    assert made.json("credential list")[0]["draining"] is True
    made.run("credential drain main --undo")
    before = made.json("credential list")[0]["secret_version"]
    made.run("credential rotate main", stdin="sk-another\n")
    assert made.json("credential list")[0]["secret_version"] == before + 1


def test_every_field_to_blame_is_a_line(made: Command) -> None:
    """All at once, each once, with what to do."""
    done = made.run("key create bad --team serch --project ranking --environment dv --model none --max-tokens 0", code=1)
    lines = done.stderr.splitlines()
    assert {line.split(": ")[1] for line in lines} >= {"team", "environment", "models[0]"}
    assert len(lines) == len(set(lines))
    assert "did you mean 'search'?" in done.stderr


def test_what_is_needed_is_not_removed(made: Command) -> None:
    """It names who needs it, and the option that takes these along."""
    done = made.run("provider remove local", code=1)
    assert "main" in done.stderr
    assert "org/cheap" in done.stderr
    assert "--cascade" in done.stderr
    made.run("team remove nowhere", code=1)


def test_a_key_lives_and_ends(fresh: Command, tmp_path: Path) -> None:
    """Made, rotated, revoked, forgotten; each secret shown once, alone, and another one each time."""
    for words in MADE[:-1]:
        fresh.run(words)
    create = "key create app --team search --project ranking --environment dev --model org/cheap"
    first = fresh.run(create).stdout
    assert virtual_key.parse(first.strip()) is not None
    assert len(first.splitlines()) == 1
    fresh.run(f"key rotate app --grace 1h --secret-file {tmp_path / 'second'}")
    assert (tmp_path / "second").read_text().strip() not in {first.strip(), ""}
    assert fresh.json("key show app")["old_secret_until"] is not None
    fresh.run("key remove app", code=1)
    fresh.run("key revoke app")
    assert fresh.json("key show app")["status"] == "revoked"
    fresh.run("key rotate app", code=1)
    fresh.run("key remove app")
    fresh.run("key show app", code=1)
    assert fresh.run(create).stdout != first


def test_what_was_made_by_calls_is_a_file(fresh: Command, tmp_path: Path) -> None:
    """Exported and applied it is no change, and the file then owns it: without its records they go."""
    for words in MADE:
        fresh.run(words)
    file = tmp_path / "gate.yaml"
    file.write_text(fresh.run("export").stdout)
    assert fresh.json(f"apply -f {file}")["changes"] == []
    fresh.run(f"apply -f {file} --dry-run")
    file.write_text("organisation: acme\n")
    signs = {change["sign"] for change in fresh.json(f"apply -f {file}")["changes"]}
    assert signs <= {"-", "+", "~"}
    assert "-" in signs
    assert fresh.json("provider list") == []


def test_the_vault_turns_and_everything_still_opens(made: Command) -> None:
    """A new term seals everything; a new pepper waits for the keys."""
    before = made.json("vault status")
    assert made.json("vault rotate")["newest_term"] == before["newest_term"] + 1
    after = made.json("vault status")
    assert after["rotation"]["state"] == "idle"
    assert list(after["sealed"]) == [str(after["newest_term"])]
    made.run("vault rotate --pepper")
    assert [pepper["version"] for pepper in made.json("vault status")["peppers"]] == [1, 2]
    made.run("vault status")


def test_a_plane_is_let_in_and_put_out(made: Command) -> None:
    """Its token is shown once, alone; a second of its name is refused."""
    token = made.run("plane add berlin --project search/ranking").stdout
    assert len(token.splitlines()) == 1
    assert [plane["status"] for plane in made.json("plane list") if plane["name"] == "berlin"] == ["waiting"]
    made.run("plane add berlin --project search/ranking", code=1)
    made.run("plane remove berlin")
    made.run("plane remove berlin", code=1)


def test_doctor_says_which_part_is_missing(made: Command) -> None:
    """Control alone is no gate: no plane is connected and nobody takes rows. 3, each with what to do."""
    checks = {check["name"]: check for check in json.loads(made.run("doctor --json", code=3).stdout)["checks"]}
    assert checks["control"]["state"] == "ok"
    assert checks["planes"]["state"] == checks["ingest"]["state"] == "down"
    assert all(check["do"] for check in checks.values() if check["state"] != "ok")
