"""What a data plane needs to know to govern traffic: one immutable value, swapped whole.

Secrets are in it sealed (custody/keyring.py); a virtual key's secret only as a keyed hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from contracts.usage import Price


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A virtual key. `expires` is seconds of the Unix epoch; `models` are exact names or globs; no routes = all."""

    id: str
    name: str
    secret_hash: str
    team: str
    project: str
    environment: str
    models: tuple[str, ...]
    routes: tuple[str, ...] = ()
    profile: str = "default"
    expires: int | None = None
    may_set_user: bool = False


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A public model name and where it goes. `upstream` is the name the provider knows."""

    name: str
    provider: str
    credential: str
    upstream: str
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """A provider's secret, sealed. `sealed` is base64 of custody's record format."""

    name: str
    provider: str
    sealed: str
    version: int


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """Where a provider is. `url` has no trailing slash; its path is put in front of the dialect's."""

    name: str
    dialect: str
    url: str
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """What an environment may keep."""

    name: str
    zero_data_retention: bool = False


@dataclass(frozen=True, slots=True)
class ProfileRecord:
    """Actions on personal data by kind; `*` stands for the kinds not named."""

    name: str
    prompt: Mapping[str, str]
    answer: Mapping[str, str]
    unscanned: str


DEFAULT_PROFILE = ProfileRecord("default", {"*": "redact"}, {"*": "redact"}, "block")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole of it. `pepper` is sealed; `keys` is by public id, the rest by name."""

    revision: str
    organisation: str = ""
    pepper: str = ""
    keys: Mapping[str, KeyRecord] = field(default_factory=dict)
    models: Mapping[str, ModelRecord] = field(default_factory=dict)
    credentials: Mapping[str, CredentialRecord] = field(default_factory=dict)
    providers: Mapping[str, ProviderRecord] = field(default_factory=dict)
    environments: Mapping[str, EnvironmentRecord] = field(default_factory=dict)
    profiles: Mapping[str, ProfileRecord] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The JSON object that crosses the wire."""
        return asdict(self)


def snapshot_of(document: Mapping[str, Any]) -> Snapshot:
    """Read what `Snapshot.document` wrote. A record of another shape raises TypeError or KeyError."""
    return Snapshot(
        revision=document["revision"],
        organisation=document["organisation"],
        pepper=document["pepper"],
        keys={k: KeyRecord(**{**v, "models": tuple(v["models"]), "routes": tuple(v["routes"])}) for k, v in document["keys"].items()},
        models={k: ModelRecord(**{**v, "price": Price(**v["price"]) if v["price"] else None}) for k, v in document["models"].items()},
        credentials={k: CredentialRecord(**v) for k, v in document["credentials"].items()},
        providers={k: ProviderRecord(**v) for k, v in document["providers"].items()},
        environments={k: EnvironmentRecord(**v) for k, v in document["environments"].items()},
        profiles={k: ProfileRecord(**v) for k, v in document["profiles"].items()},
    )
