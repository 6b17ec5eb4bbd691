"""What a data plane needs to know to govern traffic: one immutable value, swapped whole.

Secrets are in it sealed (custody/keyring.py); a virtual key's secrets only as keyed hashes. A record crosses every border as
the JSON object that `document` gives and `record_of` reads; a field that stands at its default may be left out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from contracts.usage import Price, price_at, price_of


@dataclass(frozen=True, slots=True)
class LiveSecret:
    """A secret that a key may be used with: its hash, under which pepper, and until when (seconds of the Unix epoch; None: no end)."""

    hash: str
    pepper: int = 1
    until: int | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A virtual key. `secrets`: the newest first, then those that a rotation left alive for a while.

    `models` are exact names or globs; no `routes`, `providers` or `addresses` (CIDR) = all. `max_tokens` is the most that one
    request may ask for. `expires` and `revoked` are seconds of the Unix epoch.
    """

    id: str
    name: str
    secrets: tuple[LiveSecret, ...]
    team: str
    project: str
    environment: str
    models: tuple[str, ...]
    routes: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    max_tokens: int | None = None
    profile: str = "default"
    expires: int | None = None
    may_set_user: bool = False
    disabled: bool = False
    revoked: int | None = None
    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A public model name and where it goes. `upstream` is the name the provider knows; no credential: one of the provider's.

    `prices`: the last that holds at a moment is that moment's. In the estate these are the declared ones only; a plane gets
    those of the price list too (controlplane/estate/price_list.py), of the entry that `priced_as` names where it names one.
    """

    name: str
    provider: str
    credential: str
    upstream: str
    prices: tuple[Price, ...] = ()
    priced_as: str = ""

    def price_at(self, seconds: int) -> Price | None:
        """The price at a moment, in seconds of the Unix epoch; None where none is known."""
        return price_at(self.prices, seconds)


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """A provider's secret, sealed. `sealed` is base64 of custody's record format.

    `project` ("team/project"): only for exchanges of that project, which then use no other. `draining`: for no new exchange.
    """

    name: str
    provider: str
    sealed: str
    version: int
    project: str = ""
    draining: bool = False


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """Where a provider is. `url` has no trailing slash; its path is put in front of the dialect's.

    `insecure`: plain HTTP to another machine is meant. `private`: an address in a private range is meant.
    """

    name: str
    dialect: str
    url: str
    insecure: bool = False
    private: bool = False


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """What an environment may keep (`content`: full | none; ages as declared, such as 30d), and whether a model without a price may run."""

    name: str
    zero_data_retention: bool = False
    content: str = ""
    keep_rows: str = ""
    keep_content: str = ""
    unpriced: bool = False


@dataclass(frozen=True, slots=True)
class TeamRecord:
    """A team and its projects. `disabled`: none of its keys works; `disabled_projects`: none of theirs."""

    name: str
    projects: tuple[str, ...] = ()
    disabled: bool = False
    disabled_projects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileRecord:
    """Actions on personal data by kind; `*` stands for the kinds not named."""

    name: str
    prompt: Mapping[str, str]
    answer: Mapping[str, str]
    unscanned: str


DEFAULT_PROFILE = ProfileRecord("default", {"*": "redact"}, {"*": "redact"}, "block")

Record = KeyRecord | ModelRecord | CredentialRecord | ProviderRecord | EnvironmentRecord | TeamRecord | ProfileRecord

RECORDS: Final[Mapping[str, type[Record]]] = {
    "provider": ProviderRecord,
    "credential": CredentialRecord,
    "model": ModelRecord,
    "environment": EnvironmentRecord,
    "team": TeamRecord,
    "profile": ProfileRecord,
    "key": KeyRecord,
}
"""Kind → its record, in an order in which none names a later one's."""

_TUPLES: Final = frozenset({"models", "routes", "providers", "addresses", "projects", "disabled_projects"})


def document(record: Record) -> dict[str, Any]:
    """The record as a JSON object."""
    return asdict(record)


def record_of(kind: str, document: Mapping[str, Any]) -> Record:
    """Read what `document` wrote. A record of another shape raises TypeError or KeyError."""
    found: dict[str, Any] = {name: tuple(value) if name in _TUPLES else value for name, value in document.items()}
    if kind == "key":
        found["secrets"] = tuple(LiveSecret(**secret) for secret in found["secrets"])
    if "prices" in found:
        found["prices"] = tuple(price_of(price) for price in found["prices"])
    return RECORDS[kind](**found)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole of it. `peppers` are sealed, by version; `keys` is by public id, the rest by name."""

    revision: str
    organisation: str = ""
    peppers: Mapping[int, str] = field(default_factory=dict)
    keys: Mapping[str, KeyRecord] = field(default_factory=dict)
    models: Mapping[str, ModelRecord] = field(default_factory=dict)
    credentials: Mapping[str, CredentialRecord] = field(default_factory=dict)
    providers: Mapping[str, ProviderRecord] = field(default_factory=dict)
    environments: Mapping[str, EnvironmentRecord] = field(default_factory=dict)
    teams: Mapping[str, TeamRecord] = field(default_factory=dict)
    profiles: Mapping[str, ProfileRecord] = field(default_factory=dict)
