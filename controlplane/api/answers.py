"""What answers show of the estate: every field of a record but its secrets, and what is kept beside it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.snapshot import RECORDS, CredentialRecord, KeyRecord, ModelRecord, ProviderRecord, Record, document
from controlplane.api.endpoint import Schema
from controlplane.api.price_schema import PRICE_SHOWN, PRICES_SHOWN
from controlplane.api.schema import schema_of, shown
from controlplane.estate import Estate, Kept, kind_of
from controlplane.estate.holds import covers
from controlplane.estate.price_sheet import price_sheet

HIDDEN: Final[Mapping[str, Sequence[str]]] = {"credential": ("sealed", "version"), "key": ("secrets",), "model": ("prices",)}
"""Fields that no answer shows. A credential's own version is `secret_version` there: `version` is the record's."""

_KEPT: Final[Mapping[str, Schema]] = {
    "version": {"type": "integer", "description": "Grows by one with each change; its ETag."},
    "created": {"type": "integer", "description": "Seconds of the Unix epoch."},
    "creator": {"type": "string"},
    "origin": {"enum": ["file", "api"], "description": "file: a declarative file that no longer names it removes it."},
}
_MORE: Final[Mapping[str, Mapping[str, Schema]]] = {
    "credential": {"secret_version": {"type": "integer", "description": "Grows by one with each new secret."}},
    "key": {
        "status": {"enum": ["active", "disabled", "expired", "revoked"]},
        "old_secret_until": {"type": ["integer", "null"], "description": "Until when a rotation left the secret before alive."},
    },
    "model": {
        "price": {
            "anyOf": [PRICE_SHOWN, {"type": "null"}],
            "description": "Of now, in US dollars for a million tokens; null where none is known.",
        },
        "prices": {**PRICES_SHOWN, "description": "All of them; the last that holds at a moment counts."},
        "context": {"type": ["integer", "null"], "description": "Tokens that it reads at most, where that is known."},
        "keys": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
            "description": "Team → its keys that may use it.",
        },
    },
}


def record_schema(kind: str) -> Schema:
    """The schema of `record_document`."""
    return shown(RECORDS[kind], HIDDEN.get(kind, ()), {**_MORE.get(kind, {}), **_KEPT})


def record_document(estate: Estate, kept: Kept, now: int) -> dict[str, Any]:
    """A record as an answer. `now`: seconds of the Unix epoch."""
    record = kept.record
    kind = kind_of(record)
    found = {name: value for name, value in document(record).items() if name not in HIDDEN.get(kind, ())}
    beside = {"version": kept.version, "created": kept.created, "creator": kept.creator, "origin": kept.origin}
    return {**found, **_more(estate, record, now), **beside}


def _more(estate: Estate, record: Record, now: int) -> dict[str, Any]:
    match record:
        case CredentialRecord():
            return {"secret_version": record.version}
        case KeyRecord():
            return {"status": status(estate, record, now), "old_secret_until": old_secret_until(record, now)}
        case ModelRecord():
            return _priced(estate, record, now) | {"keys": users(estate, record)}
    return {}


def _priced(estate: Estate, record: ModelRecord, now: int) -> dict[str, Any]:
    kept = estate.of("provider").get(record.provider)
    if kept is None or not isinstance(kept.record, ProviderRecord):
        return {"price": None, "prices": [], "context": None}
    sheet = price_sheet(record, kept.record, now)
    return {name: sheet[name] for name in ("price", "prices", "context")}


def status(estate: Estate, record: KeyRecord, now: int) -> str:
    """Whether a key works, and why not. A key of a disabled team or project is disabled."""
    team = estate.of("team").get(record.team)
    off = team is not None and (getattr(team.record, "disabled", False) or record.project in getattr(team.record, "disabled_projects", ()))
    if record.revoked is not None:
        return "revoked"
    if record.expires is not None and record.expires <= now:
        return "expired"
    return "disabled" if record.disabled or off else "active"


def old_secret_until(record: KeyRecord, now: int) -> int | None:
    """Until when the secret before the one in force still works."""
    ends = [secret.until for secret in record.secrets[1:] if secret.until is not None and secret.until > now]
    return max(ends, default=None)


def users(estate: Estate, model: ModelRecord) -> dict[str, list[str]]:
    """The keys that may use a model, by team; disabled ones too, revoked ones not."""
    found: dict[str, list[str]] = {}
    for key in estate.each(KeyRecord):
        if key.revoked is not None or (key.providers and model.provider not in key.providers):
            continue
        if any(covers(pattern, model.name) for pattern in key.models):
            found.setdefault(key.team, []).append(key.name)
    return found


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXTS: Final = {"type": "array", "items": {"type": "string"}}
SCHEMAS: Final[Mapping[str, Schema]] = {
    **{kind: record_schema(kind) for kind in RECORDS},
    "change": _object(sign={"enum": ["+", "~", "-"]}, kind={"type": "string"}, name={"type": "string"}, fields=_TEXTS),
    "plane_report": _object(
        plane={"type": "string"},
        revision={"type": "string"},
        problem={"type": "string", "description": "Empty: the change is in force there."},
    ),
    "problem": {
        **_object(
            type={"type": "string"}, title={"type": "string"}, status={"type": "integer"},
            code={"type": "string", "description": "For programs."}, detail={"type": "string", "description": "For people."},
            errors={"type": "array", "items": _object(field={"type": "string"}, detail={"type": "string"})},
            dependents={"type": "array", "items": _object(kind={"type": "string"}, name={"type": "string"})},
        ),
        "required": ["type", "title", "status", "code", "detail"],
    },
}  # fmt: skip
"""Schemas that others refer to."""


def ref(name: str) -> Schema:
    """A reference to one of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


def change_schema(**more: Schema) -> Schema:
    """The schema of an answer to a change: what changed, what each plane said, and what else is in it."""
    told = {"changes": {"type": "array", "items": ref("change")}, "planes": {"type": "array", "items": ref("plane_report")}}
    return _object(**more, **told)


def listing(of: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": of}


def exactly(**properties: Any) -> Schema:
    """An object of these properties."""
    return _object(**{name: value if isinstance(value, Mapping) else schema_of(value) for name, value in properties.items()})
