"""Each verb of the command line makes the request that its words say, and none that they don't."""

from __future__ import annotations

import io
import shlex
from typing import Any

import pytest
from recording_control import TOKEN, Recording

from controlplane.cli import main

SECRET = "sk-planted-8841"
KEY = {
    "name": "app", "id": "a" * 12, "status": "active", "team": "t", "project": "p", "environment": "dev", "models": ["m"],
    "profile": "default", "expires": None, "labels": {"cost": "42", "old": "x"},
}  # fmt: skip
ISSUED = {"key": KEY, "secret": "pcl_planted", "planes": []}


class Pipe(io.TextIOWrapper):
    """A standard input into which something is piped."""

    def __init__(self, text: str) -> None:
        super().__init__(io.BytesIO(text.encode()))


@pytest.fixture(autouse=True)
def answers(control: Recording) -> None:
    """What control answers, where a verb reads the answer."""
    control.answer("GET", "/keys/app", KEY)
    control.answer("POST", "/keys", ISSUED, 201)
    control.answer("POST", "/keys/app/rotate", {**ISSUED, "old_secret_until": 1_800_000_000})
    control.answer("POST", "/planes", {"name": "berlin", "token": "planted-token"}, 201)
    for place in ("providers", "environments", "profiles", "teams", "credentials", "models", "keys", "planes"):
        control.answer("GET", f"/{place}", [])


TABLE: list[tuple[str, tuple[str, str, Any]]] = [
    ("organisation show", ("GET", "/organisation", None)),
    ("organisation set acme", ("PUT", "/organisation", {"name": "acme"})),
    ("provider add a --dialect openai --url https://a.example/v1", ("PUT", "/providers/a", {"dialect": "openai", "url": "https://a.example/v1"})),
    ("provider add a --dialect openai --url http://a/v1 --insecure --private", ("PUT", "/providers/a", {"dialect": "openai", "url": "http://a/v1", "insecure": True, "private": True})),
    ("provider edit a --url https://b.example", ("PATCH", "/providers/a", {"url": "https://b.example"})),
    ("provider edit a --no-insecure", ("PATCH", "/providers/a", {"insecure": False})),
    ("provider list", ("GET", "/providers", None)),
    ("provider show a", ("GET", "/providers/a", None)),
    ("provider remove a", ("DELETE", "/providers/a", None)),
    ("provider remove a --cascade", ("DELETE", "/providers/a?cascade=true", None)),
    ("credential set c --provider a", ("PUT", "/credentials/c", {"provider": "a", "secret": SECRET})),
    ("credential set c --provider a --project t/p", ("PUT", "/credentials/c", {"provider": "a", "secret": SECRET, "project": "t/p"})),
    ("credential rotate c", ("POST", "/credentials/c/rotate", {"secret": SECRET})),
    ("credential drain c", ("PATCH", "/credentials/c", {"draining": True})),
    ("credential drain c --undo", ("PATCH", "/credentials/c", {"draining": False})),
    ("credential list", ("GET", "/credentials", None)),
    ("credential remove c", ("DELETE", "/credentials/c", None)),
    ("models", ("GET", "/models", None)),
    ("model list", ("GET", "/models", None)),
    ("model add m --provider a", ("PUT", "/models/m", {"provider": "a"})),
    ("model add org/m:1 --provider a --credential c --model up --price input=0.15,output=0.6", ("PUT", "/models/org%2Fm%3A1", {"provider": "a", "credential": "c", "model": "up", "price": {"input": "0.15", "output": "0.6"}})),
    ("model edit m --price none", ("PATCH", "/models/m", {"price": None})),
    ("model edit m --price '[{\"input\": 3.10, \"output\": 15, \"from\": \"2027-01-01\"}]'", ("PATCH", "/models/m", {"price": [{"input": "3.10", "output": "15", "from": "2027-01-01"}]})),
    ("model remove m", ("DELETE", "/models/m", None)),
    ("environment add dev --content none --keep-rows 30d", ("PUT", "/environments/dev", {"content": "none", "keep_rows": "30d"})),
    ("environment add health --zero-data-retention --unpriced", ("PUT", "/environments/health", {"zero_data_retention": True, "unpriced": True})),
    ("environment remove dev", ("DELETE", "/environments/dev", None)),
    ("profile add strict --prompt '*=redact' --prompt CREDIT_CARD=block --answer '*=redact' --unscanned block", ("PUT", "/profiles/strict", {"prompt": {"*": "redact", "CREDIT_CARD": "block"}, "answer": {"*": "redact"}, "unscanned": "block"})),
    ("profile edit strict --prompt '*=redact, CREDIT_CARD=block'", ("PATCH", "/profiles/strict", {"prompt": {"*": "redact", "CREDIT_CARD": "block"}})),
    ("profile list", ("GET", "/profiles", None)),
    ("team add t --project p,q", ("PUT", "/teams/t", {"projects": ["p", "q"]})),
    ("team disable t", ("PATCH", "/teams/t", {"disabled": True})),
    ("team enable t", ("PATCH", "/teams/t", {"disabled": False})),
    ("team remove t --cascade", ("DELETE", "/teams/t?cascade=true", None)),
    ("project list", ("GET", "/teams", None)),
    ("project add t/p", ("PUT", "/teams/t/projects/p", {})),
    ("project disable t/p", ("PATCH", "/teams/t/projects/p", {"disabled": True})),
    ("project enable t/p", ("PATCH", "/teams/t/projects/p", {"disabled": False})),
    ("project remove t/p", ("DELETE", "/teams/t/projects/p", None)),
    ("key create app --team t --project p --environment dev --model m", ("POST", "/keys", {"name": "app", "team": "t", "project": "p", "environment": "dev", "models": ["m"]})),
    (
        "key create app --team t --project p --environment dev --models m,n --model 'o*' --route chat --provider a --address 10.0.0.0/8 --max-tokens 4096 --profile strict --expires 2027-01-01 --may-set-user --disable --owner anna --label cost=42 --label env=a=b",
        ("POST", "/keys", {
            "name": "app", "team": "t", "project": "p", "environment": "dev", "models": ["m", "n", "o*"], "routes": ["chat"], "providers": ["a"],
            "addresses": ["10.0.0.0/8"], "max_tokens": 4096, "profile": "strict", "expires": "2027-01-01", "may_set_user": True, "disabled": True,
            "owner": "anna", "labels": {"cost": "42", "env": "a=b"},
        }),
    ),
    ("key edit app --disable", ("PATCH", "/keys/app", {"disabled": True})),
    ("key edit app --enable --route '' --max-tokens none --expires never", ("PATCH", "/keys/app", {"disabled": False, "routes": [], "max_tokens": None, "expires": None})),
    ("key edit app --label old= --label new=1", ("PATCH", "/keys/app", {"labels": {"cost": "42", "new": "1"}})),
    ("key rotate app", ("POST", "/keys/app/rotate", {})),
    ("key rotate app --grace 30m", ("POST", "/keys/app/rotate", {"grace_s": 1800})),
    ("key rotate app --grace 0", ("POST", "/keys/app/rotate", {"grace_s": 0})),
    ("key rotate app --grace 24h", ("POST", "/keys/app/rotate", {"grace_s": 86400})),
    ("key rotate app --grace 7d", ("POST", "/keys/app/rotate", {"grace_s": 604800})),
    ("key revoke app", ("POST", "/keys/app/revoke", None)),
    ("key list", ("GET", "/keys", None)),
    ("key show app", ("GET", "/keys/app", None)),
    ("key remove app", ("DELETE", "/keys/app", None)),
    ("plane add berlin --project t/p,t/q", ("POST", "/planes", {"name": "berlin", "projects": ["t/p", "t/q"]})),
    ("plane remove berlin", ("DELETE", "/planes/berlin", None)),
]  # fmt: skip


@pytest.mark.parametrize(("words", "request_made"), TABLE, ids=[words for words, _ in TABLE])
def test_words_become_this_request(
    control: Recording, words: str, request_made: tuple[str, str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last request is this one, with the token; the verb is done, and no secret that went in comes out."""
    monkeypatch.setattr("sys.stdin", Pipe(f"{SECRET}\n"))
    assert main(shlex.split(words)) == 0
    last = control.asked[-1]
    assert last.told == request_made
    assert last.headers["authorization"] == f"Bearer {TOKEN}"
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err
    assert TOKEN not in shown.out + shown.err


@pytest.mark.parametrize(
    "noun",
    ["provider add a --dialect openai --url https://a", "team add a", "project add a/b", "environment add a", "model add a --provider p"],
)
def test_add_leaves_what_is_there_alone(control: Recording, noun: str) -> None:
    """It asks for a record that is not there yet."""
    main(shlex.split(noun))
    assert control.asked[-1].headers["if-none-match"] == "*"


def test_edit_changes_what_it_has_read(control: Recording) -> None:
    """The tag that came with the record goes back with the change; without anything to change nothing is asked."""
    main(["key", "edit", "app", "--owner", "anna"])
    assert [asked.method for asked in control.asked] == ["GET", "PATCH"]
    assert control.asked[-1].headers["if-match"] == '"7"'
    with pytest.raises(SystemExit) as ended:
        main(["key", "edit", "app"])
    assert ended.value.code == 2
    assert len(control.asked) == 2


@pytest.mark.parametrize(
    "words",
    [
        "key create app --team t --project p --environment e --model m",
        "key rotate app",
        "key revoke app",
        "credential rotate c",
        "plane add berlin",
        "vault rotate --pepper --json",
    ],
)
def test_what_must_not_be_done_twice_is_tried_again_as_the_same_call(
    control: Recording, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that breaks is opened once more, and the call has the same key; the next call has another."""
    monkeypatch.setattr("sys.stdin", Pipe(SECRET))
    main(shlex.split(words))
    method, path, _ = control.asked[0].told
    before = control.answers.get((method, f"/api/v1{path}"), [(200, {"planes": []})])
    control.answers[(method, f"/api/v1{path}")] = [(0, None), *before]
    monkeypatch.setattr("sys.stdin", Pipe(SECRET))
    assert main(shlex.split(words)) == 0
    first, second, third = (asked.headers["idempotency-key"] for asked in control.asked)
    assert second == third
    assert first != second
    assert control.asked[1].body == control.asked[2].body


def test_a_connection_that_breaks_twice_is_a_system_that_is_down(control: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """3, and it says that what became of the call is not known."""
    control.answers[("POST", "/api/v1/keys/app/revoke")] = [(0, None)]
    assert main(["key", "revoke", "app"]) == 3
    assert len(control.asked) == 2
    assert "look at what is there" in capsys.readouterr().err


def test_a_time_from_now_is_a_point_in_time(control: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--expires 30d` is thirty days from when it was said."""
    monkeypatch.setattr("controlplane.cli.values.time.time", lambda: 1_000_000.9)
    main(["key", "edit", "app", "--expires", "30d"])
    assert control.asked[-1].body == {"expires": 1_000_000 + 30 * 86_400}
