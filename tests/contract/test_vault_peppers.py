"""A rotation of the pepper: keys move to the newer one as they are used, and each works all along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from vault_parts import ACTOR, NOW, filled, rotation

from contracts.errors import Unusable
from contracts.settings import Settings
from contracts.snapshot import KeyRecord, LiveSecret
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.state import State
from controlplane.state.values import Stale
from controlplane.vault import Vault
from controlplane.vault import peppers as vault_peppers
from controlplane.vault.terms import settled
from custody import store
from custody.virtual_key import parse, rehash, told, used


def with_key(state: State, vault: Vault, name: str, **more: Any) -> tuple[str, str]:
    """A key in the state; its text and its id."""
    estate = state.load()
    issued = vault.issue(estate.peppers)
    record = KeyRecord(issued.public_id, name, (issued.secret,), "search", "ranking", "dev", ("*",), **more)
    state.commit(estate, Changes([Change("key", name, None, Kept(record))]), ())
    return issued.shown, issued.public_id


def key_of(estate: Estate, name: str) -> KeyRecord:
    """A key's record."""
    record = estate.of("key")[name].record
    assert isinstance(record, KeyRecord)
    return record


def reported(vault: Vault, estate: Estate, text: str, name: str) -> dict[str, dict[str, str]]:
    """What a plane that has just seen this key reports."""
    peppers = {version: vault.open(store.pepper(version), sealed) for version, sealed in estate.peppers.items()}
    presented = parse(text)
    assert presented is not None
    seen = used(peppers, presented, key_of(estate, name).secrets, NOW)
    assert seen is not None
    moved = rehash(peppers, presented, seen)
    return {presented.public_id: {"old": seen.hash, "new": told(moved)}} if moved else {}


async def test_keys_move_as_they_are_used_and_the_old_pepper_goes_with_the_last(tmp_path: Path) -> None:
    """Status says what is left; a disabled key counts, a revoked one does not; every key works all along."""
    state, vault = filled(Settings(data=tmp_path), 1)
    texts = {name: with_key(state, vault, name)[0] for name in ("one", "two")}
    with_key(state, vault, "gone", revoked=NOW)
    turning = rotation(state, vault)
    assert await turning.pepper(ACTOR) == [1, 2]
    for name, left_names in (("one", ["two"]), ("two", [])):
        estate = turning.governed.estate
        report = reported(vault, estate, texts[name], name)
        await turning.governed.change(ACTOR, "key.rehash", lambda estate, report=report: vault_peppers.moved(estate, report, NOW))
        assert reported(vault, turning.governed.estate, texts[name], name) == {}
        peppers = {entry["version"]: entry["names"] for entry in (await turning.status())["peppers"]}
        assert peppers.get(1, []) == left_names
    assert turning.governed.estate.peppers.keys() == {2}
    assert key_of(turning.governed.estate, "two").secrets[0].pepper == 2
    state.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda report: {"x" * 12: report},
        lambda report: report | {"old": "0" * 64},
        lambda report: report | {"new": report["new"].replace("2:", "1:")},
        lambda report: report | {"new": report["new"].replace("2:", "3:")},
        lambda report: report | {"new": report["new"][2:]},
        lambda report: report | {"new": 7},
        lambda report: {"new": report["new"]},
        lambda _report: None,
        lambda _report: "words",
    ],
)
async def test_a_report_that_does_not_fit_changes_nothing(tmp_path: Path, spoil: Callable[[Any], Any]) -> None:
    """Another hash, another pepper, one that is gone, other shapes."""
    state, vault = filled(Settings(data=tmp_path), 1)
    text, public_id = with_key(state, vault, "one")
    turning = rotation(state, vault)
    await turning.pepper(ACTOR)
    good = reported(vault, turning.governed.estate, text, "one")
    assert not vault_peppers.moved(turning.governed.estate, {public_id: spoil(good[public_id])}, NOW)
    assert not vault_peppers.moved(turning.governed.estate, good, NOW, lambda _key: False)
    assert vault_peppers.moved(turning.governed.estate, good, NOW)
    state.close()


async def test_a_revoked_key_or_a_secret_whose_time_is_over_takes_no_hash(tmp_path: Path) -> None:
    """Whatever a plane reports late."""
    state, vault = filled(Settings(data=tmp_path), 1)
    text, _ = with_key(state, vault, "one")
    turning = rotation(state, vault)
    await turning.pepper(ACTOR)
    estate = turning.governed.estate
    good = reported(vault, estate, text, "one")
    kept = estate.of("key")["one"]
    record = key_of(estate, "one")
    over = (replace(record.secrets[0], until=NOW),)
    for late in (replace(record, revoked=NOW), replace(record, secrets=over), replace(record, secrets=())):
        found = estate.after(Changes([Change("key", "one", kept, replace(kept, record=late))]))
        assert vault_peppers.moved(found, good, NOW).records == []
    state.close()


async def test_no_more_peppers_than_a_request_should_be_hashed_under(tmp_path: Path) -> None:
    """The sentence names the keys that hold the oldest."""
    state, vault = filled(Settings(data=tmp_path), 1)
    for number in range(vault_peppers.MOST):
        with_key(state, vault, f"key-{number}")
        if number < vault_peppers.MOST - 1:
            await rotation(state, vault).pepper(ACTOR)
    with pytest.raises(Unusable, match="under pepper 1 first: key-0"):
        await rotation(state, vault).pepper(ACTOR)
    state.close()


async def test_a_pepper_without_keys_is_replaced(tmp_path: Path) -> None:
    """Nothing is left to move, so the old one goes at once."""
    state, vault = filled(Settings(data=tmp_path), 1)
    assert await rotation(state, vault).pepper(ACTOR) == [2]
    state.close()


def test_a_key_of_a_pepper_that_went_is_decided_anew(tmp_path: Path) -> None:
    """It was hashed before its turn came; kept as it is it would never work."""
    state, vault = filled(Settings(data=tmp_path), 1)
    record = KeyRecord("x" * 12, "one", (LiveSecret("a" * 64, 9),), "search", "ranking", "dev", ("*",))
    with pytest.raises(Stale):
        settled(vault, state.load(), Changes([Change("key", "one", None, Kept(record))]))
    state.close()
