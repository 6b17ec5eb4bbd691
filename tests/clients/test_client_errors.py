"""Refusals and failures through real clients: each its own typed error, and asked for as often as it should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from app import DECLARED, FORBIDDEN, App
from asked import Failure
from roster import CLIENTS, ERRORS, IN_MID_STREAM, Client, having
from stack import Stack


def is_its_own(app: App, failure: Failure, status: int, code: str | None) -> None:
    """Whether the error is of the class that the client has for the status, with the gate's code."""
    assert (failure.status, failure.code) == (status, code), failure
    assert ERRORS[app.client.whose][status] in failure.kinds, (app.client.name, failure.kinds)


def refused(app: App, status: int, code: str, **ask: Any) -> Failure:
    """The app's error, of the class that the client has for it, with the gate's code; told to ask once, and done so; nothing was sent on."""
    before = app.gate.envoy_counter()
    failure = app.do("chat", **ask).refused
    is_its_own(app, failure, status, code)
    assert app.gate.envoy_counter() - before == 1
    assert app.gate.mock_received() == []
    assert failure.headers["x-should-retry"] == "false"
    return failure


@having("chat")
def test_400_guardrail_blocked(app: App) -> None:
    """Kinds and counts are named, the text is not."""
    failure = refused(app, 400, "guardrail_blocked", prompt="Charge 4111 1111 1111 1111")
    assert "1 × CREDIT_CARD" in failure.message
    assert "4111" not in json.dumps([failure.message, failure.body])


@having("chat")
def test_401_invalid_api_key(app: App) -> None:
    """A key of somebody else's."""
    refused(app, 401, "invalid_api_key", key="")


@having("chat")
def test_403_not_allowed(app: App) -> None:
    """The rule's own code is in the body."""
    failure = refused(app, 403, "not_allowed", model=app.forbidden)
    assert "model_not_allowed" in json.dumps(failure.body)


@having("chat")
def test_404_unknown_route(app: App) -> None:
    """What has no parser is not there."""
    refused(app, 404, "unknown_route", under="/elsewhere")


@having("chat")
def test_413_request_too_large(app: App) -> None:
    """Over limits.request_bytes."""
    refused(app, 413, "request_too_large", prompt="x" * (3 << 20))


@having("chat")
def test_502_upstream_error(app: App, gate: Stack) -> None:
    """A provider that failed: what it said is inside, with the address taken out."""
    gate.script({"status": 500, "body": json.dumps({"error": {"message": "ask anna@example.com"}})})
    failure = app.do("chat", retries=0).refused
    is_its_own(app, failure, 502, "upstream_error")
    assert "ask [EMAIL_ADDRESS]" in json.dumps(failure.body)
    assert len(gate.mock_received()) == 1


def test_503_gate_unavailable(use: Callable[[Client, Stack], App]) -> None:
    """A part of the gate is down: every client's own error, then the same client is served."""
    with Stack(DECLARED) as own:
        with own.without("extproc"):
            for client in CLIENTS:
                app = use(client, own)
                is_its_own(app, app.do("chat", retries=0).refused, 503, "gate_unavailable")
        assert own.mock_received() == []
        assert [use(client, own).do("chat").failure for client in CLIENTS] == [None] * len(CLIENTS)


def test_refusals_leave_rows(use: Callable[[Client, Stack], App], gate: Stack) -> None:
    """One for each client, found by the id that its error carries, with the client's own name."""
    ids = [use(client, gate).do("chat", model=FORBIDDEN[client.route]).refused.headers["x-portcullis-request-id"] for client in CLIENTS]
    rows = [gate.row(each) for each in ids]
    assert {(row["status"], row["error_code"]) for row in rows} == {(403, "not_allowed")}
    assert all(row["user_agent"] for row in rows)


# ── trying again ──────────────────────────────────────────────────────────────


@having("chat")
def test_a_providers_429_is_tried_again(app: App, gate: Stack) -> None:
    """The client waits as long as the provider says and asks again; each try is an exchange of its own, with a row."""
    gate.script({"status": 429, "headers": {"retry-after-ms": "1"}, "repeat": 2}, {"text": "At last"})
    before = gate.envoy_counter()
    came = app.do("chat")
    assert (came.failure, came.text) == (None, "At last")
    assert gate.envoy_counter() - before == len(gate.mock_received()) == 3


@having("stream")
def test_a_providers_429_to_a_stream_is_tried_again(app: App, gate: Stack) -> None:
    """The same where a stream was asked for: seconds in retry-after count too."""
    gate.script({"status": 429, "headers": {"retry-after": "1"}}, {"text": ["At ", "last"]})
    came = app.do("stream")
    assert (came.failure, came.text) == (None, "At last")
    assert len(gate.mock_received()) == 2


@having("chat")
def test_a_429_that_stays(app: App, gate: Stack) -> None:
    """The client's own error, with the provider's words and its retry-after."""
    gate.script({"status": 429, "headers": {"retry-after": "7"}})
    failure = app.do("chat", retries=0).refused
    is_its_own(app, failure, 429, None if app.client.route == "messages" else "mock_429")  # Anthropic's errors have no code
    assert failure.headers["retry-after"] == "7"
    assert "told to fail" in failure.message


@having("chat")
def test_a_provider_that_says_not_to_try_again(app: App, gate: Stack) -> None:
    """Its x-should-retry reaches the client: the official SDKs heed it, Vercel's looks at the status alone."""
    gate.script({"status": 429, "headers": {"x-should-retry": "false", "retry-after-ms": "1"}, "repeat": 0})
    failure = app.do("chat").refused
    assert failure.status == 429
    assert len(gate.mock_received()) == (3 if app.client.name.startswith("vercel") else 1)


# ── in the middle of a stream ─────────────────────────────────────────────────


@having("stream")
def test_a_block_in_mid_stream(app: App, gate: Stack) -> None:
    """The app has what came before the finding, then the client's own error with the gate's code; of the finding nothing."""
    gate.script({"text": ["Good morning. ", "My card is 4111 1111 ", "1111 1111, ", "bye"], "chunk_delay_ms": 30})
    came = app.do("stream", key="sealed")
    assert came.text.startswith("Good morning. ")
    assert "4111" not in json.dumps([came.text, came.refused.message, came.refused.body])
    assert came.refused.code == "guardrail_blocked"
    assert IN_MID_STREAM[app.client.whose] in came.refused.kinds
    assert len(gate.mock_received()) == 1


@having("stream")
def test_a_providers_error_in_mid_stream(app: App, gate: Stack) -> None:
    """An event that the provider ends its stream with comes as it would without a gate."""
    gate.script({"text": ["Good morning. "] * 20, "fault": "error_mid"})
    came = app.do("stream", retries=0)
    assert came.text.startswith("Good morning. ")
    if app.client.name.startswith("openai-python-responses"):  # the SDK hands it on as one more event
        assert came.served == {"broken": "mock_500"}
    elif app.client.name == "langchain-openai-responses":  # and LangChain has no class of its own for it
        assert (came.refused.kinds[0], came.refused.message[:8]) == ("ValueError", "mock_500")
    else:
        assert IN_MID_STREAM[app.client.whose] in came.refused.kinds


@having("stream")
def test_a_provider_that_breaks_off_in_mid_stream(app: App, gate: Stack) -> None:
    """The app is told: no client takes it for the answer's end."""
    gate.script({"text": ["Good morning. "] * 20, "fault": "truncated", "chunk_delay_ms": 5})
    came = app.do("stream", retries=0)
    assert came.text.startswith("Good morning. ")
    assert came.failure
