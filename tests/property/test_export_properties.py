"""Export: whatever the estate, the file that it gives changes nothing when it is applied, and holds no secret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from shapes.estates import NOW, a_vault

from contracts.snapshot import (
    RECORDS,
    CredentialRecord,
    EnvironmentRecord,
    KeyRecord,
    LiveSecret,
    ModelRecord,
    ProfileRecord,
    ProviderRecord,
    Record,
    TeamRecord,
)
from contracts.usage import Price, Tier
from controlplane.estate import Estate, Kept
from controlplane.estate import declared_values as values
from controlplane.estate.declarative import declared
from controlplane.estate.declared_checks import checked
from controlplane.estate.export import export
from controlplane.estate.plan import plan
from controlplane.estate.references import known
from custody import store
from custody.secret import Secret
from extproc.redact.scanner import KINDS

VAULT = a_vault()
SECRET = "sk-planted-0123456789"
HASH = "9f" * 32

# Words that YAML would take for something else, and those that need its quotation marks.
ODD = st.sampled_from(["no", "null", "on", "true", "2024", "1e3", "0x1F", "2027-01-01", "1.0", "1_000", "007", "a.b-c_d", "NO", "y", "N"])
NAMES = ODD | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)
MODELS = ODD | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,12}", fullmatch=True) | st.just("m" * 200)
WORDS = (
    ODD | st.text(max_size=12) | st.sampled_from(["~", "#1", "a: b", "*x", "&x", "!x", "- x", "{x}", "it's", '"', "\\", "Zoë", ","])
).filter(lambda text: text.isprintable() and text == text.strip())
MOMENTS = st.none() | st.integers(NOW, 4_000_000_000) | st.integers(20_000, 40_000).map(lambda day: day * 86_400)
FLAGS = st.booleans()
RATE = st.integers(0, 10**12)
CLASSES: dict[str, Any] = {name: st.none() | RATE for name in ("cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio")}
TIERS = st.lists(st.builds(Tier, RATE, RATE, **CLASSES, above=st.integers(1, 10**6)), max_size=2, unique_by=lambda tier: tier.above)
PRICES = st.lists(
    st.builds(
        Price, RATE, RATE, st.just(""), **CLASSES, request=st.integers(0, 10**9).map(lambda fee: fee * 1000), since=MOMENTS.map(lambda at: at or 0),
        above=TIERS.map(lambda tiers: tuple(sorted(tiers, key=lambda tier: -tier.above))),
    ),
    max_size=2, unique_by=lambda price: price.since,
).map(lambda prices: tuple(replace(price, version="declared:1") for price in sorted(prices, key=lambda price: price.since)))  # fmt: skip
URLS = st.sampled_from(
    ["https://h.example/v1", "http://127.0.0.1:9/v1", "https://10.0.0.1", "http://192.0.2.1", "https://[2001:db8::1]:8443", "https://h/a~b"]
)
NETWORKS = st.sampled_from(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "0.0.0.0/0"])
TABLES = st.dictionaries(st.sampled_from(KINDS), st.sampled_from(values.ACTIONS)).map(lambda table: {**table, "*": "redact"})


def some(names: list[str], least: int = 0) -> Any:
    """A few of the names, in any order."""
    return st.lists(st.sampled_from(names), min_size=least, max_size=3, unique=True).map(tuple) if names else st.just(())


@st.composite
def estates(draw: Any) -> Estate:  # noqa: C901 - a record of each kind draws on those before it
    """Any estate that nothing is wrong with: by files and by calls, with revoked keys and odd names."""
    made: dict[str, dict[str, Record]] = {kind: {} for kind in RECORDS}

    def names(kind: str) -> list[str]:
        return list(made[kind])

    def each(kind: str, most: int, record: Any, naming: Any = NAMES) -> None:
        for name in draw(st.lists(naming, max_size=most, unique_by=str.casefold)):
            made[kind][name] = record(name)

    def provider(name: str) -> Record:
        url = draw(URLS)
        insecure = values.plain(url) and (values.place(url) != "loopback" or draw(FLAGS))
        return ProviderRecord(name, draw(st.sampled_from(values.DIALECTS)), url, insecure, values.place(url) == "private")

    def credential(name: str) -> Record:
        version = draw(st.integers(1, 3))
        sealed = VAULT.seal(store.credential(name, version), Secret(SECRET.encode()))
        projects = [f"{team}/{project}" for team, record in made["team"].items() for project in getattr(record, "projects", ())]
        project = draw(st.sampled_from(["", *projects]))
        return CredentialRecord(name, draw(st.sampled_from(names("provider"))), sealed, version, project, draw(FLAGS))

    def model(name: str) -> Record:
        provider = draw(st.sampled_from(names("provider")))
        fitting = [
            name for name, it in made["credential"].items() if (getattr(it, "provider", ""), getattr(it, "project", "")) == (provider, "")
        ]
        credential = draw(st.sampled_from(["", *fitting]))
        return ModelRecord(
            name, provider, credential, draw(MODELS | st.just(name)), draw(PRICES), draw(st.sampled_from(["", "openai/gpt-4o-mini"]))
        )

    def environment(name: str) -> Record:
        zero, age = draw(FLAGS), st.sampled_from(["", "30d", "99999d"])
        return EnvironmentRecord(
            name, zero, draw(st.sampled_from(["", "none"] if zero else ["", "none", "full"])), draw(age), draw(age), draw(FLAGS)
        )

    def team(name: str) -> Record:
        projects = tuple(draw(st.lists(NAMES, max_size=3, unique=True)))
        return TeamRecord(name, projects, draw(FLAGS), tuple(project for project in projects if draw(FLAGS)))

    def profile(name: str) -> Record:
        return ProfileRecord(name, draw(TABLES), draw(TABLES), draw(st.sampled_from(values.UNSCANNED_ACTIONS)))

    def key(name: str) -> Record:
        team = draw(st.sampled_from([team for team, it in made["team"].items() if getattr(it, "projects", ())]))
        patterns = st.sampled_from([("*",), ("m*", "gpt-*x")])
        revoked = draw(st.none() | st.just(NOW))
        return KeyRecord(
            f"id{name}", name, () if revoked else (LiveSecret(HASH),), team, draw(st.sampled_from(getattr(made["team"][team], "projects", ()))),
            draw(st.sampled_from(names("environment"))), draw(some(names("model"), 1) if names("model") and draw(FLAGS) else patterns),
            draw(some(list(values.ROUTES))), draw(some(names("provider"))), draw(st.lists(NETWORKS, max_size=3).map(tuple)),
            draw(st.none() | st.integers(1, values.MOST_TOKENS)), draw(st.sampled_from(["default", *names("profile")])), draw(MOMENTS),
            draw(FLAGS), draw(FLAGS), revoked, draw(WORDS), draw(st.dictionaries(NAMES, WORDS, max_size=3)),
        )  # fmt: skip

    each("provider", 3, provider)
    each("team", 3, team)
    each("environment", 2, environment)
    each("profile", 2, profile, NAMES | st.just("default"))
    if made["provider"]:
        each("credential", 3, credential)
        each("model", 3, model, MODELS)
    if made["environment"] and any(getattr(it, "projects", ()) for it in made["team"].values()):
        each("key", 4, key)
    records = {
        kind: {name: Kept(it, 1, draw(st.sampled_from(["file", "api"])), NOW, "x") for name, it in there.items()}
        for kind, there in made.items()
    }
    estate = Estate(1, draw(st.just("") | NAMES), VAULT.first_pepper(), records)
    seen = known(estate)
    for kind, there in records.items():
        for name, kept in there.items():
            settled, faults = checked(kept.record, seen)
            assume(not faults)
            there[name] = replace(kept, record=settled)
        assert kind in RECORDS
    return estate


@pytest.mark.parametrize("arrived", [True, False])
@given(estates())
def test_applying_what_was_exported_changes_nothing(arrived: bool, estate: Estate) -> None:
    """Whether its secrets are at hand or not. All that happens is that the file owns what calls made; then not even that."""
    text = export(estate)
    wanted = declared(text, "f.yaml")
    secrets = {name: Secret(SECRET.encode()) for name in wanted.sources} if arrived else {}
    step = plan(estate, wanted, secrets, VAULT, NOW, "alice")
    assert step.lines == ()
    assert step.issued == {}
    after = estate.after(step.changes)
    for kind in RECORDS:
        assert {name: kept.record for name, kept in after.of(kind).items()} == {name: kept.record for name, kept in estate.of(kind).items()}
    assert not plan(after, wanted, secrets, VAULT, NOW, "alice").changes
    assert export(after) == text


@given(estates())
def test_no_secret_is_exported(estate: Estate) -> None:
    """Neither a sealed one, nor a hash, nor the pepper; each credential has a variable of its own."""
    text = export(estate)
    sealed = [kept.record.sealed for kept in estate.of("credential").values() if isinstance(kept.record, CredentialRecord)]
    assert not [word for word in [SECRET, HASH, *sealed, *estate.peppers.values()] if word in text]
    places = [source.place for source in declared(text, "f").sources.values()]
    assert len(set(places)) == len(places)
