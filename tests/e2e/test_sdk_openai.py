"""The official OpenAI SDK, unmodified, through the whole gate: only base_url and api_key say that it is not OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from stack import Stack


def client_of(gate: Stack, key: str = "app") -> OpenAI:
    """The SDK's client as an app makes it."""
    return OpenAI(base_url=f"{gate.gateway}/v1", api_key=gate.key(key) if key else "sk-of-somebody-else")


@pytest.fixture
def client(gate: Stack) -> Iterator[OpenAI]:
    """For the key `app`."""
    with client_of(gate) as made:
        yield made


def says(text: str) -> list[ChatCompletionMessageParam]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def sent_by(gate: Stack) -> list[Any]:
    """What the provider got, as documents."""
    return [json.loads(got["body"]) for got in gate.mock_received()]


# ── answers ───────────────────────────────────────────────────────────────────


def test_a_whole_answer(client: OpenAI, gate: Stack) -> None:
    """Text, usage and the model come through; the response's headers name the exchange and its cost."""
    gate.script({"text": "Good morning", "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}})
    answer = client.chat.completions.with_raw_response.create(model="cheap", messages=says("Hello"))
    parsed = answer.parse()
    assert parsed.choices[0].message.content == "Good morning"
    assert parsed.usage is not None
    assert parsed.usage.total_tokens == 30
    assert sent_by(gate) == [{"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}]
    row = gate.row(answer.headers["x-portcullis-request-id"])
    assert (row["outcome"], row["input_tokens"], row["output_tokens"], row["cost_nanousd"]) == ("served", 10, 20, 13_500)
    assert answer.headers["x-portcullis-cost-usd"] == "0.0000135"
    assert row["user_agent"].startswith("OpenAI/Python")


def test_a_streamed_answer_with_usage(client: OpenAI, gate: Stack) -> None:
    """Pieces in their order, then the usage that include_usage asks for."""
    gate.script({"text": ["Good ", "mor", "ning"], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
    stream = client.chat.completions.create(model="cheap", messages=says("Hello"), stream=True, stream_options={"include_usage": True})
    with stream:
        chunks = list(stream)
    assert text_of(chunks) == "Good morning"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [3]
    assert stream.response.headers["content-type"].startswith("text/event-stream")
    row = gate.row(stream.response.headers["x-portcullis-request-id"])
    assert (row["outcome"], row["usage_source"], row["input_tokens"], row["output_tokens"]) == ("served", "provider", 1, 2)


def text_of(chunks: list[ChatCompletionChunk], choice: int = 0) -> str:
    """A choice's text, put together."""
    return "".join(each.delta.content or "" for chunk in chunks for each in chunk.choices if each.index == choice)


def test_two_choices(client: OpenAI, gate: Stack) -> None:
    """Each choice keeps its own text, also where they take turns."""
    gate.script({"text": ["Mail an", "na@example", ".com please"]})
    with client.chat.completions.create(model="cheap", messages=says("Hello"), n=2, stream=True) as stream:
        chunks = list(stream)
    assert [text_of(chunks, choice) for choice in (0, 1)] == ["Mail [EMAIL_ADDRESS] please"] * 2
    gate.script({"text": "Good"})
    whole = client.chat.completions.create(model="cheap", messages=says("Hello"), n=2)
    assert [choice.message.content for choice in whole.choices] == ["Good", "Good"]


def test_tool_calls(client: OpenAI, gate: Stack) -> None:
    """Name, id and arguments come through whole and in pieces; an address in the arguments does not."""
    call = {"name": "look_up", "arguments": {"of": "anna@example.com", "at": 3}, "id": "call_1"}
    gate.script({"tool_calls": [call]}, {"tool_calls": [call], "chunk_sizes": [11]})
    tools: Any = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
    whole = client.chat.completions.create(model="cheap", messages=says("Look"), tools=tools)
    (made,) = whole.choices[0].message.tool_calls or []
    assert made.type == "function"
    assert (made.id, made.function.name) == ("call_1", "look_up")
    assert json.loads(made.function.arguments) == {"of": "[EMAIL_ADDRESS]", "at": 3}
    with client.chat.completions.create(model="cheap", messages=says("Look"), tools=tools, stream=True) as stream:
        deltas = [delta for chunk in stream for choice in chunk.choices for delta in choice.delta.tool_calls or []]
    arguments = "".join(delta.function.arguments or "" for delta in deltas if delta.function)
    assert json.loads(arguments) == {"of": "[EMAIL_ADDRESS]", "at": 3}
    assert [delta.id for delta in deltas if delta.id] == ["call_1"]


@pytest.mark.parametrize("sizes", [[1], [3, 5], [1000]])
def test_an_address_split_over_chunks_is_redacted(client: OpenAI, gate: Stack, sizes: list[int]) -> None:
    """Neither the split of its events nor that of its bytes lets an address through, either way."""
    gate.script({"text": ["Write to an", "na@exam", "ple.com, ", "soon"], "chunk_sizes": sizes})
    with client.chat.completions.create(model="cheap", messages=says("From bert@example.org"), stream=True) as stream:
        assert text_of(list(stream)) == "Write to [EMAIL_ADDRESS], soon"
    assert sent_by(gate)[0]["messages"] == [{"role": "user", "content": "From [EMAIL_ADDRESS]"}]


async def test_the_async_client(gate: Stack) -> None:
    """Whole, streamed, and refused."""
    gate.script({"text": "Good"}, {"text": ["Go", "od"]})
    async with AsyncOpenAI(base_url=f"{gate.gateway}/v1", api_key=gate.key()) as client:
        whole = await client.chat.completions.create(model="cheap", messages=says("Hello"))
        stream = await client.chat.completions.create(model="cheap", messages=says("Hello"), stream=True)
        async with stream:
            chunks = [chunk async for chunk in stream]
        with pytest.raises(openai.PermissionDeniedError):
            await client.chat.completions.create(model="dear", messages=says("Hello"))
    assert (whole.choices[0].message.content, text_of(chunks)) == ("Good", "Good")


@pytest.mark.parametrize("size", [(1 << 15) - 1, 1 << 15, (1 << 15) + 1, 1 << 20])
@pytest.mark.parametrize("stream", [False, True])
def test_long_prompts(client: OpenAI, gate: Stack, size: int, stream: bool) -> None:
    """Around Envoy's own buffer sizes, and a mebibyte: nothing is lost or cut on either way."""
    word = "allworkandnoplay" * 512 + " "  # long ones: the mock says one a piece
    text = (word * (size // len(word) + 1))[:size]
    gate.script({"echo": True})
    if stream:
        with client.chat.completions.create(model="gpt-4o-mini", messages=says(text), stream=True) as pieces:
            assert text_of(list(pieces)) == text
    else:
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=says(text))
        assert answer.choices[0].message.content == text
    assert [document["messages"][0]["content"] for document in sent_by(gate)] == [text]


# ── refusals ──────────────────────────────────────────────────────────────────


def refused(client: OpenAI, gate: Stack, text: str = "Hello", model: str = "cheap", **more: Any) -> openai.APIStatusError:
    """The SDK's error, whose body names the exchange like its header does, and which was asked for once."""
    before = gate.envoy_counter()
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=model, messages=says(text), **more)
    error = caught.value
    assert error.request_id == error.response.headers.get("x-request-id")
    assert isinstance(error.body, dict)
    assert error.body["request_id"] == error.response.headers["x-portcullis-request-id"]
    assert gate.envoy_counter() - before == 1
    assert gate.row(error.body["request_id"])["error_code"] == error.code
    return error


def test_400_invalid_request(client: OpenAI, gate: Stack) -> None:
    """The message says what is wrong."""
    error = refused(client, gate, n=0)
    assert (type(error), error.code, error.type) == (openai.BadRequestError, "invalid_request", "invalid_request_error")
    assert "n is not a whole number" in error.message


def test_400_guardrail_blocked(gate: Stack) -> None:
    """Kinds and counts are named, the text is not."""
    with client_of(gate, "strict") as client:
        error = refused(client, gate, "Charge 4111 1111 1111 1111")
    assert (type(error), error.code) == (openai.BadRequestError, "guardrail_blocked")
    assert "1 × CREDIT_CARD" in error.message
    assert "4111" not in str(error)
    assert gate.mock_received() == []


def test_401_invalid_api_key(gate: Stack) -> None:
    """A key of somebody else's."""
    with client_of(gate, "") as client:
        error = refused(client, gate)
    assert (type(error), error.code) == (openai.AuthenticationError, "invalid_api_key")


def test_403_not_allowed(client: OpenAI, gate: Stack) -> None:
    """The rule's own code is in the body, and the SDK is told not to try again."""
    error = refused(client, gate, model="dear")
    assert (type(error), error.code, error.type) == (openai.PermissionDeniedError, "not_allowed", "permission_error")
    assert isinstance(error.body, dict)
    assert error.body["reasons"] == ["model_not_allowed"]
    assert error.response.headers["x-should-retry"] == "false"


def test_404_unknown_route(client: OpenAI, gate: Stack) -> None:
    """What has no parser is not there."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.list()
    assert caught.value.code == "unknown_route"
    assert gate.mock_received() == []


def test_413_request_too_large(client: OpenAI, gate: Stack) -> None:
    """Over limits.request_bytes."""
    error = refused(client, gate, "x" * (21 << 20))
    assert (error.status_code, error.code) == (413, "request_too_large")
    assert gate.mock_received() == []


def test_429_is_the_provider_s_own(gate: Stack) -> None:
    """As it came, and the SDK tries again as it would without a gate; each try is an exchange of its own."""
    gate.script({"status": 429, "headers": {"retry-after-ms": "1"}, "repeat": 3})
    before = gate.envoy_counter()
    with client_of(gate) as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="cheap", messages=says("Hello"))
    assert caught.value.code == "mock_429"
    assert gate.envoy_counter() - before == 3
    assert len(gate.mock_received()) == 3


def test_a_refusal_that_says_so_is_not_tried_again(client: OpenAI, gate: Stack) -> None:
    """x-should-retry of the provider is heeded by the SDK through the gate."""
    gate.script({"status": 429, "headers": {"x-should-retry": "false"}, "repeat": 3})
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="cheap", messages=says("Hello"))
    assert len(gate.mock_received()) == 1


def test_502_upstream_error(client: OpenAI, gate: Stack) -> None:
    """With what the provider said inside, redacted."""
    gate.script({"status": 500, "body": json.dumps({"error": {"message": "ask anna@example.com"}}), "headers": {"x-should-retry": "false"}})
    with pytest.raises(openai.InternalServerError) as caught:
        client.with_options(max_retries=0).chat.completions.create(model="cheap", messages=says("Hello"))
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_error")
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["provider"] == {"status": 500, "body": {"error": {"message": "ask [EMAIL_ADDRESS]"}}}


def test_503_gate_unavailable(own_gate: Stack) -> None:
    """A part is down; once it is back the same client is served."""
    with client_of(own_gate) as client:
        with own_gate.without("extproc"), pytest.raises(openai.InternalServerError) as caught:
            client.with_options(max_retries=0).chat.completions.create(model="cheap", messages=says("Hello"))
        assert (caught.value.status_code, caught.value.code) == (503, "gate_unavailable")
        assert client.chat.completions.create(model="cheap", messages=says("Hello")).choices


# ── in the middle of a stream ─────────────────────────────────────────────────


def read_until_error(client: OpenAI) -> tuple[str, openai.APIError]:
    """The text that came, and what the SDK raised then."""
    got: list[ChatCompletionChunk] = []
    stream = client.chat.completions.create(model="cheap", messages=says("Hello"), stream=True)
    with stream, pytest.raises(openai.APIError) as caught:
        got += stream  # list.extend keeps what came before the error
    return text_of(got), caught.value


def test_a_block_in_mid_stream_raises(gate: Stack) -> None:
    """What came before the finding has been read; of the finding nothing is."""
    gate.script({"text": ["Good morning. ", "My card is 4111 1111 ", "1111 1111, ", "bye"], "chunk_delay_ms": 30})
    with client_of(gate, "sealed") as client:
        text, error = read_until_error(client)
    assert text.startswith("Good morning. ")
    assert "4111" not in text
    assert error.code == "guardrail_blocked"
    assert isinstance(error.body, dict)
    assert gate.row(error.body["request_id"])["termination"] == "cut"


def test_garbage_in_mid_stream_raises(client: OpenAI, gate: Stack) -> None:
    """An event that nobody can read ends the stream with an error of ours."""
    good = (
        'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Good "}}]}\n\n'
    )
    gate.script({"chunks": [good, 'data: {"choices": [nonsense\n\n'], "chunk_delay_ms": 30})
    text, error = read_until_error(client)
    assert (text, error.code) == ("Good ", "upstream_error")


def test_a_reset_in_mid_stream_is_told(client: OpenAI, gate: Stack) -> None:
    """A provider that breaks off looks as it would without a gate: the SDK does not take it for an end."""
    gate.script({"fault": "truncated", "chunk_delay_ms": 30})
    with (
        pytest.raises(openai.APIConnectionError),
        client.chat.completions.create(model="cheap", messages=says("Hi"), stream=True) as stream,
    ):
        list(stream)


def test_every_request_of_the_sdk_passes_envoy(client: OpenAI, gate: Stack) -> None:
    """Envoy's own counter grows by what the SDK sends, and the provider gets no more than was let through."""
    before = gate.envoy_counter()
    client.chat.completions.create(model="cheap", messages=says("Hello"))
    with client.chat.completions.create(model="cheap", messages=says("Hello"), stream=True) as stream:
        list(stream)
    with pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(model="dear", messages=says("Hello"))
    assert gate.envoy_counter() - before == 3
    assert len(gate.mock_received()) == 2
