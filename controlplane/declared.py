"""What a declarative file says, once it is read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.snapshot import EnvironmentRecord, ProfileRecord, ProviderRecord
from contracts.usage import Price


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where the command line finds a credential's secret: an environment variable, or a file beside the declarative one."""

    kind: str
    place: str
    line: int


@dataclass(frozen=True, slots=True)
class DeclaredCredential:
    """A credential as declared."""

    name: str
    provider: str
    source: SecretSource


@dataclass(frozen=True, slots=True)
class DeclaredModel:
    """A public model name; no credential: the provider takes requests without one. The price has no version yet."""

    name: str
    provider: str
    credential: str
    upstream: str
    price: Price | None


@dataclass(frozen=True, slots=True)
class DeclaredKey:
    """A virtual key as declared; its id and secret are made when it is first applied."""

    name: str
    team: str
    project: str
    environment: str
    models: tuple[str, ...]
    routes: tuple[str, ...]
    profile: str
    expires: int | None
    may_set_user: bool


@dataclass(frozen=True, slots=True)
class Declared:
    """The whole file, checked. `notes` are for the person who applies it."""

    organisation: str
    providers: Mapping[str, ProviderRecord]
    credentials: Mapping[str, DeclaredCredential]
    models: Mapping[str, DeclaredModel]
    environments: Mapping[str, EnvironmentRecord]
    teams: Mapping[str, tuple[str, ...]]
    keys: Mapping[str, DeclaredKey]
    profiles: Mapping[str, ProfileRecord]
    notes: tuple[str, ...] = ()
