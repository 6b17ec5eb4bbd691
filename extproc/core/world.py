"""What an exchange begins with, and who asks in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from contracts.settings import Limits
from contracts.snapshot import CredentialRecord, EnvironmentRecord, KeyRecord, ProfileRecord, Snapshot
from custody.secret import Secret
from extproc.core.effects import Rehash


@dataclass(frozen=True, slots=True)
class World:
    """What an exchange begins with and keeps: the snapshot of that moment, the peppers by version, limits and names.

    `credentials` are the snapshot's by provider, in the order of their names.
    """

    snapshot: Snapshot
    limits: Limits
    plane: str
    version: str
    peppers: Mapping[int, Secret] = field(default_factory=dict, repr=False)
    credentials: Mapping[str, tuple[CredentialRecord, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the credentials once, not with every exchange."""
        ordered = sorted(self.snapshot.credentials.values(), key=attrgetter("provider", "name"))
        by_provider = {provider: tuple(records) for provider, records in groupby(ordered, attrgetter("provider"))}
        object.__setattr__(self, "credentials", by_provider)


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
