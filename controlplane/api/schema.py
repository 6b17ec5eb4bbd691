"""JSON Schemas (2020-12) of types: of the bodies that callers send, and of the records that answers show."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Final

from controlplane.api.reader import Moment
from custody.secret import Secret

_SINGLE: Final[Mapping[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    Moment: {"type": ["integer", "string"], "description": "Seconds of the Unix epoch, or a date such as 2027-01-01."},
    Secret: {"type": "string", "format": "password", "writeOnly": True},
    types.NoneType: {"type": "null"},
    Any: {},
}


def schema_of(kind: Any) -> dict[str, Any]:
    """The schema of a type: of a single value, an array, an object of any names, a choice, or a dataclass."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return _choice(inner)
    if origin in {tuple, list}:
        return {"type": "array", "items": schema_of(inner[0])}
    if origin in {Mapping, dict}:
        return {"type": "object", "additionalProperties": schema_of(inner[1])}
    if origin is typing.Literal:
        return {"enum": list(inner)}
    if is_dataclass(kind):
        return body(typing.cast("type", kind))
    return dict(_SINGLE[kind])


def body(kind: type, *, partial: bool = False) -> dict[str, Any]:
    """The schema of a dataclass as a body: its fields and no others; of a `partial` one at least one."""
    found: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties(kind)}
    if kind.__doc__:
        found["description"] = kind.__doc__.strip().splitlines()[0]
    needed = [entry.name for entry in fields(kind) if entry.default is MISSING and entry.default_factory is MISSING]
    if partial:
        found["minProperties"] = 1
    elif needed:
        found["required"] = needed
    return found


def properties(kind: type, hidden: Sequence[str] = ()) -> dict[str, Any]:
    """Field → its schema, with what its metadata says; without those that are `hidden`."""
    hints = typing.get_type_hints(kind)
    found = {}
    for entry in fields(kind):
        if entry.name in hidden:
            continue
        more = dict(entry.metadata)
        told = {"description": more.pop("about")} if "about" in more else {}
        found[entry.name] = {**schema_of(hints[entry.name]), **told, **more}
    return found


def shown(kind: type, hidden: Sequence[str] = (), more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The schema of a dataclass as an answer: each of its fields is there, but for the `hidden`; `more` properties beside them."""
    found = {**properties(kind, hidden), **(more or {})}
    return {"type": "object", "properties": found, "required": list(found)}


def _choice(kinds: Sequence[Any]) -> dict[str, Any]:
    schemas = [schema_of(kind) for kind in kinds]
    if all(isinstance(schema.get("type"), str) and len(schema) == 1 for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}
