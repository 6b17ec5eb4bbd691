"""The table of routes: each has a parser, a price rule, a guard profile, refusals that its official SDK knows, tests, and its line in the docs.

A route that is added to the table makes these tests fail until it has all of them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, get_args

import anthropic
import httpx2
import openai
import pytest

from contracts.errors import GuardrailBlocked, NotAllowed, Refused
from extproc.core import dialects
from extproc.core.body import Malformed, read
from extproc.core.dialects import Dialect, Route
from extproc.core.dialects.shape import Guard, Price

USER: Final[list[Any]] = [{"role": "user", "content": "hi"}]
SDKS: Final[dict[str, Any]] = {"openai": openai, "anthropic": anthropic}
BASES: Final = {"openai": "http://gate/v1", "anthropic": "http://gate"}
WHOLE: Final[dict[str, Callable[[Any], Any]]] = {
    "chat": lambda sdk: sdk.chat.completions.create(model="cheap", messages=USER),
    "completions": lambda sdk: sdk.completions.create(model="cheap", prompt="hi"),
    "responses": lambda sdk: sdk.responses.create(model="cheap", input="hi"),
    "embeddings": lambda sdk: sdk.embeddings.create(model="cheap", input="hi"),
    "moderations": lambda sdk: sdk.moderations.create(model="cheap", input="hi"),
    "models": lambda sdk: sdk.models.list(),
    "messages": lambda sdk: sdk.messages.create(model="cheap", max_tokens=9, messages=USER),
    "count_tokens": lambda sdk: sdk.messages.count_tokens(model="cheap", messages=USER),
}
"""How the official SDK of the route's family asks."""

STREAMED: Final[dict[str, Callable[[Any], Any]]] = {
    "chat": lambda sdk: sdk.chat.completions.create(model="cheap", messages=USER, stream=True),
    "completions": lambda sdk: sdk.completions.create(model="cheap", prompt="hi", stream=True),
    "responses": lambda sdk: sdk.responses.create(model="cheap", input="hi", stream=True),
    "messages": lambda sdk: sdk.messages.create(model="cheap", max_tokens=9, messages=USER, stream=True),
}
"""The same for a stream, where the family has one."""

READ: Final = [route for route in dialects.ROUTES if route.guard != "no content"]
UNREAD: Final = {"models"}
"""Routes that send nothing on: the gate answers them itself."""


def each(routes: list[Route] | tuple[Route, ...] = dialects.ROUTES) -> Any:
    """A test for each of these routes."""
    return pytest.mark.parametrize("route", routes, ids=lambda route: route.name)


class Provider:
    """What an SDK talks to: it keeps the request and gives one answer."""

    def __init__(self, status: int, body: bytes, media_type: str) -> None:
        self.asked: list[httpx2.Request] = []
        self._answer = (status, body, media_type)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """One answer to every request."""
        self.asked.append(request)
        status, body, media_type = self._answer
        return httpx2.Response(status, content=body, headers={"content-type": media_type})

    def sdk(self, family: str) -> Any:
        """The family's official client, which asks here."""
        client = httpx2.Client(transport=httpx2.MockTransport(self))
        maker = openai.OpenAI if family == "openai" else anthropic.Anthropic
        return maker(api_key="k", base_url=BASES[family], max_retries=0, http_client=client)


# ── the table itself ───────────────────────────────────────────────────────────


def test_a_route_is_found_by_its_name_and_by_its_request_alone() -> None:
    """No two have one name, or one method and path; the routes of the reference page are all there are."""
    assert (
        len({route.name for route in dialects.ROUTES})
        == len({(route.method, route.path) for route in dialects.ROUTES})
        == len(dialects.ROUTES)
    )
    for route in dialects.ROUTES:
        assert dialects.named(route.name) is route
        assert dialects.of(route.method, route.path) is route
        assert f"{route.method} {route.path}" in dialects.SERVED.split(", ")


def test_where_there_is_no_route_a_refusal_is_openais() -> None:
    """Most apps' SDKs are."""
    assert dialects.DEFAULT.name == "openai"


@each()
def test_what_is_only_nearly_a_route_is_none(route: Route) -> None:
    """Another method, another case, a slash or a query more: it does not exist."""
    near = [
        ("GET" if route.method == "POST" else "POST", route.path),
        (route.method.lower(), route.path),
        (route.method, route.path + "/"),
        (route.method, route.path + "?x"),
        (route.method, "/" + route.path),
        (route.method, route.path.upper()),
        (route.method, route.path.replace("/v1/", "/v1//")),
        (route.method, route.path.replace("/v1/", "/v1/../v1/")),
        ("CONNECT", ""),
    ]
    assert [dialects.of(method, path) for method, path in near] == [None] * len(near)


@each()
def test_each_has_a_price_rule_and_a_guard_profile(route: Route) -> None:
    """One of those that there are; what isn't looked into sends nothing on and costs nothing."""
    assert route.price in get_args(Price)
    assert route.guard in get_args(Guard)
    assert route.dialect.name in SDKS
    if route.guard == "no content":
        assert (route.upstream_path, route.price, route.name in UNREAD) == ("", "free", True)
    else:
        assert route.upstream_path.startswith("/")


@each()
def test_each_dialect_has_the_whole_shape(route: Route) -> None:
    """Everything that the protocol names, and of functions as many arguments."""
    for name, member in inspect.getmembers(Dialect):
        if name.startswith("_"):
            continue
        there = getattr(route.dialect, name)
        if inspect.isfunction(member):
            expected = [parameter for parameter in inspect.signature(member).parameters if parameter != "self"]
            assert len(inspect.signature(there).parameters) == len(expected), name


# ── parsers ────────────────────────────────────────────────────────────────────


@each(READ)
@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null", b"true"])
def test_each_refuses_a_body_that_is_no_object(route: Route, raw: bytes) -> None:
    """By name, not by breaking."""
    with pytest.raises(Malformed, match="the body is not an object"):
        route.dialect.call(read(raw, max_depth=64))


@each(READ)
@pytest.mark.parametrize("raw", [b"{}", b'{"model":1}', b'{"model":""}', b'{"Model":"x"}', b'{"messages":[],"input":[],"MODEL":"x"}'])
def test_each_names_what_it_misses(route: Route, raw: bytes) -> None:
    """The member that is missing, of another kind, or written in another case."""
    with pytest.raises(Malformed, match=r"\b[a-z_]+ (is|holds)\b"):
        route.dialect.call(read(raw, max_depth=64))


@each()
def test_each_reads_what_its_official_sdk_sends(route: Route) -> None:
    """At the declared method and path, and of the declared dialect."""
    assert set(WHOLE) == {route.name for route in dialects.ROUTES}
    for asks in [WHOLE[route.name], *([STREAMED[route.name]] if route.name in STREAMED else [])]:
        provider = Provider(403, b"{}", "application/json")
        with provider.sdk(route.dialect.name) as sdk, pytest.raises(SDKS[route.dialect.name].PermissionDeniedError):
            asks(sdk)
        (request,) = provider.asked
        assert (request.method, request.url.path, request.url.query) == (route.method, route.path, b"")
        if route.guard == "no content":
            assert request.content == b""
            continue
        call = route.dialect.call(read(request.content, max_depth=64))
        assert (call.model, call.stream, call.unread, call.features) == ("cheap", asks is not WHOLE[route.name], {}, ())


@each(READ)
def test_each_reads_any_answer(route: Route) -> None:
    """Of another shape, too: it says nothing about itself, and breaks nothing."""
    for tree in (
        {},
        [],
        "x",
        1,
        None,
        {"error": {"message": "x"}},
        {"usage": None, "choices": None, "model": 1, "id": [], "content": 1, "type": "x"},
    ):
        assert route.dialect.facts(tree).unread == {}
        assert route.dialect.usage(tree, None) is None


# ── refusals ───────────────────────────────────────────────────────────────────


@each()
def test_each_refusal_is_its_sdks_typed_error(route: Route) -> None:
    """The class by the status, with our message and code."""
    sdks = SDKS[route.dialect.name]
    refused: list[tuple[Refused, type[Exception]]] = [
        (NotAllowed("not this model"), sdks.PermissionDeniedError),
        (GuardrailBlocked("not this model"), sdks.BadRequestError),
    ]
    for why, expected in refused:
        provider = Provider(why.status, route.dialect.refusal(why, "req-1"), "application/json")
        with provider.sdk(route.dialect.name) as sdk, pytest.raises(expected, match="not this model") as caught:
            WHOLE[route.name](sdk)
        assert caught.value.body is not None  # type: ignore[attr-defined]
        assert why.code in str(caught.value.body)  # type: ignore[attr-defined]


@each([route for route in dialects.ROUTES if route.name in STREAMED])
def test_each_refusal_in_mid_stream_is_its_sdks_typed_error(route: Route) -> None:
    """A stream that is cut ends in the family's own error, with our message."""
    stream = route.dialect.stream_refusal(GuardrailBlocked("a card number"), "req-1")
    provider = Provider(200, stream, "text/event-stream")
    with provider.sdk(route.dialect.name) as sdk, pytest.raises(SDKS[route.dialect.name].APIError, match="a card number") as caught:
        list(STREAMED[route.name](sdk))
    assert "guardrail_blocked" in str(caught.value.body)  # type: ignore[attr-defined]


@each(READ)
def test_what_has_a_stream_is_tried_as_one(route: Route) -> None:
    """Where a dialect reads `stream: true` as a stream, how it refuses in mid-stream is tested above, by its own route or another's."""
    provider = Provider(403, b"{}", "application/json")
    with provider.sdk(route.dialect.name) as sdk, pytest.raises(SDKS[route.dialect.name].PermissionDeniedError):
        WHOLE[route.name](sdk)
    body = provider.asked[0].content.rstrip()[:-1] + b',"stream":true}'
    tried = [dialects.named(name).dialect.stream_refusal for name in STREAMED]
    assert not route.dialect.call(read(body, max_depth=64)).stream or route.dialect.stream_refusal in tried
    assert route.name not in STREAMED or route.dialect.call(read(body, max_depth=64)).stream


# ── tests and docs ─────────────────────────────────────────────────────────────


def modules(folder: Path, pattern: str = "test_*.py") -> Iterator[str]:
    """Test modules of a folder, as text."""
    return (file.read_text("utf-8") for file in folder.glob(pattern))


@each(READ)
def test_each_dialect_has_unit_tests(root: Path, route: Route) -> None:
    """A module of tests that speaks of the dialect's own."""
    module = str(getattr(route.dialect, "__name__", "")).rpartition(".")[2]
    assert any(re.search(rf"\b{module}\b", text) for text in modules(root / "tests" / "unit", "test_dialect_*.py")), module


@each()
def test_each_route_has_an_end_to_end_test(root: Path, route: Route) -> None:
    """A test that sends it through the whole gate names its path."""
    path = re.compile(re.escape(route.path) + r"(?![\w/-])")
    assert any(path.search(text) for folder in ("e2e", "clients") for text in modules(root / "tests" / folder))


@each()
def test_each_route_is_in_the_reference(root: Path, route: Route) -> None:
    """With its name, request, path at the provider, dialect, guard profile and price, as the table has them."""
    upstream = f"`{route.upstream_path}`" if route.upstream_path else "none: the gate answers"
    page = (root / "docs" / "reference" / "routes.md").read_text("utf-8")
    row = f"| `{route.name}` | `{route.method} {route.path}` | {upstream} | `{route.dialect.name}` | {route.guard} |"
    (line,) = [line for line in page.splitlines() if line.startswith(row)]
    assert line.endswith(f"| {route.price} |")
