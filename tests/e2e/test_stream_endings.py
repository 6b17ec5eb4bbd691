"""However a stream ends: one row that says how, tokens for what flowed, and the official SDK's own error where it was cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import anthropic
import httpx2
import openai
import pytest
from declared import TWO_FAMILIES
from shapes.openai_streams import DONE
from shapes.passing import stream_of
from stack import Stack

from extproc.core import dialects

DECLARED: Final = (
    TWO_FAMILIES
    + """\
keys:
  app: {team: search, project: ranking, environment: dev, models: ["*"], profile: reading}
  sealed: {team: search, project: ranking, environment: dev, models: ["*"], profile: sealing}
profiles:
  reading: {prompt: {"*": redact}, answer: {"*": redact}, unscanned: block}
  sealing: {prompt: {"*": redact}, answer: {"*": block}, unscanned: block}
"""
)

WORDS: Final = [f"word{number} and more, " for number in range(40)]
PERSON: Final = [*WORDS[:20], "write to jane@exam", "ple.com, ", *WORDS[20:]]
EVENTS: Final = {"content-type": "text/event-stream"}


@pytest.fixture(scope="module")
def gate() -> Iterator[Stack]:
    """A gate with a provider of each family."""
    with Stack(DECLARED) as stack:
        yield stack


# ── the app ────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Seen:
    """What the app saw: the exchange's id, the text, the last event's type, and the error that ended it."""

    id: str
    text: str = ""
    last: str = ""
    error: Exception | None = None


PROMPTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "chat": {"model": "cheap", "messages": [{"role": "user", "content": "hello"}]},
    "completions": {"model": "cheap", "prompt": "hello"},
    "responses": {"model": "cheap", "input": "hello"},
    "messages": {"model": "small", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 900},
}


@contextmanager
def asked(gate: Stack, route: str, key: str) -> Iterator[tuple[str, Any]]:
    """The id of a stream's exchange, and the official SDK's stream of it."""
    with ExitStack() as ending:
        if route == "messages":
            claude = ending.enter_context(anthropic.Anthropic(api_key=gate.key(key), base_url=gate.gateway, max_retries=0))
            create: Callable[..., Any] = claude.messages.with_raw_response.create
        else:
            client = ending.enter_context(openai.OpenAI(api_key=gate.key(key), base_url=f"{gate.gateway}/v1", max_retries=0))
            asking: Mapping[str, Any] = {"chat": client.chat.completions, "completions": client.completions, "responses": client.responses}
            create = asking[route].with_raw_response.create
        answer = create(**PROMPTS[route], stream=True)
        yield answer.headers["x-portcullis-request-id"], ending.enter_context(answer.parse())


def piece(route: str, event: Any) -> str:
    """The text in an event."""
    match route:
        case "chat":
            return "".join([choice.delta.content or "" for choice in event.choices])
        case "completions":
            return "".join([choice.text or "" for choice in event.choices])
        case "responses":
            return event.delta if event.type == "response.output_text.delta" else ""
    return event.delta.text if event.type == "content_block_delta" else ""


def read(gate: Stack, route: str, *, key: str = "app", leaves_after: int = 1 << 30) -> Seen:
    """Ask, and read until it ends or so many characters have come."""
    with asked(gate, route, key) as (name, stream):
        seen = Seen(name)
        try:
            for event in stream:
                seen.text += piece(route, event)
                seen.last = getattr(event, "type", "")
                if len(seen.text) >= leaves_after:
                    break
        except (openai.OpenAIError, anthropic.AnthropicError, httpx2.HTTPError) as error:
            seen.error = error
    return seen


# ── endings ────────────────────────────────────────────────────────────────────


def lines(route: str, *, ends: slice, mark: bool) -> str:
    """A stream's events with so many of those at its end, and its mark or not."""
    stream = stream_of(dialects.named(route))
    site = stream.sites[0]
    events = list(stream.events({site.name: WORDS}))
    last = len(stream.end({site.name: ""})) + len(site.repeats(""))
    kept = [*events[:-last], *events[-last:][ends]]
    return b"".join([*map(stream.line, kept), stream.mark if mark else b""]).decode()


@dataclass(frozen=True, slots=True)
class Ending:
    """What the provider does, and what the row must say then. `error` are the errors that an SDK may raise."""

    step: Callable[[str], Mapping[str, Any]]
    outcome: str
    termination: str
    usage: str
    error: tuple[type[Exception], ...] = ()
    key: str = "app"
    leaves_after: int = 1 << 30
    routes: tuple[str, ...] = ("chat", "completions", "responses", "messages")
    code: str = ""


SLOWLY: Final = {"chunk_delay_ms": 20}
"""So that the head has left when the provider breaks off: before that the app gets a 502 instead."""

BROKEN: Final = (openai.APIConnectionError, anthropic.APIConnectionError, httpx2.RemoteProtocolError, httpx2.ReadError)
TOLD: Final = (openai.APIError, anthropic.APIStatusError)

ENDINGS: Final = {
    "its own mark": Ending(lambda _: {"text": WORDS}, "served", "complete", "provider"),
    "trailers": Ending(lambda _: {"text": WORDS, "trailers": {"x-checksum": "1"}}, "served", "complete", "provider"),
    "a finish reason and no mark": Ending(
        lambda route: {"chunks": [lines(route, ends=slice(1), mark=False)], "headers": EVENTS},
        "served", "complete", "estimated", routes=("chat", "completions"),
    ),
    "the last event and no mark": Ending(
        lambda route: {"chunks": [lines(route, ends=slice(None), mark=False)], "headers": EVENTS}, "served", "complete", "provider"
    ),
    "a plain end": Ending(
        lambda route: {"chunks": [lines(route, ends=slice(0), mark=False)], "headers": EVENTS}, "failed", "truncated", "estimated"
    ),
    "an end in the middle of a chunk": Ending(
        lambda _: {"text": WORDS, "fault": "truncated", **SLOWLY}, "failed", "upstream_reset", "estimated", BROKEN
    ),
    "a reset": Ending(lambda _: {"text": WORDS, "fault": "reset_mid", **SLOWLY}, "failed", "upstream_reset", "estimated", BROKEN),
    "a stall, and the app leaves": Ending(
        lambda _: {"text": WORDS, "fault": "stall_mid"}, "aborted", "client_gone", "estimated", leaves_after=100
    ),
    "an event of an error": Ending(
        lambda _: {"text": WORDS, "fault": "error_mid"}, "failed", "upstream_status", "estimated", TOLD, code="upstream_error"
    ),
    "an event that is no JSON": Ending(
        lambda route: {"chunks": [lines(route, ends=slice(0), mark=False), "data: {no\n\n"], "headers": EVENTS},
        "failed", "upstream_garbage", "estimated", TOLD, code="upstream_error",
    ),
    "what the guardrail blocks": Ending(
        lambda _: {"text": PERSON}, "refused", "cut", "estimated", TOLD, key="sealed", code="guardrail_blocked"
    ),
}  # fmt: skip
CASES: Final = [(route, name) for name, ending in ENDINGS.items() for route in ending.routes]


@pytest.mark.parametrize(("route", "name"), CASES, ids=[f"{route}-{name}" for route, name in CASES])
def test_each_ending_leaves_one_row_and_the_sdk_its_own_error(gate: Stack, route: str, name: str) -> None:
    """What flowed is counted, how it ended is told, and an app that got less than an answer hears of it."""
    ending = ENDINGS[name]
    gate.forget()
    gate.script(ending.step(route))
    seen = read(gate, route, key=ending.key, leaves_after=ending.leaves_after)
    row = gate.row(seen.id)
    assert (row["outcome"], row["termination"], row["usage_source"]) == (ending.outcome, ending.termination, ending.usage), row
    assert row["error_code"] == ending.code or not ending.code
    assert (row["route"], row["stream"]) == (route, True)
    assert seen.text.startswith(WORDS[0])
    assert row["output_tokens"] > 0
    assert row["cost_nanousd"] > 0
    assert row["chunks"] > 0
    assert "jane" not in seen.text
    if not ending.error:
        assert seen.error is None
        return
    if seen.last == "error":
        assert (route, name) == ("responses", "an event of an error"), "a provider's own event of an error is one that this SDK hands over"
        return
    assert isinstance(seen.error, ending.error)
    if ending.termination in {"cut", "upstream_garbage"}:
        assert ending.code in json.dumps(getattr(seen.error, "body", ""))


def test_marks_are_the_dialects_own() -> None:
    """The streams that are cut short here are those that the dialects know the ends of."""
    assert stream_of(dialects.named("chat")).mark == DONE
