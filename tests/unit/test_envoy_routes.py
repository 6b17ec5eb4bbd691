"""Envoy's table of routes: which doors there are, and what is closed."""

from __future__ import annotations

from contracts.snapshot import ProviderRecord
from controlplane.envoy.examples import CHAT, GATEWAY
from controlplane.envoy.routes import Door, route_table
from controlplane.envoy.text import tree
from controlplane.governance.gateway import DOORS
from extproc.core import dialects

MODELS = Door("models", "openai", "GET", "/v1/models", "")
MESSAGES = Door("messages", "anthropic", "POST", "/v1/messages", "/v1/messages")
PROVIDERS = [
    ProviderRecord("one", "openai", "https://one.example/v1"),
    ProviderRecord("two", "openai", "https://two.example/v1"),
    ProviderRecord("three", "anthropic", "https://three.example/base"),
]


def table(*routes: Door) -> list[dict[str, object]]:
    """The routes as Envoy is given them, in order."""
    entries: list[dict[str, object]] = tree(route_table(routes, PROVIDERS, GATEWAY))["virtual_hosts"][0]["routes"]
    return entries


def test_a_route_has_a_door_to_each_provider_of_its_dialect() -> None:
    """And to no other: a provider that speaks another dialect is never sent its bytes."""
    doors = [route["name"] for route in table(CHAT, MESSAGES) if "route" in route]
    assert doors == ["chat/one", "chat/two", "messages/three"]


def test_a_route_that_the_gate_answers_itself_has_no_door() -> None:
    """It is declared and closed: where extproc gives no answer, none comes from a provider."""
    routes = table(CHAT, MODELS)
    assert [route["name"] for route in routes] == ["chat/one", "chat/two", "closed/chat", "closed/models", "unknown"]
    (closed,) = [route for route in routes if route["name"] == "closed/models"]
    assert closed["direct_response"] == {"status": 503}
    assert closed["match"] == {
        "path": "/v1/models",
        "case_sensitive": True,
        "headers": [
            {"name": ":method", "string_match": {"exact": "GET"}},
            {"name": ":path", "string_match": {"exact": "/v1/models"}},
        ],
    }


def test_a_door_leads_to_the_dialects_path_below_the_providers() -> None:
    """The provider's own base path comes first."""
    (door,) = [route for route in table(MESSAGES) if route["name"] == "messages/three"]
    action = door["route"]
    assert isinstance(action, dict)
    assert action["path_rewrite"] == "/base/v1/messages"


def test_every_declared_route_is_known_to_envoy() -> None:
    """The control plane renders the data plane's own table, whole."""
    assert [(door.name, door.method, door.path, door.upstream_path, door.dialect) for door in DOORS] == [
        (route.name, route.method, route.path, route.upstream_path, route.dialect.name) for route in dialects.ROUTES
    ]
