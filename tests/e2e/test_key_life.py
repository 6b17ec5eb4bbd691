"""A key from its making to its end, seen by the official SDK through the whole gate, with apps asking 200 times a second."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from stack import Stack, eventually
from steady import asked, client, steady


def verb(gate: Stack, *arguments: str, check: bool = True) -> Any:
    """`portcullis … --json`; what it says."""
    done = gate.run(*arguments, "--json", check=check)
    return json.loads(done.stdout) if done.stdout.strip() else None


def made(gate: Stack, name: str, *more: str) -> str:
    """A fresh key's secret."""
    words = ("--team", "search", "--project", "ranking", "--environment", "dev", "--model", "cheap", *more)
    return str(verb(gate, "key", "create", name, *words)["secret"])


def test_create_use_rotate_revoke_under_load(module_gate: Stack) -> None:
    """Each takes effect as the contract says, and no other answer is ever wrong.

    Whatever is asked after a command has returned is answered by the new state, on every worker: stricter than a time limit.
    """
    gate = module_gate
    with steady(gate.gateway, gate.key("app")) as others:
        first = made(gate, "life")
        with client(gate.gateway, first) as sdk:
            assert asked(sdk) == 200
            assert asked(sdk, "dear") == 403

        with steady(gate.gateway, first) as apps:
            eventually(lambda: len(apps.answers) > 100, "some traffic")
            rotated = verb(gate, "key", "rotate", "life", "--grace", "30m")
            second = rotated["secret"]
            assert second != first
            with client(gate.gateway, second) as sdk:
                assert asked(sdk) == 200
            count = len(apps.answers)
            eventually(lambda: len(apps.answers) > count + 100, "the old secret in its grace")
            before = time.monotonic()
            assert apps.between(0, before) == {200}

            verb(gate, "key", "revoke", "life")
            returned = time.monotonic()
            eventually(lambda: len(apps.since(returned)) > 100, "refusals")
            with client(gate.gateway, second) as sdk:
                assert asked(sdk) == 401

        assert {answer.status for answer in apps.since(returned)} == {401}
    assert {answer.status for answer in others.answers} == {200}

    def marks() -> set[tuple[bool, int]] | None:
        rows = gate.query("SELECT key_old_secret AS old, status, count() AS n FROM audit.requests WHERE key_name = 'life' GROUP BY ALL")
        found = {(bool(row["old"]), int(row["status"])) for row in rows}
        return found if {(True, 200), (False, 200)} <= found else None

    eventually(marks, "rows of both secrets, the old one marked")


def test_an_old_secret_ends_with_its_grace(module_gate: Stack) -> None:
    """By its own clock, with nobody telling; a rotation without grace ends it at once."""
    gate = module_gate
    first = made(gate, "rotated")
    second = verb(gate, "key", "rotate", "rotated", "--grace", "2s")["secret"]
    with client(gate.gateway, first) as old, client(gate.gateway, second) as new:
        eventually(lambda: asked(old) == 401, "the grace is over")
        assert asked(new) == 200
        third = verb(gate, "key", "rotate", "rotated", "--grace", "0s")["secret"]
        assert asked(new) == 401
    with client(gate.gateway, third) as newest:
        assert asked(newest) == 200


@pytest.mark.parametrize("what", ["key", "project", "team"])
def test_what_is_disabled_is_401_and_comes_back(module_gate: Stack, what: str) -> None:
    """A key, its project or its team: at once, and as it was once it is enabled again."""
    gate = module_gate
    secret = made(gate, f"of-{what}")
    off = {
        "key": ("key", "edit", "of-key", "--disable"),
        "project": ("project", "disable", "search/ranking"),
        "team": ("team", "disable", "search"),
    }[what]
    on = {
        "key": ("key", "edit", "of-key", "--enable"),
        "project": ("project", "enable", "search/ranking"),
        "team": ("team", "enable", "search"),
    }[what]
    with client(gate.gateway, secret) as sdk:
        assert asked(sdk) == 200
        verb(gate, *off)
        assert asked(sdk) == 401
        verb(gate, *on)
        assert asked(sdk) == 200


def test_an_expired_key_is_401(module_gate: Stack) -> None:
    """By the plane's own clock."""
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    secret = made(module_gate, "short", "--expires", soon)
    with client(module_gate.gateway, secret) as sdk:
        eventually(lambda: asked(sdk) == 401, "its time is over")


def test_its_use_is_counted_by_day(module_gate: Stack) -> None:
    """Requests, tokens, cost and refusals, from the audit."""
    gate = module_gate
    with client(gate.gateway, made(gate, "counted")) as sdk:
        assert [asked(sdk), asked(sdk), asked(sdk, "dear")] == [200, 200, 403]

    def counted() -> Any:
        days = verb(gate, "key", "usage", "counted")["by_day"]
        return days if days and days[0]["requests"] == 3 else None

    (day,) = eventually(counted, "three rows")
    assert day["refused"] == 1
    assert day["input_tokens"] > 0
    assert day["cost_nanousd"] > 0
