"""Tables for people: what each shows of an answer."""

from __future__ import annotations

import pytest
from recording_control import Recording

from controlplane.cli import main


def cells(text: str) -> list[list[str]]:
    """The cells of a table: two blanks stand between them."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_models_show_their_price_and_who_may_use_them(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """By class, tiers too; a model whose price nobody knows says so; keys by team."""
    price = {
        "version": "declared:3",
        "input": "3",
        "output": "15",
        "above": {"200000": {"input": "6", "output": "22.5"}},
        "from": None,
        "daily": None,
    }
    known = {"name": "big", "provider": "a", "upstream": "big-1", "price": price, "context": 200_000, "keys": {"search": ["one", "two"]}}
    unknown = {"name": "new", "provider": "a", "upstream": "new", "price": None, "context": None, "keys": {}}
    control.answer("GET", "/models", [known, unknown])
    assert main(["models"]) == 0
    shown = cells(capsys.readouterr().out)
    assert shown[1] == [
        "big",
        "a",
        "big-1",
        "input 3, output 15; above 200000: input 6, output 22.5",
        "declared:3",
        "200000",
        "search: one two",
    ]
    assert shown[2] == ["new", "a", "new", "unknown", "-", "-", "nobody"]


def test_a_keys_use_is_shown_by_day_with_its_sum(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """Money in dollars, exactly; a key that was never used has a sum of nothing."""
    sums = {
        "requests": 3,
        "refused": 1,
        "failed": 0,
        "aborted": 0,
        "input_tokens": 10,
        "output_tokens": 5,
        "cost_nanousd": 1500,
        "old_secret": 2,
    }
    used = {**sums, "last_use": 1_800_000_000}
    control.answer("GET", "/keys/app/usage", {"key_id": "x", "days": 7, "by_day": [{**used, "day": "2027-01-15"}], "total": used})
    assert main(["key", "usage", "app", "--days", "7"]) == 0
    assert control.asked[0].path == "/api/v1/keys/app/usage?days=7"
    shown = cells(capsys.readouterr().out)
    numbers = ["3", "1", "0", "0", "10", "5", "0.0000015", "2", "2027-01-15 08:00 UTC"]
    assert shown[1:] == [["2027-01-15", *numbers], ["7 days", *numbers]]
    control.answers.clear()
    control.answer(
        "GET", "/keys/app/usage", {"key_id": "x", "days": 30, "by_day": [], "total": {**dict.fromkeys(sums, 0), "last_use": None}}
    )
    assert main(["key", "usage", "app"]) == 0
    assert cells(capsys.readouterr().out)[1][-1] == "never"


def test_keys_show_what_they_may_do(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """Names from elsewhere can't command the terminal."""
    key = {
        "name": "app\x1b[2J", "id": "a1", "status": "revoked", "team": "t", "project": "p", "environment": "dev", "models": ["a", "b*"],
        "profile": "default", "expires": None,
    }  # fmt: skip
    control.answer("GET", "/keys", [key])
    assert main(["key", "list"]) == 0
    assert cells(capsys.readouterr().out)[1] == [r"app\x1b[2J", "a1", "revoked", "t", "p", "dev", "a b*", "default", "never"]


def test_projects_of_a_disabled_team_are_disabled(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """Their own switch, or their team's."""
    control.answer("GET", "/teams", [
        {"name": "a", "projects": ["x", "y"], "disabled": False, "disabled_projects": ["y"]},
        {"name": "b", "projects": ["z"], "disabled": True, "disabled_projects": []},
    ])  # fmt: skip
    assert main(["project", "list"]) == 0
    assert cells(capsys.readouterr().out)[1:] == [["a", "x", "false"], ["a", "y", "true"], ["b", "z", "true"]]


def test_planes_show_what_they_go_by(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """One beside control, one that has not come yet."""
    control.answer("GET", "/planes", [
        {"name": "berlin", "status": "waiting", "revision": "", "problem": "", "projects": ["t/p"], "enrolled": None},
        {"name": "extproc-0", "status": "connected", "revision": "4", "problem": "", "projects": [], "enrolled": None},
    ])  # fmt: skip
    assert main(["plane", "list"]) == 0
    assert cells(capsys.readouterr().out)[1:] == [
        ["berlin", "waiting", "t/p", "not yet"],
        ["extproc-0", "connected", "4", "all", "not yet"],
    ]
