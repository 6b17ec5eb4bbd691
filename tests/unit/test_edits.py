"""Single changes: put, patch, remove; what they refuse, and what goes with what."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from shapes.estates import FILE, NOW, a_vault, an_estate, applied

from contracts.snapshot import EnvironmentRecord, ModelRecord, ProfileRecord, ProviderRecord, TeamRecord
from contracts.usage import Price
from controlplane.estate import Changes, Estate
from controlplane.estate.edits import organisation_put, patch, project_put, project_removed, put, remove
from controlplane.estate.edits_keys import key_revoked
from controlplane.estate.edits_problems import Conflict, NotThere, Problems

VAULT = a_vault()
ESTATE = an_estate(VAULT)


def one(changes: Changes) -> Any:
    """The record that the only change gives."""
    (change,) = changes.records
    assert change.new
    return change.new.record


def signs(changes: Changes) -> list[str]:
    """Each change in short."""
    return [f"{change.sign} {change.kind} {change.name}" for change in changes.records]


@pytest.mark.parametrize(
    ("kind", "name", "fields", "record"),
    [
        ("provider", "new", {"dialect": "openai", "url": "https://h/v1/"}, ProviderRecord("new", "openai", "https://h/v1")),
        ("provider", "local", {"dialect": "openai", "url": "https://h", "private": True}, ProviderRecord("local", "openai", "https://h", private=True)),
        ("model", "a/b:c", {"provider": "local"}, ModelRecord("a/b:c", "local", "", "a/b:c")),
        (
            "model", "new", {"provider": "openai", "credential": "openai-main", "model": "up", "price": {"input": Decimal("0.15"), "output": 1}},
            ModelRecord("new", "openai", "openai-main", "up", (Price(150_000_000, 1_000_000_000, "declared:2"),)),
        ),
        ("model", "new", {"provider": "local", "price": None}, ModelRecord("new", "local", "", "new")),
        ("environment", "new", {"content": "none", "keep_rows": "30d"}, EnvironmentRecord("new", content="none", keep_rows="30d")),
        ("team", "new", {"projects": ("a", "b"), "disabled_projects": ("b",)}, TeamRecord("new", ("a", "b"), disabled_projects=("b",))),
        ("profile", "new", {"prompt": {"*": "block"}, "answer": {"*": "allow"}}, ProfileRecord("new", {"*": "block"}, {"*": "allow"}, "block")),
    ],
)  # fmt: skip
def test_put_makes_the_record(kind: str, name: str, fields: dict[str, Any], record: Any) -> None:
    """In its canonical form, with defaults for what is not given."""
    assert one(put(ESTATE, kind, name, fields, NOW, "bob")) == record


def test_put_keeps_who_made_it_and_counts_its_versions() -> None:
    """A fresh record is the call's own; one of a file stays the file's; the same again is no change."""
    (change,) = put(ESTATE, "team", "new", {}, NOW + 1, "bob").records
    assert change.new
    assert (change.new.version, change.new.origin, change.new.created, change.new.creator) == (1, "api", NOW + 1, "bob")
    (change,) = put(ESTATE, "environment", "prod", {}, NOW + 1, "bob").records
    assert change.new
    assert (change.new.version, change.new.origin, change.new.created, change.new.creator) == (2, "file", NOW, "alice")
    assert not put(ESTATE, "environment", "prod", {"content": "none"}, NOW + 1, "bob")


def test_patch_changes_only_what_is_given() -> None:
    """The rest stays, prices with their version too."""
    model = ESTATE.of("model")["cheap"].record
    assert isinstance(model, ModelRecord)
    assert one(patch(ESTATE, "model", "cheap", {"model": "small"}, NOW, "bob")) == replace(model, upstream="small")
    assert one(patch(ESTATE, "model", "cheap", {"price": None}, NOW, "bob")) == replace(model, prices=())
    assert not patch(ESTATE, "model", "cheap", {"price": {"input": Decimal("0.15"), "output": Decimal("0.6")}}, NOW, "bob")
    with pytest.raises(NotThere, match="there is no model 'other'"):
        patch(ESTATE, "model", "other", {}, NOW, "bob")


@pytest.mark.parametrize(
    ("kind", "name", "fields", "faults"),
    [
        ("provider", "a b", {"dialect": "openia", "url": "http://169.254.169.254"}, ["name", "dialect", "url", "url"]),
        ("provider", "new", {"dialect": "openai"}, ["url"]),
        ("provider", "new", {"dialect": "openai", "url": "https://h", "colour": "red"}, ["colour"]),
        ("provider", "new", {"dialect": "openai", "url": "https://10.0.0.1"}, ["url"]),
        ("model", "new", {"provider": "opnai", "credential": "x", "model": "a b"}, ["model", "provider", "credential"]),
        ("model", "new", {"provider": ""}, ["provider"]),
        ("model", "new", {"provider": "local", "credential": "openai-main"}, ["credential"]),
        ("model", "CHEAP", {"provider": "local"}, ["name"]),
        ("model", "new", {"provider": "local", "price": {"input": Decimal("0.0000000001"), "colour": 1}}, ["price.colour", "price", "price.input"]),
        ("environment", "new", {"content": "full", "zero_data_retention": True, "keep_content": "x"}, ["keep_content", "content"]),
        ("team", "new", {"projects": ("a", "a b", "a")}, ["projects[1]", "projects[2]"]),
        ("team", "new", {"disabled_projects": ("a",)}, ["disabled_projects[0]"]),
        ("profile", "new", {"prompt": {"X": "shred"}, "answer": {"*": "mask"}}, ["prompt.X", "prompt.X", "prompt", "answer.*"]),
        ("profile", "new", {"prompt": {"*": "allow"}}, ["answer"]),
    ],
)  # fmt: skip
def test_what_a_file_would_refuse_a_call_refuses_too(kind: str, name: str, fields: dict[str, Any], faults: list[str]) -> None:
    """Every problem at once, each with its field."""
    with pytest.raises(Problems) as refused:
        put(ESTATE, kind, name, fields, NOW, "bob")
    assert [field for field, _ in refused.value.errors] == faults
    assert str(refused.value).splitlines() == [f"{field}: {detail}" for field, detail in refused.value.errors]


def test_a_price_nested_without_end_is_a_problem() -> None:
    """It is not followed down."""
    price: Any = {}
    for _ in range(5000):
        price = {"above": price}
    with pytest.raises(Problems):
        put(ESTATE, "model", "new", {"provider": "local", "price": price}, NOW, "bob")


@pytest.mark.parametrize(
    ("kind", "name", "dependents"),
    [
        ("provider", "openai", [("credential", "openai-main"), ("model", "gpt-4o"), ("key", "ranking")]),
        ("provider", "local", [("model", "cheap"), ("key", "ranking")]),
        ("credential", "openai-main", [("model", "gpt-4o")]),
        ("model", "cheap", [("key", "ranking")]),
        ("environment", "prod", [("key", "suggest")]),
        ("team", "search", [("key", "ranking"), ("key", "suggest")]),
        ("profile", "strict", [("key", "ranking")]),
    ],
)
def test_what_is_in_use_stays(kind: str, name: str, dependents: list[tuple[str, str]]) -> None:
    """Without cascade, whatever needs it is named."""
    with pytest.raises(Conflict, match=f"{kind} '{name}' is in use by") as refused:
        remove(ESTATE, kind, name, cascade=False)
    assert (refused.value.code, list(refused.value.dependents)) == ("in_use", dependents)


@pytest.mark.parametrize(
    ("kind", "name", "gone"),
    [
        ("provider", "openai", ["- provider openai", "- credential openai-main", "- model gpt-4o", "~ key ranking"]),
        ("provider", "local", ["- provider local", "- model cheap", "~ key ranking"]),
        ("credential", "openai-main", ["- credential openai-main", "- model gpt-4o", "~ key ranking"]),
        ("model", "cheap", ["- model cheap", "~ key ranking"]),
        ("environment", "prod", ["- environment prod", "- key suggest"]),
        ("team", "search", ["- team search", "- key ranking", "- key suggest"]),
        ("profile", "strict", ["- profile strict", "- key ranking"]),
    ],
)
def test_cascade_takes_what_can_not_do_without(kind: str, name: str, gone: list[str]) -> None:
    """A key that names other models and providers too loses only the one; the estate has nothing dangling then."""
    changes = remove(ESTATE, kind, name, cascade=True)
    assert sorted(signs(changes)) == sorted(gone)
    after = ESTATE.after(changes)
    if "ranking" in after.of("key"):
        key = after.of("key")["ranking"].record
        assert set(getattr(key, "models", ())) <= set(after.of("model"))
        assert set(getattr(key, "providers", ())) <= set(after.of("provider"))


def test_cascade_never_leaves_a_key_with_more_than_it_had() -> None:
    """A key whose only provider or only model goes is removed: none named would be all of them."""
    text = FILE.replace("models: [cheap, gpt-4o], providers: [local, openai]", "models: [gpt-4o, cheap], providers: [openai]")
    estate = an_estate(VAULT, text)
    assert "- key ranking" in signs(remove(estate, "provider", "openai", cascade=True))
    estate = an_estate(VAULT, FILE.replace("models: [cheap, gpt-4o]", "models: [cheap]"))
    assert "- key ranking" in signs(remove(estate, "model", "cheap", cascade=True))


def test_what_nothing_needs_is_simply_removed() -> None:
    """And what is not there is not."""
    assert signs(remove(an_estate(VAULT, FILE.split("keys:")[0]), "environment", "prod", cascade=False)) == ["- environment prod"]
    with pytest.raises(NotThere, match="there is no team 'other'"):
        remove(ESTATE, "team", "other", cascade=True)


def test_the_built_in_profile_stands_in_for_an_own_default() -> None:
    """So that one can go whoever uses it."""
    own = an_estate(VAULT, FILE.replace("profiles:\n", 'profiles:\n  default: {prompt: {"*": block}, answer: {"*": block}}\n'))
    assert signs(remove(own, "profile", "default", cascade=False)) == ["- profile default"]


def test_a_key_goes_only_once_it_is_revoked() -> None:
    """So a slip of the hand can be told from an end that is meant. A revoked one holds nothing up."""
    with pytest.raises(Conflict, match="key 'suggest' is not revoked; revoke it first") as refused:
        remove(ESTATE, "key", "suggest", cascade=True)
    assert refused.value.code == "not_revoked"
    estate = ESTATE.after(key_revoked(ESTATE, "suggest", NOW))
    assert signs(remove(estate, "key", "suggest", cascade=False)) == ["- key suggest"]
    assert signs(remove(estate, "environment", "prod", cascade=False)) == ["- environment prod"]


def test_a_change_that_others_would_not_survive_is_refused() -> None:
    """A team without the project that a key has."""
    with pytest.raises(Conflict, match="team 'search' can't become that: keys suggest would no longer fit") as refused:
        put(ESTATE, "team", "search", {"projects": ("ranking",)}, NOW, "bob")
    assert refused.value.dependents == (("key", "suggest"),)


def test_projects_are_made_disabled_and_removed() -> None:
    """One by one, as part of their team."""
    made = project_put(ESTATE, "search", "new", disabled=False, now=NOW, actor="bob")
    assert one(made) == TeamRecord("search", ("ranking", "suggest", "new"))
    off = project_put(ESTATE, "search", "ranking", disabled=True, now=NOW, actor="bob")
    assert one(off) == TeamRecord("search", ("ranking", "suggest"), disabled_projects=("ranking",))
    assert not project_put(ESTATE.after(off), "search", "ranking", disabled=True, now=NOW, actor="bob")
    assert one(project_put(ESTATE.after(off), "search", "ranking", disabled=False, now=NOW, actor="bob")).disabled_projects == ()
    assert signs(project_removed(ESTATE.after(made), "search", "new", cascade=False)) == ["~ team search"]


def test_a_project_in_use_stays_or_takes_its_keys_along() -> None:
    """As with every other record."""
    with pytest.raises(Conflict, match="project 'search/suggest' is in use by keys suggest"):
        project_removed(ESTATE, "search", "suggest", cascade=False)
    assert signs(project_removed(ESTATE, "search", "suggest", cascade=True)) == ["~ team search", "- key suggest"]


@pytest.mark.parametrize("team", ["other", "search"])
def test_projects_that_are_not_there(team: str) -> None:
    """Neither is their team, perhaps."""
    with pytest.raises(NotThere):
        project_removed(ESTATE, team, "other", cascade=False)
    with pytest.raises(NotThere):
        project_put(ESTATE, "other", "new", disabled=False, now=NOW, actor="bob")
    with pytest.raises(Problems, match="project: a name starts"):
        project_put(ESTATE, "search", "a b", disabled=False, now=NOW, actor="bob")


def test_what_a_call_changed_the_next_apply_undoes() -> None:
    """A file's record stays the file's."""
    estate = ESTATE.after(put(ESTATE, "environment", "prod", {}, NOW, "bob"))
    assert [line.text() for line in applied(estate, FILE, VAULT).lines] == ["~ environment prod (content: unset -> none)"]


def test_an_edit_of_an_empty_estate_finds_nothing() -> None:
    """A first provider can be made by a call; what names nothing yet can not."""
    assert signs(put(Estate(), "provider", "p", {"dialect": "openai", "url": "https://h"}, NOW, "bob")) == ["+ provider p"]
    with pytest.raises(Problems, match="provider: no 'p' under providers"):
        put(Estate(), "model", "m", {"provider": "p"}, NOW, "bob")


@pytest.mark.parametrize("kind", ["key", "credential"])
def test_what_carries_a_secret_is_changed_by_its_own_edits_only(kind: str) -> None:
    """Those ask what is held, and seal; these would not."""
    for edit in (put, patch):
        with pytest.raises(ValueError, match="edits of its own"):
            edit(ESTATE, kind, "ranking", {"disabled": True}, NOW, "bob")


def test_the_organisation_is_named_and_renamed() -> None:
    """Only where the name changes; what is no name is its field's fault."""
    assert organisation_put(Estate(), "acme") == Changes(organisation="acme")
    assert organisation_put(ESTATE, "umbrella") == Changes(organisation="umbrella")
    assert not organisation_put(ESTATE, "acme")
    for text in ("", "a b", "é", "a" * 65):
        with pytest.raises(Problems) as found:
            organisation_put(ESTATE, text)
        assert [field for field, _ in found.value.errors] == ["name"]
