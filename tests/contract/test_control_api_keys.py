"""The life of a virtual key by calls, with a real plane that follows: made once, rotated with grace, revoked everywhere."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from contracts.settings import Settings
from contracts.snapshot import LiveSecret
from controlplane.state import State
from controlplane.state.values import Plane
from custody import virtual_key
from extproc.edge.snapshot_wire import framed, message, receive
from tests.contract.control_parts import ControlPart, free_port, soon
from tests.contract.planes_parts import PlanePart, plane

API = "/api/v1"
BODY = {"name": "k", "team": "search", "project": "ranking", "environment": "dev", "models": ["cheap"]}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPart]:
    """A control process with a file applied."""
    part = ControlPart(tmp_path_factory.mktemp("c") / "d", free_port())
    part.start()
    part.apply()
    yield part
    part.stop()


@pytest.fixture
def control(shared: ControlPart) -> ControlPart:
    """It, running, with the file's keys and no other."""
    if shared.child is None:
        shared.start()
    for name in {key["name"] for key in shared.ask("GET", f"{API}/keys")[1]} - {"one", "two"}:
        shared.ask("POST", f"{API}/keys/{name}/revoke")
        assert shared.ask("DELETE", f"{API}/keys/{name}")[0] == 200
    return shared


@pytest.fixture
def once() -> dict[str, str]:
    """An Idempotency-Key that no other test's call has."""
    return {"idempotency-key": uuid4().hex}


async def asked(control: ControlPart, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    """A call, off the loop that the plane runs on."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await asyncio.to_thread(control.ask, method, f"{API}{path}", body, headers=named)


def used(part: PlanePart, text: str, now: int) -> LiveSecret | None:
    """Which secret of a key the plane takes `text` for."""
    snapshot = part.taken[-1]
    presented = virtual_key.parse(text)
    assert presented is not None
    record = snapshot.keys.get(presented.public_id)
    return virtual_key.used(part.credentials.take(snapshot), presented, record.secrets if record else (), now)


async def test_a_key_works_on_the_plane_when_its_answer_comes_and_not_after_its_revocation(control: ControlPart) -> None:
    """Made: the plane knows its secret. Rotated: both secrets, the old one until its grace is over. Revoked: neither."""
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        status, made = await asked(control, "POST", "/keys", BODY)
        assert (status, [each["problem"] for each in made["planes"]]) == (201, [""])
        assert used(part, made["secret"], 0)
        rotated = (await asked(control, "POST", "/keys/k/rotate", {"grace_s": 600}))[1]
        until = rotated["old_secret_until"]
        assert used(part, rotated["secret"], until + 1)
        assert used(part, made["secret"], until - 1)
        assert not used(part, made["secret"], until)
        assert rotated["key"]["id"] == made["key"]["id"]
        revoked = (await asked(control, "POST", "/keys/k/revoke"))[1]
        assert (revoked["key"]["status"], [each["problem"] for each in revoked["planes"]]) == ("revoked", [""])
        assert not used(part, rotated["secret"], 0)
        assert not used(part, made["secret"], 0)


async def test_two_hundred_calls_at_once_are_made_one_by_one_and_each_is_told(control: ControlPart) -> None:
    """A hundred keys are made, and a hundred revoked, by forty callers: none is lost, none is half made, each is an event of its own."""
    names = [f"many-{number}" for number in range(100)]
    async with plane(control.data) as part:
        await soon(lambda: part.taken)
        loop = asyncio.get_running_loop()

        async def at_once(verb: str, *calls: tuple[str, object]) -> list[tuple[int, Any]]:
            with ThreadPoolExecutor(40) as callers:
                return await asyncio.gather(
                    *(loop.run_in_executor(callers, control.ask, "POST", f"{API}/{verb}{path}", body) for path, body in calls)
                )

        made = await at_once("keys", *(("", {**BODY, "name": name}) for name in names))
        assert {status for status, _ in made} == {201}
        assert len({answer["key"]["id"] for _, answer in made}) == 100
        assert all(used(part, answer["secret"], 0) for _, answer in made)
        again = [(f"/{name}/revoke", None) for name in names[:50]] + [("", {**BODY, "name": name}) for name in names[50:]]
        answers = await at_once("keys", *again)
        assert [status for status, _ in answers] == [200] * 50 + [409] * 50
        assert [bool(used(part, answer["secret"], 0)) for _, answer in made] == [False] * 50 + [True] * 50
    state = State.open(Settings(data=control.data))
    counts = Counter(event.verb for event in state.waiting_events(1000) if event.name in names)
    state.close()
    assert counts == {"key.create": 100, "key.revoke": 50}


async def test_a_revocation_names_the_plane_that_is_late(control: ControlPart) -> None:
    """It is made all the same, with status 200; whoever asked knows which plane may still take the key."""
    await asked(control, "POST", "/keys", BODY)
    reader, writer = await asyncio.open_unix_connection(control.data / "run" / "snapshot.sock")
    writer.write(framed(message({"plane": "deaf", "version": "0", "revision": "", "epoch": ""})))
    await receive(reader)
    status, revoked = await asked(control, "POST", "/keys/k/revoke")
    assert status == 200
    assert [(each["plane"], bool(each["problem"])) for each in revoked["planes"]] == [("deaf", True)]
    writer.close()
    await writer.wait_closed()


def test_a_revocation_names_the_planes_that_are_away(control: ControlPart) -> None:
    """One that gets the key's project and is not connected may still take the key; one of another project never could."""
    assert control.ask("POST", f"{API}/keys", BODY)[0] == 201
    control.stop()
    state = State.open(Settings(data=control.data))
    planes = [Plane("far", ("search/ranking",), enrolled=1), Plane("other", ("else/where",), enrolled=1), Plane("waiting")]
    for each in planes:
        state.put_plane(each, [], fresh=True)
    state.close()
    control.start()
    revoked = control.ask("POST", f"{API}/keys/k/revoke")[1]
    assert [(each["plane"], "not connected" in each["problem"]) for each in revoked["planes"]] == [("far", True)]
    for each in planes:
        assert control.ask("DELETE", f"{API}/planes/{each.name}")[0] == 200


def test_a_secret_is_shown_once_and_kept_nowhere(control: ControlPart, once: dict[str, str]) -> None:
    """Neither a list nor the record nor any file under the data folder has it."""
    made = control.ask("POST", f"{API}/keys", BODY, headers=once)[1]
    secret = made["secret"].split("_")[2]
    for path in ("/keys", "/keys/k", "/export", "/doctor"):
        assert secret not in control.answer("GET", f"{API}{path}").body.decode()
    control.stop()
    files = [path for path in control.data.rglob("*") if path.is_file()]
    assert [path for path in [*files, control.data.parent / "control.log"] if secret.encode() in path.read_bytes()] == []


def test_the_same_call_is_answered_the_same_and_made_once(control: ControlPart, once: dict[str, str]) -> None:
    """By its Idempotency-Key, after a restart and a rotation of the vault too; without one it is another call."""
    first = control.ask("POST", f"{API}/keys", BODY, headers=once)
    control.ask("POST", f"{API}/vault/rotate", {"what": "kek"})
    control.stop()
    control.start()
    assert control.ask("POST", f"{API}/keys", BODY, headers=once) == first
    assert control.ask("POST", f"{API}/keys", BODY)[0] == 409
    rotations = [
        control.ask("POST", f"{API}/keys/k/rotate", {}, headers={"idempotency-key": f"{once['idempotency-key']}-r"})[1] for _ in range(2)
    ]
    assert rotations[0] == rotations[1]
    assert control.ask("GET", f"{API}/keys/k")[1]["version"] == 2


@pytest.mark.parametrize(
    ("path", "body"), [("/keys", {**BODY, "name": "other"}), ("/keys/one/rotate", BODY), ("/keys/one/rotate", None), ("/keys?x=1", BODY)]
)
def test_another_call_under_the_same_key_is_refused(control: ControlPart, once: dict[str, str], path: str, body: Any) -> None:
    """Another body, or another path: 409, and nothing is made."""
    control.ask("POST", f"{API}/keys", BODY, headers=once)
    status, answer = control.ask("POST", f"{API}{path}", body, headers=once)
    assert (status, answer["code"]) in {(409, "idempotency_key_reused"), (400, "invalid_request")}
    assert {key["name"] for key in control.ask("GET", f"{API}/keys")[1]} == {"one", "two", "k"}
    assert control.ask("GET", f"{API}/keys/one")[1]["version"] == 1


def test_the_same_call_at_once_is_made_once(control: ControlPart, once: dict[str, str]) -> None:
    """Eight of it: one key, one secret, in all eight answers."""
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(control.ask, "POST", f"{API}/keys", BODY, headers=once) for _ in range(8)]
        answers = [call.result() for call in calls]
    assert {status for status, _ in answers} == {201}
    assert len({answer["secret"] for _, answer in answers}) == 1
    assert control.ask("GET", f"{API}/keys/k")[1]["version"] == 1


def test_a_revoked_key_stays_revoked_until_it_is_forgotten(control: ControlPart) -> None:
    """It can't be changed or rotated; it is removed only once revoked; its name then makes a fresh key with another id."""
    made = control.ask("POST", f"{API}/keys", BODY)[1]
    assert control.ask("DELETE", f"{API}/keys/k")[1]["code"] == "not_revoked"
    control.ask("POST", f"{API}/keys/k/revoke")
    again = control.ask("POST", f"{API}/keys/k/revoke")
    assert (again[0], again[1]["changes"]) == (200, [])
    assert control.ask("POST", f"{API}/keys/k/rotate", {})[0] == control.ask("PATCH", f"{API}/keys/k", {"owner": "x"})[0] == 409
    fresh = control.ask("POST", f"{API}/keys", BODY)
    assert fresh[0] == 201
    assert fresh[1]["key"]["id"] != made["key"]["id"]


def test_each_change_leaves_its_event_without_secrets(control: ControlPart) -> None:
    """Who, what, before and after, in the order of the changes; no hash, no sealed text, no secret."""
    made = control.ask("POST", f"{API}/keys", BODY)[1]
    control.ask("POST", f"{API}/credentials/main/rotate", {"secret": "sk-planted-7755"})
    revoked = control.answer("POST", f"{API}/keys/k/revoke")
    control.stop()
    with sqlite3.connect(control.data / "state" / "portcullis.db") as db:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute("SELECT * FROM events ORDER BY place")]
    text = json.dumps(rows)
    assert [secret for secret in ("sk-planted", made["secret"].split("_")[2], '\\"sealed\\"', '\\"hash\\"') if secret in text] == []
    told = [json.loads(next(value for value in row.values() if isinstance(value, str) and value.startswith("{"))) for row in rows[-3:]]
    assert [(event["verb"], event["name"], event["actor"]) for event in told] == [
        ("key.create", "k", "admin"), ("credential.rotate", "main", "admin"), ("key.revoke", "k", "admin"),
    ]  # fmt: skip
    assert told[0]["before"] is None
    assert told[2]["before"]["revoked"] is None
    assert told[2]["after"]["revoked"]
    assert told[2]["request_id"] == revoked.headers["x-portcullis-request-id"]
