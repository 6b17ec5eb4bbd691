"""docs/reference/routes.md says of each feature, and of what can't be read, where it is found: each is put into a request of every route."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from contracts.errors import InvalidRequest
from extproc.core import dialects
from extproc.core.dialects import Route, anthropic_family, openai_family, shape
from extproc.core.prompt import Reading, understood

ASKED = [route for route in dialects.ROUTES if route.upstream_path]
PLAIN: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "input": "hi", "max_tokens": 9}
"""What each route needs, together: a member of another route is one that nobody knows there."""

OWN = {"completions": "prompt", "responses": "input", "embeddings": "input", "moderations": "input"}
"""The member with the text; elsewhere it is `messages`."""


def parts(*found: dict[str, Any]) -> list[Any]:
    """Each part where the routes have parts: in a message or an item, or by itself."""
    return [*([{"role": "user", "content": [part]}] for part in found), *([part] for part in found)]


STORED = (
    {"type": "file", "file": {"file_id": "f-1"}},
    {"type": "input_file", "file_id": "f-1"},
    {"type": "document", "source": {"type": "file", "file_id": "f-1"}},
)
WAYS: dict[str, list[dict[str, Any]]] = {
    "store": [{"store": True}],
    "previous_response_id": [{"previous_response_id": "r-1"}],
    "conversation": [{"conversation": "c-1"}],
    "background": [{"background": True}],
    "prompt": [{"prompt": {"id": "p-1"}}],
    "prompt_cache_retention": [{"prompt_cache_retention": "24h"}],
    "files": [{where: text} for where in ("messages", "input") for text in parts(*STORED)],
    "container": [{"container": "c-1"}, {"tools": [{"type": "code_interpreter", "container": "c-1"}]}],
    "mcp_servers": [{"mcp_servers": [{"type": "url", "url": "https://mcp.example", "name": "m"}]}],
    "web_search_options": [{"web_search_options": {"search_context_size": "low"}}],
    **{name: [{name: "x"}] for name in ("service_tier", "speed", "inference_geo", "preset", "route")},
    **{name: [{name: ["x"]}] for name in ("models", "plugins")},
    **{name: [{name: {"type": "x"}}] for name in ("thread", "diagnostics", "billing_policy", "fallbacks", "provider", "search_parameters")},
    **{
        f"tool:{name}": [{"tools": [{"type": kind, "name": "t"}]} for kind in (name, *more)]
        for name, more in {
            "web_search": ["web_search_20250305"],
            "web_fetch": ["web_fetch_20250910"],
            "file_search": [],
            "code_interpreter": [],
            "code_execution": ["code_execution_20250825"],
            "image_generation": [],
            "computer_use": ["computer_use_preview"],
            "mcp": ["mcp_toolset"],
            "tool_search": ["tool_search_tool_regex_20251119"],
            "other": ["of_next_year"],
        }.items()
    },
}

IMAGE, PDF = "data:image/png;base64,iVBORw0KGgo=", "JVBERi0xLjc="
AT = "https://elsewhere.example/x"
UNREAD: dict[str, list[Any]] = {
    shape.IMAGE: parts(
        {"type": "image_url", "image_url": {"url": IMAGE}},
        {"type": "input_image", "image_url": IMAGE},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
    ),
    shape.AUDIO: parts({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    shape.FILE: parts(
        {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
        {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
    ),
    shape.TOKENS: [[1, 2], [[1], [2]]],
    shape.URL: parts(
        {"type": "image_url", "image_url": {"url": AT}},
        {"type": "input_image", "image_url": AT},
        {"type": "image", "source": {"type": "url", "url": AT}},
    ),
}


def rows(root: Path, heading: str) -> dict[str, set[str]]:
    """Name → the routes that the page names beside it, under a heading."""
    page = (root / "docs" / "reference" / "routes.md").read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found: dict[str, set[str]] = {}
    for names, where in re.findall(r"^\| (`[^|]+) \| ([^|]+) \| ", page, re.MULTILINE):
        found |= {name: set(re.findall(r"`(\w+)`", where)) for name in re.findall(r"`([^`]+)`", names)}
    return found


def asked(route: Route, way: dict[str, Any]) -> Reading:
    """What is made of a plain request of a route with something more."""
    text = {"prompt": "hi"} if route.name == "completions" else {}  # elsewhere it is a feature
    return understood(route, orjson.dumps({**PLAIN, **text, **way}), 64)


def found(route: Route, ways: list[dict[str, Any]]) -> set[str]:
    """Features and kinds that are found in requests of a route, in any of these ways to write something."""
    names: set[str] = set()
    for way in ways:
        with suppress(InvalidRequest):
            reading = asked(route, way)
            names |= {*reading.call.features, *reading.counts}
    return names


def test_the_page_has_every_feature_there_is_a_way_to_write(root: Path) -> None:
    """And none that nobody could find."""
    assert rows(root, "Features").keys() == WAYS.keys()


def test_every_feature_that_the_dialects_list_is_tried() -> None:
    """So a member or tool that is added to one of them must be added to the page."""
    tools = {*openai_family._HOSTED.values(), *anthropic_family._HOSTED}
    assert {*openai_family.KEEPS, *anthropic_family.KEEPS, *(f"tool:{tool}" for tool in tools)} <= WAYS.keys()


@pytest.mark.parametrize("feature", WAYS)
def test_a_feature_is_found_on_the_routes_that_the_page_names(root: Path, feature: str) -> None:
    """On these, and on no other."""
    assert {route.name for route in ASKED if feature in found(route, WAYS[feature])} == rows(root, "Features")[feature]


@pytest.mark.parametrize("kind", UNREAD)
def test_what_can_t_be_read_is_found_on_the_routes_that_the_page_names(root: Path, kind: str) -> None:
    """On these, and on no other."""
    given = {route.name: [{OWN.get(route.name, "messages"): text} for text in UNREAD[kind]] for route in ASKED}
    assert {route.name for route in ASKED if kind in found(route, given[route.name])} == rows(root, "What can't be read")[kind]


@pytest.mark.parametrize("route", ASKED, ids=lambda route: route.name)
def test_a_plain_request_has_no_feature(route: Route) -> None:
    """Nor has one that says of every feature that it is not wanted; and nothing in it can't be read."""
    assert asked(route, {}).call.features == ()
    assert not asked(route, {}).counts
    unwanted = {name: None for name in WAYS if ":" not in name and name not in {"files", "prompt"}}
    assert asked(route, {**unwanted, "store": False, "background": False, "tools": []}).call.features == ()
