"""`portcullis doctor` on a system of which one part hangs: it looks as if it ran, and is found all the same."""

from __future__ import annotations

import json

import pytest
from stack import Stack, eventually


def examined(gate: Stack) -> tuple[int, dict[str, str]]:
    """Exit code; what was looked at → how it is."""
    done = gate.run("doctor", "--json", check=False)
    return done.returncode, {check["name"]: check["state"] for check in json.loads(done.stdout)["checks"]}


def test_a_running_system_asks_for_a_key(module_gate: Stack) -> None:
    """Nothing is down, the way through Envoy and extproc among it; what was asked for on that way is a row that says who asked."""
    code, states = examined(module_gate)
    assert (code, states["gateway"], "down" in states.values()) == (0, "ok", False)
    asked = "SELECT outcome, error_code FROM audit.requests WHERE user_agent LIKE 'portcullis-doctor/%'"
    assert eventually(lambda: module_gate.query(asked), "its row") == [{"outcome": "refused", "error_code": "invalid_api_key"}]


@pytest.mark.parametrize(("part", "found"), [("control", "control"), ("extproc", "gateway"), ("envoy", "gateway"), ("ingest", "ingest")])
def test_a_part_that_hangs_is_named(module_gate: Stack, part: str, found: str) -> None:
    """Its process is there; the exit code is 3, and the answer does not wait for the part."""
    with module_gate.paused(part):
        code, states = examined(module_gate)
    assert (code, states[found]) == (3, "down")
