"""Records by single calls: made, changed, removed; conditions; what is refused and how."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from tests.contract.control_parts import FILE, SECRET, ControlPart, free_port

API = "/api/v1"
PROVIDER = {"dialect": "openai", "url": "https://api.openai.com/v1"}


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPart]:
    """A control process with a file applied."""
    part = ControlPart(tmp_path_factory.mktemp("c") / "d", free_port())
    part.start()
    part.apply()
    yield part
    part.stop()


def fields(answer: dict[str, Any]) -> list[str]:
    """The fields that a problem names."""
    return [error["field"] for error in answer["errors"]]


def test_a_put_makes_and_then_changes(control: ControlPart) -> None:
    """201 and version 1 for a new record, then 200 and the next version; putting the same again changes nothing."""
    first = control.answer("PUT", f"{API}/providers/puts", PROVIDER)
    assert (first.status, first.headers["etag"]) == (201, '"1"')
    second = control.answer("PUT", f"{API}/providers/puts", {**PROVIDER, "url": "https://api.openai.com/v2"})
    assert (second.status, second.headers["etag"]) == (200, '"2"')
    same = control.answer("PUT", f"{API}/providers/puts", {**PROVIDER, "url": "https://api.openai.com/v2"})
    assert (same.headers["etag"], json.loads(same.body)["changes"]) == ('"2"', [])


def test_a_put_leaves_out_what_a_patch_keeps(control: ControlPart) -> None:
    """A field that a PUT does not name stands at its default; a PATCH changes only what it names."""
    control.ask("PUT", f"{API}/providers/patched", {**PROVIDER, "private": True})
    patched = control.ask("PATCH", f"{API}/providers/patched", {"url": "https://api.openai.com/v3"})[1]["provider"]
    assert (patched["private"], patched["url"]) == (True, "https://api.openai.com/v3")
    assert control.ask("PUT", f"{API}/providers/patched", PROVIDER)[1]["provider"]["private"] is False


@pytest.mark.parametrize(("tag", "status"), [('"1"', 200), ("*", 200), ('"7", "1"', 200), ('"7"', 412), ('W/"1"', 412), ("1", 400)])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_if_match_holds_a_change_to_what_was_seen(control: ControlPart, method: str, tag: str, status: int) -> None:
    """A tag that is not the record's is 412 and changes nothing; weak tags match nothing; what is no tag is 400."""
    control.ask("PUT", f"{API}/environments/matched", {"unpriced": True})
    body = {"unpriced": True} if method != "DELETE" else None
    answer = control.answer(method, f"{API}/environments/matched", body, headers={"if-match": tag})
    assert answer.status == status
    if status == 412:
        assert json.loads(answer.body)["code"] == "changed_meanwhile"
        assert control.ask("GET", f"{API}/environments/matched")[1]["version"] == 1


def test_if_match_of_a_record_that_is_gone_fails(control: ControlPart) -> None:
    """Whoever changes a record that was removed meanwhile makes no new one."""
    assert control.ask("PUT", f"{API}/environments/gone", {}, headers={"if-match": "*"})[0] == 412
    assert control.ask("GET", f"{API}/environments/gone")[0] == 404


def test_if_none_match_makes_and_never_overwrites(control: ControlPart) -> None:
    """`*` on a PUT: only where there is no such record."""
    body = {"projects": ["a"]}
    assert control.ask("PUT", f"{API}/teams/fresh", body, headers={"if-none-match": "*"})[0] == 201
    assert control.ask("PUT", f"{API}/teams/fresh", {}, headers={"if-none-match": "*"})[0] == 412
    assert control.ask("PUT", f"{API}/teams/fresh", {}, headers={"if-none-match": '"1"'})[0] == 400
    assert control.ask("GET", f"{API}/teams/fresh")[1]["projects"] == ["a"]


def test_of_two_who_saw_the_same_one_wins(control: ControlPart) -> None:
    """Eight changes of one version at once: one is made, seven are told that it was."""
    control.ask("PUT", f"{API}/teams/raced", {})
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(control.ask, "PATCH", f"{API}/teams/raced", {"projects": [f"p{number}"]}, headers={"if-match": '"1"'})
            for number in range(8)
        ]
        statuses = sorted(future.result()[0] for future in asked)
    assert statuses == [200, *[412] * 7]
    assert control.ask("GET", f"{API}/teams/raced")[1]["version"] == 2


def test_a_database_that_does_not_do_its_part_is_no_fault_of_the_caller(control: ControlPart) -> None:
    """It is 503 with what it says, nothing is made, and the same call is taken once it is over."""
    with closing(sqlite3.connect(control.data / "state" / "portcullis.db", isolation_level=None)) as db:
        db.execute("CREATE TRIGGER full BEFORE UPDATE ON estate BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
        status, answer = control.ask("PUT", f"{API}/teams/unkept", {})
        assert (status, answer["code"]) == (503, "state_unavailable")
        assert "disk is full; nothing was changed" in answer["detail"]
        assert control.ask("GET", f"{API}/teams/unkept")[0] == 404
        db.execute("DROP TRIGGER full")
    assert control.ask("PUT", f"{API}/teams/unkept", {})[0] == 201


def test_every_fault_of_a_body_is_named_at_once(control: ControlPart) -> None:
    """Unknown, missing and mistyped fields, each with its path; nothing is made."""
    body = {"name": 7, "team": "search", "models": ["*", 3], "labels": {"a": 1}, "may_set_user": "yes", "max_tokens": 1.5, "modls": []}
    status, answer = control.ask("POST", f"{API}/keys", body)
    assert (status, answer["code"]) == (400, "invalid_request")
    assert set(fields(answer)) == {
        "name", "models[1]", "labels.a", "may_set_user", "max_tokens", "modls", "project", "environment",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "field"),
    [(b'{"dialect": "openai", "dialect": "openai", "url": "https://a.example"}', "dialect"), (b'{"a": {"b": 1, "b": 2}}', "b")],
)
def test_a_name_that_stands_twice_is_refused(control: ControlPart, raw: bytes, field: str) -> None:
    """Whichever of the two was meant: neither is taken."""
    status, answer = control.ask("PUT", f"{API}/providers/twice", raw)
    assert status == 400
    assert field in fields(answer)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"\xff", b"{}x", b'{"a": NaN}', b'"\\ud800"', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(control: ControlPart, raw: bytes) -> None:
    """Status 400, whatever was sent."""
    assert control.ask("PUT", f"{API}/providers/none", raw)[0] == 400
    assert control.ask("PATCH", f"{API}/providers/none", raw)[0] == 400


def test_a_patch_that_names_nothing_is_refused(control: ControlPart) -> None:
    """It says what could be named."""
    status, answer = control.ask("PATCH", f"{API}/teams/search", {})
    assert status == 400
    assert "disabled" in answer["detail"]


def test_what_is_in_use_is_not_removed_unless_all_goes(control: ControlPart) -> None:
    """409 names who needs it; with cascade these go too, and the answer says so."""
    control.ask("PUT", f"{API}/providers/used", PROVIDER)
    control.ask("PUT", f"{API}/models/on-used", {"provider": "used", "model": "gpt-4o-mini"})
    status, answer = control.ask("DELETE", f"{API}/providers/used")
    assert (status, answer["code"], answer["dependents"]) == (409, "in_use", [{"kind": "model", "name": "on-used"}])
    assert control.ask("DELETE", f"{API}/providers/used?cascade=maybe")[0] == 400
    done = control.ask("DELETE", f"{API}/providers/used?cascade=true")[1]
    assert {(change["sign"], change["name"]) for change in done["changes"]} == {("-", "used"), ("-", "on-used")}
    assert control.ask("GET", f"{API}/models/on-used")[0] == 404


def test_names_may_hold_slashes(control: ControlPart) -> None:
    """Percent-encoded; no path is mistaken for a name, and no name for a path."""
    assert control.ask("PUT", f"{API}/models/openai%2Fgpt-4o", {"provider": "local", "model": "tiny"})[0] == 201
    assert control.ask("GET", f"{API}/models/openai%2Fgpt-4o")[1]["name"] == "openai/gpt-4o"
    assert control.ask("GET", f"{API}/models/openai/gpt-4o")[0] == 404


@pytest.mark.parametrize("name", ["%00", "%0d%0ax", "..", "%2e%2e", "a%20b", "%ff", "x" * 300, "%F0%9F%98%80"])
def test_a_name_that_is_none_is_refused(control: ControlPart, name: str) -> None:
    """No record of such a name is made, and nothing breaks."""
    assert control.answer("PUT", f"{API}/teams/{name}", {}).status in {400, 404, 405, 422}


def test_projects_of_a_team_come_and_go(control: ControlPart) -> None:
    """Made, disabled, enabled, removed; a PATCH makes none, and If-None-Match overwrites none."""
    path = f"{API}/teams/search/projects/fresh"
    assert control.ask("PATCH", path, {"disabled": True})[0] == 404
    assert control.ask("PUT", path, headers={"if-none-match": "*"})[1]["team"]["projects"] == ["ranking", "fresh"]
    assert control.ask("PUT", path, headers={"if-none-match": "*"})[0] == 412
    assert control.ask("PATCH", path, {"disabled": True})[1]["team"]["disabled_projects"] == ["fresh"]
    assert control.ask("PATCH", path, {"disabled": False})[1]["team"]["disabled_projects"] == []
    assert control.ask("DELETE", path)[1]["team"]["projects"] == ["ranking"]
    assert control.ask("DELETE", path)[0] == 404
    assert control.ask("PUT", f"{API}/teams/none/projects/x", {})[0] == 404


def test_a_disabled_team_shows_on_its_keys(control: ControlPart) -> None:
    """A key says whether it works, not only whether it was disabled itself."""
    control.ask("PATCH", f"{API}/teams/search", {"disabled": True})
    assert {key["status"] for key in control.ask("GET", f"{API}/keys")[1] if key["team"] == "search"} == {"disabled"}
    control.ask("PATCH", f"{API}/teams/search", {"disabled": False})
    assert "active" in {key["status"] for key in control.ask("GET", f"{API}/keys")[1]}


def test_no_answer_shows_a_credentials_secret(control: ControlPart) -> None:
    """Set, changed, listed, and where it is refused: neither the secret nor its sealed form is in an answer or the log."""
    planted = "sk-planted-9917"
    shown = [
        control.answer("PUT", f"{API}/credentials/shown", {"provider": "local", "secret": planted}),
        control.answer("POST", f"{API}/credentials/shown/rotate", {"secret": f"{planted}b"}),
        control.answer("PATCH", f"{API}/credentials/shown", {"draining": True}),
        control.answer("GET", f"{API}/credentials"),
        control.answer("GET", f"{API}/credentials/shown"),
        control.answer("PUT", f"{API}/credentials/shown", {"provider": "none", "secret": planted}),
        control.answer("PUT", f"{API}/credentials/shown", {"provider": "local", "secret": f"{planted}\n"}),
        control.answer("PUT", f"{API}/credentials/shown", {"provider": "local", "secret": planted, planted: 1}),
        control.answer("DELETE", f"{API}/credentials/shown"),
    ]
    assert [answer.status for answer in shown[:5]] == [201, 200, 200, 200, 200]
    texts = [answer.body.decode() for answer in [*shown[:-2], shown[-1]]] + [control.log]
    assert [text for text in texts if planted in text or '"sealed"' in text] == []


def test_an_export_applied_changes_nothing(control: ControlPart) -> None:
    """What was made by calls too: the file names it, and only who owns it changes."""
    control.ask("PUT", f"{API}/providers/exported", PROVIDER)
    exported = control.answer("GET", f"{API}/export")
    assert exported.headers["content-type"].startswith("text/yaml")
    status, answer = control.ask("POST", f"{API}/apply", {"document": exported.body.decode()})
    assert (status, answer["changes"]) == (200, [])
    assert SECRET not in exported.body.decode()


def test_a_file_leaves_what_calls_made(control: ControlPart) -> None:
    """An apply that does not name it leaves it alone and says so."""
    control.ask("PUT", f"{API}/providers/of-a-call", PROVIDER)
    answer = control.apply(FILE)[1]
    assert any("of-a-call" in note for note in answer["notes"])
    assert control.ask("GET", f"{API}/providers/of-a-call")[1]["origin"] == "api"
