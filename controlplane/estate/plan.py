"""What a declarative file changes: from the estate that is to the one that is declared. Pure but for the dice in the vault.

The file owns what it names, and what a file named before: that goes when it no longer stands there. What calls have made stays, unless
the file names it; from then on it is the file's. A revoked key is nobody's: it stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from contracts.errors import Unusable
from contracts.snapshot import RECORDS, CredentialRecord, KeyRecord, ModelRecord, Record
from controlplane.estate import Change, Changes, Estate, Kept, revoked
from controlplane.estate.declared import Declared
from controlplane.estate.declared_checks import checked
from controlplane.estate.declared_prices import prices_kept
from controlplane.estate.plan_lines import Line, first_few, lines_of
from controlplane.estate.references import PLURAL, known
from controlplane.vault import Vault
from custody import store
from custody.secret import Secret


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply does. `issued` holds the new virtual keys' texts by name: shown once, kept nowhere."""

    changes: Changes
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    issued: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Step:
    """One plan in the making."""

    estate: Estate
    secrets: Mapping[str, Secret] = field(repr=False)
    vault: Vault
    now: int
    actor: str
    notes: list[str]
    problems: list[str] = field(default_factory=list)
    issued: dict[str, str] = field(default_factory=dict, repr=False)


def plan(estate: Estate, declared: Declared, secrets: Mapping[str, Secret], vault: Vault, now: int, actor: str) -> Plan:
    """Plan the step. `secrets` are those of credentials, by name; `now` is in seconds of the Unix epoch.

    Where nothing changes, `changes` are empty: applying a file twice does nothing. Raises Unusable with every problem, one a line.
    """
    step = _Step(estate, secrets, vault, now, actor, list(declared.notes))
    records = [change for kind in RECORDS for change in _named(step, kind, declared.records[kind])]
    records += [change for kind in reversed(tuple(RECORDS)) for change in _gone(step, kind, declared.records[kind])]
    organisation = declared.organisation if declared.organisation not in ("", estate.organisation) else None
    if not declared.organisation and not estate.organisation:
        step.notes.append("organisation: none is named, so the rows of the audit name none")
    changes = Changes(tuple(records), organisation)
    step.problems.extend(_dangling(estate, changes, declared))
    if step.problems:
        raise Unusable("\n".join(step.problems))
    return Plan(changes, lines_of(estate, changes), tuple(step.notes), step.issued)


def _named(step: _Step, kind: str, declared: Mapping[str, Record]) -> Iterator[Change]:
    """What the file makes, changes, or takes over."""
    taken = []
    for name, wanted in declared.items():
        there = step.estate.of(kind).get(name)
        record = _settled(step, wanted, there.record if there else None)
        if there is None:
            yield Change(kind, name, None, Kept(record, 1, "file", step.now, step.actor))
        elif there.record != record:
            yield Change(kind, name, there, replace(there, record=record, version=there.version + 1, origin="file"))
        elif there.origin != "file":
            taken.append(name)
            yield Change(kind, name, there, replace(there, origin="file"))
    if taken:
        step.notes.append(f"{PLURAL[kind]}: made by calls, and this file's from now on: {first_few(taken)}")


def _gone(step: _Step, kind: str, declared: Mapping[str, Record]) -> Iterator[Change]:
    """What a file named and this one does not."""
    left = []
    for name, there in step.estate.of(kind).items():
        if name in declared or revoked(there.record):
            continue
        if there.origin == "file":
            yield Change(kind, name, there, None)
        else:
            left.append(name)
    if left:
        step.notes.append(f"{PLURAL[kind]}: made by calls and not in this file, so left as they are: {first_few(left)}")


def _settled(step: _Step, wanted: Record, there: Record | None) -> Record:
    """The record as it is to be kept: with what the one that is there already has."""
    if isinstance(wanted, KeyRecord):
        return _key(step, wanted, there if isinstance(there, KeyRecord) else None)
    if isinstance(wanted, CredentialRecord):
        return _credential(step, wanted, there if isinstance(there, CredentialRecord) else None)
    if isinstance(wanted, ModelRecord):
        before = there.prices if isinstance(there, ModelRecord) else ()
        return replace(wanted, prices=prices_kept(wanted.prices, before, step.estate.revision + 1))
    return wanted


def _key(step: _Step, wanted: KeyRecord, there: KeyRecord | None) -> KeyRecord:
    """A key that is there keeps its id and secrets, whatever else changes about it; a revoked one stays what it was."""
    if there is None:
        fresh = step.vault.issue(step.estate.peppers)
        step.issued[wanted.name] = fresh.shown
        there = replace(wanted, id=fresh.public_id, secrets=(fresh.secret,))
    if revoked(there):
        step.notes.append(f"keys.{wanted.name}: is revoked, and stays so; take it out of this file, or make it anew under another name")
        return there
    if wanted.expires is not None and wanted.expires <= step.now:
        step.notes.append(f"keys.{wanted.name}.expires: is past, so the key is refused")
    return replace(wanted, id=there.id, secrets=there.secrets)


def _credential(step: _Step, wanted: CredentialRecord, there: CredentialRecord | None) -> CredentialRecord:
    """An unchanged secret keeps its sealed record; one that did not come along does too, unless it would go to another provider."""
    secret = step.secrets.get(wanted.name)
    if secret is not None:
        return sealed(wanted, there, secret, step.vault)
    at = f"credentials.{wanted.name}.secret: did not arrive"
    if there is None:
        step.problems.append(f"{at}; apply where it can be found, or set it first with `portcullis credential set {wanted.name}`")
    elif there.provider != wanted.provider:
        step.problems.append(f"{at}, and what is kept was given for the provider '{there.provider}'; apply where the secret can be found")
    else:
        step.notes.append(f"{at}; the one that is kept stays in force")
    return replace(wanted, sealed=there.sealed, version=there.version) if there else wanted


def sealed(wanted: CredentialRecord, there: CredentialRecord | None, secret: Secret, vault: Vault) -> CredentialRecord:
    """The credential with its secret sealed: as it is where the secret is the same, else as its next version."""
    if there and vault.holds(store.credential(there.name, there.version), there.sealed, secret):
        return replace(wanted, sealed=there.sealed, version=there.version)
    version = there.version + 1 if there else 1
    return replace(wanted, sealed=vault.seal(store.credential(wanted.name, version), secret), version=version)


def _dangling(estate: Estate, changes: Changes, declared: Declared) -> Iterator[str]:
    """What is left of calls' records, and would name what the file takes away."""
    after = estate.after(changes)
    names = known(after)
    there = replace(names, spelt={**names.spelt, **{name.casefold(): name for name in declared.records["model"]}})
    for kind in RECORDS:
        for name, kept in after.of(kind).items():
            if name in declared.records[kind] or revoked(kept.record):
                continue
            for at, detail in checked(kept.record, there)[1]:
                yield f"{PLURAL[kind]}.{name}.{at}: {detail}; a call made this {kind}: change or remove it first, or name it in this file"
