"""The plan: what a declarative file changes of what is, who owns what, and what people are told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shapes.estates import FILE, NOW, SECRET, a_vault, an_estate, applied

from contracts.errors import Unusable
from contracts.snapshot import ModelRecord
from controlplane.estate import Change, Changes, Estate
from controlplane.estate.declared_given import given
from controlplane.estate.declared_prices import prices_at
from controlplane.estate.edits import put
from controlplane.estate.edits_keys import key_created, key_revoked
from controlplane.estate.holds import EVERYTHING
from custody import store
from custody.secret import Secret

VAULT = a_vault()
ESTATE = an_estate(VAULT)


def lines(estate: Estate, text: str, secret: str | None = SECRET) -> list[str]:
    """What people see."""
    return [line.text() for line in applied(estate, text, VAULT, secret).lines]


def with_key(estate: Estate, name: str, **more: object) -> Estate:
    """The estate and a key that a call made."""
    fields = {"team": "search", "project": "ranking", "environment": "dev", "models": ("cheap",)} | more
    return estate.after(key_created(estate, name, fields, VAULT.issue(estate.peppers), NOW, "bob", EVERYTHING))


def test_a_first_apply_makes_everything() -> None:
    """Each record is a line, in an order in which none needs a later one; new keys have their secrets shown."""
    plan = applied(Estate(peppers=VAULT.first_pepper()), FILE, VAULT)
    assert [line.text() for line in plan.lines] == [
        "+ organisation acme", "+ provider openai", "+ provider local", "+ credential openai-main", "+ model gpt-4o", "+ model cheap",
        "+ environment dev", "+ environment prod", "+ team search", "+ profile strict", "+ key ranking", "+ key suggest",
    ]  # fmt: skip
    assert set(plan.issued) == {"ranking", "suggest"}
    kept = ESTATE.of("key")["ranking"]
    assert (kept.version, kept.origin, kept.created, kept.creator) == (1, "file", NOW, "alice")


def test_applying_twice_changes_nothing() -> None:
    """Not even what only looks new: no changes at all, no secrets."""
    plan = applied(ESTATE, FILE, VAULT)
    assert (plan.changes, plan.lines, plan.issued) == (Changes(), (), {})
    assert not plan.changes


def test_a_change_is_told_with_what_was_and_what_becomes() -> None:
    """Fields have the file's names; values of both sides are shown."""
    text = (
        FILE.replace("https://api.openai.com/v1", "https://eu.api.openai.com/v1")
        .replace("model: tiny, price: {input: 0.15", "model: small, price: {input: 0.2")
        .replace("suggest: {}}", "suggest: {disabled: true}}")
        .replace("environment: prod, models", "environment: prod, max_tokens: 100, owner: Zoë, models")
    )
    assert lines(ESTATE, text) == [
        "~ provider openai (url: https://api.openai.com/v1 -> https://eu.api.openai.com/v1)",
        '~ model cheap (model: tiny -> small, price: {"input": "0.15", "output": "0.6"} -> {"input": "0.2", "output": "0.6"})',
        '~ team search (projects: {"ranking": {}, "suggest": {}} -> {"ranking": {}, "suggest": {"disabled": true}})',
        "~ key suggest (max_tokens: unset -> 100, owner: unset -> Zoë)",
    ]


def test_a_long_value_is_cut() -> None:
    """A line stays one."""
    text = FILE.replace('["gpt-*"]', "[" + ", ".join(f'"m{number}-*"' for number in range(100)) + "]")
    (line,) = lines(ESTATE, text)
    assert line.endswith("…)")
    assert len(line) < 160


def test_a_key_keeps_its_secret_whatever_changes() -> None:
    """And its id; its version grows by one."""
    plan = applied(ESTATE, FILE.replace("profile: strict}", "profile: strict, disabled: true}"), VAULT)
    (change,) = plan.changes.records
    old, new = change.old, change.new
    assert old
    assert new
    assert (new.record, new.version, new.created) == (replace(old.record, disabled=True), 2, NOW)
    assert plan.issued == {}


def test_what_a_file_no_longer_names_goes() -> None:
    """Only what a file made; removed in an order in which nothing is left without what it needs."""
    text = (
        FILE.replace("  local: {dialect: openai, url: http://127.0.0.1:9901/v1}\n", "")
        .replace("  cheap: {provider: local, model: tiny, price: {input: 0.15, output: 0.60}}\n", "")
        .replace("models: [cheap, gpt-4o], providers: [local, openai]", "models: [gpt-4o]")
    )
    assert [line for line in lines(ESTATE, text) if line[0] == "-"] == ["- model cheap", "- provider local"]


def test_what_calls_made_stays_with_a_note() -> None:
    """An apply that does not name a record of a call leaves it alone, and says so."""
    estate = with_key(ESTATE, "made")
    plan = applied(estate, FILE, VAULT)
    assert not plan.changes
    assert plan.notes == ("keys: made by calls and not in this file, so left as they are: made",)


def test_many_records_of_calls_are_one_note() -> None:
    """Ten are named, the rest is counted."""
    estate = ESTATE
    for number in range(13):
        estate = with_key(estate, f"k{number:02}")
    (note,) = applied(estate, FILE, VAULT).notes
    assert note.endswith("k09 and 3 more")


def test_a_file_that_names_what_a_call_made_owns_it() -> None:
    """Nothing that anyone could see changes; from then on a file can remove it, and applying again changes nothing."""
    estate = with_key(ESTATE, "made")
    text = FILE.replace("keys:\n", "keys:\n  made: {team: search, project: ranking, environment: dev, models: [cheap]}\n")
    plan = applied(estate, text, VAULT)
    assert plan.lines == ()
    assert plan.notes == ("keys: made by calls, and this file's from now on: made",)
    (change,) = plan.changes.records
    assert change.old
    assert change.new == replace(change.old, origin="file")
    owned = estate.after(plan.changes)
    assert not applied(owned, text, VAULT).changes
    assert lines(owned, FILE) == ["- key made"]


def test_a_call_that_needs_what_the_file_removes_is_a_problem() -> None:
    """Every such record is named with what it lacks, and nothing changes."""
    estate = with_key(with_key(ESTATE, "a"), "b", models=("c*",), providers=("local",))
    text = (
        FILE.replace("  cheap: {provider: local, model: tiny, price: {input: 0.15, output: 0.60}}\n", "")
        .replace("  local: {dialect: openai, url: http://127.0.0.1:9901/v1}\n", "")
        .replace("models: [cheap, gpt-4o], providers: [local, openai]", "models: [gpt-4o]")
    )
    with pytest.raises(Unusable) as refused:
        applied(estate, text, VAULT)
    told = str(refused.value).splitlines()
    assert [line.split(": ")[0] for line in told] == ["keys.a.models[0]", "keys.b.providers[0]"]
    assert all("a call made this key: change or remove it first, or name it in this file" in line for line in told)


def test_models_that_differ_in_case_only_are_found_across_file_and_calls() -> None:
    """A call's `CHEAP-2` stands in the way of a file's `cheap-2`."""
    estate = ESTATE.after(put(ESTATE, "model", "CHEAP-2", {"provider": "local"}, NOW, "bob"))
    with pytest.raises(Unusable, match=r"models\.CHEAP-2\.name: differs from 'cheap-2' only in upper and lower case"):
        applied(estate, FILE.replace("models:\n", "models:\n  cheap-2: {provider: local}\n"), VAULT)


def test_a_revoked_key_stays_revoked() -> None:
    """An apply that names it leaves it as it is, with a note; one that does not, too; neither gives it a secret."""
    estate = ESTATE.after(key_revoked(ESTATE, "suggest", NOW))
    plan = applied(estate, FILE.replace('models: ["gpt-*"]', 'models: ["*"]'), VAULT)
    assert not plan.changes
    assert "keys.suggest: is revoked, and stays so" in plan.notes[0]
    gone = FILE.replace('  suggest: {team: search, project: suggest, environment: prod, models: ["gpt-*"]}\n', "")
    assert lines(estate, gone) == []


def test_what_a_revoked_key_named_may_go() -> None:
    """It needs nothing any more."""
    estate = ESTATE.after(key_revoked(ESTATE, "suggest", NOW))
    text = FILE.replace('  suggest: {team: search, project: suggest, environment: prod, models: ["gpt-*"]}\n', "").replace(
        "  prod: {content: none}\n", ""
    )
    assert lines(estate, text) == ["- environment prod"]


def test_a_key_whose_end_is_past_is_a_note() -> None:
    """The file stays usable after the day has come."""
    text = FILE.replace('models: ["gpt-*"]', 'models: ["gpt-*"], expires: 2020-01-01')
    assert applied(ESTATE, text, VAULT).notes == ("keys.suggest.expires: is past, so the key is refused",)


def test_another_secret_is_the_next_version() -> None:
    """It is sealed under its own label, and the plan says only that it changed."""
    plan = applied(ESTATE, FILE, VAULT, "sk-second-0123456789")
    (change,) = plan.changes.records
    assert change.new
    record = change.new.record
    assert [line.text() for line in plan.lines] == ["~ credential openai-main (secret)"]
    assert record.version == 2
    assert VAULT.holds(store.credential("openai-main", 2), record.sealed, Secret(b"sk-second-0123456789"))
    assert "sk-" not in repr(plan)


def test_a_secret_that_did_not_arrive_is_kept() -> None:
    """A credential that is there stays in force, with a note; other fields of it may change."""
    plan = applied(ESTATE, FILE.replace("secret: {env: OPENAI_MAIN}", "secret: {env: OPENAI_MAIN}, draining: true"), VAULT, None)
    assert [line.text() for line in plan.lines] == ["~ credential openai-main (draining: unset -> true)"]
    assert plan.notes == ("credentials.openai-main.secret: did not arrive; the one that is kept stays in force",)


def test_a_new_credential_needs_its_secret() -> None:
    """And so does one that would go to another provider: a secret must not get where it was not meant to."""
    text = (
        FILE.replace("credentials:\n", "credentials:\n  new: {provider: local, secret: {env: NEW}}\n")
        .replace("openai-main: {provider: openai", "openai-main: {provider: local")
        .replace("gpt-4o: {provider: openai", "gpt-4o: {provider: local")
    )
    with pytest.raises(Unusable) as refused:
        applied(ESTATE, text, VAULT, None)
    assert [line.split(";")[0] for line in str(refused.value).splitlines()] == [
        "credentials.new.secret: did not arrive",
        "credentials.openai-main.secret: did not arrive, and what is kept was given for the provider 'openai'",
    ]


def test_a_price_keeps_its_version_while_it_is_the_same() -> None:
    """Whatever else changes about the model; another price has the revision that it comes with."""
    model = ESTATE.of("model")["cheap"].record
    assert isinstance(model, ModelRecord)
    assert [price.version for price in model.prices] == ["declared:1"]
    (change,) = applied(ESTATE, FILE.replace("model: tiny", "model: small"), VAULT).changes.records
    assert change.new
    assert change.new.record == replace(model, upstream="small")
    (change,) = applied(ESTATE, FILE.replace("0.60", "0.61"), VAULT).changes.records
    assert change.new
    prices = prices_at(given({"input": "0.15", "output": "0.61"}, "price"))
    assert change.new.record == replace(model, prices=(replace(prices[0], version="declared:2"),))


def test_without_an_organisation_the_name_stays() -> None:
    """A file need not repeat it; where there is none at all that is a note."""
    text = FILE.removeprefix("organisation: acme\n")
    assert not applied(ESTATE, text, VAULT).changes
    (note,) = applied(Estate(peppers=VAULT.first_pepper()), text, VAULT).notes
    assert note.startswith("organisation: none is named")
    assert lines(ESTATE, text, SECRET) == []
    assert lines(ESTATE, f"organisation: other\n{text}") == ["~ organisation other (acme -> other)"]


def test_an_own_default_profile_goes_as_it_came() -> None:
    """Without it in the file, the built-in one is in force again."""
    own = FILE.replace("profiles:\n", 'profiles:\n  default: {prompt: {"*": block}, answer: {"*": block}}\n')
    estate = ESTATE.after(applied(ESTATE, own, VAULT).changes)
    assert estate.profile("default") != ESTATE.profile("default")
    assert lines(estate, FILE) == ["- profile default"]


def test_a_change_of_a_record_that_stays_is_only_its_fields() -> None:
    """A line for each change but for those nobody could see."""
    plan = applied(ESTATE, FILE.replace("{content: none}", "{content: none, unpriced: allow}"), VAULT)
    assert [line.document() for line in plan.lines] == [
        {"sign": "~", "kind": "environment", "name": "prod", "fields": ["unpriced: unset -> allow"]}
    ]
    assert all(isinstance(change, Change) for change in plan.changes.records)
