"""Several workers behind one Envoy: all of them serve, all of them know what is in force, and one that is killed comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from declared import DECLARED, MOCK
from stack import Stack, eventually

WORKERS = ("extproc-0", "extproc-1", "extproc-2")
PARTS = {"envoy", "ingest", "control", "extproc", "extproc-1", "extproc-2"}


@pytest.fixture(scope="module")
def gate() -> Iterator[Stack]:
    """A gate with three workers."""
    with Stack(settings="workers: 3\n") as running:
        yield running


def test_every_worker_serves_and_its_rows_are_stored(gate: Stack) -> None:
    """Envoy spreads requests over the workers; each writes its rows under its own name."""
    assert set(gate.pids) == PARTS
    asked = {gate.chat().headers["x-portcullis-request-id"] for _ in range(12)}

    def stored() -> dict[str, str]:
        rows = gate.query("SELECT toString(id) AS id, plane FROM audit.requests WHERE outcome = 'served'")
        return {row["id"]: row["plane"] for row in rows}

    eventually(lambda: asked <= stored().keys(), "the rows")
    assert {stored()[exchange] for exchange in asked} == set(WORKERS)


def test_a_key_that_is_gone_is_refused_by_every_worker_when_the_command_comes_back(gate: Stack) -> None:
    """The answer names each worker with the revision in force; whichever is asked then refuses."""
    assert gate.chat(key="strict").status == 200
    file = gate.folder / "less.yaml"
    file.write_text("\n".join(line for line in DECLARED.replace(MOCK, gate.mock).splitlines() if "  strict: {team" not in line))
    answer = json.loads(gate.run("apply", "-f", file, "--json").stdout)
    told = {report["plane"]: (report["revision"], report["problem"]) for report in answer["planes"]}
    assert {name: told[name] for name in WORKERS} == dict.fromkeys(WORKERS, (answer["revision"], ""))
    assert {gate.chat(key="strict").status for _ in range(12)} == {401}
    assert {gate.chat().status for _ in range(12)} == {200}


def test_a_worker_that_is_killed_comes_back_informed(gate: Stack) -> None:
    """The supervisor starts it again; it goes by the snapshot in force and serves."""
    gone = gate.kill("extproc-1")
    gate.back("extproc-1", gone)
    assert {gate.chat().status for _ in range(12)} == {200}
    told = gate.client.call("GET", "/api/v1/planes")
    assert {plane["name"]: plane["in_force"] for plane in told} == dict.fromkeys(WORKERS, True)
