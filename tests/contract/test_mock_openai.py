"""OpenAI's shapes, as the official SDK reads them from the mock itself."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mock_client import ASK, STREAM, Client, events, mocked
from openai.types import Moderation
from openai.types.responses import Response
from pydantic import TypeAdapter

from controlplane.mock.says import DEFAULT_TEXT

CALLS = [{"name": "look_up", "arguments": {"city": "Köln"}}, {"name": "note", "arguments": {"text": "a longer text than a piece"}}]
SAID = [json.dumps(call["arguments"], ensure_ascii=False, separators=(",", ":")) for call in CALLS]
PROMPT: dict[str, Any] = {"model": "tiny", "prompt": "Hello there"}
INPUT: dict[str, Any] = {"model": "tiny", "input": "Hello there"}
OPTIONS = {"stream_options": {"include_usage": True}}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of a mock of its own."""
    async with mocked() as client:
        yield client


@pytest.fixture
async def sdk(client: Client) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official SDK, strict about every answer's types."""
    async with openai.AsyncOpenAI(base_url=f"{client.url}/v1", api_key="k", max_retries=0, _strict_response_validation=True) as sdk:
        yield sdk


@pytest.fixture
async def lax(client: Client) -> AsyncIterator[openai.AsyncOpenAI]:
    """The SDK as people have it, for what its own types don't allow: finish reasons that are not there yet, vectors in base64."""
    async with openai.AsyncOpenAI(base_url=f"{client.url}/v1", api_key="k", max_retries=0) as sdk:
        yield sdk


async def test_chat_whole(client: Client, sdk: openai.AsyncOpenAI) -> None:
    """Text, then two parallel tool calls, each with its finish reason and usage."""
    await client.script({"usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}}, {"tool_calls": CALLS})
    said, called = [await sdk.chat.completions.create(**ASK) for _ in range(2)]
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == (DEFAULT_TEXT, "stop")
    assert said.usage is not None
    assert said.usage.total_tokens == 8
    calls = called.choices[0].message.tool_calls or []
    assert [call.function.arguments for call in calls] == SAID  # type: ignore[union-attr]  # functions all
    assert (called.choices[0].message.content, called.choices[0].finish_reason) == (None, "tool_calls")
    assert called.usage is not None
    assert called.usage.completion_tokens == -(-sum(len(said.encode()) for said in SAID) // 4)


async def test_chat_streamed(client: Client, sdk: openai.AsyncOpenAI) -> None:
    """The SDK's own accumulation of a stream is what the whole answer has."""
    step = {"text": ["one ", "two"], "tool_calls": CALLS, "reasoning": "Let me think."}
    await client.script(step, step)
    whole = await sdk.chat.completions.create(**ASK, n=2)
    async with sdk.chat.completions.stream(**ASK, n=2, **OPTIONS) as stream:
        final = await stream.get_final_completion()
    assert [choice.message.content for choice in final.choices] == ["one two"] * 2
    assert final.choices[0].message.reasoning_content == "Let me think."  # type: ignore[attr-defined]  # no field of OpenAI's own
    assert [[call.function.arguments for call in choice.message.tool_calls or []] for choice in final.choices] == [SAID] * 2
    assert [choice.finish_reason for choice in final.choices] == ["tool_calls"] * 2
    assert whole.usage is not None
    assert final.usage is not None
    assert final.usage.completion_tokens == whole.usage.completion_tokens


@pytest.mark.parametrize(("path", "ask"), [("/v1/chat/completions", STREAM), ("/v1/completions", {**PROMPT, "stream": True})])
async def test_usage_event_only_when_asked(client: Client, path: str, ask: dict[str, Any]) -> None:
    """A stream has usage in its last event and empty in all others with `include_usage`, and nowhere without, scripted or not."""
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    await client.script({"usage": usage, "repeat": 2})
    _, without = await client.chat(ask, path)
    _, asked = await client.chat({**ask, **OPTIONS}, path)
    assert b"usage" not in without
    documents = events(asked)
    assert [document["usage"] for document in documents] == [None] * (len(documents) - 1) + [usage]
    assert documents[-1]["choices"] == []
    assert asked.endswith(b"data: [DONE]\n\n")


async def test_logprobs_say_the_text_again(client: Client, lax: openai.AsyncOpenAI) -> None:
    """Where they are asked for, whole and streamed, every token of the text is in them."""
    await client.script({"text": ["one ", "two"], "repeat": 0})
    _, chat = await client.chat({**ASK, "logprobs": True, "top_logprobs": 1})
    _, chunks = await client.chat({**STREAM, "logprobs": True})
    _, legacy = await client.chat({**PROMPT, "logprobs": 1}, "/v1/completions")
    _, parts = await client.chat({**PROMPT, "logprobs": 0, "stream": True}, "/v1/completions")
    included = {**INPUT, "include": ["message.output_text.logprobs"]}
    whole = await lax.responses.create(**included)
    async with lax.responses.stream(**included) as stream:
        deltas = [event async for event in stream if event.type == "response.output_text.delta"]
    tokens = [token for choice in json.loads(chat)["choices"] for token in choice["logprobs"]["content"]]
    assert [(token["token"], bytes(token["bytes"]), token["top_logprobs"][0]["token"]) for token in tokens] == [
        ("one ", b"one ", "one "),
        ("two", b"two", "two"),
    ]
    said = [document["choices"][0]["logprobs"] for document in events(chunks)]
    assert [token["token"] for logprobs in said if logprobs for token in logprobs["content"]] == ["one ", "two"]
    assert json.loads(legacy)["choices"][0]["logprobs"]["text_offset"] == [0, 4]
    offsets = [document["choices"][0]["logprobs"] for document in events(parts)]
    assert [logprobs and (logprobs["tokens"], logprobs["text_offset"]) for logprobs in offsets] == [(["one "], [0]), (["two"], [4]), None]
    message = whole.output[0]
    assert message.type == "message"
    assert [token.token for token in message.content[0].logprobs or []] == ["one ", "two"]  # type: ignore[union-attr]  # a text
    assert [token.token for delta in deltas for token in delta.logprobs] == ["one ", "two"]


async def test_completions_whole(client: Client, sdk: openai.AsyncOpenAI) -> None:
    """One choice for each prompt, times `n`."""
    await client.script({"text": "Good day", "finish_reason": "length"}, {"echo": True})
    said = await sdk.completions.create(model="tiny", prompt=["a", "b"], n=2)
    assert [(choice.index, choice.text, choice.finish_reason) for choice in said.choices] == [(i, "Good day", "length") for i in range(4)]
    assert said.usage is not None
    assert said.usage.completion_tokens == 4 * 2
    assert (await sdk.completions.create(**PROMPT)).choices[0].text == "Hello there"


async def test_completions_streamed(client: Client, lax: openai.AsyncOpenAI) -> None:
    """Pieces, a finish reason, usage without choices, and the end."""
    await client.script({"text": ["one ", "two"]})
    chunks = [chunk async for chunk in await lax.completions.create(**PROMPT, stream=True, **OPTIONS)]
    assert [(c.choices[0].text, c.choices[0].finish_reason) for c in chunks[:-1]] == [("one ", None), ("two", None), ("", "stop")]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2


async def test_responses_whole(client: Client, sdk: openai.AsyncOpenAI) -> None:
    """Reasoning, a message and two calls are items of the output; the request's own fields come back."""
    await client.script({"text": "Good day", "tool_calls": CALLS, "reasoning": "Let me think."})
    tool: dict[str, Any] = {"type": "function", "name": "look_up", "parameters": {}, "strict": False}
    answer = await sdk.responses.create(**INPUT, instructions="Be brief.", tools=[tool])
    reasoning, message, first, second = answer.output
    assert (reasoning.type, message.type) == ("reasoning", "message")
    assert reasoning.summary[0].text == "Let me think."
    assert answer.output_text == "Good day"
    assert [first.arguments, second.arguments] == SAID  # type: ignore[union-attr]  # function calls both
    assert (answer.status, answer.instructions, len(answer.tools)) == ("completed", "Be brief.", 1)
    assert answer.usage is not None
    assert answer.usage.output_tokens_details.reasoning_tokens == 4
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


async def test_responses_streamed(client: Client, sdk: openai.AsyncOpenAI) -> None:
    """Every event is of a type that the SDK knows, numbered from 0; its snapshots end where the deltas do."""
    await client.script({"text": ["one ", "two"], "tool_calls": CALLS[:1], "reasoning": ["Let me ", "think."]})
    async with sdk.responses.stream(**INPUT) as stream:
        seen = [event async for event in stream]
        final = await stream.get_final_response()
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    summary, part = "response.reasoning_summary", "response.content_part"
    assert [event.type for event in seen] == [
        *("response.created", "response.in_progress"),
        *("response.output_item.added", f"{summary}_part.added", f"{summary}_text.delta", f"{summary}_text.delta"),
        *(f"{summary}_text.done", f"{summary}_part.done", "response.output_item.done"),
        *("response.output_item.added", f"{part}.added", "response.output_text.delta", "response.output_text.delta"),
        *("response.output_text.done", f"{part}.done", "response.output_item.done"),
        *("response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.delta"),
        *("response.function_call_arguments.done", "response.output_item.done", "response.completed"),
    ]
    assert [event.snapshot for event in seen if event.type == "response.output_text.delta"] == ["one ", "one two"]
    assert final.output_text == "one two"
    assert final.usage is not None


@pytest.mark.parametrize(("reason", "status"), [("max_output_tokens", "incomplete"), ("failed", "failed")])
async def test_responses_that_do_not_complete(client: Client, sdk: openai.AsyncOpenAI, reason: str, status: str) -> None:
    """The finish reason decides the status, whole and in the last event, whose line names it."""
    await client.script({"finish_reason": reason, "repeat": 2})
    whole = await sdk.responses.create(**INPUT)
    _, stream = await client.chat({**INPUT, "stream": True}, "/v1/responses")
    last = events(stream)[-1]
    assert (whole.status, last["type"], last["response"]["status"]) == (status, f"response.{status}", status)
    assert stream.count(f"event: response.{status}\n".encode()) == 1
    assert (whole.incomplete_details is None, whole.error is None) == (status == "failed", status != "failed")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.lists(st.text(max_size=9), max_size=4),
            "reasoning": st.text(max_size=20),
            "tool_calls": st.lists(st.fixed_dictionaries({"name": st.just("f"), "arguments": st.text(max_size=30)}), max_size=3),
            "bulk": st.integers(0, 60_000),
        },
    ).filter(lambda step: not step.get("bulk") or "".join(step.get("text", ["x"]))),
)
async def test_any_response_streams_what_it_is(step: dict[str, Any]) -> None:
    """Items that are done in the stream are, one for one, those of its last event; deltas joined are the text of the whole answer."""
    async with mocked() as client:
        await client.script(step, step)
        _, whole = await client.chat(INPUT, "/v1/responses")
        _, stream = await client.chat({**INPUT, "stream": True}, "/v1/responses")
    documents = events(stream)
    items = [document["item"] for document in documents if document["type"] == "response.output_item.done"]
    assert documents[-1]["response"]["output"] == (None if step.get("bulk") else items)
    text = "".join(document["delta"] for document in documents if document["type"] == "response.output_text.delta")
    assert text == TypeAdapter(Response).validate_json(whole).output_text


async def test_embeddings_are_the_same_either_way(client: Client, lax: openai.AsyncOpenAI) -> None:
    """The SDK asks for base64 by itself; floats in JSON, and little-endian float32, are the same vectors of length 1."""
    packed = await lax.embeddings.create(model="tiny", input=["a", "b", "a"], dimensions=5)
    floats = await lax.embeddings.create(model="tiny", input=["a", "b", "a"], dimensions=5, encoding_format="float")
    assert [one.embedding for one in packed.data] == [one.embedding for one in floats.data]
    first, second, again = (one.embedding for one in packed.data)
    assert (first == again, first == second, len(first)) == (True, False, 5)
    assert sum(number * number for number in first) == pytest.approx(1, abs=1e-6)
    _, body = await client.chat({**INPUT, "encoding_format": "base64", "dimensions": 5}, "/v1/embeddings")
    assert len(struct.unpack("<5f", base64.b64decode(json.loads(body)["data"][0]["embedding"]))) == 5
    assert packed.usage.total_tokens == packed.usage.prompt_tokens > 0


@pytest.mark.parametrize(("asked", "count"), [("a", 1), (["a", "b"], 2), ([1, 2], 1), ([[1, 2], [3]], 2), ([], 1), (None, 1), ({}, 1)])
async def test_embeddings_of_every_input(client: Client, asked: Any, count: int) -> None:
    """A text, texts, tokens, lists of tokens: a vector each; what is none of them gets one as well."""
    _, body = await client.chat({"model": "tiny", "input": asked}, "/v1/embeddings")
    assert [one["index"] for one in json.loads(body)["data"]] == list(range(count))


async def test_moderations(sdk: openai.AsyncOpenAI) -> None:
    """One result a text, one for an input of parts; every category that the SDK knows is there, and none is flagged."""
    texts = await sdk.moderations.create(input=["a", "b"])
    parts = await sdk.moderations.create(
        model="tiny", input=[{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://e.com/a.png"}}]
    )
    assert (len(texts.results), len(parts.results)) == (2, 1)
    assert (texts.model, parts.model) == ("omni-moderation-latest", "tiny")
    assert set(parts.results[0].categories.model_dump().values()) == {False}
    assert isinstance(parts.results[0], Moderation)


async def test_models(client: Client, sdk: openai.AsyncOpenAI) -> None:
    """The list, and any model by name; the mock remembers that it was asked."""
    assert [model.id async for model in sdk.models.list()] == ["mock-small", "mock-large"]
    assert (await sdk.models.retrieve("ft:tiny/1")).id == "ft:tiny/1"
    assert [(one["method"], one["path"]) for one in await client.received()] == [("GET", "/v1/models"), ("GET", "/v1/models/ft:tiny%2F1")]


PATHS = ("chat/completions", "completions", "responses", "embeddings", "moderations")


@pytest.mark.parametrize("path", PATHS)
async def test_errors_everywhere(client: Client, sdk: openai.AsyncOpenAI, path: str) -> None:
    """A scripted status is the error that the SDK raises for it; GET is 405."""
    await client.script({"status": 429})
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.post(f"/{path}", body={}, cast_to=object)
    assert (caught.value.code, caught.value.type) == ("mock_429", "rate_limit_exceeded")
    with pytest.raises(openai.APIStatusError, match="takes POST") as refused:
        await sdk.get(f"/{path}", cast_to=object)
    assert refused.value.status_code == 405


@pytest.mark.parametrize("path", PATHS[:3])
async def test_an_error_in_the_stream(client: Client, path: str) -> None:
    """`error_mid`: whole events up to the middle, then the error, and a proper end of the body without `[DONE]`."""
    await client.script({"fault": "error_mid"})
    answer, body = await client.chat({**STREAM, **INPUT, **PROMPT}, f"/v1/{path}")
    *whole, last = events(body)
    assert answer.status == 200
    assert whole
    assert "error" in (last.get("type"), *last)
    assert last.get("sequence_number", len(whole)) == len(whole)
    assert b"[DONE]" not in body
