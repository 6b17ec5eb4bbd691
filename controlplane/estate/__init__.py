"""Everything that is governed, as one value, and a change to it as another.

    edit (pure: edits.py, plan.py) ─► Changes ─► State.commit (records and events, one transaction) ─► Estate.after ─► planes

Nothing here reads or writes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal, TypeVar

from contracts.snapshot import DEFAULT_PROFILE, RECORDS, KeyRecord, ProfileRecord, Record

R = TypeVar("R", bound=Record)
Origin = Literal["file", "api"]
"""Who made a record: a declarative file, which may also remove it, or a single call, which no file undoes."""

ORGANISATION: Final = "organisation"
"""Kind of the one change that is no record: its name is the organisation's."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it is kept. `version` grows by one with each change of it (its ETag); `created` is seconds of the Unix epoch."""

    record: Record
    version: int = 1
    origin: Origin = "api"
    created: int = 0
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One record that is made (no `old`), changed or removed (no `new`)."""

    kind: str
    name: str
    old: Kept | None
    new: Kept | None

    @property
    def sign(self) -> str:
        """As a plan shows it."""
        return "+" if self.old is None else "-" if self.new is None else "~"


@dataclass(frozen=True, slots=True)
class Changes:
    """What one step changes: records, and the organisation's name or sealed peppers where these change (None: they stay)."""

    records: Sequence[Change] = ()
    organisation: str | None = None
    peppers: Mapping[int, str] | None = None

    def __bool__(self) -> bool:
        """Whether anything changes."""
        return bool(self.records) or self.organisation is not None or self.peppers is not None


_KINDS: Final[Mapping[type, str]] = {record: kind for kind, record in RECORDS.items()}
_EMPTY: Final[Mapping[str, Mapping[str, Kept]]] = MappingProxyType({kind: MappingProxyType({}) for kind in RECORDS})


@dataclass(frozen=True, slots=True)
class Estate:
    """`revision` grows by one with every committed step. `records`: kind → name → record; a key stands under its name."""

    revision: int = 0
    organisation: str = ""
    peppers: Mapping[int, str] = field(default_factory=dict, repr=False)
    records: Mapping[str, Mapping[str, Kept]] = field(default_factory=lambda: _EMPTY, repr=False)

    def after(self, changes: Changes) -> Estate:
        """The estate once `changes` are made: one revision on."""
        records = dict(self.records)
        for kind in {change.kind for change in changes.records}:
            there = dict(records[kind])
            for change in changes.records:
                if change.kind != kind:
                    continue
                if change.new is None:
                    there.pop(change.name, None)
                else:
                    there[change.name] = change.new
            records[kind] = there
        return replace(
            self,
            revision=self.revision + 1,
            organisation=self.organisation if changes.organisation is None else changes.organisation,
            peppers=self.peppers if changes.peppers is None else changes.peppers,
            records=records,
        )

    def of(self, kind: str) -> Mapping[str, Kept]:
        """The records of a kind, by name."""
        return self.records[kind]

    def each(self, record: type[R]) -> Iterator[R]:
        """The records of a kind, by their type."""
        return (kept.record for kept in self.records[_KINDS[record]].values() if isinstance(kept.record, record))

    def profiles(self) -> Mapping[str, Record]:
        """The profiles by name, the built-in one among them unless one of its name was declared."""
        return {DEFAULT_PROFILE.name: DEFAULT_PROFILE} | {name: kept.record for name, kept in self.of("profile").items()}

    def profile(self, name: str) -> ProfileRecord | None:
        """A profile, the built-in one too."""
        found = self.profiles().get(name)
        return found if isinstance(found, ProfileRecord) else None


def kind_of(record: Record) -> str:
    """The name of a record's kind."""
    return _KINDS[type(record)]


def revoked(record: Record) -> bool:
    """Whether it is a key that was revoked: its record stays, and is nobody's any more."""
    return isinstance(record, KeyRecord) and record.revoked is not None
