"""What OpenAI's dialects share: features, usage and how it is asked for, and refusals that the official SDK knows."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import orjson
import pytest

from contracts.errors import (
    GuardrailBlocked,
    InvalidApiKey,
    InvalidRequest,
    NotAllowed,
    PolicyUnavailable,
    Refused,
    RequestTooLarge,
    UnknownRoute,
    UpstreamError,
    UpstreamTimeout,
)
from contracts.usage import Usage
from extproc.core.body import Malformed
from extproc.core.dialects import members, openai_family
from extproc.core.spans import rewrite

HI: dict[str, Any] = {"model": "cheap", "messages": [{"role": "user", "content": "hi"}]}


# ── features ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("tools", "features"),
    [
        ([], set()),
        ([{"type": "function"}, {"type": "custom"}, {"type": "local_shell"}, {"type": "apply_patch"}, {}], set()),
        ([{"type": "web_search"}, {"type": "web_search_preview"}, {"type": "web_search_2025_08_26"}], {"tool:web_search"}),
        ([{"type": "web_search_preview_2025_03_11"}], {"tool:web_search"}),
        ([{"type": "computer_use_preview"}, {"type": "mcp"}], {"tool:computer_use", "tool:mcp"}),
        ([{"type": "file_search"}, {"type": "code_interpreter"}], {"tool:file_search", "tool:code_interpreter"}),
        ([{"type": "next_years_tool"}], {"tool:other"}),
        ([{"type": "Function"}, {"type": ""}, {"type": None}, {"type": ["function"]}, {"type": {}}, {"type": 1}], {"tool:other"}),
        ([1, None, "function", ["x"]], {"tool:other"}),
    ],
)
def test_tools_that_the_provider_runs_are_features(tools: list[Any], features: set[str]) -> None:
    """An app's own tools are none; what nobody knows, or what is no kind at all, is taken for the provider's."""
    assert openai_family.hosted(tools) == features


def test_what_says_nothing_uses_no_feature() -> None:
    """Null, false and empty are nothing; anything else is a use, whatever its kind."""
    for nothing in (None, False, "", [], {}):
        assert members.used({"store": nothing}, openai_family.KEEPS) == []
    for something in (True, "false", 1, [0], {"a": None}):
        assert members.used({"store": something, "x": True}, openai_family.KEEPS) == ["store"]
    assert members.used(dict.fromkeys(openai_family.KEEPS, "x"), openai_family.KEEPS) == list(openai_family.KEEPS)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{}", b'{"store":false}'),
        (b'{"a":1 }', b'{"a":1 ,"store":false}'),
        (b'{"store":true,"a":1}', b'{"store":false,"a":1}'),
        (b'{"store":null}', b'{"store":false}'),
        (b'{"store" : false}', b'{"store" : false}'),
    ],
)
def test_a_provider_is_told_to_store_nothing(raw: bytes, expected: bytes) -> None:
    """Whatever the app said: one member, and no other byte."""
    assert rewrite(raw, members.without_storing(orjson.loads(raw))) == expected


# ── usage ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}, Usage(9, 12)),
        (
            {
                "prompt_tokens": 90,
                "completion_tokens": 12,
                "prompt_tokens_details": {"cached_tokens": 80},
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            Usage(90, 12, cache_read=80, reasoning=10),
        ),
        ({"prompt_tokens": 9}, Usage(9, 0)),
        ({"completion_tokens": 9}, Usage(0, 9)),
        ({"prompt_tokens": 9, "completion_tokens": -1}, Usage(9, 0)),
        ({"prompt_tokens": True, "completion_tokens": 1.5}, None),
        ({"prompt_tokens": "9"}, None),
        ({"prompt_tokens": 2**63}, Usage(2**53 - 1, 0)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 50}}, Usage(5, 0, cache_read=5)),
        ({"prompt_tokens": 5, "prompt_tokens_details": [], "completion_tokens_details": None}, Usage(5, 0)),
        ({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 6}}, Usage(0, 5, reasoning=5)),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_what_can_be_true(counts: Any, expected: Usage | None) -> None:
    """A part never exceeds its whole, and what is no count is ignored."""
    assert openai_family.counted(counts, "prompt_tokens", "completion_tokens", None) == expected


def test_what_counts_nothing_leaves_the_count_before() -> None:
    """An event without a count does not take back what an earlier one counted; one with a count replaces it."""
    before = Usage(5, 7)
    assert openai_family.counted(None, "prompt_tokens", "completion_tokens", before) == before
    assert openai_family.counted({"prompt_tokens": 9}, "prompt_tokens", "completion_tokens", before) == Usage(9, 0)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"stream":true}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (b'{"stream_options": null }', b'{"stream_options": {"include_usage":true} }'),
        (b'{"stream_options":{}}', b'{"stream_options":{"include_usage":true}}'),
        (b'{"stream_options":{"a":1}}', b'{"stream_options":{"a":1,"include_usage":true}}'),
        (b'{"stream_options":{"include_usage":false,"a":1}}', b'{"stream_options":{"include_usage":true,"a":1}}'),
        (b'{"stream_options":{"include_usage":null}}', b'{"stream_options":{"include_usage":true}}'),
        (b'{"stream_options":{"include_usage":1}}', b'{"stream_options":{"include_usage":true}}'),
    ],
)
def test_a_streams_usage_is_asked_for_and_hidden(raw: bytes, expected: bytes) -> None:
    """Where the app has not asked: one member, and no other byte."""
    asks, hides = openai_family.usage_asked(orjson.loads(raw))
    assert hides
    assert rewrite(raw, asks) == expected


def test_a_usage_that_the_app_asked_for_is_not_hidden() -> None:
    """Then nothing is changed either."""
    assert openai_family.usage_asked({"stream_options": {"include_usage": True, "a": 1}}) == ((), False)


@pytest.mark.parametrize("options", [[], "x", 1, True, False])
def test_options_of_another_kind_are_refused(options: Any) -> None:
    """Nobody could say whether a usage was asked for."""
    with pytest.raises(Malformed, match="stream_options"):
        openai_family.usage_asked({"stream_options": options})


# ── refusals ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("x"), "invalid_request_error"),
        (GuardrailBlocked("x"), "invalid_request_error"),
        (InvalidApiKey(), "authentication_error"),
        (NotAllowed("x"), "permission_error"),
        (UnknownRoute("x"), "invalid_request_error"),
        (RequestTooLarge("x"), "invalid_request_error"),
        (UpstreamError("x"), "server_error"),
        (UpstreamTimeout("x"), "server_error"),
        (PolicyUnavailable("x"), "server_error"),
    ],
)
def test_a_refusal_has_openais_shape(error: Refused, kind: str) -> None:
    """Message, type by status, no param, the contract's code, and the request's id."""
    said = orjson.loads(openai_family.refusal(error, "req-1"))["error"]
    assert said == {"message": error.message, "type": kind, "param": None, "code": error.code, "request_id": "req-1"}


def test_a_refusal_for_rate_has_its_own_type() -> None:
    """429 is the type on which apps slow down."""

    class Slow(Refused):
        code, status = "rate_limited", 429

    assert orjson.loads(openai_family.refusal(Slow("x"), "r"))["error"]["type"] == "rate_limit_error"


def test_a_refusal_names_the_rules_reasons() -> None:
    """Codes of the verdict stand beside the message."""
    said = orjson.loads(openai_family.refusal(NotAllowed("no", reasons=("model_not_allowed",)), "r"))["error"]
    assert said["reasons"] == ["model_not_allowed"]


@pytest.mark.parametrize(("raw", "body"), [(b'{"error":{"message":"x"}}', {"error": {"message": "x"}}), (b"down\xff", "down\ufffd")])
def test_a_refusal_shows_what_the_provider_said(raw: bytes, body: Any) -> None:
    """Its status and its error, JSON as JSON."""
    said = orjson.loads(openai_family.refusal(UpstreamError("x", provider=(500, raw)), "r"))["error"]
    assert said["provider"] == {"status": 500, "body": body}


def client(status: int, body: bytes, media_type: str) -> openai.OpenAI:
    """The official SDK, talking to an answer that is already there."""
    answer = httpx2.Response(status, content=body, headers={"content-type": media_type})
    transport = httpx2.MockTransport(lambda _: answer)
    return openai.OpenAI(api_key="k", base_url="http://gate/v1", max_retries=0, http_client=httpx2.Client(transport=transport))


def test_the_sdk_raises_its_own_error_on_a_refusal() -> None:
    """The app sees PermissionDeniedError with our code and message."""
    with client(403, openai_family.refusal(NotAllowed("not this model"), "req-1"), "application/json") as sdk:
        with pytest.raises(openai.PermissionDeniedError, match="not this model") as caught:
            sdk.chat.completions.create(**HI)
        assert caught.value.code == "not_allowed"
        assert caught.value.type == "permission_error"


def test_the_sdk_raises_its_own_error_in_the_middle_of_a_stream() -> None:
    """A stream that is cut ends in the SDK's APIError with our code, after what came before."""
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "Hi"}}],
    }
    stream = b"data: " + orjson.dumps(chunk) + b"\n\n" + openai_family.stream_refusal(GuardrailBlocked("a card number"), "req-1")
    with client(200, stream, "text/event-stream") as sdk:
        events = iter(sdk.chat.completions.create(**HI, stream=True))
        assert next(events).choices[0].delta.content == "Hi"
        with pytest.raises(openai.APIError, match="a card number") as caught:
            next(events)
        assert caught.value.code == "guardrail_blocked"
