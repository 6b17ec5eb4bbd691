"""What callers of the API send, as types: the bodies are read by them, and openapi.json is made from them.

A field's `about` says what it means; a field without a default must be there. A PATCH takes the fields of its type that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from controlplane.api.price_schema import PRICE_GIVEN
from controlplane.api.reader import Moment
from custody.secret import Secret

PRICE: Final = {"input": 0.15, "output": 0.6}
GRACE_S: Final = 1800
"""How long a rotation leaves the old secret alive, unless told otherwise."""


def about(text: str, **more: Any) -> dict[str, Any]:
    """Metadata of a field: what it means, and what a schema should say besides."""
    return {"about": text, **more}


@dataclass(frozen=True, slots=True)
class Apply:
    """A declarative file to be made so."""

    document: str = field(metadata=about("The file's text.", examples=["organisation: acme\n"]))
    file: str = field(default="-", metadata=about("The file's name, for the lines of problems."))
    secrets: Mapping[str, Secret] = field(default_factory=dict, metadata=about("Credentials' secrets, by the credential's name."))
    dry_run: bool = field(default=False, metadata=about("Answer with the plan and change nothing."))


@dataclass(frozen=True, slots=True)
class OrganisationBody:
    """Whose gate this is."""

    name: str = field(metadata=about("Its name, as rows of the audit have it.", examples=["acme"]))


@dataclass(frozen=True, slots=True)
class ProviderBody:
    """Where a provider is."""

    dialect: str = field(metadata=about("openai or anthropic.", examples=["openai"]))
    url: str = field(metadata=about("Scheme, host, port and path.", examples=["https://api.openai.com/v1"]))
    insecure: bool = field(default=False, metadata=about("Plain HTTP to another machine is meant."))
    private: bool = field(default=False, metadata=about("An address in a private range is meant."))


@dataclass(frozen=True, slots=True)
class CredentialBody:
    """A provider's secret. It is sealed as it arrives, and no call shows it again."""

    provider: str = field(metadata=about("The provider that it opens.", examples=["openai"]))
    secret: Secret = field(metadata=about("The secret itself."))
    project: str = field(default="", metadata=about("`team/project`: only for exchanges of that project, which then use no other."))
    draining: bool = field(default=False, metadata=about("For no new exchange."))


@dataclass(frozen=True, slots=True)
class CredentialChange:
    """What of a credential can be changed beside its secret."""

    draining: bool = field(default=False, metadata=about("For no new exchange."))
    project: str = field(default="", metadata=about("`team/project`; empty: for every project."))


@dataclass(frozen=True, slots=True)
class CredentialSecret:
    """Another secret for a credential."""

    secret: Secret = field(metadata=about("The new secret. Exchanges under way end with the one they began with."))


@dataclass(frozen=True, slots=True)
class EnvironmentBody:
    """What an environment may keep."""

    zero_data_retention: bool = field(default=False, metadata=about("Nothing of a prompt or an answer is kept."))
    content: str = field(default="", metadata=about("full or none."))
    keep_rows: str = field(default="", metadata=about("How long rows are kept.", examples=["400d"]))
    keep_content: str = field(default="", metadata=about("How long content is kept.", examples=["3d"]))
    unpriced: bool = field(default=False, metadata=about("A model without a price may run."))


@dataclass(frozen=True, slots=True)
class TeamBody:
    """A team and its projects."""

    projects: tuple[str, ...] = field(default=(), metadata=about("Names of its projects.", examples=[["ranking"]]))
    disabled: bool = field(default=False, metadata=about("None of its keys works."))
    disabled_projects: tuple[str, ...] = field(default=(), metadata=about("Projects none of whose keys works."))


@dataclass(frozen=True, slots=True)
class ProjectBody:
    """A team's project."""

    disabled: bool = field(default=False, metadata=about("None of its keys works."))


@dataclass(frozen=True, slots=True)
class ProfileBody:
    """Actions on personal data by kind; `*` stands for the kinds not named."""

    prompt: Mapping[str, str] = field(metadata=about("Kind → action, for what an app sends.", examples=[{"*": "redact"}]))
    answer: Mapping[str, str] = field(metadata=about("Kind → action, for what a model answers.", examples=[{"*": "redact"}]))
    unscanned: str = field(default="block", metadata=about("For parts that can't be scanned: allow, alert or block."))


@dataclass(frozen=True, slots=True)
class ModelBody:
    """A public model name and where it goes."""

    provider: str = field(metadata=about("The provider.", examples=["openai"]))
    credential: str = field(default="", metadata=about("The credential; empty: one of the provider's."))
    model: str = field(default="", metadata=about("The name the provider knows; empty: the public one."))
    priced_as: str = field(default="", metadata=about("The entry of the price list, where the provider's URL does not tell it."))
    price: Any = field(
        default=None,
        metadata=about(
            "As in a declarative file: US dollars for a million tokens, by class; null: of the price list.", examples=[PRICE], **PRICE_GIVEN
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What of a virtual key can be changed."""

    models: tuple[str, ...] = field(default=(), metadata=about("Names of models, or patterns with one `*`.", examples=[["gpt-4o*"]]))
    routes: tuple[str, ...] = field(default=(), metadata=about("Routes; none: all of them."))
    providers: tuple[str, ...] = field(default=(), metadata=about("Providers; none: all of them."))
    addresses: tuple[str, ...] = field(default=(), metadata=about("Source networks (CIDR); none: all of them.", examples=[["10.0.0.0/8"]]))
    max_tokens: int | None = field(default=None, metadata=about("The most output tokens that one request may ask for."))
    profile: str = field(default="default", metadata=about("Its profile of personal data."))
    expires: Moment | None = field(default=None, metadata=about("When it ends.", examples=["2027-01-01"]))
    may_set_user: bool = field(default=False, metadata=about("Apps may name the end user."))
    disabled: bool = field(default=False, metadata=about("It does not work for now."))
    owner: str = field(default="", metadata=about("Whom to ask about it."))
    labels: Mapping[str, str] = field(default_factory=dict, metadata=about("Whatever your scripts want to find it by."))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBody(KeyChange):
    """A virtual key to be made."""

    name: str = field(metadata=about("Its name.", examples=["ranking-dev"]))
    team: str = field(metadata=about("Its team.", examples=["search"]))
    project: str = field(metadata=about("The team's project.", examples=["ranking"]))
    environment: str = field(metadata=about("Its environment.", examples=["dev"]))
    models: tuple[str, ...] = field(metadata=about("Names of models, or patterns with one `*`.", examples=[["gpt-4o*"]]))


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """How a key gets another secret."""

    grace_s: int = field(default=GRACE_S, metadata=about("How long the old secret still works, in seconds; 0: not at all.", minimum=0))


@dataclass(frozen=True, slots=True)
class VaultRotation:
    """What the vault should make anew."""

    what: Literal["kek", "pepper"] = field(metadata=about("kek: the key that seals; pepper: what the keys' hashes are made with."))


@dataclass(frozen=True, slots=True)
class PlaneBody:
    """A data plane on another machine."""

    name: str = field(metadata=about("Its name.", examples=["berlin-1"]))
    projects: tuple[str, ...] = field(
        default=(), metadata=about("`team/project` of each whose records it gets; none: all.", examples=[["search/ranking"]])
    )


@dataclass(frozen=True, slots=True)
class Question:
    """Read-only SQL for the audit database."""

    sql: str = field(metadata=about("One statement.", examples=["SELECT count() FROM audit.requests"]))
