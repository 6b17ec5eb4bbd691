"""What a key's scopes and a model's price mean for an exchange: what the rules are told, and what is done to the request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from playbook import (
    ALLOWED,
    NOW,
    SNAPSHOT,
    WORLD,
    AskPolicy,
    Record,
    asks,
    chat,
    emits,
    governed,
    head,
    leaves,
    play,
    refuses,
    replies,
    to,
)

from contracts.policy import Reason, Verdict
from contracts.snapshot import EnvironmentRecord, ModelRecord, ProviderRecord
from contracts.usage import Price
from extproc.core.dialects import named
from extproc.core.effects import PassHead
from extproc.core.events import RequestBody
from extproc.core.world import World

KEY = next(iter(SNAPSHOT.keys.values()))
CHEAP = SNAPSHOT.models["cheap"]


def world(*, model: ModelRecord = CHEAP, environment: EnvironmentRecord = SNAPSHOT.environments["dev"], **fields: Any) -> World:
    """The world with other fields of the key."""
    keys = {KEY.id: replace(KEY, **fields)}
    return replace(WORLD, snapshot=replace(SNAPSHOT, keys=keys, models={"cheap": model}, environments={"dev": environment}))


def told(body: RequestBody, there: World, path: str = "/v1/chat/completions") -> dict[str, Any]:
    """What the rules are told about a request."""
    heard: list[AskPolicy] = []
    denied = Verdict(False, (Reason("no", "No."),), ALLOWED.actions, "rules-1")
    play(
        head(path=path),
        replies(PassHead),
        to(body),
        asks(AskPolicy, denied, heard.append),
        refuses(403, "not_allowed"),
        emits(),
        world=there,
    )
    document: dict[str, Any] = heard[0].input.document()
    return document


def test_the_rules_are_told_the_keys_scopes() -> None:
    """As its record has them, beside what is asked for."""
    heard = told(chat(max_tokens=9), world(providers=("local",), addresses=("10.0.0.0/8",), max_tokens=7, routes=("chat",)))
    assert heard["key"] == {
        "models": ["cheap"],
        "routes": ["chat"],
        "providers": ["local"],
        "addresses": ["10.0.0.0/8"],
        "max_tokens": 7,
    }
    assert (heard["request"]["max_tokens"], heard["target"]["provider"], heard["source"]["address"]) == (9, "local", "10.0.0.7")
    assert heard["environment"] == {"zero_data_retention": False, "unpriced": False}


def test_the_rules_are_told_of_a_key_without_scopes() -> None:
    """Empty lists and no ceiling: all of them."""
    heard = told(chat(), world())
    assert heard["key"] == {"models": ["cheap"], "routes": [], "providers": [], "addresses": [], "max_tokens": None}
    assert heard["request"]["max_tokens"] is None


SECONDS = NOW // 10**9


@pytest.mark.parametrize(
    ("prices", "known"),
    [
        ((), False),
        ((Price(0, 0, "declared:free"),), True),
        ((Price(1, 1, "declared:1", since=SECONDS),), True),
        ((Price(1, 1, "declared:1", since=SECONDS + 1),), False),
    ],
    ids=["none", "zero", "from this second", "from the next"],
)
def test_the_rules_are_told_whether_a_price_is_known_now(prices: tuple[Price, ...], known: bool) -> None:
    """At the time of the request's head; zero is a price."""
    assert told(chat(), world(model=replace(CHEAP, prices=prices)))["target"]["priced"] is known


def test_a_route_that_costs_nothing_needs_no_price() -> None:
    """Nobody is paid for a moderation."""
    body = RequestBody(0, b'{"model": "cheap", "input": "hello"}')
    assert told(body, world(model=replace(CHEAP, prices=())), "/v1/moderations")["target"]["priced"] is True


def test_an_environment_may_allow_models_without_a_price() -> None:
    """The rules hear of it."""
    assert told(chat(), world(environment=EnvironmentRecord("dev", unpriced=True)))["environment"]["unpriced"] is True


@pytest.mark.parametrize(
    ("codes", "code"),
    [(("unpriced_model",), "unpriced_model"), (("model_not_allowed", "unpriced_model"), "not_allowed")],
    ids=["alone", "with another"],
)
def test_a_model_without_a_price_is_refused_by_that_name(codes: tuple[str, ...], code: str) -> None:
    """Where it is the only reason; whatever else the key may not is told as such."""
    denied = Verdict(False, tuple(Reason(each, "No price is known.") for each in codes), ALLOWED.actions, "rules-1")
    play(
        head(),
        replies(PassHead),
        to(chat()),
        asks(AskPolicy, denied),
        refuses(403, code),
        emits(outcome="refused", error_code=code, reasons=codes, cost_nanousd=0),
    )


# ── the ceiling ────────────────────────────────────────────────────────────────


def sent(body: bytes, there: World, path: str = "/v1/chat/completions", **columns: Any) -> dict[str, Any]:
    """What is sent on of an allowed request, and what its row says before it is."""
    bodies: list[bytes] = []

    def recorded(effect: Record) -> None:
        assert {name: getattr(effect.intent.row, name) for name in columns} == columns

    play(
        head(path=path),
        *governed(body=RequestBody(0, body), recorded=recorded, routed=lambda reply: bodies.append(reply.body or body)),
        leaves(),
        emits(outcome="aborted", **columns),
        world=there,
    )
    document: dict[str, Any] = orjson.loads(bodies[0])
    assert bodies[0].count(b'"max_') == sum(name.startswith("max_") for name in document)
    return document


BODIES = {
    "chat": (b'{"model":"cheap","messages":[{"role":"user","content":"hello"}]}', "max_completion_tokens"),
    "completions": (b'{"model":"cheap","prompt":"hello"}', "max_tokens"),
    "responses": (b'{"model":"cheap","input":"hello"}', "max_output_tokens"),
    "embeddings": (b'{"model":"cheap","input":"hello"}', ""),
    "moderations": (b'{"model":"cheap","input":"hello"}', ""),
    "messages": (b'{"model":"cheap","messages":[{"role":"user","content":"hello"}]}', "max_tokens"),
    "count_tokens": (b'{"model":"cheap","messages":[{"role":"user","content":"hello"}]}', ""),
}


def of_family(route: str, **fields: Any) -> World:
    """The world with a provider of the route's family."""
    there = world(**fields)
    provider = ProviderRecord("local", named(route).dialect.name, "http://127.0.0.1:9901", insecure=True)
    return replace(there, snapshot=replace(there.snapshot, providers={"local": provider}))


@pytest.mark.parametrize("route", list(BODIES))
def test_the_keys_ceiling_is_put_in_where_the_app_sets_none(route: str) -> None:
    """In the dialect's own member, and on the row; where no text is written there is nothing to put in."""
    body, member = BODIES[route]
    document = sent(body, of_family(route, max_tokens=7), named(route).path, max_tokens=7 if member else 0)
    assert {name: value for name, value in document.items() if name.startswith("max_")} == ({member: 7} if member else {})


@pytest.mark.parametrize("route", list(BODIES))
def test_a_key_without_a_ceiling_adds_none(route: str) -> None:
    """The app's request stays as it was in that."""
    body, _ = BODIES[route]
    document = sent(body, of_family(route), named(route).path, max_tokens=0)
    assert not [name for name in document if name.startswith("max_")]


@pytest.mark.parametrize("member", ["max_tokens", "max_completion_tokens"])
def test_the_apps_own_ceiling_stays(member: str) -> None:
    """Under the key's, as the rules have seen to; by the name that the app chose."""
    body = b'{"model":"cheap","messages":[{"role":"user","content":"hello"}],"%b":5}' % member.encode()
    document = sent(body, world(max_tokens=7), max_tokens=5)
    assert {name: value for name, value in document.items() if name.startswith("max_")} == {member: 5}


def test_a_ceiling_of_null_is_none() -> None:
    """The key's takes its place, and stands there once."""
    body = b'{"max_completion_tokens" : null,"model":"cheap","messages":[{"role":"user","content":"hello"}]}'
    assert sent(body, world(max_tokens=7), max_tokens=7)["max_completion_tokens"] == 7


def test_a_ceiling_holds_for_a_stream_that_is_asked_for_its_usage() -> None:
    """Two members are added to one object, and it stays JSON."""
    body = b'{"model":"cheap","messages":[{"role":"user","content":"mail jane@example.com"}],"stream":true}'
    document = sent(body, world(max_tokens=7), max_tokens=7)
    assert (document["max_completion_tokens"], document["stream_options"]) == (7, {"include_usage": True})
    assert document["messages"][0]["content"] == "mail [EMAIL_ADDRESS]"
