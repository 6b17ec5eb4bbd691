"""JSON schema of `input`, made from contracts/policy.py: `opa check --schema` finds a misspelt field with it.

The shape is that of PolicyInput.document() itself, asked with one specimen value for each field's type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, get_type_hints

from contracts.policy import PolicyInput, Principal

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"


class _Maybe(int):
    """Specimen of `int | None`."""


_SPECIMENS: Final[dict[Any, object]] = {
    str: "",
    bool: False,
    int: 0,
    int | None: _Maybe(),
    tuple[str, ...]: ("",),
    Mapping[str, int]: {"*": 0},
    Mapping[str, str]: {"*": ""},
    Principal: Principal("", "", "", "", "", "", ""),
}


def input_schema() -> dict[str, object]:
    """The schema. A field of a type that has no specimen raises KeyError: add one above."""
    specimen = PolicyInput(**{name: _SPECIMENS[hint] for name, hint in get_type_hints(PolicyInput).items()})  # type: ignore[arg-type]
    return {"$schema": _DRAFT, "title": "input of data.gateway.verdict", **_schema(specimen.document())}


def schema_text() -> str:
    """What policies/schemas/input.json must hold."""
    return json.dumps(input_schema(), indent=2) + "\n"


def _schema(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, list):
        return {"type": "array", "items": _schema(value[0])}
    if isinstance(value, _Maybe):
        # Not a list of types: OPA's check would read the first of them alone, and find fault with `== null`.
        return {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    return {"type": {str: "string", bool: "boolean", int: "integer"}[type(value)]}


def _object(value: dict[str, object]) -> dict[str, object]:
    if value.keys() == {"*"}:
        return {"type": "object", "additionalProperties": _schema(value["*"])}
    fields = {name: _schema(field) for name, field in value.items()}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
