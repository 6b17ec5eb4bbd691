"""Anthropic's family: tools, usage, and refusals as the official SDK reads them."""

from __future__ import annotations

from functools import reduce
from typing import Any

import anthropic
import httpx2
import orjson
import pytest

from contracts.audit import AuditRow
from contracts.errors import (
    GateUnavailable,
    GuardrailBlocked,
    InvalidApiKey,
    InvalidRequest,
    NotAllowed,
    Refused,
    RequestTooLarge,
    UnknownRoute,
    UpstreamError,
    UpstreamTimeout,
)
from contracts.usage import Usage
from extproc.core import dialects, refusals
from extproc.core.dialects import anthropic_count_tokens, anthropic_family, anthropic_messages

HI: dict[str, Any] = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def test_the_declared_routes_are_found() -> None:
    """Both at the provider where they are here; what a count tells is free."""
    messages, count = dialects.of("POST", "/v1/messages"), dialects.of("POST", "/v1/messages/count_tokens")
    assert messages is not None
    assert count is not None
    assert (messages.name, messages.upstream_path, messages.dialect.name, messages.price) == (
        "messages", "/v1/messages", "anthropic", "tokens",
    )  # fmt: skip
    assert (count.name, count.upstream_path, count.dialect.name, count.price) == (
        "count_tokens", "/v1/messages/count_tokens", "anthropic", "free",
    )  # fmt: skip
    assert messages.dialect.credential_header == count.dialect.credential_header == ("x-api-key", "")


# ── tools ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "tool",
    [
        {},
        {"type": None},
        {"type": "custom"},
        {"type": "bash_20250124"},
        {"type": "text_editor_20250728"},
        {"type": "computer_20251124"},
        {"type": "computer_toolset_20260801"},
        {"type": "browser_toolset_20260801"},
        {"type": "memory_20250818"},
    ],
)
def test_tools_that_the_app_runs_need_no_leave(tool: dict[str, Any]) -> None:
    """The provider only names them; the app sends back what came of it, which is read."""
    assert anthropic_family.hosted([tool]) == set()


@pytest.mark.parametrize(
    ("tool", "feature"),
    [
        ({"type": "web_search_20250305"}, "tool:web_search"),
        ({"type": "web_fetch_20260318"}, "tool:web_fetch"),
        ({"type": "code_execution_20260521"}, "tool:code_execution"),
        ({"type": "tool_search_tool_bm25"}, "tool:tool_search"),
        ({"type": "mcp_toolset", "mcp_server_name": "files"}, "tool:mcp"),
        ({"type": "advisor_20260301", "model": "dear"}, "tool:other"),
        ({"type": "bash_20250124x"}, "tool:other"),
        ({"type": "bash"}, "tool:other"),
        ({"type": ""}, "tool:other"),
        ({"type": 0}, "tool:other"),
        ({"type": ["custom"]}, "tool:other"),
        ("custom", "tool:other"),
        (None, "tool:other"),
    ],
)
def test_tools_that_the_provider_runs_are_features(tool: Any, feature: str) -> None:
    """Each by its own name; one that nobody knows yet by the name for all of them."""
    assert anthropic_family.hosted([tool]) == {feature}


# ── usage ──────────────────────────────────────────────────────────────────────

CACHED = {"input_tokens": 5, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 300, "output_tokens": 1}
TOLD = {"output_tokens_details": {"thinking_tokens": 4}}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([CACHED], Usage(375, 1, cache_read=70, cache_write=300)),
        ([CACHED, {"output_tokens": 9}], Usage(375, 9, cache_read=70, cache_write=300)),
        ([CACHED, CACHED | {"output_tokens": 9}], Usage(375, 9, cache_read=70, cache_write=300)),
        ([CACHED, {**dict.fromkeys(CACHED, 0), "output_tokens": 9}], Usage(375, 9, cache_read=70, cache_write=300)),
        ([CACHED, {"input_tokens": 6, "output_tokens": 9}], Usage(376, 9, cache_read=70, cache_write=300)),
        ([CACHED, {"cache_read_input_tokens": 71}], Usage(376, 1, cache_read=71, cache_write=300)),
        ([{"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 5, "output_tokens": 9}], Usage(5, 9)),
        ([{"input_tokens": 5, "output_tokens": 9}, {"output_tokens": 3}], Usage(5, 9)),
        ([{"input_tokens": 5, "output_tokens": 9} | TOLD], Usage(5, 9, reasoning=4)),
        ([{"input_tokens": 5, "output_tokens": 9} | TOLD, {"output_tokens": 9}], Usage(5, 9, reasoning=4)),
        ([{"output_tokens": 3} | TOLD], Usage(0, 3, reasoning=3)),
        ([CACHED, None, {}, [], {"output_tokens": None}, {"output_tokens": True}], Usage(375, 1, cache_read=70, cache_write=300)),
        ([{"input_tokens": "5"}], None),
        ([{"input_tokens": -1, "output_tokens": 1.5}], None),
        ([None, 1, "x", []], None),
        ([{"input_tokens": 2**63}], Usage(2**53 - 1)),
    ],
)
def test_counts_are_of_all_so_far(counts: list[Any], expected: Usage | None) -> None:
    """Input has the cache in it; a later count stands in for the one before and is never added to it."""
    assert reduce(lambda before, now: anthropic_family.counted(now, before), counts, None) == expected


def test_rounds_that_are_not_in_the_sum_are_added() -> None:
    """What a summary or an adviser took is billed too; what is in the sum already is not counted again."""
    rounds = [
        {"type": "message", "input_tokens": 5, "output_tokens": 9},
        {"type": "compaction", "input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 1000},
        {"type": "advisor_message", "input_tokens": 20, "output_tokens": 2, "cache_creation_input_tokens": 7},
        {"type": ["compaction"], "input_tokens": 1},
        "compaction",
    ]
    once = CACHED | {"iterations": rounds, "output_tokens": 9}
    told = Usage(5 + 120 + 1070 + 307, 21, cache_read=1070, cache_write=307)
    assert anthropic_family.counted(once, None) == told
    assert anthropic_family.counted(once, anthropic_family.counted(once, anthropic_family.counted(CACHED, None))) == told
    assert anthropic_family.counted({"output_tokens": 9, "iterations": {}}, None) == Usage(0, 9)


def test_usage_is_found_where_each_event_has_it() -> None:
    """The first event has it in its message, the last but one beside its delta, a whole answer at its top."""
    start = anthropic_messages.usage({"type": "message_start", "message": {"usage": CACHED}}, None)
    assert start == Usage(375, 1, cache_read=70, cache_write=300)
    end = anthropic_messages.usage({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9}}, start)
    assert end == Usage(375, 9, cache_read=70, cache_write=300)
    assert anthropic_messages.usage({"type": "message", "usage": {"input_tokens": 1, "output_tokens": 2}}, None) == Usage(1, 2)
    silent: list[Any] = [[], "x", None, {"type": "ping"}, {"message": "x"}, {"type": "message_start", "message": {}}]
    for tree in silent:
        assert anthropic_messages.usage(tree, end) is end


def test_a_count_of_tokens_is_no_usage() -> None:
    """Nothing was used to count."""
    assert anthropic_count_tokens.usage({"input_tokens": 7}, None) is None


# ── refusals ───────────────────────────────────────────────────────────────────


class Spent(Refused):
    """A budget is spent."""

    code, status = "budget_exceeded", 402


class Slow(Refused):
    """Too many requests."""

    code, status = "rate_limited", 429


@pytest.mark.parametrize(
    ("error", "kind", "raised"),
    [
        (InvalidRequest("why"), "invalid_request_error", anthropic.BadRequestError),
        (GuardrailBlocked("why"), "invalid_request_error", anthropic.BadRequestError),
        (InvalidApiKey(), "authentication_error", anthropic.AuthenticationError),
        (Spent("why"), "billing_error", anthropic.APIStatusError),
        (NotAllowed("why"), "permission_error", anthropic.PermissionDeniedError),
        (UnknownRoute("why"), "not_found_error", anthropic.NotFoundError),
        (RequestTooLarge("why"), "request_too_large", anthropic.APIStatusError),
        (Slow("why"), "rate_limit_error", anthropic.RateLimitError),
        (UpstreamError("why"), "api_error", anthropic.InternalServerError),
        (UpstreamTimeout("why"), "timeout_error", anthropic.InternalServerError),
        (GateUnavailable("why"), "api_error", anthropic.InternalServerError),
    ],
)
def test_the_sdk_raises_its_own_error_on_a_refusal(error: Refused, kind: str, raised: type[anthropic.APIStatusError]) -> None:
    """By status, with the provider's word for it, our code where the SDK looks for one, and the exchange's id."""
    row = AuditRow(id="exchange-1", time=1, dialect="anthropic")
    reply = refusals.reply(dialects.named("messages"), error, row)
    with sdk(reply.status, reply.body, dict(reply.headers)) as client, pytest.raises(raised) as caught:
        client.messages.create(**HI)
    seen = caught.value
    assert (seen.status_code, seen.type, seen.error_code, seen.api_message) == (error.status, kind, error.code, error.message)
    assert seen.request_id == "exchange-1"
    assert orjson.loads(reply.body) == {
        "type": "error",
        "error": {"type": kind, "message": error.message, "code": error.code, "details": {"error_code": error.code}},
        "request_id": "exchange-1",
    }


def test_a_refusal_names_the_rules_reasons() -> None:
    """Codes of the verdict stand beside the message."""
    said = orjson.loads(anthropic_family.refusal(NotAllowed("no", reasons=("model_not_allowed",)), "r"))["error"]
    assert said["reasons"] == ["model_not_allowed"]


def test_a_providers_error_is_passed_on_inside() -> None:
    """As JSON where it is that, else as text."""
    told = [UpstreamError("x", provider=(529, raw)) for raw in (b'{"type":"error"}', b"busy \xff")]
    assert [orjson.loads(anthropic_family.refusal(error, "r"))["error"]["provider"] for error in told] == [
        {"status": 529, "body": {"type": "error"}},
        {"status": 529, "body": "busy \ufffd"},
    ]


def test_the_sdk_raises_its_own_error_in_the_middle_of_a_stream() -> None:
    """A stream that is cut ends in the SDK's error with our code, after what came before."""
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
    cut = anthropic_family.stream_refusal(GuardrailBlocked("a card number"), "exchange-1")
    stream = b"event: content_block_delta\ndata: " + orjson.dumps(delta) + b"\n\n" + cut
    with sdk(200, stream, {"content-type": "text/event-stream", "request-id": "exchange-1"}) as client:
        events = iter(client.messages.create(**HI, stream=True))
        assert next(events).type == "content_block_delta"
        with pytest.raises(anthropic.APIStatusError, match="a card number") as caught:
            next(events)
    seen = caught.value
    assert (seen.type, seen.error_code, seen.request_id) == ("invalid_request_error", "guardrail_blocked", "exchange-1")


def test_an_answers_own_id_stands() -> None:
    """The family's header is set where the provider set none; before a family is known there is none."""
    row = AuditRow(id="exchange-1", time=1, dialect="anthropic", decision_id="d")
    ours = (("x-portcullis-request-id", "exchange-1"), ("x-portcullis-decision-id", "d"))
    assert refusals.told(row) == (*ours, ("request-id", "exchange-1"))
    assert refusals.told(row, (("request-id", "req_1"),)) == ours
    assert refusals.told(AuditRow(id="exchange-1", time=1, decision_id="d")) == ours


def sdk(status: int, body: bytes, headers: dict[str, str]) -> anthropic.Anthropic:
    """The official SDK, talking to an answer that is already there."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, content=body, headers=headers))
    return anthropic.Anthropic(api_key="k", base_url="http://gate", max_retries=0, http_client=httpx2.Client(transport=transport))
