"""openapi.json: describes each endpoint and nothing else, and answers are what it says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aiohttp import web

from contracts.settings import Settings
from controlplane.admin_token import AdminToken
from controlplane.api.app import OPEN, make_app
from controlplane.api.routes import endpoints
from controlplane.governance import Governance
from controlplane.planes import Planes
from controlplane.state import State
from controlplane.vault.beside import rotation_of
from tests.contract.control_parts import FILE, ControlPart
from tests.contract.openapi_parts import KNOWN, faults, resolved, schemas_in, strict

KEY = {"name": "k", "team": "search", "project": "ranking", "environment": "dev", "models": ["*"]}
API = "/api/v1"
PRICES = [
    {"input": 0.15, "output": "0.6", "cache_read": 0, "above": {"200000": {"input": 1, "output": 2}}, "web_search": 10},
    {"input": 0.1, "output": 0.5, "from": "2027-01-01"},
]
CALLS: list[tuple[str, str, Any, int]] = [
    ("POST", "/apply", {"document": FILE, "secrets": {"main": "sk-planted-8841"}}, 200),
    ("PUT", "/organisation", {"name": "umbrella"}, 200),
    ("GET", "/organisation", None, 200),
    ("GET", "/keys", None, 200),
    ("POST", "/keys", KEY, 201),
    ("GET", "/keys/k", None, 200),
    ("PATCH", "/keys/k", {"owner": "ada", "labels": {"a": "b"}, "expires": "2030-01-01"}, 200),
    ("POST", "/keys/k/rotate", {"grace_s": 60}, 200),
    ("POST", "/keys/k/revoke", None, 200),
    ("DELETE", "/keys/k", None, 200),
    ("GET", "/providers", None, 200),
    ("PUT", "/providers/p", {"dialect": "openai", "url": "https://api.openai.com/v1"}, 201),
    ("PATCH", "/providers/p", {"private": True}, 200),
    ("GET", "/providers/p", None, 200),
    ("PUT", "/credentials/c", {"provider": "p", "secret": "sk-planted-8842"}, 201),
    ("POST", "/credentials/c/rotate", {"secret": "sk-planted-8843"}, 200),
    ("PATCH", "/credentials/c", {"draining": True}, 200),
    ("GET", "/credentials", None, 200),
    ("GET", "/credentials/c", None, 200),
    ("DELETE", "/credentials/c", None, 200),
    ("PUT", "/models/m%2F1", {"provider": "p", "model": "gpt-4o-mini"}, 201),
    ("PATCH", "/models/m%2F1", {"price": PRICES, "priced_as": "openai/gpt-4o-mini"}, 200),
    ("GET", "/models", None, 200),
    ("GET", "/models/m%2F1", None, 200),
    ("DELETE", "/models/m%2F1", None, 200),
    ("DELETE", "/providers/p", None, 200),
    ("PUT", "/environments/e", {"unpriced": True}, 201),
    ("PATCH", "/environments/e", {"unpriced": False}, 200),
    ("GET", "/environments", None, 200),
    ("GET", "/environments/e", None, 200),
    ("DELETE", "/environments/e", None, 200),
    ("PUT", "/teams/t", {"projects": ["one"]}, 201),
    ("PATCH", "/teams/t", {"disabled": True}, 200),
    ("PUT", "/teams/t/projects/two", None, 200),
    ("PATCH", "/teams/t/projects/two", {"disabled": True}, 200),
    ("DELETE", "/teams/t/projects/two", None, 200),
    ("GET", "/teams", None, 200),
    ("GET", "/teams/t", None, 200),
    ("DELETE", "/teams/t", None, 200),
    ("PUT", "/profiles/q", {"prompt": {"*": "redact"}, "answer": {"*": "alert"}}, 201),
    ("PATCH", "/profiles/q", {"unscanned": "alert"}, 200),
    ("GET", "/profiles", None, 200),
    ("GET", "/profiles/q", None, 200),
    ("DELETE", "/profiles/q", None, 200),
    ("GET", "/vault", None, 200),
    ("POST", "/vault/rotate", {"what": "pepper"}, 200),
    ("POST", "/planes", {"name": "berlin", "projects": ["search/ranking"]}, 201),
    ("GET", "/planes", None, 200),
    ("DELETE", "/planes/berlin", None, 200),
    ("GET", "/doctor", None, 200),
    ("GET", "/openapi.json", None, 200),
]
"""Every endpoint that needs no ingest, in an order in which each finds what it needs."""
INGEST = {("POST", "/audit/query"), ("GET", "/audit/stats"), ("GET", "/audit/tail"), ("GET", "/keys/{name}/usage")}
TEXT = {("GET", "/export")}


@pytest.fixture(scope="module")
def described(shared: ControlPart) -> dict[str, Any]:
    """What the process says of itself."""
    document = shared.ask("GET", f"{API}/openapi.json")[1]
    assert isinstance(document, dict)
    return document


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """(method, path behind the base) → operation."""
    return {
        (method.upper(), path.removeprefix(API)): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def pattern(path: str) -> re.Pattern[str]:
    """A described path as an expression for real ones."""
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))


def operation_of(document: dict[str, Any], method: str, path: str) -> tuple[tuple[str, str], dict[str, Any]]:
    """The operation that a real call is one of; the path with fewer names in it where two fit."""
    fitting = [(key, found) for key, found in operations(document).items() if key[0] == method and pattern(key[1]).fullmatch(path)]
    return min(fitting, key=lambda each: each[0][1].count("{"))


async def test_the_router_and_the_document_have_the_same_endpoints(described: dict[str, Any], settings_app: web.Application) -> None:
    """Each route is described, and what is described is a route; but for the probes."""
    routes = {
        (route.method, route.resource.canonical.removeprefix(API))
        for route in settings_app.router.routes()
        if route.resource is not None and route.resource.canonical not in OPEN
    }
    assert routes == set(operations(described))


@pytest.fixture
async def settings_app(tmp_path: Any) -> web.Application:
    """The application itself, not served."""
    data = tmp_path / "d"
    data.mkdir(mode=0o700)
    settings = Settings(data=data)
    state = State.open(settings)
    try:
        governance = Governance.start(settings, state)
        planes = Planes(state, governance.vault, governance.publisher, lambda _verb, _plane: ())
        return make_app(settings, endpoints(governance, rotation_of(governance), planes), AdminToken.of("x" * 40))
    finally:
        state.close()


def test_no_endpoint_answers_without_the_token(shared: ControlPart, described: dict[str, Any]) -> None:
    """Every endpoint there is: 401 without a token, and with a wrong one, whatever is sent along."""
    for method, path in operations(described):
        real = f"{API}{re.sub(r'{[^}]+}', 'x', path)}"
        for token in ("", "pcladmin_" + "A" * 43):
            answer = shared.answer(method, real, {"name": "x"}, token=token)
            assert (answer.status, json.loads(answer.body)["code"]) == (401, "unauthorized"), (method, path)
        assert shared.answer(method, real, headers={"authorization": ""}).status == 401


def test_the_document_is_sound(described: dict[str, Any]) -> None:
    """OpenAPI 3.1 by structure: version, unique ids, every parameter of a path declared, every reference leading somewhere."""
    assert described["openapi"] == "3.1.0"
    assert described["info"]["title"]
    ids = [operation["operationId"] for operation in operations(described).values()]
    assert len(set(ids)) == len(ids)
    for (_, path), operation in operations(described).items():
        inside = {entry["name"] for entry in operation["parameters"] if entry["in"] == "path"}
        assert inside == set(re.findall(r"\{(\w+)\}", path))
        assert operation["summary"]
        assert {"401", "500"} <= operation["responses"].keys()
        for response in operation["responses"].values():
            found = resolved(described, response["$ref"]) if "$ref" in response else response
            assert found["description"]
            assert all("schema" in content for content in found["content"].values())
    for schema in schemas_in(described):
        assert schema.keys() <= KNOWN, schema
        assert "$ref" not in schema or resolved(described, schema["$ref"])


def test_examples_fit_their_schemas(described: dict[str, Any]) -> None:
    """What a reader copies from the document is taken: fields that must be there but for secrets, with values of their types."""
    for operation in operations(described).values():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = {name: value for name, value in content["schema"].items() if name != "required"}
            assert list(faults(described, schema, content.get("example", {}))) == []


def test_answers_are_what_the_document_says(shared: ControlPart, described: dict[str, Any]) -> None:
    """Every endpoint is called, and its answer has just what is described: nothing is missing, nothing more is there."""
    called = set()
    for method, path, body, status in CALLS:
        answer = shared.answer(method, f"{API}{path}", body)
        assert answer.status == status, (method, path, answer.body)
        key, operation = operation_of(described, method, path)
        called.add(key)
        content = operation["responses"][str(status)]["content"]["application/json"]
        assert list(faults(described, strict(described, content["schema"]), json.loads(answer.body))) == [], (method, path)
        assert ("etag" in answer.headers) == ("headers" in operation["responses"][str(status)]), (method, path)
        assert answer.headers["cache-control"] == "no-store"
    assert called | INGEST | TEXT == set(operations(described))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/keys/none", None, 404),
        ("POST", "/keys", {"name": 1}, 400),
        ("POST", "/keys", {**KEY, "team": "none"}, 422),
        ("PUT", "/providers/p", {"dialect": "x", "url": "y"}, 422),
        ("DELETE", "/environments/none", None, 404),
        ("POST", "/audit/query", {"sql": "SELECT 1"}, 503),
    ],
)
def test_refusals_are_what_the_document_says(
    shared: ControlPart, described: dict[str, Any], method: str, path: str, body: Any, status: int
) -> None:
    """A refusal is a problem document, with a status that its endpoint declares."""
    answer = shared.answer(method, f"{API}{path}", body)
    assert answer.status == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["x-portcullis-request-id"]
    _, operation = operation_of(described, method, path)
    assert str(status) in operation["responses"]
    assert list(faults(described, strict(described, described["components"]["schemas"]["problem"]), json.loads(answer.body))) == []
