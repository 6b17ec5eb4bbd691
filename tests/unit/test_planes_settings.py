"""Settings of planes: workers and their places, and the listener for planes on other machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.enrolment import EnrolToken, enrol_token
from contracts.errors import Unusable
from contracts.settings import Settings
from extproc.config import load


def test_each_worker_has_a_socket_a_spool_and_a_copy_of_its_own(tmp_path: Path) -> None:
    """The first one's are where they always were."""
    settings = load(None, tmp_path, {"PORTCULLIS_WORKERS": "3"})
    assert settings.planes == ("extproc-0", "extproc-1", "extproc-2")
    assert [settings.socket_of(number).name for number in range(3)] == ["extproc.sock", "extproc-1.sock", "extproc-2.sock"]
    assert len({settings.spool_of(plane) for plane in settings.planes} | {settings.copy_of(plane) for plane in settings.planes}) == 6


@pytest.mark.parametrize("workers", ["0", "65", "many", "-1"])
def test_a_number_of_workers_that_can_not_be_is_refused(tmp_path: Path, workers: str) -> None:
    """With the setting's name."""
    with pytest.raises(Unusable, match="workers: must be a whole number from 1 to 64"):
        load(None, tmp_path, {"PORTCULLIS_WORKERS": workers})


def test_planes_elsewhere_have_no_listener_unless_one_is_named(tmp_path: Path) -> None:
    """An address, or none; never one that another listener has."""
    assert Settings().control.planes is None
    assert load(None, tmp_path, {"PORTCULLIS_CONTROL_PLANES": "null"}).control.planes is None
    assert load(None, tmp_path, {"PORTCULLIS_CONTROL_PLANES": "10.0.0.5:8082"}).control.planes == "10.0.0.5:8082"
    file = tmp_path / "portcullis.yaml"
    file.write_text("control: {planes: null}\n")
    assert load(file, tmp_path, {}).control.planes is None
    with pytest.raises(Unusable, match=r"control\.listen and control\.planes are both 127\.0\.0\.1:8081"):
        load(None, tmp_path, {"PORTCULLIS_CONTROL_PLANES": "127.0.0.1:8081"})


@pytest.mark.parametrize("name", ["a", "berlin-1", "a_b.c"])
def test_a_token_is_read_as_it_was_written(name: str) -> None:
    """Whatever a plane may be called."""
    token = EnrolToken(name, "0" * 64, "f" * 64)
    assert enrol_token(token.text()) == token


@pytest.mark.parametrize(
    "text", ["", "pclenrol_a_0_f", "pclenrol__" + "0" * 64 + "_" + "f" * 64, "pclenrol_a_" + "0" * 64 + "_" + "f" * 63 + "\n"]
)
def test_what_is_no_token_is_none(text: str) -> None:
    """A cut one, one without a name."""
    assert enrol_token(text) is None
