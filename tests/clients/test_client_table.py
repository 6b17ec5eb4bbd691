"""docs/clients.md says what the tests run: each client with its versions, and each class of error."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import pytest
from node_drive import FOLDER, Script, need_node_clients
from roster import CLIENTS, ERRORS, IN_MID_STREAM, PYTHON, VERBS, Client


def rows(root: Path, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its own first rows."""
    page = (root / "docs" / "clients.md").read_text("utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")][2:]


def locked() -> Mapping[str, str]:
    """Node's packages and their versions."""
    packages = json.loads((FOLDER / "package-lock.json").read_bytes())["packages"]
    return {path.removeprefix("node_modules/"): each["version"] for path, each in packages.items() if path}


def versions(client: Client) -> str:
    """`package version` of each of its packages."""
    return ", ".join(f"`{name}` {locked()[name] if client.script else version(name)}" for name in client.packages)


def test_every_client_is_in_the_table(root: Path) -> None:
    """With its versions, its route, and what is done with it."""
    assert rows(root, "What is run") == [
        [f"`{client.name}`", versions(client), client.route, ", ".join(f"`{verb}`" for verb in client.verbs)] for client in CLIENTS
    ]


def test_every_verb_is_explained(root: Path) -> None:
    """In the words that the tests have for it."""
    assert rows(root, "What the words mean") == [[f"`{verb}`", meaning] for verb, meaning in VERBS.items()]


def test_every_error_is_in_the_table(root: Path) -> None:
    """Status by status, and in the middle of a stream."""
    statuses = sorted({status for classes in ERRORS.values() for status in classes})
    assert rows(root, "Errors") == [
        *([str(status), *(f"`{classes[status]}`" for classes in ERRORS.values())] for status in statuses),
        ["in mid-stream", *(f"`{IN_MID_STREAM[whose]}`" for whose in ERRORS)],
    ]


def test_every_verb_is_run(root: Path) -> None:
    """A test asks each client for it."""
    run = {
        verb
        for file in FOLDER.parent.glob("test_*.py")
        for verb in re.findall(r'^@having\("(\w+)"\)', file.read_text("utf-8"), re.MULTILINE)
    }
    assert run == set(VERBS) == {verb for client in CLIENTS for verb in client.verbs}


def test_python_clients_have_the_verbs() -> None:
    """Each is in the table, with all that it can do."""
    assert {name: sorted(verbs) for name, (verbs, _) in PYTHON.items()} == {
        client.name: sorted(client.verbs) for client in CLIENTS if not client.script
    }


@pytest.mark.parametrize("script", sorted({client.script for client in CLIENTS if client.script}))
def test_node_scripts_have_the_verbs(scripts: Callable[[str], Script], script: str) -> None:
    """Each client of a script is in the table, with all that it can do."""
    assert {name: sorted(verbs) for name, verbs in scripts(script).verbs.items()} == {
        client.name: sorted(client.verbs) for client in CLIENTS if client.script == script
    }


def test_nodes_clients_are_those_that_are_locked() -> None:
    """What is installed is what the lock says, so a test runs what the table names."""
    need_node_clients()
    installed = json.loads((FOLDER / "node_modules" / ".package-lock.json").read_bytes())["packages"]
    assert {path.removeprefix("node_modules/"): each["version"] for path, each in installed.items()} == locked(), "run `make clients`"
