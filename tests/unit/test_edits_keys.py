"""Virtual keys and credentials, one by one: made, changed, rotated, revoked; and never more than their creator holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shapes.estates import NOW, SECRET, a_vault, an_estate

from contracts.snapshot import CredentialRecord, KeyRecord
from controlplane.estate import Changes, Estate
from controlplane.estate.edits_credentials import credential_patched, credential_rotated, credential_set
from controlplane.estate.edits_keys import MOST_GRACE_S, key_created, key_patched, key_revoked, key_rotated
from controlplane.estate.edits_problems import Conflict, NotThere, Problems
from controlplane.estate.holds import EVERYTHING, Holds
from custody import store
from custody.secret import Secret
from custody.virtual_key import Issued

VAULT = a_vault()
ESTATE = an_estate(VAULT)
FIELDS: dict[str, Any] = {"team": "search", "project": "ranking", "environment": "dev", "models": ("gpt-*", "cheap")}
SEARCHER = Holds(
    projects=frozenset({"search/ranking"}),
    environments=frozenset({"dev"}),
    models=frozenset({"gpt-*", "cheap"}),
    routes=None,
    providers=None,
)


def issued(public_id: str | None = None) -> Issued:
    """A fresh secret."""
    return VAULT.reissue(ESTATE.peppers, public_id) if public_id else VAULT.issue(ESTATE.peppers)


def created(estate: Estate = ESTATE, name: str = "new", holds: Holds = EVERYTHING, **more: Any) -> Changes:
    """A key of FIELDS and more."""
    return key_created(estate, name, FIELDS | more, issued(), NOW, "bob", holds)


def key(changes: Changes) -> KeyRecord:
    """The key that the only change gives."""
    (change,) = changes.records
    assert change.new
    assert isinstance(change.new.record, KeyRecord)
    return change.new.record


def faults(refused: pytest.ExceptionInfo[Problems]) -> list[str]:
    """The fields to blame."""
    return [field for field, _ in refused.value.errors]


def test_a_key_is_made_with_what_the_vault_issued() -> None:
    """Its record has the id and the hash; the rest is what the call gave, or a default."""
    fresh = issued()
    changes = key_created(ESTATE, "new", FIELDS | {"addresses": ("10.1.2.3",), "expires": NOW + 1}, fresh, NOW, "bob", EVERYTHING)
    assert key(changes) == KeyRecord(
        fresh.public_id, "new", (fresh.secret,), "search", "ranking", "dev", ("gpt-*", "cheap"), addresses=("10.1.2.3/32",), expires=NOW + 1
    )
    assert fresh.shown not in repr(changes)
    (change,) = changes.records
    assert change.new
    assert (change.new.origin, change.new.created, change.new.creator) == ("api", NOW, "bob")


def test_every_problem_of_a_key_is_told_at_once() -> None:
    """Each with its field, as the API names it."""
    with pytest.raises(Problems) as refused:
        created(
            team="find", environment="x", models=("gpt-*-*", "cheep", "*"), routes=("chat", "chats"), providers=("local", "x"),
            addresses=("10.0.0.1/8",), max_tokens=0, profile="none", expires=NOW, owner="a\nb", labels={"a b": "x", "c": "\0"},
        )  # fmt: skip
    assert sorted(faults(refused)) == [
        "addresses[0]", "environment", "expires", "labels.a b", "labels.c", "max_tokens", "models[0]", "models[1]", "owner", "profile",
        "providers[1]", "routes[1]", "team",
    ]  # fmt: skip
    with pytest.raises(Problems) as refused:
        key_created(ESTATE, "new", {"secrets": (), "revoked": None, "id": "x"}, issued(), NOW, "bob", EVERYTHING)
    assert sorted(faults(refused)) == ["environment", "id", "models", "project", "revoked", "secrets", "team"]


def test_a_name_is_taken_until_its_key_is_revoked() -> None:
    """Then it is a fresh key: another id, another secret, another creator."""
    with pytest.raises(Conflict, match="there is a key 'ranking' already") as refused:
        created(name="ranking")
    assert refused.value.code == "exists"
    estate = ESTATE.after(key_revoked(ESTATE, "ranking", NOW))
    (change,) = created(estate, "ranking").records
    assert change.old == estate.of("key")["ranking"]
    assert change.new
    assert change.new.record.id != change.old.record.id
    assert (change.new.version, change.new.origin, change.new.creator) == (3, "api", "bob")


def test_a_patch_changes_what_is_given() -> None:
    """The secret, and all else, stay."""
    before = ESTATE.of("key")["ranking"].record
    assert isinstance(before, KeyRecord)
    after = key(key_patched(ESTATE, "ranking", {"max_tokens": 7, "labels": {"a": "b"}}, NOW, EVERYTHING))
    assert after == replace(before, max_tokens=7, labels={"a": "b"})
    assert not key_patched(ESTATE, "ranking", {"disabled": False}, NOW, EVERYTHING)
    with pytest.raises(NotThere):
        key_patched(ESTATE, "other", {}, NOW, EVERYTHING)
    with pytest.raises(Problems, match="expires: is past already"):
        key_patched(ESTATE, "ranking", {"expires": NOW}, NOW, EVERYTHING)


def test_a_key_that_has_ended_can_still_be_labelled() -> None:
    """Only a new end must not be past."""
    estate = ESTATE.after(created(expires=NOW + 1))
    assert key(key_patched(estate, "new", {"owner": "Zoë"}, NOW + 9, EVERYTHING)).owner == "Zoë"


def test_rotation_leaves_the_old_secret_its_grace() -> None:
    """Twice within the grace: the newest and the one before it live, the oldest does not."""
    first = ESTATE.of("key")["ranking"].record
    assert isinstance(first, KeyRecord)
    second, third = issued(first.id), issued(first.id)
    once = ESTATE.after(key_rotated(ESTATE, "ranking", second, 1800, NOW, EVERYTHING))
    record = once.of("key")["ranking"].record
    assert isinstance(record, KeyRecord)
    assert record.secrets == (second.secret, replace(first.secrets[0], until=NOW + 1800))
    assert record.id == first.id
    twice = key(key_rotated(once, "ranking", third, 60, NOW + 10, EVERYTHING))
    assert twice.secrets == (third.secret, replace(second.secret, until=NOW + 70))


def test_without_grace_the_old_secret_ends_at_once() -> None:
    """Also one that still had some."""
    record = ESTATE.of("key")["ranking"].record
    assert isinstance(record, KeyRecord)
    once = ESTATE.after(key_rotated(ESTATE, "ranking", issued(record.id), 1800, NOW, EVERYTHING))
    last = issued(record.id)
    assert key(key_rotated(once, "ranking", last, 0, NOW, EVERYTHING)).secrets == (last.secret,)


@pytest.mark.parametrize(("grace", "fits"), [(-1, False), (0, True), (MOST_GRACE_S, True), (MOST_GRACE_S + 1, False)])
def test_a_grace_has_an_end(grace: int, fits: bool) -> None:
    """Seven days at most."""
    if fits:
        assert key_rotated(ESTATE, "ranking", issued(), grace, NOW, EVERYTHING)
    else:
        with pytest.raises(Problems) as refused:
            key_rotated(ESTATE, "ranking", issued(), grace, NOW, EVERYTHING)
        assert faults(refused) == ["grace_s"]


def test_a_revoked_key_is_worthless_and_stays_so() -> None:
    """No secret is left; a second time changes nothing; it can be neither rotated nor changed."""
    changes = key_revoked(ESTATE, "ranking", NOW)
    assert (key(changes).secrets, key(changes).revoked) == ((), NOW)
    estate = ESTATE.after(changes)
    assert not key_revoked(estate, "ranking", NOW + 9)
    for edit in (
        lambda: key_rotated(estate, "ranking", issued(), 0, NOW, EVERYTHING),
        lambda: key_patched(estate, "ranking", {"disabled": False}, NOW, EVERYTHING),
    ):
        with pytest.raises(Conflict, match="key 'ranking' is revoked, which nothing undoes") as refused:
            edit()
        assert refused.value.code == "revoked"


@pytest.mark.parametrize(
    ("more", "blamed"),
    [
        ({}, []),
        ({"models": ("gpt-4*", "gpt-4o", "cheap")}, []),
        ({"routes": ("chat",), "providers": ("local",)}, []),
        ({"models": ("g*",)}, ["models[0]"]),
        ({"models": ("cheap", "*")}, ["models[1]"]),
        ({"project": "suggest"}, ["project"]),
        ({"environment": "prod"}, ["environment"]),
    ],
)
def test_a_key_grants_no_more_than_its_creator_holds(more: dict[str, Any], blamed: list[str]) -> None:
    """Each field by which it would is named."""
    if not blamed:
        assert created(holds=SEARCHER, **more)
        return
    with pytest.raises(Problems) as refused:
        created(holds=SEARCHER, **more)
    assert faults(refused) == blamed


def test_routes_and_providers_are_held_too() -> None:
    """Naming none would be all of them."""
    some = replace(SEARCHER, routes=frozenset({"chat"}), providers=frozenset({"local"}))
    with pytest.raises(Problems) as refused:
        created(holds=some)
    assert faults(refused) == ["routes", "providers"]
    with pytest.raises(Problems) as refused:
        created(holds=some, routes=("chat", "embeddings"), providers=("openai",))
    assert faults(refused) == ["routes[1]", "providers[0]"]
    assert created(holds=some, routes=("chat",), providers=("local",))


def test_who_does_not_hold_what_a_key_grants_can_only_take_away() -> None:
    """Neither a wider scope, nor its secret, nor a re-enabled key; but its end, a label, and disabling it."""
    estate = ESTATE.after(created(environment="prod"))
    for fields in ({"models": ("cheap",)}, {"disabled": True, "max_tokens": 1}, {"expires": None, "may_set_user": True}):
        with pytest.raises(Problems) as refused:
            key_patched(estate, "new", fields, NOW, SEARCHER)
        assert faults(refused) == ["environment"]
    with pytest.raises(Problems):
        key_rotated(estate, "new", issued(), 0, NOW, SEARCHER)
    off = key_patched(estate, "new", {"disabled": True}, NOW, SEARCHER)
    assert key(off).disabled
    assert key(key_patched(estate, "new", {"labels": {"a": "b"}}, NOW, SEARCHER)).labels == {"a": "b"}
    with pytest.raises(Problems):
        key_patched(estate.after(off), "new", {"disabled": False}, NOW, SEARCHER)


# ── credentials ───────────────────────────────────────────────────────────────


def credential(changes: Changes) -> CredentialRecord:
    """The credential that the only change gives."""
    (change,) = changes.records
    assert change.new
    assert isinstance(change.new.record, CredentialRecord)
    return change.new.record


def test_a_credential_is_set_and_rotated() -> None:
    """Each secret is sealed under the label of its version; the same one again is no change."""
    secret = Secret(b"sk-other-0123456789")
    made = credential(credential_set(ESTATE, "new", {"provider": "local", "project": "search/ranking"}, secret, VAULT, NOW, "bob"))
    assert (made.version, made.project, made.draining) == (1, "search/ranking", False)
    assert VAULT.holds(store.credential("new", 1), made.sealed, secret)
    turned = credential(credential_rotated(ESTATE, "openai-main", secret, VAULT, NOW))
    assert turned.version == 2
    assert VAULT.holds(store.credential("openai-main", 2), turned.sealed, secret)
    assert not credential_rotated(ESTATE, "openai-main", Secret(SECRET.encode()), VAULT, NOW)
    assert not credential_set(ESTATE, "openai-main", {"provider": "openai"}, Secret(SECRET.encode()), VAULT, NOW, "bob")
    with pytest.raises(NotThere):
        credential_rotated(ESTATE, "other", secret, VAULT, NOW)


def test_a_credential_is_drained_and_kept_for_a_project() -> None:
    """Its secret stays; another provider needs the secret again."""
    before = ESTATE.of("credential")["openai-main"].record
    assert isinstance(before, CredentialRecord)
    assert credential(credential_patched(ESTATE, "openai-main", {"draining": True}, NOW)) == replace(before, draining=True)
    with pytest.raises(Problems, match="provider: can't change without the secret"):
        credential_patched(ESTATE, "openai-main", {"provider": "local"}, NOW)
    with pytest.raises(Problems, match="project: team 'search' has no project 'x'"):
        credential_patched(ESTATE, "openai-main", {"project": "search/x"}, NOW)


def test_a_credential_that_a_model_names_serves_every_project() -> None:
    """It can be neither given to one project nor moved to another provider while the model names it."""
    with pytest.raises(Conflict, match="can't become that: models gpt-4o would no longer fit"):
        credential_patched(ESTATE, "openai-main", {"project": "search/ranking"}, NOW)
    with pytest.raises(Conflict, match="can't become that: models gpt-4o would no longer fit"):
        credential_set(ESTATE, "openai-main", {"provider": "local"}, Secret(SECRET.encode()), VAULT, NOW, "bob")
