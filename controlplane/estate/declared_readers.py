"""Entries of a declarative file, read into records: texts get their types here; what they may say is checked in declared_checks.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

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
from controlplane.estate.declared import SecretSource
from controlplane.estate.declared_prices import prices_at
from extproc.yaml_lines import Item

Fields = Mapping[str, Item]

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "provider": ("dialect", "url", "insecure", "private"),
    "credential": ("provider", "secret", "project", "draining"),
    "model": ("provider", "credential", "model", "price", "priced_as"),
    "environment": ("content", "retention", "zero_data_retention", "unpriced"),
    "team": ("disabled", "projects"),
    "profile": ("prompt", "answer", "unscanned"),
    "key": (
        "team", "project", "environment", "models", "routes", "providers", "addresses", "max_tokens", "profile",
        "expires", "may_set_user", "disabled", "owner", "labels",
    ),
}  # fmt: skip
"""Kind → the fields of its entries, in the order in which people read them."""

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "provider": ("dialect", "url"),
    "credential": ("provider", "secret"),
    "model": ("provider",),
    "environment": (),
    "team": (),
    "profile": ("prompt", "answer"),
    "key": ("team", "project", "environment", "models"),
}


def record_at(kind: str, item: Item, name: str) -> Record:
    """The record that an entry declares; what can't be read of it is noted, and empty."""
    return _READERS[kind](name, item.fields(FIELDS[kind], REQUIRED[kind]))


def source_at(item: Item) -> SecretSource:
    """Where a credential's secret is. What is wrong with it is noted."""
    secret = item.entries().get("secret")
    if secret is None:  # which reading the record has noted
        return SecretSource("env", "", item.line)
    places = secret.fields(("env", "file"))
    if len(places) != 1:
        secret.wrong("must say where the secret is: {env: NAME} or {file: PATH}; the secret itself never stands here")
        return SecretSource("env", "", item.line)
    ((kind, place),) = places.items()
    return SecretSource(kind, place.text() or "", place.line)


def _text(fields: Fields, name: str) -> str:
    return (fields[name].text() or "") if name in fields else ""


def _flag(fields: Fields, name: str) -> bool:
    return name in fields and fields[name].flag()


def _texts(item: Item) -> tuple[str, ...]:
    """One for each item of a list, so that they can be told by their number; an empty one where it can't be read."""
    return tuple(entry.text() or "" for entry in item.items())


def _table(fields: Fields, name: str) -> dict[str, str]:
    return {key: entry.text() or "" for key, entry in fields[name].entries().items()} if name in fields else {}


def _provider(name: str, fields: Fields) -> ProviderRecord:
    return ProviderRecord(name, _text(fields, "dialect"), _text(fields, "url"), _flag(fields, "insecure"), _flag(fields, "private"))


def _credential(name: str, fields: Fields) -> CredentialRecord:
    return CredentialRecord(name, _text(fields, "provider"), "", 0, _text(fields, "project"), _flag(fields, "draining"))


def _model(name: str, fields: Fields) -> ModelRecord:
    return ModelRecord(
        name,
        _text(fields, "provider"),
        _text(fields, "credential"),
        upstream=_text(fields, "model") or name,
        prices=prices_at(fields["price"]) if "price" in fields else (),
        priced_as=_text(fields, "priced_as"),
    )


def _environment(name: str, fields: Fields) -> EnvironmentRecord:
    kept = fields["retention"].fields(("rows", "content")) if "retention" in fields else {}
    return EnvironmentRecord(
        name,
        zero_data_retention=_flag(fields, "zero_data_retention"),
        content=_text(fields, "content"),
        keep_rows=_text(kept, "rows"),
        keep_content=_text(kept, "content"),
        unpriced="unpriced" in fields and bool(fields["unpriced"].read(values.unpriced)),
    )


def _team(name: str, fields: Fields) -> TeamRecord:
    projects = fields["projects"].entries() if "projects" in fields else {}
    disabled = tuple(project for project, item in projects.items() if _flag(item.fields(("disabled",)), "disabled"))
    return TeamRecord(name, tuple(projects), _flag(fields, "disabled"), disabled)


def _profile(name: str, fields: Fields) -> ProfileRecord:
    unscanned = _text(fields, "unscanned") if "unscanned" in fields else DEFAULT_PROFILE.unscanned
    return ProfileRecord(name, _table(fields, "prompt"), _table(fields, "answer"), unscanned)


def _key(name: str, fields: Fields) -> KeyRecord:
    return KeyRecord(
        id="",
        name=name,
        secrets=(),
        team=_text(fields, "team"),
        project=_text(fields, "project"),
        environment=_text(fields, "environment"),
        models=_texts(fields["models"]) if "models" in fields else (),
        routes=_some(fields, "routes"),
        providers=_some(fields, "providers"),
        addresses=_texts(fields["addresses"]) if "addresses" in fields and not fields["addresses"].null else (),
        max_tokens=fields["max_tokens"].read(values.whole) if "max_tokens" in fields else None,
        profile=_text(fields, "profile") if "profile" in fields else DEFAULT_PROFILE.name,
        expires=fields["expires"].read(values.moment) if "expires" in fields else None,
        may_set_user=_flag(fields, "may_set_user"),
        disabled=_flag(fields, "disabled"),
        owner=_text(fields, "owner"),
        labels=_table(fields, "labels"),
    )


def _some(fields: Fields, name: str) -> tuple[str, ...]:
    """A list that must not be empty: someone could take that for none, and it would be all."""
    if name not in fields:
        return ()
    found = _texts(fields[name])
    if not found:
        fields[name].wrong(f"names no {name.removesuffix('s')}, so the key could use none; leave the field out for all of them")
    return found


_READERS: Final[Mapping[str, Callable[[str, Fields], Record]]] = {
    "provider": _provider,
    "credential": _credential,
    "model": _model,
    "environment": _environment,
    "team": _team,
    "profile": _profile,
    "key": _key,
}
