"""Virtual keys, one by one: made, changed, rotated, revoked. The secret is issued by the vault beforehand; only its hash comes here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from contracts.snapshot import KeyRecord, Record
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.estate.edits import More, given, kept, present
from controlplane.estate.edits_problems import Conflict, Fault, NotThere, Problems
from controlplane.estate.holds import Holds, exceeds
from custody import virtual_key
from custody.virtual_key import Issued

MOST_GRACE_S: Final = 7 * 24 * 3600
"""The longest that a rotation leaves the old secret alive: what is to be rotated should not live on for ever."""
_HARMLESS: Final = {"owner", "labels"}
"""Fields that grant nothing."""


def key_created(estate: Estate, name: str, fields: Mapping[str, Any], issued: Issued, now: int, actor: str, holds: Holds) -> Changes:
    """A fresh key. `fields` are KeyRecord's but for id, name, secrets and revoked. A revoked key of that name gives way to it."""
    there = estate.of("key").get(name)
    if there and _key(there).revoked is None:
        raise Conflict("exists", f"there is a key '{name}' already; rotate it for another secret, or take another name")
    described = given("key", name, fields)
    if not isinstance(described, KeyRecord):
        raise NotThere("key", name)
    fresh = replace(described, id=issued.public_id, secrets=(issued.secret,))
    made = kept(estate, "key", fresh, None, now, actor, _wrong(now, holds))
    if there is None:
        return made
    (change,) = made.records
    after = Kept(change.new.record, there.version + 1, "api", now, actor) if change.new else None
    return Changes((Change("key", name, there, after),))


def key_patched(estate: Estate, name: str, fields: Mapping[str, Any], now: int, holds: Holds) -> Changes:
    """Change the fields that are given, and no others. Whoever does not hold all that the key grants may only take away from it."""
    there = _live(estate, name)
    record = given("key", name, fields, there.record)
    changed = {field for field in fields if getattr(record, field) != getattr(there.record, field)}
    taken = isinstance(record, KeyRecord) and record.disabled and changed <= _HARMLESS | {"disabled"}
    wrong = _wrong(now, holds if changed - _HARMLESS and not taken else None, expiry="expires" in changed)
    return kept(estate, "key", record, there, now, "", wrong)


def key_rotated(estate: Estate, name: str, issued: Issued, grace_s: int, now: int, holds: Holds) -> Changes:
    """Another secret for a key; the one in force until now lives on for `grace_s` seconds, and every older one ends."""
    there = _live(estate, name)
    record = _key(there)
    if not 0 <= grace_s <= MOST_GRACE_S:
        raise Problems([("grace_s", f"must be from 0 to {MOST_GRACE_S} seconds, which is 7 days")])
    if faults := exceeds(record, holds):
        raise Problems(faults)
    secrets = virtual_key.rotated(record.secrets, issued.secret, now + grace_s) if grace_s else (issued.secret,)
    return Changes((_changed(there, replace(record, secrets=secrets)),))


def key_revoked(estate: Estate, name: str, now: int) -> Changes:
    """End a key for good: its secrets are gone, its record stays. One that is revoked already stays as it is."""
    there = present(estate, "key", name)
    record = _key(there)
    return Changes((_changed(there, replace(record, secrets=(), revoked=now)),)) if record.revoked is None else Changes()


def _wrong(now: int, holds: Holds | None, *, expiry: bool = True) -> More:
    """What is wrong with a key beside what its fields say: its end is past, or it grants more than is held."""

    def found(record: Record) -> list[Fault]:
        if not isinstance(record, KeyRecord):
            return []
        past = expiry and record.expires is not None and record.expires <= now
        faults: list[Fault] = [("expires", "is past already")] if past else []
        return faults + (exceeds(record, holds) if holds else [])

    return found


def key_named(estate: Estate, name: str) -> KeyRecord:
    """The key of that name. Raises NotThere."""
    return _key(present(estate, "key", name))


def _live(estate: Estate, name: str) -> Kept:
    there = present(estate, "key", name)
    if _key(there).revoked is not None:
        raise Conflict("revoked", f"key '{name}' is revoked, which nothing undoes; create a new one, which may have its name")
    return there


def _key(kept: Kept) -> KeyRecord:
    if not isinstance(kept.record, KeyRecord):
        raise NotThere("key", kept.record.name)
    return kept.record


def _changed(there: Kept, record: KeyRecord) -> Change:
    return Change("key", record.name, there, replace(there, record=record, version=there.version + 1))
