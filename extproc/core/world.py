"""What an exchange begins with, and who asks in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.settings import Limits
from contracts.snapshot import EnvironmentRecord, KeyRecord, ProfileRecord, Snapshot
from custody.secret import Secret


@dataclass(frozen=True, slots=True)
class World:
    """What an exchange begins with and keeps: the snapshot of that moment, the peppers by version, limits and names."""

    snapshot: Snapshot
    limits: Limits
    plane: str
    version: str
    peppers: Mapping[int, Secret] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and what applies to them."""

    key: KeyRecord
    environment: EnvironmentRecord
    profile: ProfileRecord
    user: str
