"""What an app sees of the gate by OpenAI's SDK for Python beyond what it does with every client: headers, rows, choices, long prompts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from stack import Stack


@pytest.fixture
def client(gate: Stack) -> Iterator[OpenAI]:
    """The SDK's client as an app makes it, for the key `app`."""
    with OpenAI(base_url=f"{gate.gateway}/v1", api_key=gate.key()) as made:
        yield made


def says(text: str) -> list[ChatCompletionMessageParam]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def sent_by(gate: Stack) -> list[Any]:
    """What the provider got, as documents."""
    return [json.loads(got["body"]) for got in gate.mock_received()]


def test_a_whole_answer(client: OpenAI, gate: Stack) -> None:
    """Text, usage and the model come through; the response's headers name the exchange and its cost."""
    gate.script({"text": "Good morning", "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}})
    answer = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=says("Hello"))
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
    stream = client.chat.completions.create(
        model="gpt-4o-mini", messages=says("Hello"), stream=True, stream_options={"include_usage": True}
    )
    with stream:
        chunks = list(stream)
    assert text_of(chunks) == "Good morning"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [3]
    assert stream.response.headers["content-type"].startswith("text/event-stream")
    row = gate.row(stream.response.headers["x-portcullis-request-id"])
    assert (row["outcome"], row["usage_source"], row["input_tokens"], row["output_tokens"]) == ("served", "provider", 1, 2)


def test_usage_that_only_the_gate_asks_for(client: OpenAI, gate: Stack) -> None:
    """The provider is asked for it, the row has it, and the app, which did not ask, sees a stream without."""
    gate.script({"text": ["Good ", "morning"], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
    with client.chat.completions.create(model="gpt-4o-mini", messages=says("Hello"), stream=True) as stream:
        chunks = list(stream)
    assert [chunk.usage for chunk in chunks if chunk.usage or not chunk.choices] == []
    assert [sent["stream_options"] for sent in sent_by(gate)] == [{"include_usage": True}]
    row = gate.row(stream.response.headers["x-portcullis-request-id"])
    assert (row["usage_source"], row["input_tokens"], row["output_tokens"]) == ("provider", 1, 2)


def text_of(chunks: list[ChatCompletionChunk], choice: int = 0) -> str:
    """A choice's text, put together."""
    return "".join(each.delta.content or "" for chunk in chunks for each in chunk.choices if each.index == choice)


def test_two_choices(client: OpenAI, gate: Stack) -> None:
    """Each choice keeps its own text, also where they take turns."""
    gate.script({"text": ["Mail an", "na@example", ".com please"]})
    with client.chat.completions.create(model="gpt-4o-mini", messages=says("Hello"), n=2, stream=True) as stream:
        chunks = list(stream)
    assert [text_of(chunks, choice) for choice in (0, 1)] == ["Mail [EMAIL_ADDRESS] please"] * 2
    gate.script({"text": "Good"})
    whole = client.chat.completions.create(model="gpt-4o-mini", messages=says("Hello"), n=2)
    assert [choice.message.content for choice in whole.choices] == ["Good", "Good"]


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


def test_an_invalid_request_is_the_sdks_own_error(client: OpenAI, gate: Stack) -> None:
    """The message says what is wrong; the error's body names the exchange like its header does."""
    with pytest.raises(openai.BadRequestError, match="n is not a whole number") as caught:
        client.chat.completions.create(model="gpt-4o-mini", messages=says("Hello"), n=0)
    error = caught.value
    assert (error.code, error.type) == ("invalid_request", "invalid_request_error")
    assert isinstance(error.body, dict)
    assert error.body["request_id"] == error.response.headers["x-portcullis-request-id"]
    assert gate.row(error.body["request_id"])["error_code"] == "invalid_request"


def test_garbage_in_mid_stream_raises(client: OpenAI, gate: Stack) -> None:
    """An event that nobody can read ends the stream with an error of ours."""
    good = (
        'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Good "}}]}\n\n'
    )
    gate.script({"chunks": [good, 'data: {"choices": [nonsense\n\n'], "chunk_delay_ms": 30})
    got: list[ChatCompletionChunk] = []
    stream = client.chat.completions.create(model="gpt-4o-mini", messages=says("Hello"), stream=True)
    with stream, pytest.raises(openai.APIError) as caught:
        got += stream  # list.extend keeps what came before the error
    assert (text_of(got), caught.value.code) == ("Good ", "upstream_error")


def test_every_request_of_the_sdk_passes_envoy(client: OpenAI, gate: Stack) -> None:
    """Envoy's own counter grows by what the SDK sends, and the provider gets no more than was let through."""
    before = gate.envoy_counter()
    client.chat.completions.create(model="gpt-4o-mini", messages=says("Hello"))
    with client.chat.completions.create(model="gpt-4o-mini", messages=says("Hello"), stream=True) as stream:
        list(stream)
    with pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(model="gpt-4o", messages=says("Hello"))
    assert gate.envoy_counter() - before == 3
    assert len(gate.mock_received()) == 2
