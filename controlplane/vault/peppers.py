"""Peppers of the virtual keys' hashes: a newer one comes, keys move to it as they are used, the older one goes.

Only a plane that has just seen the right secret can hash it anew. It reports so:

    {key id: {"old": hash, "new": "<pepper>:<hash>"}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from contracts.errors import Unusable
from contracts.snapshot import KeyRecord, LiveSecret
from controlplane.estate import Change, Changes, Estate
from controlplane.vault import Vault
from custody import virtual_key

MOST: Final = 4
"""Peppers there may be at once: a request is hashed under each of them."""
NAMED: Final = 20


def another(vault: Vault, estate: Estate, now: int) -> Changes:
    """Add a pepper, the newest; drop those without a key. Raises Unusable where too many still have keys. `now`: seconds."""
    kept = {version: estate.peppers[version] for version in still_used(estate, now)}
    if len(kept) >= MOST:
        names = ", ".join(sorted(kept_under(estate, min(kept), now))[:NAMED])
        raise Unusable(f"{len(kept)} peppers still have keys; rotate or revoke those under pepper {min(kept)} first: {names}")
    return without_idle(estate, Changes(peppers={**kept, **_newest_of(vault.another_pepper(estate.peppers))}), now)


def moved(estate: Estate, reports: Mapping[str, Any], now: int, may: Callable[[KeyRecord], bool] = lambda _record: True) -> Changes:
    """Take over what a plane reports of keys that `may` be its to report of; what does not fit is passed over.

    Only the hash of an existing live secret under an older pepper is replaced. The last key to leave takes the pepper along.
    """
    by_id = {kept.record.id: kept for kept in estate.of("key").values() if isinstance(kept.record, KeyRecord) and kept.record.id in reports}
    changes = []
    for key_id, kept in by_id.items():
        record = kept.record
        if isinstance(record, KeyRecord) and record.revoked is None and may(record):
            secrets = _reported(record, reports[key_id], estate.peppers, now)
            if secrets:
                changes.append(Change("key", record.name, kept, replace(kept, record=replace(record, secrets=secrets))))
    return without_idle(estate, Changes(changes), now)


def _reported(record: KeyRecord, report: Any, peppers: Mapping[int, str], now: int) -> tuple[LiveSecret, ...] | None:
    old, word = (report.get("old"), report.get("new")) if isinstance(report, Mapping) else (None, None)
    fresh = virtual_key.heard(word) if isinstance(word, str) else None
    if fresh is None or fresh.pepper not in peppers or not isinstance(old, str):
        return None
    live = [secret for secret in record.secrets if secret.until is None or now < secret.until]
    return virtual_key.rehashed(live, old, fresh)


def without_idle(estate: Estate, changes: Changes, now: int) -> Changes:
    """The same changes, and the peppers dropped that no live key is left under; never the newest."""
    after = estate.after(changes)
    kept = {version: after.peppers[version] for version in still_used(after, now)}
    return changes if kept.keys() == after.peppers.keys() else replace(changes, peppers=kept)


def still_used(estate: Estate, now: int) -> list[int]:
    """Peppers that a live key is under, and the newest."""
    held = {secret.pepper for record in _living(estate) for secret in record.secrets if secret.until is None or now < secret.until}
    return sorted(version for version in estate.peppers if version in held or version == max(estate.peppers))


def kept_under(estate: Estate, pepper: int, now: int) -> list[str]:
    """Names of the keys that would stop working without a pepper. A disabled or expired key counts: it may be made good again."""
    return [
        record.name
        for record in _living(estate)
        if any(secret.pepper == pepper and (secret.until is None or now < secret.until) for secret in record.secrets)
    ]


def _living(estate: Estate) -> Iterator[KeyRecord]:
    for kept in estate.of("key").values():
        if isinstance(kept.record, KeyRecord) and kept.record.revoked is None:
            yield kept.record


def _newest_of(peppers: Mapping[int, str]) -> dict[int, str]:
    return {max(peppers): peppers[max(peppers)]}
