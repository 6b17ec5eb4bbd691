"""OpenAI's chat completions: what a request asks for, what an answer says, and how the gate refuses."""

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
from extproc.core import dialects
from extproc.core.body import Malformed, read
from extproc.core.dialects import Call, openai_chat

HI: dict[str, Any] = {"model": "cheap", "messages": [{"role": "user", "content": "hi"}]}


def call(**members: Any) -> Call:
    """What a request with these members on top of HI asks for; None takes a member away."""
    body = {name: value for name, value in (HI | members).items() if value is not None}
    return openai_chat.call(read(orjson.dumps(body), max_depth=64))


# ── routes ─────────────────────────────────────────────────────────────────────


def test_the_declared_route_is_found() -> None:
    """Exactly this method and path."""
    route = dialects.of("POST", "/v1/chat/completions")
    assert route is not None
    assert (route.name, route.upstream_path, route.dialect.name) == ("chat", "/chat/completions", "openai")
    assert route in dialects.ROUTES
    assert dialects.SERVED == "POST /v1/chat/completions"
    assert dialects.DEFAULT is openai_chat


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("post", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/chat/completions?x"),
        ("POST", "/v1/Chat/completions"),
        ("POST", "//v1/chat/completions"),
        ("POST", "/v1/responses"),
        ("CONNECT", ""),
    ],
)
def test_nothing_else_exists(method: str, path: str) -> None:
    """What is only nearly the route is none."""
    assert dialects.of(method, path) is None


# ── the request ────────────────────────────────────────────────────────────────


def test_a_request_says_what_it_asks_for() -> None:
    """Every fact that rules and the row need."""
    assert call() == Call("cheap", stream=False, max_tokens=None, choices=1, messages=1, tools=0, unscanned=0)
    assert call(stream=True, n=3, max_tokens=7, tools=[{}, {}], functions=[{}], messages=[{}, {}]) == Call(
        "cheap", stream=True, max_tokens=7, choices=3, messages=2, tools=3, unscanned=0
    )


def test_the_higher_of_two_ceilings_counts() -> None:
    """An estimate must not fall short because the old and the new name of the ceiling differ."""
    assert call(max_tokens=5, max_completion_tokens=9).max_tokens == 9
    assert call(max_tokens=9, max_completion_tokens=5).max_tokens == 9


def test_parts_that_are_no_text_are_counted() -> None:
    """Images, sound, files and kinds yet unknown can't be scanned; text and refusals can."""
    parts = [{"type": kind} for kind in ("text", "refusal", "image_url", "input_audio", "file", "hologram")]
    assert call(messages=[{"content": [{"type": "text", "text": "x", "image_url": {"url": "https://example.com/a.png"}}]}]).unscanned == 1
    assert call(messages=[{"content": parts}, {"content": None}, {"content": []}, {"content": [{"type": "file"}]}]).unscanned == 5


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ("model", [None, 1, "", [], "m" * 257]),
        ("messages", [None, [], {}, "hi", ["hi"], [None], [[]]]),
        ("messages", [[{"content": 4111111111111111}], [{"content": {}}], [{"content": ["x"]}], [{"content": [{"text": "x"}]}]]),
        ("stream", [1, "true", []]),
        ("n", [0, -1, True, 1.0, "1"]),
        ("max_tokens", [0, 1.5, "5", True]),
        ("max_completion_tokens", [-5, [], 2**53]),
        ("tools", [{}, "x", 1]),
        ("functions", [{}]),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(member: str, values: list[Any]) -> None:
    """The refusal names the member and never its value."""
    for value in values:
        with pytest.raises(Malformed, match=member) as caught:
            call(**{member: value})
        assert "4111" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null"])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    """A body is an object."""
    with pytest.raises(Malformed, match="not an object"):
        openai_chat.call(read(raw, max_depth=64))


def test_every_text_of_a_prompt_is_found() -> None:
    """Names, tool arguments and results, schemas, metadata, kinds, roles and ids: all but the model's declared name."""
    body = {
        "model": "declared",
        "messages": [
            {"role": "structural", "content": "t1", "name": "t2"},
            {"role": "structural", "content": [{"type": "structural", "text": "t3"}, {"type": "structural", "image_url": {"url": "t4"}}]},
            {"tool_calls": [{"id": "structural", "type": "structural", "function": {"name": "t5", "arguments": "t6"}}]},
            {"tool_call_id": "structural", "content": "t7"},
        ],
        "tools": [{"type": "structural", "function": {"name": "t8", "parameters": {"type": "t9", "enum": ["t10"]}}}],
        "metadata": {"id": "t11", "role": "t12"},
        "user": "t13",
        "stop": ["t14"],
        "prediction": {"content": "t15"},
        "next_years_member": {"model": "t16"},
    }
    document = read(orjson.dumps(body), max_depth=64)
    found = document.leaves(openai_chat.prompt_structural)
    assert found == [leaf for leaf in document.leaves() if leaf.path != ("model",)]
    assert {leaf.text for leaf in found} == {"structural"} | {f"t{number}" for number in range(1, 17)}


# ── the answer ─────────────────────────────────────────────────────────────────


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
    assert openai_chat.usage({"usage": counts}) == expected


def test_an_answer_without_usage_has_none() -> None:
    """Also one that is no object."""
    assert openai_chat.usage({}) is None
    assert openai_chat.usage([{"usage": {"prompt_tokens": 1}}]) is None


def test_an_answer_says_what_it_is() -> None:
    """Model, id and which choices are finished, by their own numbers."""
    facts = openai_chat.facts(
        {
            "id": "chatcmpl-1",
            "model": "tiny-2026",
            "choices": [
                {"index": 1, "finish_reason": "stop"},
                {"index": 0, "finish_reason": None},
                {"finish_reason": "length"},
                {"index": 7, "finish_reason": ""},
                {"index": True, "finish_reason": "odd"},
                "x",
            ],
        }
    )
    assert (facts.model, facts.id, facts.failed) == ("tiny-2026", "chatcmpl-1", False)
    assert facts.finished == ((1, "stop"), (2, "length"), (4, "odd"))


@pytest.mark.parametrize("tree", [[], "x", None, {"choices": {}}, {"model": 1, "id": [], "choices": None}, {"error": None}])
def test_an_answer_of_another_shape_says_nothing(tree: Any) -> None:
    """Nothing is guessed."""
    facts = openai_chat.facts(tree)
    assert (facts.model, facts.id, facts.finished, facts.failed) == ("", "", (), False)


def test_what_a_provider_says_of_itself_has_a_length() -> None:
    """It goes into rows: no provider fills them."""
    facts = openai_chat.facts({"model": "m" * 999, "id": "i" * 999, "choices": [{"finish_reason": "f" * 999}]})
    assert [len(text) for text in (facts.model, facts.id, facts.finished[0][1])] == [256, 256, 256]


def test_an_error_event_is_seen() -> None:
    """An error of the provider in the middle of a stream."""
    assert openai_chat.facts({"error": {"message": "overloaded"}}).failed


EVENT: dict[str, Any] = {
    "id": "structural",
    "system_fingerprint": "structural",
    "choices": [
        {
            "index": 3,
            "delta": {
                "role": "structural",
                "content": "c",
                "refusal": "r",
                "tool_calls": [
                    {"index": 5, "id": "structural", "type": "structural", "function": {"name": "n", "arguments": "a"}},
                    {"function": {"arguments": "b"}},
                ],
                "next_years_text": ["x"],
            },
            "logprobs": {"content": [{"token": "structural", "note": "l"}]},
            "finish_reason": "structural",
        },
        {"delta": {"content": "d"}},
        {"index": 4, "text": "y", "message": {"content": "z"}},
    ],
    "obfuscation": "o",
}


def test_each_piece_of_text_belongs_to_its_channel() -> None:
    """Told apart by the numbers that the provider gives, by position where it gives none; whole texts have no channel."""
    document = read(orjson.dumps(EVENT), max_depth=64)
    leaves = document.leaves(openai_chat.answer_structural)
    assert {leaf.text: openai_chat.channel(document.tree, leaf.path) for leaf in leaves} == {
        "c": (3, "delta", "content"),
        "r": (3, "delta", "refusal"),
        "structural": None,
        "n": (3, "delta", "tool_calls", 5, "function", "name"),
        "a": (3, "delta", "tool_calls", 5, "function", "arguments"),
        "b": (3, "delta", "tool_calls", 1, "function", "arguments"),
        "x": (3, "delta", "next_years_text", 0),
        "l": None,
        "d": (1, "delta", "content"),
        "y": (4, "text"),
        "z": (4, "message", "content"),
        "o": None,
    }
    assert [leaf.text for leaf in leaves if openai_chat.generated(leaf.path)] == ["c", "r", "n", "a", "b", "x", "l", "d", "y", "z"]


def test_logprobs_repeat_a_choices_text() -> None:
    """Where a choice has them, they are what an edit of its text can't reach."""
    assert openai_chat.echo(EVENT, ("choices", 0, "delta", "content")) == ("choices", 0, "logprobs")
    assert openai_chat.echo(EVENT, ("choices", 1, "delta", "content")) is None
    assert openai_chat.echo(EVENT, ("obfuscation",)) is None
    assert openai_chat.echo({"choices": {"a": "x"}}, ("choices", "a", "b")) is None


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
    said = orjson.loads(openai_chat.refusal(error, "req-1"))["error"]
    assert said == {"message": error.message, "type": kind, "param": None, "code": error.code, "request_id": "req-1"}


def test_a_refusal_for_rate_has_its_own_type() -> None:
    """429 is the type on which apps slow down."""

    class Slow(Refused):
        code, status = "rate_limited", 429

    assert orjson.loads(openai_chat.refusal(Slow("x"), "r"))["error"]["type"] == "rate_limit_error"


def test_a_refusal_names_the_rules_reasons() -> None:
    """Codes of the verdict stand beside the message."""
    said = orjson.loads(openai_chat.refusal(NotAllowed("no", reasons=("model_not_allowed",)), "r"))["error"]
    assert said["reasons"] == ["model_not_allowed"]


def client(status: int, body: bytes, media_type: str) -> openai.OpenAI:
    """The official SDK, talking to an answer that is already there."""
    answer = httpx2.Response(status, content=body, headers={"content-type": media_type})
    transport = httpx2.MockTransport(lambda _: answer)
    return openai.OpenAI(api_key="k", base_url="http://gate/v1", max_retries=0, http_client=httpx2.Client(transport=transport))


def test_the_sdk_raises_its_own_error_on_a_refusal() -> None:
    """The app sees PermissionDeniedError with our code and message."""
    with client(403, openai_chat.refusal(NotAllowed("not this model"), "req-1"), "application/json") as sdk:
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
    stream = b"data: " + orjson.dumps(chunk) + b"\n\n" + openai_chat.stream_refusal(GuardrailBlocked("a card number"), "req-1")
    with client(200, stream, "text/event-stream") as sdk:
        events = iter(sdk.chat.completions.create(**HI, stream=True))
        assert next(events).choices[0].delta.content == "Hi"
        with pytest.raises(openai.APIError, match="a card number") as caught:
            next(events)
        assert caught.value.code == "guardrail_blocked"
