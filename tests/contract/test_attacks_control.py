"""Attacks on the control process: by its API, by the command line, and by what a crash leaves behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.control_parts import ControlPart, free_port


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPart]:
    """A control process with a file applied."""
    part = ControlPart(tmp_path_factory.mktemp("c") / "d", free_port())
    part.start()
    part.apply()
    yield part
    part.stop()


@pytest.mark.parametrize(("key", "when"), [("one", "9999-12-31T23:59:59-14:00"), ("two", "0001-01-01T00:00:00+14:00")])
def test_an_end_beyond_the_calendar_is_refused_and_the_key_can_be_revoked(control: ControlPart, key: str, when: str) -> None:
    """In UTC no calendar has it: such a key could be neither listed nor exported, and its revocation was answered with an error."""
    status, told = control.ask("PATCH", f"/api/v1/keys/{key}", {"expires": when})
    assert (status, [error["field"] for error in told["errors"]]) == (400, ["expires"])
    assert control.ask("POST", f"/api/v1/keys/{key}/revoke")[0] == 200


def test_half_a_surrogate_in_a_file_is_refused(control: ControlPart) -> None:
    """It is no text; control does not break on it."""
    assert control.ask("POST", "/api/v1/apply", b'{"document": "organisation: \\ud800"}')[0] == 400


def test_a_plane_elsewhere_is_not_called_as_a_worker_here(control: ControlPart) -> None:
    """It would stand for the worker in answers, and its removal would hang up on it."""
    status, told = control.ask("POST", "/api/v1/planes", {"name": "extproc-0"})
    assert (status, [error["field"] for error in told["errors"]]) == (422, ["name"])
    assert control.ask("GET", "/api/v1/planes") == (200, [])


@pytest.mark.parametrize("empty", ["", ",", " "])
def test_a_plane_for_an_empty_project_is_not_one_for_all(control: ControlPart, empty: str) -> None:
    """A variable that a script left empty must not hand over every credential."""
    done = control.command("plane", "add", "far", "--project", empty)
    assert (done.returncode, done.stdout) == (2, "")
    assert control.ask("GET", "/api/v1/planes") == (200, [])
