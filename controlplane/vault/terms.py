"""Under which term each sealed record is, and the next step of a rotation to the newest. No disk, no clock; the dice are the vault's.

    a new term in the file of keys ─► records move to it, some at a time ─► every plane has them ─► older terms leave the file

A record says its own term, so the state of a rotation is the records themselves: whoever starts it again goes on where it stopped.
Moving a record to another term changes no secret, so its version and its ETag stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from contracts.snapshot import CredentialRecord, KeyRecord
from controlplane.estate import Change, Changes, Estate
from controlplane.state.values import Stale
from controlplane.vault import Vault
from custody import store
from custody.envelope import Label
from custody.keyring import term_of

BATCH: Final = 100
"""Records that move in one step: one transaction, one message to the planes."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed record, wherever it is kept."""

    label: Label
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Moved:
    """A record that is now `new` where it was `old`."""

    label: Label
    old: str = field(repr=False)
    new: str = field(repr=False)


def sealed_in(estate: Estate) -> Iterator[Sealed]:
    """Every sealed record of the estate: peppers, then credentials."""
    for version, text in sorted(estate.peppers.items()):
        yield Sealed(store.pepper(version), text)
    for kept in estate.of("credential").values():
        if isinstance(kept.record, CredentialRecord):
            yield Sealed(store.credential(kept.record.name, kept.record.version), kept.record.sealed)


def under(records: Sequence[Sealed]) -> dict[int, dict[str, int]]:
    """How many records of each kind are under each term. Term 0: what is no sealed record."""
    counts = Counter((term_of(record.text), record.label.kind) for record in records)
    found: dict[int, dict[str, int]] = {}
    for (term, kind), count in sorted(counts.items()):
        found.setdefault(term, {})[kind] = count
    return found


def left(vault: Vault, records: Sequence[Sealed]) -> list[Sealed]:
    """Those that are not under the newest term."""
    return [record for record in records if term_of(record.text) != vault.keyring.newest]


def unfinished(vault: Vault, records: Sequence[Sealed]) -> bool:
    """Whether a rotation was begun and is not over: a record is under an older term, or the keys of one are still there."""
    return bool(left(vault, records)) or len(vault.keyring.terms) > 1


def next_changes(vault: Vault, estate: Estate, most: int = BATCH) -> Changes:
    """Move the next `most` records of the estate to the newest term; nothing where all are. Raises Unusable: which can't be opened."""
    newest = vault.keyring.newest
    peppers = {version: text for version, text in estate.peppers.items() if term_of(text) != newest}
    changes = list(islice(_moved_credentials(vault, estate), max(0, most - len(peppers))))
    if not peppers:
        return Changes(changes)
    moved = {version: vault.rewrap(store.pepper(version), text) for version, text in peppers.items()}
    return Changes(changes, peppers={**estate.peppers, **moved})


def _moved_credentials(vault: Vault, estate: Estate) -> Iterator[Change]:
    for name, kept in estate.of("credential").items():
        record = kept.record
        if isinstance(record, CredentialRecord) and term_of(record.sealed) != vault.keyring.newest:
            sealed = vault.rewrap(store.credential(record.name, record.version), record.sealed)
            yield Change("credential", name, kept, replace(kept, record=replace(record, sealed=sealed)))


def next_moves(vault: Vault, records: Sequence[Sealed], most: int = BATCH) -> list[Moved]:
    """The same for records that are kept beside the estate."""
    return [Moved(record.label, record.text, vault.rewrap(record.label, record.text)) for record in left(vault, records)[:most]]


def settled(vault: Vault, estate: Estate, changes: Changes) -> Changes:
    """What may be committed of `changes`: sealed under the newest term, hashed under peppers that are there.

    A call seals and hashes before it is its turn; a rotation may have come between. Applied to every change, in the place where
    they are made one after the other, so that a term or a pepper can be dropped once nothing is left under it.

    Raises:
        Stale: a key was hashed under a pepper that is gone since.
        Unusable: a record was sealed under a term that is gone since.
    """
    peppers = estate.peppers if changes.peppers is None else changes.peppers
    return replace(
        changes,
        records=[_settled(vault, peppers, change) for change in changes.records],
        peppers=None if changes.peppers is None else {at: vault.rewrap(store.pepper(at), text) for at, text in changes.peppers.items()},
    )


def _settled(vault: Vault, peppers: Mapping[int, str], change: Change) -> Change:
    record = change.new.record if change.new else None
    if isinstance(record, KeyRecord) and any(secret.pepper not in peppers for secret in record.secrets if secret.until is None):
        raise Stale
    if change.new is None or not isinstance(record, CredentialRecord) or term_of(record.sealed) == vault.keyring.newest:
        return change
    sealed = vault.rewrap(store.credential(record.name, record.version), record.sealed)
    return replace(change, new=replace(change.new, record=replace(record, sealed=sealed)))
