"""OpenAI's Responses API through the whole gate: whole and streamed answers, redaction both ways, refusals, by the official SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import openai
import pytest
from openai import OpenAI
from stack import Stack

ADDRESS: Final = "anna.berg@example.com"
CARD: Final = "4111 1111 1111 1111"
USAGE: Final = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 30,
}
PATH: Final = "/v1/responses"


def client_of(gate: Stack, key: str = "app") -> OpenAI:
    """The SDK's client as an app makes it."""
    return OpenAI(base_url=f"{gate.gateway}/v1", api_key=gate.key(key))


@pytest.fixture
def client(gate: Stack) -> Iterator[OpenAI]:
    """For the key `app`."""
    with client_of(gate) as made:
        yield made


def sent_by(gate: Stack) -> list[Any]:
    """What the provider got, as documents."""
    assert {got["path"] for got in gate.mock_received()} <= {PATH}
    return [json.loads(got["body"]) for got in gate.mock_received()]


# ── answers ───────────────────────────────────────────────────────────────────


def test_a_whole_answer(client: OpenAI, gate: Stack) -> None:
    """Text, usage and model come through; the row has tokens, cost and reason; the provider is told to keep nothing."""
    gate.script({"text": "Good morning", "usage": USAGE})
    raw = client.responses.with_raw_response.create(model="cheap", input="Hello", instructions="Be kind.", max_output_tokens=50)
    answer = raw.parse()
    assert (answer.output_text, answer.model) == ("Good morning", "tiny")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 30
    assert sent_by(gate) == [{"model": "tiny", "input": "Hello", "instructions": "Be kind.", "max_output_tokens": 50, "store": False}]
    row = gate.row(raw.headers["x-portcullis-request-id"])
    assert (row["route"], row["outcome"], row["finish_reason"], row["stream"]) == ("responses", "served", "completed", False)
    tokens = [row[name] for name in ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "cost_nanousd")]
    assert tokens == [10, 20, 4, 5, 13_500]
    assert row["provider_request_id"] == answer.id


def test_a_streamed_answer(client: OpenAI, gate: Stack) -> None:
    """Pieces in their order, the SDK's own sum of them, and the provider's count of the last event in the row."""
    gate.script({"text": ["Good ", "mor", "ning"], "reasoning": ["Well", "."], "usage": USAGE})
    with client.responses.stream(model="cheap", input="Hello") as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert ("".join(pieces), final.output_text) == ("Good morning", "Good morning")
    row = gate.row(stream._response.headers["x-portcullis-request-id"])
    assert (row["outcome"], row["termination"], row["finish_reason"], row["stream"]) == ("served", "complete", "completed", True)
    assert (row["usage_source"], row["input_tokens"], row["output_tokens"], row["reasoning_tokens"]) == ("provider", 10, 20, 5)


@pytest.mark.parametrize(("reason", "outcome"), [("max_output_tokens", "served"), ("failed", "failed")])
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_does_not_complete(gate: Stack, reason: str, outcome: str, stream: bool) -> None:
    """Why is in the row. One that failed is passed on as it is: the app's SDK tells of it."""
    gate.script({"text": "Good", "finish_reason": reason, "usage": USAGE})
    reply = gate.ask({"model": "cheap", "input": "Hello", "stream": stream}, path=PATH)
    row = gate.row(reply.id)
    assert reply.status == 200
    assert (row["finish_reason"], row["output_tokens"]) == (reason, 20)
    if stream:
        assert row["outcome"] == outcome


ODD_STREAM: Final = (
    ": a comment\n\n"
    'event: response.created\r\ndata:{"type":"response.created" , "response":{"id":"resp_1","model":"tiny","output":[]}}\r\n\r\n'
    'data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"caf\\u00e9 \U0001f600 ", "new":1.50}\n\n'
    'data: {"delta":"and more","content_index":0,"output_index":0,"type":"response.output_text.delta"}\n\n'
    'data: {"type":"keepalive","sequence_number":3}\n\n'
    'data: {"type":"response.thing_of_next_year","words":["x"]}\n\n'
    'data: {"type":"response.completed","response":{"status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":2}}}\n\n'
)


@pytest.mark.parametrize("sizes", [[1], [2, 3], [7, 1, 64], [100_000]])
def test_a_stream_passes_byte_for_byte(gate: Stack, sizes: list[int]) -> None:
    """In whatever pieces it comes."""
    gate.script({"body": ODD_STREAM, "chunk_sizes": sizes})
    reply = gate.ask({"model": "cheap", "input": "Hello", "stream": True}, path=PATH)
    assert reply.body == ODD_STREAM.encode()
    assert gate.row(reply.id)["output_tokens"] == 2


# ── personal data ─────────────────────────────────────────────────────────────


def test_a_prompt_is_redacted_wherever_it_stands(client: OpenAI, gate: Stack) -> None:
    """Instructions, messages, a tool's arguments and result, a schema; ids and kinds stay."""
    items: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": f"I am {ADDRESS}"}]},
        {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": json.dumps({"who": ADDRESS})},
        {"type": "function_call_output", "call_id": "call_1", "output": json.dumps({"mail": ADDRESS, "n": 1})},
    ]
    tools: list[Any] = [{"type": "function", "name": "find", "description": f"Finds {ADDRESS}", "parameters": {"type": "object"}}]
    raw = client.responses.with_raw_response.create(model="cheap", input=items, instructions=f"Ask {ADDRESS}", tools=tools, store=False)
    (sent,) = sent_by(gate)
    assert ADDRESS not in json.dumps(sent)
    assert sent["instructions"] == "Ask [EMAIL_ADDRESS]"
    assert sent["input"][1]["call_id"] == "call_1"
    assert [json.loads(sent["input"][1]["arguments"]), json.loads(sent["input"][2]["output"])] == [
        {"who": "[EMAIL_ADDRESS]"},
        {"mail": "[EMAIL_ADDRESS]", "n": 1},
    ]
    row = gate.row(raw.headers["x-portcullis-request-id"])
    assert (row["findings_prompt"], row["redacted_prompt"], row["messages"], row["tools"]) == ({"EMAIL_ADDRESS": 5}, 5, 3, 1)


def test_an_answer_in_pieces_is_redacted_each_time_it_is_said(client: OpenAI, gate: Stack) -> None:
    """Text, thoughts and two calls at once, in pieces and whole: the SDK's sum and the response at the end agree, and a count is one."""
    calls = [{"name": "send", "arguments": {"to": ADDRESS}}, {"name": "pay", "arguments": {"card": CARD}}]
    gate.script(
        {"text": ["Mail an", "na.berg@example", ".com please"], "reasoning": ["Who is ", ADDRESS[:4], ADDRESS[4:]], "tool_calls": calls}
    )
    with client.responses.stream(model="cheap", input="Hello") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == "Mail [EMAIL_ADDRESS] please"
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(pieces) == final.output_text
    found = {item.name: json.loads(item.arguments) for item in final.output if item.type == "function_call"}
    assert found == {"send": {"to": "[EMAIL_ADDRESS]"}, "pay": {"card": "[CREDIT_CARD]"}}
    arguments = [event.arguments for event in events if event.type == "response.function_call_arguments.done"]
    assert [json.loads(text) for text in arguments] == list(found.values())
    assert "example.com" not in "".join(map(repr, events))
    row = gate.row(stream._response.headers["x-portcullis-request-id"])
    assert row["findings_answer"] == {"EMAIL_ADDRESS": 3, "CREDIT_CARD": 1}
    assert row["redacted_answer"] == 4


def test_log_probabilities_of_a_changed_text_are_gone(client: OpenAI, gate: Stack) -> None:
    """As the empty list that the SDK's types have in their place."""
    for stream in (False, True):
        gate.script({"text": ["Mail ", ADDRESS]})
        asked: dict[str, Any] = {"model": "cheap", "input": "Hello", "include": ["message.output_text.logprobs"], "stream": stream}
        answer = client.responses.create(**asked)
        told = answer.to_json() if not stream else "".join(event.to_json() for event in answer)
        assert ADDRESS not in told
        assert "[EMAIL_ADDRESS]" in told
        assert '"logprobs":null' not in "".join(told.split())


# ── refusals ──────────────────────────────────────────────────────────────────


def test_a_stream_is_blocked_in_its_middle(gate: Stack) -> None:
    """What came before is shown; then the SDK's own error, with our code."""
    gate.script({"text": ["Good morning. ", "It is ", CARD, ", he said."]})
    with client_of(gate, "sealed") as client, client.responses.create(model="cheap", input="Hello", stream=True) as stream:
        events: list[Any] = []
        with pytest.raises(openai.APIError, match="CREDIT_CARD") as caught:
            events.extend(stream)
    assert caught.value.code == "guardrail_blocked"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta").startswith("Good morning.")
    row = gate.row(stream.response.headers["x-portcullis-request-id"])
    assert (row["outcome"], row["termination"], row["error_code"]) == ("refused", "cut", "guardrail_blocked")
    assert row["findings_answer"] == {"CREDIT_CARD": 1}


def test_what_came_before_a_block_is_shown(gate: Stack) -> None:
    """And nothing of what was blocked, in the one event that the provider had no part in."""
    gate.script({"text": ["Good morning. ", "It is ", CARD, ", he said."]})
    reply = gate.ask({"model": "cheap", "input": "Hello", "stream": True}, key="sealed", path=PATH)
    assert b"Good morning." in reply.body
    assert b"4111" not in reply.body
    last = reply.body.decode().strip().rpartition("data: ")[2]
    assert {name: json.loads(last)[name] for name in ("type", "code", "param")} == {
        "type": "error",
        "code": "guardrail_blocked",
        "param": None,
    }


def test_a_whole_answer_is_blocked(gate: Stack) -> None:
    """As a refusal that names the kind and not the text."""
    gate.script({"text": f"It is {CARD}."})
    with client_of(gate, "sealed") as client, pytest.raises(openai.BadRequestError, match="CREDIT_CARD") as caught:
        client.responses.create(model="cheap", input="Hello")
    assert caught.value.code == "guardrail_blocked"
    assert "4111" not in str(caught.value)


FEATURES: Final[dict[str, dict[str, Any]]] = {
    "store": {"store": True},
    "previous_response_id": {"previous_response_id": "resp_1"},
    "conversation": {"conversation": {"id": "conv_1"}},
    "background": {"background": True},
    "prompt": {"prompt": {"id": "pmpt_1"}},
    "service_tier": {"service_tier": "flex"},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "tool:file_search": {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    "tool:image_generation": {"tools": [{"type": "image_generation"}]},
    "tool:mcp": {
        "input": [{"type": "tool_search_output", "tools": [{"type": "mcp", "server_label": "s", "server_url": "https://example.com"}]}]
    },
}


@pytest.mark.parametrize("feature", FEATURES)
def test_what_keeps_state_or_reaches_out_is_refused_by_name(client: OpenAI, gate: Stack, feature: str) -> None:
    """Before anything is sent on."""
    with pytest.raises(openai.BadRequestError, match=feature) as caught:
        client.responses.create(**{"model": "cheap", "input": "Hello", **FEATURES[feature]})
    assert caught.value.code == "unsupported_feature"
    assert gate.mock_received() == []


@pytest.mark.parametrize("item", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}])
def test_a_reference_to_what_the_provider_has_is_refused(gate: Stack, item: dict[str, str]) -> None:
    """With or without its type."""
    reply = gate.ask({"model": "cheap", "input": [item]}, path=PATH)
    assert (reply.status, reply.code) == (400, "unsupported_feature")
    assert gate.mock_received() == []


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"}, "UNSCANNED_IMAGE"),
        ({"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"}, "UNSCANNED_URL"),
        ({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}, "UNSCANNED_FILE"),
        ({"type": "input_file", "file_url": "https://example.com/a.pdf"}, "UNSCANNED_URL"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "UNSCANNED_AUDIO"),
    ],
)
def test_what_cannot_be_read_goes_by_the_profile(gate: Stack, part: dict[str, Any], kind: str) -> None:
    """Blocked by its kind, or sent on and counted."""
    asked = {"model": "cheap", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Look"}, part]}]}
    blocked = gate.ask(asked, path=PATH)
    assert (blocked.status, blocked.code) == (400, "guardrail_blocked")
    assert kind in blocked.body.decode()
    assert gate.mock_received() == []
    assert gate.row(gate.ask(asked, key="watched", path=PATH).id)["findings_prompt"] == {kind: 1}


def test_a_provider_that_fails_on_the_way(client: OpenAI, gate: Stack) -> None:
    """Its own event of an error reaches the app as it is; the row says who failed."""
    gate.script({"text": "Good morning to all of you", "fault": "error_mid"})
    with client.responses.create(model="cheap", input="Hello", stream=True) as stream:
        events = list(stream)
    assert events[-1].type == "error"
    row = gate.row(stream.response.headers["x-portcullis-request-id"])
    assert (row["outcome"], row["termination"]) == ("failed", "upstream_status")


def test_a_stream_that_breaks_off_is_no_answer(gate: Stack) -> None:
    """Without its last event it is truncated, however much came."""
    gate.script({"text": "Good morning to all of you", "fault": "truncated"})
    reply = gate.ask({"model": "cheap", "input": "Hello", "stream": True}, path=PATH)
    assert gate.row(reply.id)["outcome"] == "failed"
