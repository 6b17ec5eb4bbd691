"""Anthropic's shapes, as the official SDK reads them from the mock itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from mock_client import Client, events, mocked

ASK: dict[str, Any] = {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello there"}]}
CALLS = [{"name": "look_up", "arguments": {"city": "Köln"}}, {"name": "note", "arguments": {"text": "a longer text than a piece"}}]
STEP = {"text": ["one ", "two"], "tool_calls": CALLS, "reasoning": ["Let me ", "think."]}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of a mock of its own."""
    async with mocked() as client:
        yield client


@pytest.fixture
async def sdk(client: Client) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The official SDK, strict about every answer's types; its base address has no path."""
    async with anthropic.AsyncAnthropic(base_url=client.url, api_key="k", max_retries=0, _strict_response_validation=True) as sdk:
        yield sdk


async def test_messages_whole(client: Client, sdk: anthropic.AsyncAnthropic) -> None:
    """Thinking, text and two tool uses are blocks in this order, with usage and its cache fields."""
    await client.script(STEP, {"text": "Hi"})
    message = await sdk.messages.create(**ASK)
    thinking, text, first, second = message.content
    assert (thinking.type, text.type) == ("thinking", "text")
    assert (thinking.thinking, text.text) == ("Let me think.", "one two")
    assert [first.input, second.input] == [call["arguments"] for call in CALLS]  # type: ignore[union-attr]  # tool uses both
    assert message.stop_reason == "tool_use"
    assert (message.usage.cache_read_input_tokens, message.usage.cache_creation_input_tokens) == (0, 0)
    plain = await sdk.messages.create(**ASK)
    assert ([block.type for block in plain.content], plain.stop_reason) == (["text"], "end_turn")


async def test_messages_streamed(client: Client, sdk: anthropic.AsyncAnthropic) -> None:
    """The SDK's own accumulation of the stream is the message that comes whole."""
    await client.script(STEP, STEP)
    whole = await sdk.messages.create(**ASK)
    async with sdk.messages.stream(**ASK) as stream:
        final = await stream.get_final_message()
    assert [block.model_dump(include={"type", "thinking", "signature", "text", "input", "id"}) for block in final.content] == [
        block.model_dump(include={"type", "thinking", "signature", "text", "input", "id"}) for block in whole.content
    ]
    assert (final.stop_reason, final.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)


async def test_events_in_their_order(client: Client) -> None:
    """Each block starts, is filled and stops before the next; a ping comes in between; lines name the events as the data do."""
    await client.script(STEP)
    _, body = await client.chat({**ASK, "stream": True}, "/v1/messages")
    documents = events(body)
    kinds = [line[7:] for line in body.decode().splitlines() if line.startswith("event: ")]
    assert kinds == [document["type"] for document in documents]
    assert [kind for kind in kinds if kind not in {"content_block_delta", "ping"}] == [
        "message_start", *["content_block_start", "content_block_stop"] * 4, "message_delta", "message_stop",
    ]  # fmt: skip
    deltas = [document["delta"]["type"] for document in documents if document["type"] == "content_block_delta"]
    assert list(dict.fromkeys(deltas)) == ["thinking_delta", "signature_delta", "text_delta", "input_json_delta"]
    assert kinds.count("ping") == 1


async def test_scripted_usage_is_in_both_places(client: Client, sdk: anthropic.AsyncAnthropic) -> None:
    """What was read from and written to the cache is told at the start; the output's tokens are complete at the end only."""
    usage = {"input_tokens": 7, "output_tokens": 9, "cache_read_input_tokens": 11, "cache_creation_input_tokens": 13}
    await client.script({"usage": usage})
    seen = [event async for event in await sdk.messages.create(**ASK, stream=True)]
    start, delta = seen[0], seen[-2]
    assert start.type == "message_start"
    assert delta.type == "message_delta"
    assert start.message.usage.model_dump(exclude_none=True) == {**usage, "output_tokens": 1}
    assert delta.usage.model_dump(exclude_none=True) == usage


async def test_count_tokens(client: Client, sdk: anthropic.AsyncAnthropic) -> None:
    """Four bytes of the request a token, or as scripted."""
    counted = await sdk.messages.count_tokens(model="tiny", messages=ASK["messages"])
    await client.script({"usage": {"input_tokens": 1234}})
    scripted = await sdk.messages.count_tokens(model="tiny", messages=ASK["messages"])
    received = (await client.received())[0]
    assert counted.input_tokens == -(-len(received["body"]) // 4)
    assert (scripted.input_tokens, received["path"]) == (1234, "/v1/messages/count_tokens")


async def test_models_in_its_own_shape(sdk: anthropic.AsyncAnthropic) -> None:
    """Whoever sends `anthropic-version` gets Anthropic's list."""
    assert [model.id async for model in sdk.models.list()] == ["mock-small", "mock-large"]
    assert (await sdk.models.retrieve("tiny")).display_name == "tiny"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error")]
)
async def test_errors(client: Client, sdk: anthropic.AsyncAnthropic, status: int, kind: str) -> None:
    """A scripted status is an error with Anthropic's word for it, of both calls."""
    await client.script({"status": status, "repeat": 2})
    with pytest.raises(anthropic.APIStatusError) as caught:
        await sdk.messages.create(**ASK)
    assert (caught.value.status_code, caught.value.body["error"]["type"]) == (status, kind)  # type: ignore[index]  # an object
    with pytest.raises(anthropic.APIStatusError):
        await sdk.messages.count_tokens(model="tiny", messages=ASK["messages"])


async def test_unknown_paths_in_its_own_shape(sdk: anthropic.AsyncAnthropic) -> None:
    """404 as Anthropic writes it."""
    with pytest.raises(anthropic.NotFoundError) as caught:
        await sdk.get("/v1/nothing", cast_to=object)
    assert caught.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]  # an object


async def test_an_error_in_the_stream(client: Client, sdk: anthropic.AsyncAnthropic) -> None:
    """`error_mid`: events up to the middle, then the error that the SDK raises."""
    await client.script({"fault": "error_mid"})
    stream = await sdk.messages.create(**ASK, stream=True)
    seen: list[str] = []

    async def read() -> None:
        async for event in stream:
            seen.append(event.type)  # noqa: PERF401 - what came before the error is wanted

    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        await read()
    assert seen[0] == "message_start"
    assert "message_stop" not in seen
