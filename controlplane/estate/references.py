"""What a record may name, whichever way it is declared: the names of a whole file, or those of the running estate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from contracts.snapshot import DEFAULT_PROFILE, CredentialRecord, KeyRecord, ModelRecord, Record, TeamRecord
from controlplane.estate import Estate

PLURAL: Final = {
    "provider": "providers", "credential": "credentials", "model": "models", "environment": "environments",
    "team": "teams", "profile": "profiles", "key": "keys",
}  # fmt: skip
"""Kind → the section of the declarative file that holds its records."""


@dataclass(frozen=True, slots=True)
class Known:
    """Names that may be used. `credentials`: name → (provider, project); `teams`: name → projects.

    `spelt`: a model's name without upper case → the first model that has it.
    """

    providers: Collection[str]
    credentials: Mapping[str, tuple[str, str]]
    models: Collection[str]
    spelt: Mapping[str, str]
    environments: Collection[str]
    teams: Mapping[str, Collection[str]]
    profiles: Collection[str]


def known(estate: Estate) -> Known:
    """What an estate has."""
    records = {kind: {name: kept.record for name, kept in estate.of(kind).items()} for kind in PLURAL if kind != "key"}
    return known_of({kind: there.keys() for kind, there in records.items()}, records)


def known_of(names: Mapping[str, Collection[str]], records: Mapping[str, Mapping[str, Record]]) -> Known:
    """What `records` have. `names` are by kind, those of records that can't be read among them."""
    credentials, teams = records["credential"], records["team"]
    return Known(
        providers=names["provider"],
        credentials={name: (entry.provider, entry.project) for name, entry in credentials.items() if isinstance(entry, CredentialRecord)},
        models=names["model"],
        spelt=_spelt(names["model"]),
        environments=names["environment"],
        teams={name: entry.projects for name, entry in teams.items() if isinstance(entry, TeamRecord)},
        profiles={*names["profile"], DEFAULT_PROFILE.name},
    )


def _spelt(models: Iterable[str]) -> dict[str, str]:
    first: dict[str, str] = {}
    for name in models:
        first.setdefault(name.casefold(), name)
    return first


def needs(record: Record, kind: str, name: str) -> bool:
    """Whether a record names the record (kind, name). A revoked key needs nothing any more."""
    match record:
        case CredentialRecord():
            return (kind == "provider" and record.provider == name) or (kind == "team" and record.project.split("/")[0] == name)
        case ModelRecord():
            return {"provider": record.provider, "credential": record.credential}.get(kind) == name
        case KeyRecord(revoked=None):
            one = {"team": record.team, "environment": record.environment, "profile": record.profile}
            several = {"provider": record.providers, "model": record.models}
            return one.get(kind) == name or name in several.get(kind, ())
    return False
