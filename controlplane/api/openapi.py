"""openapi.json (OpenAPI 3.1), made of the endpoints and of the types that they read and show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final

from contracts import VERSION
from controlplane.api.answers import SCHEMAS, ref
from controlplane.api.endpoint import BASE, Endpoint
from controlplane.api.problems import MEDIA_TYPE
from controlplane.api.schema import body

_ALWAYS: Final = (401, 421, 500, 503)
"""What any call may be refused with."""
_NAME: Final = re.compile(r"\{(\w+)\}")
_EXAMPLE: Final = {"type": "about:blank", "title": "Not Found", "status": 404, "code": "not_found", "detail": "There is no key 'ranking'."}


def openapi(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(f"{BASE}{endpoint.path}", {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Portcullis control API", "version": VERSION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "security": [{"admin": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "admin": {"type": "http", "scheme": "bearer", "description": "The admin token, of DATA/vault/admin-token."}
            },
            "schemas": dict(SCHEMAS),
            "responses": {"problem": _problem()},
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "parameters": list(_parameters(endpoint)),
        "responses": {str(status): _answer(endpoint, status) for status in endpoint.statuses},
    }
    if endpoint.takes is not None:
        schema = body(endpoint.takes, partial=endpoint.partial)
        content: dict[str, Any] = {"schema": schema}
        example = {name: entry["examples"][0] for name, entry in schema["properties"].items() if "examples" in entry}
        if example:
            content["example"] = example
        found["requestBody"] = {"required": not endpoint.optional_body, "content": {"application/json": content}}
    refused = {*_ALWAYS, *endpoint.refuses, *((400, 413) if endpoint.takes or endpoint.query else ())}
    found["responses"] |= {str(status): {"$ref": "#/components/responses/problem"} for status in sorted(refused)}
    return found


def _operation_id(endpoint: Endpoint) -> str:
    words = [word for word in re.split(r"[^A-Za-z0-9]+", endpoint.path) if word]
    return "_".join([endpoint.method.lower(), *words])


def _parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for name in _NAME.findall(endpoint.path):
        told = "Percent-encoded; it may hold slashes."
        yield {"name": name, "in": "path", "required": True, "description": told, "schema": {"type": "string"}}
    for query in endpoint.query:
        yield {"name": query.name, "in": "query", "required": False, "description": query.about, "schema": dict(query.schema)}
    headers = {
        "If-Match": (endpoint.if_match, "The ETag of the record that is meant; another one is refused with 412."),
        "If-None-Match": (endpoint.if_none_match, "`*`: there must be no such record yet; else 412."),
        "Idempotency-Key": (endpoint.idempotent, "The same call under the same key gets the same answer for 24 hours, and is made once."),
    }
    for name, (heeded, told) in headers.items():
        if heeded:
            yield {"name": name, "in": "header", "required": False, "description": told, "schema": {"type": "string"}}


def _answer(endpoint: Endpoint, status: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {endpoint.media: {"schema": dict(endpoint.gives)}},
    }
    if endpoint.etag:
        found["headers"] = {"ETag": {"description": "The record's version.", "schema": {"type": "string"}}}
    return found


def _problem() -> dict[str, Any]:
    return {
        "description": "A problem (RFC 9457): `code` for programs, `detail` for people, `errors` where fields are to blame.",
        "content": {MEDIA_TYPE: {"schema": ref("problem"), "example": _EXAMPLE}},
    }
