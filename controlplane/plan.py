"""From what is and what is declared to what changes. Pure but for the dice in the vault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from contracts.errors import Unusable
from contracts.snapshot import CredentialRecord, KeyRecord, ModelRecord, Snapshot
from controlplane.declared import Declared, DeclaredKey, DeclaredModel
from controlplane.state import KINDS, Estate
from controlplane.vault import Vault
from custody import store
from custody.secret import Secret

_SHOWN: Final = {"sealed": "secret", "upstream": "model"}
"""Fields that have another name in the file."""
_SILENT: Final = {"version", "secret_hash", "id"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is added (+), changed (~, in `fields`) or removed (-)."""

    sign: str
    kind: str
    name: str
    fields: tuple[str, ...] = ()

    def line(self) -> str:
        """The change for people."""
        return f"{self.sign} {self.kind} {self.name}" + (f" ({', '.join(self.fields)})" if self.fields else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply does. `issued` holds the new virtual keys' texts by name: shown once, kept nowhere."""

    old: Estate
    new: Estate
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    issued: Mapping[str, str] = field(repr=False)


def plan(old: Estate, wanted: Declared, secrets: Mapping[str, Secret], vault: Vault) -> Plan:
    """Plan the step from `old` to `wanted`. `secrets` are the credentials' by name.

    Nothing changed gives `old` itself back, its revision too: applying a file twice does nothing.
    Raises Unusable where a secret is missing.
    """
    missing = [name for name in wanted.credentials if name not in secrets]
    if missing:
        raise Unusable("\n".join(f"credentials.{name}.secret: did not arrive; apply with the portcullis command" for name in missing))
    revision = str(old.revision + 1)
    keys, issued = _keys(old, wanted, vault)
    snapshot = Snapshot(
        revision=revision,
        organisation=wanted.organisation,
        pepper=old.snapshot.pepper,
        keys=keys,
        models={name: _model(model, old.snapshot.models.get(name), revision) for name, model in wanted.models.items()},
        credentials={name: _credential(name, old, wanted, secrets[name], vault) for name in wanted.credentials},
        providers=wanted.providers,
        environments=wanted.environments,
        profiles=wanted.profiles,
    )
    new = Estate(snapshot, wanted.teams)
    changes = _changes(old, new)
    return Plan(old, new if changes else old, changes, wanted.notes, issued)


def _keys(old: Estate, wanted: Declared, vault: Vault) -> tuple[dict[str, KeyRecord], dict[str, str]]:
    """Keys by public id. One that was there keeps its id and hash, so its secret stays valid."""
    there = {key.name: key for key in old.snapshot.keys.values()}
    keys: dict[str, KeyRecord] = {}
    issued: dict[str, str] = {}
    for name, declared in wanted.keys.items():
        if name in there:
            known = there[name].id, there[name].secret_hash
        else:
            fresh = vault.issue(old.snapshot.pepper)
            known = fresh.public_id, fresh.secret_hash
            issued[name] = fresh.shown
        keys[known[0]] = _key(declared, *known)
    return keys, issued


def _key(declared: DeclaredKey, public_id: str, secret_hash: str) -> KeyRecord:
    return KeyRecord(id=public_id, secret_hash=secret_hash, **{entry.name: getattr(declared, entry.name) for entry in fields(declared)})


def _model(declared: DeclaredModel, there: ModelRecord | None, revision: str) -> ModelRecord:
    """A price keeps its version for as long as it stays the same, so rows name the price they were made with."""
    price = declared.price
    if price and there and there.price and (price.input, price.output) == (there.price.input, there.price.output):
        price = there.price
    elif price:
        price = replace(price, version=f"declared:{revision}")
    return ModelRecord(declared.name, declared.provider, declared.credential, declared.upstream, price)


def _credential(name: str, old: Estate, wanted: Declared, secret: Secret, vault: Vault) -> CredentialRecord:
    """An unchanged secret keeps its record; another one is sealed as the next version."""
    provider = wanted.credentials[name].provider
    there = old.snapshot.credentials.get(name)
    if there and vault.keyring.holds(store.credential(name, there.version), there.sealed, secret):
        return replace(there, provider=provider)
    version = there.version + 1 if there else 1
    return CredentialRecord(name, provider, vault.seal(store.credential(name, version), secret), version)


def _changes(old: Estate, new: Estate) -> tuple[Change, ...]:
    found = []
    if old.snapshot.organisation != new.snapshot.organisation:
        sign = "~" if old.snapshot.organisation else "+"
        found.append(Change(sign, "organisation", new.snapshot.organisation))
    found += _differences("team", old.teams, new.teams)
    for kind in KINDS:
        found += _differences(kind.removesuffix("s"), getattr(old.snapshot, kind), getattr(new.snapshot, kind))
    return tuple(found)


def _differences(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    added = [Change("+", kind, _shown(new[key], key)) for key in new if key not in old]
    changed = [
        Change("~", kind, _shown(new[key], key), _changed_fields(old[key], new[key])) for key in new if key in old and old[key] != new[key]
    ]
    removed = [Change("-", kind, _shown(old[key], key)) for key in old if key not in new]
    return added + changed + removed


def _shown(record: Any, key: str) -> str:
    return str(getattr(record, "name", key))


def _changed_fields(old: Any, new: Any) -> tuple[str, ...]:
    if isinstance(new, tuple):
        return ("projects",)
    names = [entry.name for entry in fields(new) if getattr(old, entry.name) != getattr(new, entry.name)]
    return tuple(_SHOWN.get(name, name) for name in names if name not in _SILENT)
