"""What an exchange begins with, and who asks in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from contracts.settings import Limits
from contracts.snapshot import CredentialRecord, EnvironmentRecord, KeyRecord, ProfileRecord, Snapshot
from custody.secret import Secret
from extproc.core.effects import Rehash


@dataclass(frozen=True, slots=True)
class Circle:
    """Credentials that are used in turn, by name, in the order of their names. `name` tells one circle from another."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class World:
    """What an exchange begins with and keeps: the snapshot of that moment, the peppers by version, limits and names.

    `circles` are of the snapshot's credentials, by provider and project; under no project those that are no project's. A provider
    has that one if it has any credential at all.
    """

    snapshot: Snapshot
    limits: Limits
    plane: str
    version: str
    peppers: Mapping[int, Secret] = field(default_factory=dict, repr=False)
    circles: Mapping[tuple[str, str], Circle] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the credentials once, not with every exchange."""
        object.__setattr__(self, "circles", _circles(self.snapshot.credentials.values()))


def _circles(credentials: Iterable[CredentialRecord]) -> dict[tuple[str, str], Circle]:
    members: dict[tuple[str, str], list[str]] = {}
    for record in credentials:
        members.setdefault((record.provider, ""), [])
        circle = members.setdefault((record.provider, record.project), [])
        if not record.draining:
            circle.append(record.name)
    return {
        (provider, project): Circle(f"{provider} {project}" if project else provider, tuple(sorted(names)))
        for (provider, project), names in members.items()
    }


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and what applies to them.

    `old_secret`: by a secret that a rotation left alive for a while. `rehash`: to be told, where the secret is under an old pepper.
    """

    key: KeyRecord
    environment: EnvironmentRecord
    profile: ProfileRecord
    user: str
    old_secret: bool = False
    rehash: Rehash | None = None
