"""What a plane is shown of the estate: everything, or what the keys of its projects can reach; and what changed in that.

A view keeps, for each of its last CHANGES steps, which items the step touched, not what became of them: whoever asks since when
gets every touched item once, as it is now. So a plane that was away skips what it missed.
"""

from __future__ import annotations

import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import orjson

from contracts.snapshot import CredentialRecord, KeyRecord, ModelRecord, ProviderRecord, Record, TeamRecord
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.estate.declared_values import matches
from controlplane.estate.price_list import priced
from custody import store
from custody.envelope import Label
from extproc.edge.snapshot_wire import ORGANISATION, PEPPER, Item, packed

CHANGES: Final = 1000
Projects = frozenset[str]
"""Of a plane: `team/project`."""
Reseal = Callable[[Label, str], str]
"""A sealed record, sealed under the key of the plane that it is meant for."""

NOBODYS: Final = "-/-"
"""A project that there can't be."""
_Touch = tuple[str, str, str]
"""Kind, name on the wire, name in the estate."""
_Small = Mapping[tuple[str, str], Record]
_Counted = TypeVar("_Counted")
_Kind = TypeVar("_Kind", CredentialRecord, ModelRecord, ProviderRecord, TeamRecord)


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown at one moment. `small`: all but the keys, for planes of some projects; None: whatever the estate has."""

    estate: Estate
    projects: Projects | None
    small: _Small | None

    @property
    def revision(self) -> str:
        """As the planes are told."""
        return str(self.estate.revision)

    def items(self, reseal: Reseal | None = None) -> Iterator[Item]:
        """Everything."""
        yield from (self.item(touch, reseal) for touch in self._others())
        for kept in self.estate.of("key").values():
            if _is_shown(kept, self.projects):
                yield "key", _key(kept).id, packed(kept.record)

    def item(self, touch: _Touch, reseal: Reseal | None = None) -> Item:
        """An item as it is now."""
        kind, name, _ = touch
        if kind == ORGANISATION:
            return kind, name, orjson.dumps(self.estate.organisation)
        if kind == PEPPER:
            sealed = self.estate.peppers.get(int(name))
            return kind, name, orjson.dumps(_resealed(store.pepper(int(name)), sealed, reseal)) if sealed else b""
        record = self._record(touch)
        if isinstance(record, CredentialRecord) and record.sealed:
            record = replace(record, sealed=_resealed(store.credential(record.name, record.version), record.sealed, reseal))
        return kind, name, packed(record) if record else b""

    def _record(self, touch: _Touch) -> Record | None:
        kind, name, there = touch
        if kind == "key":
            kept = self.estate.of("key").get(there)
            return kept.record if kept and _key(kept).id == name and _is_shown(kept, self.projects) else None
        if self.small is not None:
            return self.small.get((kind, name))
        if kind == "profile":
            return self.estate.profile(name)
        kept = self.estate.of(kind).get(name)
        if kept and isinstance(kept.record, ModelRecord):
            return _priced(self.estate, kept.record)
        return kept.record if kept else None

    def _others(self) -> Iterator[_Touch]:
        yield ORGANISATION, "", ""
        yield from ((PEPPER, str(version), "") for version in self.estate.peppers)
        if self.small is not None:
            yield from ((kind, name, name) for kind, name in self.small)
            return
        for kind, records in self.estate.records.items():
            names: Iterable[str] = self.estate.profiles() if kind == "profile" else records
            yield from ((kind, name, name) for name in names if kind != "key")


@dataclass(slots=True)
class _Reached:
    """What the keys of some projects name, and how many of them do."""

    targets: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=Counter)
    """Model patterns and providers of a key."""
    environments: Counter[str] = field(default_factory=Counter)
    profiles: Counter[str] = field(default_factory=Counter)

    def count(self, key: KeyRecord, step: int) -> bool:
        """Count a key in (1) or out (-1); whether anything is named that was not, or is no longer."""
        new = False
        for counter, name in ((self.environments, key.environment), (self.profiles, key.profile)):
            new |= _count(counter, name, step)
        return _count(self.targets, (key.models, key.providers), step) or new


class View:
    """What planes of the same projects are shown. `epoch` is its own, so that its revisions are compared with no other's."""

    def __init__(self, estate: Estate, projects: Projects | None) -> None:
        self.epoch = secrets.token_hex(8)
        self._reached = _Reached()
        if projects is not None:
            for kept in estate.of("key").values():
                if _is_shown(kept, projects):
                    self._reached.count(_key(kept), 1)
        self._steps: deque[tuple[int, tuple[_Touch, ...]]] = deque(maxlen=CHANGES)
        self.shown = Shown(estate, projects, None if projects is None else _small(estate, projects, self._reached))

    def after(self, estate: Estate, changes: Changes) -> None:
        """Take a step: `estate` is what `changes` made of the one before."""
        before = self.shown
        touched = list(_touches(changes, before.estate))
        small = before.small
        if before.projects is not None and small is not None:
            fresh = self._counted(changes, before.projects)
            if fresh or any(change.kind != "key" for change in changes.records):
                small = _small(estate, before.projects, self._reached)
            touched = [touch for touch in touched if touch[0] in {"key", ORGANISATION, PEPPER}]
            touched += _differing(before.small or {}, small)
        self._steps.append((before.estate.revision, tuple(touched)))
        self.shown = Shown(estate, before.projects, small)

    def since(self, epoch: str, revision: str) -> list[_Touch] | None:
        """What was touched since a revision, each item once; None where that is no longer known, or never was."""
        if epoch != self.epoch:
            return None
        if revision == self.shown.revision:
            return []
        found: dict[_Touch, None] = {}
        for before, touched in reversed(self._steps):
            found |= dict.fromkeys(touched)
            if str(before) == revision:
                return list(found)
        return None

    def _counted(self, changes: Changes, projects: Projects) -> bool:
        fresh = False
        for change in changes.records:
            if change.kind == "key":
                for kept, step in ((change.old, -1), (change.new, 1)):
                    if kept is not None and _is_shown(kept, projects):
                        fresh |= self._reached.count(_key(kept), step)
        return fresh


def _touches(changes: Changes, before: Estate) -> Iterator[_Touch]:
    if changes.organisation is not None:
        yield ORGANISATION, "", ""
    for change in changes.records:
        if change.kind == "key":
            yield from (("key", public_id, change.name) for public_id in _ids(change))
        else:
            yield change.kind, change.name, change.name
        if change.kind == "provider":  # whose URL says what its models cost
            models = _records(before, ModelRecord, "model")
            yield from (("model", model.name, model.name) for model in models if model.provider == change.name)
    if changes.peppers is not None:
        yield from ((PEPPER, str(version), "") for version in {**before.peppers, **changes.peppers})


def _ids(change: Change) -> set[str]:
    return {_key(kept).id for kept in (change.old, change.new) if kept is not None}


def _is_shown(kept: Kept, projects: Projects | None) -> bool:
    """Planes get no key that can't be used."""
    key = _key(kept)
    return key.revoked is None and not key.disabled and is_of(key, projects)


def is_of(key: KeyRecord, projects: Projects | None) -> bool:
    """Whether the key's project is one of these; None: all are."""
    return projects is None or f"{key.team}/{key.project}" in projects


def _key(kept: Kept) -> KeyRecord:
    if not isinstance(kept.record, KeyRecord):
        raise TypeError("no key")
    return kept.record


def _count(counter: Counter[_Counted], name: _Counted, step: int) -> bool:
    before = counter[name]
    counter[name] += step
    if not counter[name]:
        del counter[name]
    return before == 0 or before + step == 0


def _differing(old: _Small, new: _Small) -> list[_Touch]:
    return [(kind, name, name) for kind, name in {**old, **new} if old.get((kind, name)) != new.get((kind, name))]


def _resealed(label: Label, sealed: str, reseal: Reseal | None) -> str:
    return reseal(label, sealed) if reseal else sealed


# ── what the keys of some projects can reach ───────────────────────────────────


def _small(estate: Estate, projects: Projects, reached: _Reached) -> _Small:
    models = [record for record in _records(estate, ModelRecord, "model") if _reaches(reached, record)]
    providers = {model.provider for model in models}
    whole = {model.provider for model in models if not model.credential}
    named = {model.credential for model in models}
    records: list[tuple[str, Record]] = [("model", _priced(estate, model)) for model in models]
    records += [("provider", record) for record in _records(estate, ProviderRecord, "provider") if record.name in providers]
    records += [("credential", credential) for credential in _credentials(estate, projects, whole, named)]
    records += [("team", team) for team in _teams(estate, projects)]
    environments = estate.of("environment")
    records += [("environment", environments[name].record) for name in reached.environments if name in environments]
    profiles = estate.profiles()
    records += [("profile", profiles[name]) for name in {"default", *reached.profiles} if name in profiles]
    return {(kind, record.name): record for kind, record in records}


def _credentials(estate: Estate, projects: Projects, whole: set[str], named: set[str]) -> Iterator[CredentialRecord]:
    """Those of the projects and of none. Where a provider has only others', one that nobody may use says that it has some.

    Else a plane would take it for a provider that wants no credential, and ask it without.
    """
    hidden: set[str] = set()
    open_: set[str] = set()
    for credential in _records(estate, CredentialRecord, "credential"):
        if credential.provider not in whole and credential.name not in named:
            continue
        if credential.project and credential.project not in projects:
            hidden.add(credential.provider)
            continue
        open_.add(credential.provider)
        yield credential
    yield from (CredentialRecord(f"-/{provider}", provider, "", 0, NOBODYS) for provider in sorted((hidden & whole) - open_))


def _priced(estate: Estate, model: ModelRecord) -> ModelRecord:
    """With the price list's prices, which the estate does not keep."""
    kept = estate.of("provider").get(model.provider)
    return replace(model, prices=priced(model, kept.record)) if kept and isinstance(kept.record, ProviderRecord) else model


def _reaches(reached: _Reached, model: ModelRecord) -> bool:
    return any(
        (not providers or model.provider in providers) and any(matches(pattern, model.name) for pattern in patterns)
        for patterns, providers in reached.targets
    )


def _teams(estate: Estate, projects: Projects) -> Iterator[TeamRecord]:
    for team in _records(estate, TeamRecord, "team"):
        mine = tuple(project for project in team.projects if f"{team.name}/{project}" in projects)
        if mine:
            yield replace(team, projects=mine, disabled_projects=tuple(name for name in team.disabled_projects if name in mine))


def _records(estate: Estate, record: type[_Kind], kind: str) -> Iterator[_Kind]:
    return (kept.record for kept in estate.of(kind).values() if isinstance(kept.record, record))
