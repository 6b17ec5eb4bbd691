"""Anthropic's official SDK, unmodified, through the whole gate: only base_url and api_key say that it is not Anthropic's."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import MessageParam, ToolUseBlock
from declared import DECLARED
from stack import PROVIDER_SECRET, Stack

CLAUDE = (
    DECLARED.replace(
        "  local: {dialect: openai", "  claude: {dialect: anthropic, url: http://mock, insecure: true}\n  local: {dialect: openai"
    )
    .replace(
        "models:\n",
        "  claude-main: {provider: claude, secret: {env: E2E_PROVIDER_SECRET}}\nmodels:\n"
        "  cheap-claude: {provider: claude, credential: claude-main, model: claude-tiny, price: {input: 3, output: 15}}\n",
    )
    .replace('models: [cheap, "gpt-4o*"]', 'models: [cheap, cheap-claude, "gpt-4o*"]')
)
USAGE = {"input_tokens": 10, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 300, "output_tokens": 20}
COUNTS = ("usage_source", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost_nanousd")
COUNTED = ("provider", 380, 20, 70, 300, 380 * 3000 + 20 * 15000)
CALL = {"name": "look_up", "arguments": {"of": "anna@example.com", "card": 4111111111111111, "at": 3}, "id": "toolu_1"}
CLEAN = {"of": "[EMAIL_ADDRESS]", "card": "[CREDIT_CARD]", "at": 3}
TOOLS: Any = [{"name": "look_up", "input_schema": {"type": "object"}}]


@pytest.fixture(scope="module")
def shared_claude() -> Iterator[Stack]:
    """One gate with a provider of the dialect."""
    with Stack(CLAUDE) as stack:
        yield stack


@pytest.fixture
def claude(shared_claude: Stack) -> Stack:
    """That gate, its mock provider fresh."""
    shared_claude.forget()
    return shared_claude


def client_of(gate: Stack, key: str = "app") -> Anthropic:
    """The SDK's client as an app makes it."""
    return Anthropic(base_url=gate.gateway, api_key=gate.key(key) if key else "sk-ant-of-somebody-else")


@pytest.fixture
def client(claude: Stack) -> Iterator[Anthropic]:
    """For the key `app`."""
    with client_of(claude) as made:
        yield made


def says(text: str = "Hello") -> dict[str, Any]:
    """A request of one message."""
    messages: list[MessageParam] = [{"role": "user", "content": text}]
    return {"model": "cheap-claude", "max_tokens": 99, "messages": messages}


def row_of(gate: Stack, exchange: str | None) -> dict[str, Any]:
    """The row of an exchange that the SDK names."""
    assert exchange
    return gate.row(exchange)


# ── answers ───────────────────────────────────────────────────────────────────


def test_a_whole_answer(client: Anthropic, claude: Stack) -> None:
    """Text, usage and model come through; the row has the tokens with the cache in them, and the provider the right key."""
    claude.script({"text": "Good morning", "usage": USAGE, "model": "claude-tiny-9"})
    answer = client.messages.with_raw_response.create(**says(), extra_headers={"anthropic-beta": "some-beta"})
    message = answer.parse()
    assert [block.text for block in message.content if block.type == "text"] == ["Good morning"]
    assert message.usage.model_dump(exclude_none=True) == USAGE
    row = row_of(claude, message._request_id)
    assert answer.headers["x-portcullis-request-id"] == message._request_id
    assert answer.headers["x-portcullis-cost-usd"] == "0.00144"
    assert tuple(row[name] for name in COUNTS) == COUNTED
    assert (row["route"], row["dialect"], row["provider"], row["model_asked"], row["model_served"], row["finish_reason"]) == (
        "messages", "anthropic", "claude", "cheap-claude", "claude-tiny-9", "end_turn",
    )  # fmt: skip
    assert (row["outcome"], row["termination"], row["max_tokens"], row["messages"]) == ("served", "complete", 99, 1)
    (got,) = claude.mock_received()
    assert (got["path"], json.loads(got["body"])) == ("/v1/messages", {**says(), "model": "claude-tiny"})
    assert got["headers"]["x-api-key"] == PROVIDER_SECRET
    assert (got["headers"]["anthropic-version"], got["headers"]["anthropic-beta"]) == (
        client.default_headers["anthropic-version"], "some-beta",
    )  # fmt: skip
    assert "authorization" not in got["headers"]
    assert claude.key() not in json.dumps(got)


def test_a_streamed_answer(client: Anthropic, claude: Stack) -> None:
    """The SDK puts the message together as it came; first and last event together are the usage."""
    claude.script({"text": ["Good ", "mor", "ning"], "usage": USAGE, "reasoning": ["Let me ", "think"]})
    with client.messages.stream(**says()) as stream:
        events = [event.type for event in stream]
        message = stream.get_final_message()
    assert [event for event in events if event.startswith("message_")] == ["message_start", "message_delta", "message_stop"]
    assert [(block.type, getattr(block, block.type)) for block in message.content] == [
        ("thinking", "Let me think"),
        ("text", "Good morning"),
    ]
    assert message.usage.model_dump(exclude_none=True) == USAGE
    row = row_of(claude, stream.response.headers["request-id"])
    assert tuple(row[name] for name in COUNTS) == COUNTED
    assert (row["stream"], row["outcome"], row["termination"], row["finish_reason"]) == (True, "served", "complete", "end_turn")


@pytest.mark.parametrize("stream", [False, True])
def test_the_providers_own_id_stands(client: Anthropic, claude: Stack, stream: bool) -> None:
    """Where the provider names the request, the SDK shows that name; the gate's is in its own header."""
    claude.script({"headers": {"request-id": "req_of_the_provider"}})
    with client.messages.with_streaming_response.create(**says(), stream=stream) as answer:
        assert answer.headers.get("request-id") == "req_of_the_provider"
        assert row_of(claude, answer.headers["x-portcullis-request-id"])


async def test_the_async_client(claude: Stack) -> None:
    """Whole, streamed, and refused."""
    claude.script({"text": "Good"}, {"text": ["Go", "od"]})
    async with AsyncAnthropic(base_url=claude.gateway, api_key=claude.key()) as client:
        whole = await client.messages.create(**says())
        async with client.messages.stream(**says()) as stream:
            pieces = [piece async for piece in stream.text_stream]
        with pytest.raises(anthropic.PermissionDeniedError):
            await client.messages.create(**says() | {"model": "claude-nobody-declared"})
    assert (whole.content[0].type, "".join(pieces)) == ("text", "Good")


def test_a_count_of_tokens(client: Anthropic, claude: Stack) -> None:
    """The provider's number; it costs nothing, and the prompt is redacted there too."""
    claude.script({"usage": {"input_tokens": 1234}})
    answer = client.messages.with_raw_response.count_tokens(model="cheap-claude", messages=says("I am anna@example.com")["messages"])
    assert answer.parse().input_tokens == 1234
    row = row_of(claude, answer.headers["request-id"])
    assert (row["route"], row["outcome"], row["cost_nanousd"], row["price_version"], row["output_tokens"]) == (
        "count_tokens", "served", 0, "free", 0,
    )  # fmt: skip
    (got,) = claude.mock_received()
    assert got["path"] == "/v1/messages/count_tokens"
    assert "anna" not in got["body"]


# ── what is taken out ─────────────────────────────────────────────────────────


def test_prompts_are_redacted_wherever_they_stand(client: Anthropic, claude: Stack) -> None:
    """System, text, tool results, tool inputs, documents in base64; signatures go back as they came."""
    thought: Any = {"type": "thinking", "thinking": "of bert@example.org", "signature": "EqQBCgIYAhIkMm4wYjFhZTk4/A=="}
    used: Any = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"of": "bert@example.org"}}
    found: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "bert@example.org"}]}
    held: Any = {"type": "base64", "media_type": "text/plain", "data": b64encode(b"bert@example.org").decode()}
    asked = says("bert@example.org") | {"system": [{"type": "text", "text": "for bert@example.org"}], "tools": TOOLS}
    asked["messages"] += [
        {"role": "assistant", "content": [thought, used]},
        {"role": "user", "content": [found, {"type": "document", "source": held}]},
    ]
    message = client.messages.create(**asked)
    got = claude.mock_received()[0]["body"]
    assert "bert" not in got
    clean = json.loads(got)
    assert clean["messages"][1]["content"][0]["signature"] == thought["signature"]
    assert clean["messages"][2]["content"][1]["source"]["data"] == b64encode(b"[EMAIL_ADDRESS]").decode()
    row = row_of(claude, message._request_id)
    assert (row["findings_prompt"], row["redacted_prompt"], row["tools"]) == ({"EMAIL_ADDRESS": 6}, 6, 1)


@pytest.mark.parametrize("sizes", [[1], [3, 5], [1000]])
def test_an_address_split_over_events_is_redacted(client: Anthropic, claude: Stack, sizes: list[int]) -> None:
    """Neither the split of its events nor that of its bytes lets an address through, in text and in thinking."""
    claude.script({"text": ["Write to an", "na@exam", "ple.com, ", "soon"], "reasoning": ["anna@", "example.com"], "chunk_sizes": sizes})
    with client.messages.stream(**says()) as stream:
        message = stream.get_final_message()
    assert [(block.type, getattr(block, block.type)) for block in message.content] == [
        ("thinking", "[EMAIL_ADDRESS]"), ("text", "Write to [EMAIL_ADDRESS], soon"),
    ]  # fmt: skip
    row = row_of(claude, stream.response.headers["request-id"])
    assert (row["findings_answer"], row["redacted_answer"]) == ({"EMAIL_ADDRESS": 2}, 2)


def test_tool_inputs_are_redacted_and_stay_json(client: Anthropic, claude: Stack) -> None:
    """Two calls at once, whole and in pieces: name and id come through, addresses and cards in the input don't."""
    second = {**CALL, "id": "toolu_2"}
    claude.script({"tool_calls": [CALL, second]}, {"tool_calls": [CALL, second], "chunk_sizes": [11]})
    whole = client.messages.create(**says(), tools=TOOLS)
    with client.messages.stream(**says(), tools=TOOLS) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        calls = [(block.id, block.name, block.input) for block in message.content if isinstance(block, ToolUseBlock)]
        assert calls == [("toolu_1", "look_up", CLEAN), ("toolu_2", "look_up", CLEAN)]
        assert message.stop_reason == "tool_use"


# ── refusals ──────────────────────────────────────────────────────────────────


def refused(client: Anthropic, gate: Stack, **asked: Any) -> anthropic.APIStatusError:
    """The SDK's error, which names the exchange as body, header and row do, and which was asked for once."""
    before = gate.envoy_counter()
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**says() | asked)
    error = caught.value
    assert isinstance(error.body, dict)
    assert error.request_id == error.body["request_id"] == error.response.headers["x-portcullis-request-id"]
    assert gate.envoy_counter() - before == 1
    assert row_of(gate, error.request_id)["error_code"] == error.error_code
    assert gate.mock_received() == []
    return error


def test_400_invalid_request(client: Anthropic, claude: Stack) -> None:
    """The message says what is wrong."""
    error = refused(client, claude, max_tokens=-1)
    assert (type(error), error.error_code, error.type) == (anthropic.BadRequestError, "invalid_request", "invalid_request_error")
    assert "max_tokens is not a whole number" in error.message


def test_400_guardrail_blocked(claude: Stack) -> None:
    """Kinds and counts are named, the text is not; so are images where the profile wants to know what is in them."""
    with client_of(claude, "strict") as client:
        error = refused(client, claude, messages=says("Charge 4111 1111 1111 1111")["messages"])
        shown: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
        blind = refused(client, claude, messages=[{"role": "user", "content": [shown]}])
    assert (type(error), error.error_code) == (anthropic.BadRequestError, "guardrail_blocked")
    assert "1 × CREDIT_CARD" in error.message
    assert "4111" not in str(error)
    assert "1 × UNSCANNED_IMAGE" in blind.message


def test_400_unsupported_feature(client: Anthropic, claude: Stack) -> None:
    """What the provider would run, or keep, by its name."""
    searching = refused(client, claude, tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert (type(searching), searching.error_code) == (anthropic.BadRequestError, "unsupported_feature")
    assert "tool:web_search" in searching.message
    assert "container" in refused(client, claude, container="container_1").message
    assert "fallbacks" in refused(client, claude, extra_body={"fallbacks": [{"model": "dear"}]}).message


def test_400_a_model_of_another_dialect(client: Anthropic, claude: Stack) -> None:
    """Each is served on the routes of its provider's dialect."""
    assert "another dialect (openai)" in refused(client, claude, model="cheap").message
    assert "another dialect (anthropic)" in claude.chat(model="cheap-claude").document["error"]["message"]


def test_401_invalid_api_key(claude: Stack) -> None:
    """A key of somebody else's."""
    with client_of(claude, "") as client:
        error = refused(client, claude)
    assert (type(error), error.error_code, error.type) == (anthropic.AuthenticationError, "invalid_api_key", "authentication_error")


def test_403_not_allowed(client: Anthropic, claude: Stack) -> None:
    """The SDK is told not to try again."""
    error = refused(client, claude, model="claude-nobody-declared")
    assert (type(error), error.error_code, error.type) == (anthropic.PermissionDeniedError, "not_allowed", "permission_error")
    assert isinstance(error.body, dict)
    assert error.body["error"]["reasons"] == ["model_not_allowed"]
    assert error.response.headers["x-should-retry"] == "false"


def test_404_unknown_route(client: Anthropic, claude: Stack) -> None:
    """What has no parser is not there."""
    with pytest.raises(anthropic.NotFoundError, match="serves no such path"):
        client.messages.batches.list()
    assert claude.mock_received() == []


def test_413_request_too_large(client: Anthropic, claude: Stack) -> None:
    """Over limits.request_bytes."""
    error = refused(client, claude, messages=says("x" * (21 << 20))["messages"])
    assert (error.status_code, error.error_code, error.type) == (413, "request_too_large", "request_too_large")


def test_429_is_the_provider_s_own(client: Anthropic, claude: Stack) -> None:
    """As it came, and the SDK tries again as it would without a gate."""
    claude.script({"status": 429, "headers": {"retry-after-ms": "1", "request-id": "req_1"}, "repeat": 3})
    with pytest.raises(anthropic.RateLimitError) as caught:
        client.messages.create(**says())
    assert (caught.value.type, caught.value.request_id) == ("rate_limit_error", "req_1")
    assert len(claude.mock_received()) == 3


def test_502_upstream_error(client: Anthropic, claude: Stack) -> None:
    """With what the provider said inside, redacted."""
    said = {"type": "error", "error": {"type": "overloaded_error", "message": "ask anna@example.com"}}
    claude.script({"status": 529, "body": json.dumps(said), "headers": {"request-id": "req_1"}})
    with pytest.raises(anthropic.InternalServerError) as caught:
        client.with_options(max_retries=0).messages.create(**says())
    error = caught.value
    assert (error.status_code, error.error_code, error.type) == (502, "upstream_error", "api_error")
    assert isinstance(error.body, dict)
    said["error"]["message"] = "ask [EMAIL_ADDRESS]"  # type: ignore[index]  # an object
    assert error.body["error"]["provider"] == {"status": 529, "body": said}
    assert row_of(claude, error.request_id)["provider_status"] == 529


def test_503_gate_unavailable(client: Anthropic, claude: Stack) -> None:
    """Envoy's own answer while a part is down: the SDK raises by its status and shows its message."""
    with claude.without("extproc"), pytest.raises(anthropic.InternalServerError) as caught:
        client.with_options(max_retries=0).messages.create(**says())
    assert (caught.value.status_code, caught.value.type) == (503, "server_error")
    assert caught.value.api_message == "The gate could not decide about this request. Try again."
    assert client.messages.create(**says()).content


# ── in the middle of a stream ─────────────────────────────────────────────────


def read_until_error(client: Anthropic) -> tuple[str, anthropic.APIError]:
    """The text that came, and what the SDK raised then."""
    got: list[str] = []
    with client.messages.stream(**says()) as stream, pytest.raises(anthropic.APIError) as caught:
        got += stream.text_stream  # list.extend keeps what came before the error
    return "".join(got), caught.value


def test_a_block_in_mid_stream_raises(claude: Stack) -> None:
    """What came before the finding has been read; of the finding nothing is. The error names the exchange."""
    claude.script({"text": ["Good morning. ", "My card is 4111 1111 ", "1111 1111, ", "bye"], "chunk_delay_ms": 30})
    with client_of(claude, "sealed") as client:
        text, error = read_until_error(client)
    assert text.startswith("Good morning. ")
    assert "4111" not in text
    assert isinstance(error, anthropic.APIStatusError)
    assert (error.error_code, error.type) == ("guardrail_blocked", "invalid_request_error")
    row = row_of(claude, error.request_id)
    assert (row["outcome"], row["termination"], row["error_code"]) == ("refused", "cut", "guardrail_blocked")
    assert (row["input_tokens"], row["usage_source"]) != (0, "provider")


def test_a_provider_s_error_in_mid_stream_raises(client: Anthropic, claude: Stack) -> None:
    """As it came; the row says that the provider failed, and counts what flowed."""
    claude.script({"fault": "error_mid", "usage": USAGE})
    _, error = read_until_error(client)
    assert isinstance(error, anthropic.APIStatusError)
    assert error.type == "overloaded_error"
    row = row_of(claude, error.request_id)
    assert (row["outcome"], row["termination"], row["error_code"]) == ("failed", "upstream_status", "upstream_error")
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"]) == (380, 70, 300)


def test_garbage_in_mid_stream_raises(client: Anthropic, claude: Stack) -> None:
    """An event that nobody can read, or whose block nobody can tell, ends the stream with an error of ours."""
    start = {
        "type": "message_start",
        "message": {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": USAGE},
    }
    good = f"event: message_start\ndata: {json.dumps(start)}\n\n"
    for bad in ("data: {nonsense", 'data: {"type": "content_block_delta", "index": "0", "delta": {"type": "text_delta", "text": "x"}}'):
        claude.script({"chunks": [good, f"event: content_block_delta\n{bad}\n\n"], "chunk_delay_ms": 30})
        _, error = read_until_error(client)
        assert isinstance(error, anthropic.APIStatusError)
        assert error.error_code == "upstream_error"
        assert row_of(claude, error.request_id)["termination"] == "upstream_garbage"


def test_a_stream_that_breaks_off_is_told(client: Anthropic, claude: Stack) -> None:
    """A provider that goes away looks as it would without a gate."""
    claude.script({"fault": "truncated", "chunk_delay_ms": 30}, {"fault": "truncated", "chunk_delay_ms": 30})
    raised: list[BaseException] = []
    named: list[str | None] = []
    with Anthropic(base_url=claude.mock, api_key="k") as direct:
        for each in (client, direct):
            with each.messages.create(**says(), stream=True) as stream, pytest.raises(httpx2.RemoteProtocolError) as caught:
                list(stream)
            raised.append(caught.value)
            named.append(stream.response.headers.get("request-id"))
    assert str(raised[0]) == str(raised[1])
    row = row_of(claude, named[0])
    assert (row["outcome"], row["termination"]) == ("failed", "upstream_reset")


# ── the beta interface ────────────────────────────────────────────────────────


def test_the_query_of_the_beta_interface_passes_and_no_other(claude: Stack) -> None:
    """`?beta=true` reaches the provider as it came; any other query is refused, whichever way it is written."""
    asked = says()
    assert claude.ask(asked, path="/v1/messages?beta=true").status == 200
    assert claude.ask({**asked, "messages": asked["messages"]}, path="/v1/messages/count_tokens?beta=true").status == 200
    assert [got["path"] for got in claude.mock_received()] == ["/v1/messages?beta=true", "/v1/messages/count_tokens?beta=true"]
    claude.forget()
    for other in ("?beta=false", "?beta=true&x=1", "?beta=true&beta=true", "?", "?beta=true#x", "?BETA=true", "?beta=tru%65"):
        reply = claude.ask(asked, path=f"/v1/messages{other}")
        assert (reply.status, reply.code) == (400, "invalid_request"), other
    assert claude.ask({"model": "cheap", "messages": asked["messages"]}, path="/v1/chat/completions?beta=true").status == 400
    assert claude.mock_received() == []
