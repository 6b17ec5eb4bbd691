"""As much of JSON Schema (2020-12) as openapi.json uses: enough to hold answers to what it says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

KNOWN = {
    "$ref", "additionalProperties", "anyOf", "default", "description", "enum", "examples", "format", "items", "maximum", "minimum",
    "minProperties", "properties", "required", "type", "writeOnly",
}  # fmt: skip
"""Words that may stand in a schema here: one that is misspelt would be no complaint of anybody else."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "null": (type(None),),
}  # fmt: skip


def faults(document: Mapping[str, Any], schema: Mapping[str, Any], value: Any, path: str = "$") -> Iterator[str]:
    """What of `value` is not as `schema`, of that OpenAPI document, says."""
    if "$ref" in schema:
        yield from faults(document, resolved(document, schema["$ref"]), value, path)
        return
    if "anyOf" in schema and all(list(faults(document, choice, value, path)) for choice in schema["anyOf"]):
        yield f"{path}: fits no choice"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if "type" in schema and not _is_a(value, schema["type"]):
        yield f"{path}: {value!r} is no {schema['type']}"
    elif isinstance(value, dict):
        yield from _object_faults(document, schema, value, path)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from faults(document, schema.get("items", {}), item, f"{path}[{number}]")


def _object_faults(document: Mapping[str, Any], schema: Mapping[str, Any], value: Mapping[str, Any], path: str) -> Iterator[str]:
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    yield from (f"{path}.{name}: is missing" for name in schema.get("required", ()) if name not in value)
    for name, inner in value.items():
        if name in properties:
            yield from faults(document, properties[name], inner, f"{path}.{name}")
        elif rest is False:
            yield f"{path}.{name}: is not described"
        elif isinstance(rest, dict):
            yield from faults(document, rest, inner, f"{path}.{name}")


def strict(document: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an answer, in which no property may be missing that answers have: what is not described is a fault."""
    if "$ref" in schema:
        return strict(document, resolved(document, schema["$ref"]))
    found = {name: strict(document, inner) if name == "items" else inner for name, inner in schema.items()}
    if "properties" in schema:
        found["properties"] = {name: strict(document, inner) for name, inner in schema["properties"].items()}
        found["additionalProperties"] = False
    return found


def resolved(document: Mapping[str, Any], reference: str) -> Any:
    """What a reference within the document names."""
    found: Any = document
    for word in reference.removeprefix("#/").split("/"):
        found = found[word]
    return found


def schemas_in(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every schema in a part of the document."""
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == "schema":
                yield from _nested(inner)
            elif name == "schemas":
                for schema in inner.values():
                    yield from _nested(schema)
            elif name not in {"example", "examples"}:
                yield from schemas_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from schemas_in(inner)


def _nested(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from _nested(inner)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from _nested(schema[name])
    for inner in schema.get("anyOf", ()):
        yield from _nested(inner)


def _is_a(value: Any, kinds: str | list[str]) -> bool:
    named = [kinds] if isinstance(kinds, str) else kinds
    return any(isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in named)
