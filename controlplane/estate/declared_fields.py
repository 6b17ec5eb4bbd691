"""A record as people see it: the fields of the declarative file, without those that stand at their default, and without any secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from contracts.snapshot import (
    DEFAULT_PROFILE,
    CredentialRecord,
    EnvironmentRecord,
    KeyRecord,
    ModelRecord,
    ProfileRecord,
    ProviderRecord,
    Record,
    TeamRecord,
)
from controlplane.estate import declared_values as values
from controlplane.estate.declared_prices import prices_shown


def fields_of(record: Record) -> dict[str, Any]:
    """The fields in the file's order; declared_readers.py reads them back. A credential's `secret` is not among them."""
    return {name: value for name, value in _FIELDS[type(record)](record).items() if value not in (None, False, "", [], {})}


def _provider(record: ProviderRecord) -> dict[str, Any]:
    return {"dialect": record.dialect, "url": record.url, "insecure": record.insecure, "private": record.private}


def _credential(record: CredentialRecord) -> dict[str, Any]:
    return {"provider": record.provider, "project": record.project, "draining": record.draining}


def _model(record: ModelRecord) -> dict[str, Any]:
    return {
        "provider": record.provider,
        "credential": record.credential,
        "model": "" if record.upstream == record.name else record.upstream,
        "price": prices_shown(record.prices) if record.prices else None,
        "priced_as": record.priced_as,
    }


def _environment(record: EnvironmentRecord) -> dict[str, Any]:
    kept = {"rows": record.keep_rows, "content": record.keep_content}
    return {
        "content": record.content,
        "retention": {name: age for name, age in kept.items() if age},
        "zero_data_retention": record.zero_data_retention,
        "unpriced": "allow" if record.unpriced else "",
    }


def _team(record: TeamRecord) -> dict[str, Any]:
    projects = {name: {"disabled": True} if name in record.disabled_projects else {} for name in record.projects}
    return {"disabled": record.disabled, "projects": projects}


def _profile(record: ProfileRecord) -> dict[str, Any]:
    return {"prompt": dict(record.prompt), "answer": dict(record.answer), "unscanned": record.unscanned}


def _key(record: KeyRecord) -> dict[str, Any]:
    return {
        "team": record.team,
        "project": record.project,
        "environment": record.environment,
        "models": list(record.models),
        "routes": list(record.routes),
        "providers": list(record.providers),
        "addresses": list(record.addresses),
        "max_tokens": record.max_tokens,
        "profile": "" if record.profile == DEFAULT_PROFILE.name else record.profile,
        "expires": None if record.expires is None else values.when(record.expires),
        "may_set_user": record.may_set_user,
        "disabled": record.disabled,
        "owner": record.owner,
        "labels": dict(record.labels),
    }


_FIELDS: Final[Mapping[type[Record], Callable[[Any], dict[str, Any]]]] = {
    ProviderRecord: _provider,
    CredentialRecord: _credential,
    ModelRecord: _model,
    EnvironmentRecord: _environment,
    TeamRecord: _team,
    ProfileRecord: _profile,
    KeyRecord: _key,
}
