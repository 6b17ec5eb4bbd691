"""Calls under an Idempotency-Key: a plane's token, a rotation of the vault, a revocation whose key is gone by now."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.control_parts import ControlPart, free_port

API = "/api/v1"
PLANE = {"name": "edge", "projects": []}


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPart]:
    """A control process with a file applied."""
    part = ControlPart(tmp_path_factory.mktemp("c") / "d", free_port())
    part.start()
    part.apply()
    yield part
    part.stop()


@pytest.fixture
def once() -> dict[str, str]:
    """An Idempotency-Key that no other test's call has."""
    return {"idempotency-key": uuid4().hex}


@pytest.fixture
def no_plane(control: ControlPart) -> Iterator[None]:
    """Leaves no plane of this file behind."""
    yield
    control.ask("DELETE", f"{API}/planes/edge")


@pytest.mark.usefixtures("no_plane")
def test_a_planes_token_is_given_again_to_the_same_call(control: ControlPart, once: dict[str, str]) -> None:
    """Also after a restart; and neither to another call under that key nor to one without it. No file holds it meanwhile."""
    first = control.ask("POST", f"{API}/planes", PLANE, headers=once)
    assert first[0] == 201
    control.stop()
    assert [path for path in _files(control.data) if first[1]["token"].split("_")[2].encode() in path.read_bytes()] == []
    control.start()
    assert control.ask("POST", f"{API}/planes", PLANE, headers=once) == first
    assert control.ask("POST", f"{API}/planes", PLANE)[0] == 409
    status, answer = control.ask("POST", f"{API}/planes", {**PLANE, "name": "other"}, headers=once)
    assert (status, answer["code"]) == (409, "idempotency_key_reused")
    assert [plane["name"] for plane in control.ask("GET", f"{API}/planes")[1]] == ["edge"]


@pytest.mark.usefixtures("no_plane")
def test_the_same_plane_at_once_is_made_once(control: ControlPart, once: dict[str, str]) -> None:
    """Six calls, one token."""
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: control.ask("POST", f"{API}/planes", PLANE, headers=once), range(6)))
    assert {status for status, _ in answers} == {201}
    assert len({answer["token"] for _, answer in answers}) == 1


@pytest.mark.parametrize(
    ("what", "counted"), [("kek", lambda told: told["newest_term"]), ("pepper", lambda told: told["peppers"][-1]["version"])]
)
def test_a_rotation_is_made_once(control: ControlPart, once: dict[str, str], what: str, counted: Any) -> None:
    """The same call is answered the same, also after a restart, and makes no further term or pepper; another call does."""
    body = {"what": what}
    first = control.ask("POST", f"{API}/vault/rotate", body, headers=once)
    assert first[0] == 200
    control.stop()
    control.start()
    assert control.ask("POST", f"{API}/vault/rotate", body, headers=once) == first
    assert counted(control.ask("GET", f"{API}/vault")[1]) == counted(first[1])
    assert counted(control.ask("POST", f"{API}/vault/rotate", body)[1]) == counted(first[1]) + 1


def test_a_revocation_is_answered_again_though_its_key_is_gone(control: ControlPart, once: dict[str, str]) -> None:
    """The same answer as before, and no complaint that there is no such key."""
    first = control.ask("POST", f"{API}/keys/two/revoke", headers=once)
    assert first[0] == 200
    assert control.ask("DELETE", f"{API}/keys/two")[0] == 200
    assert control.ask("POST", f"{API}/keys/two/revoke", headers=once) == first
    assert control.ask("POST", f"{API}/keys/two/revoke")[0] == 404


def test_a_refused_call_is_not_kept(control: ControlPart, once: dict[str, str]) -> None:
    """What was refused changed nothing, so the key is free for the call mended."""
    assert control.ask("POST", f"{API}/vault/rotate", {"what": "all"}, headers=once)[0] == 400
    assert control.ask("POST", f"{API}/vault/rotate", {"what": "pepper"}, headers=once)[0] == 200


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
