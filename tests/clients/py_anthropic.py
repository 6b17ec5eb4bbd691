"""Anthropic's SDK for Python, as an app uses it, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import anthropic
import httpx2
from anthropic import Anthropic, AsyncAnthropic
from asked import FOUND, Ask, Failure, Heard, Verb, classes
from py_openai import PARAMETERS, Place, headers_of, says

TOOLS: Final[Any] = [{"name": "look_up", "input_schema": PARAMETERS}]
CEILING: Final = 256


def describe(error: Exception) -> Failure:
    """The SDK's error, or the one below it where a connection breaks in mid-stream.

    Its `error_code` is the gate's code; where Envoy refuses in the gate's stead only the body's `code` is.
    """
    if isinstance(error, httpx2.TransportError):
        return Failure(classes(error), None, None, str(error))
    assert isinstance(error, anthropic.APIError), repr(error)
    within = error.body.get("error") if isinstance(error.body, dict) else None
    code = getattr(error, "error_code", None) or (within.get("code") if isinstance(within, dict) else None)
    return Failure(classes(error), getattr(error, "status_code", None), code, error.message, error.body, headers_of(error))


def client_of(ask: Ask) -> Anthropic:
    """Only the address and the key say that it is not Anthropic's."""
    return Anthropic(base_url=ask.url, api_key=ask.key, **ask.spared)


def usage(of: Any) -> dict[str, Any]:
    """Its tokens."""
    return {"input": of.input_tokens, "output": of.output_tokens}


def text_of(message: Any) -> list[str]:
    """Its text blocks."""
    return [block.text for block in message.content if block.type == "text"]


def calls_of(message: Any) -> list[dict[str, Any]]:
    """Calls in the words that all clients share."""
    return [{"id": block.id, "name": block.name, "arguments": block.input} for block in message.content if block.type == "tool_use"]


def returned(message: Any) -> list[Any]:
    """The assistant's message with its calls, and their results."""
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": FOUND} for call in calls_of(message)]
    return [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]


def shows(ask: Ask) -> list[Any]:
    """A message with an image in it."""
    source: dict[str, str] = {"type": "base64", "media_type": "image/png", "data": ask.image}
    if ask.image.startswith("https:"):
        source = {"type": "url", "url": ask.image}
    return [{"role": "user", "content": [{"type": "text", "text": ask.prompt}, {"type": "image", "source": source}]}]


def chat(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A whole answer."""
    with client_of(ask) as client:
        message = client.messages.create(model=ask.model, messages=says(ask), max_tokens=CEILING)
    heard += text_of(message)
    return usage(message.usage)


def stream(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A streamed answer, and the message that the SDK puts together."""
    with client_of(ask) as client, client.messages.stream(model=ask.model, messages=says(ask), max_tokens=CEILING) as events:
        heard += events.text_stream
        message = events.get_final_message()
    return usage(message.usage) | {"whole": "".join(text_of(message))}


def tools(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """The model's calls, their results, and its answer to those."""
    with client_of(ask) as client:
        first = client.messages.create(model=ask.model, messages=says(ask), tools=TOOLS, max_tokens=CEILING)
        second = client.messages.create(model=ask.model, messages=[*says(ask), *returned(first)], tools=TOOLS, max_tokens=CEILING)
    heard += text_of(second)
    return {"calls": calls_of(first), "finish": first.stop_reason}


def tools_stream(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """The same, streamed, put together by the SDK."""
    with client_of(ask) as client:
        with client.messages.stream(model=ask.model, messages=says(ask), tools=TOOLS, max_tokens=CEILING) as events:
            first = events.get_final_message()
        with client.messages.stream(model=ask.model, messages=[*says(ask), *returned(first)], tools=TOOLS, max_tokens=CEILING) as events:
            heard += events.text_stream
    return {"calls": calls_of(first), "finish": first.stop_reason}


def structured(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """An answer parsed into a model of the app's own."""
    with client_of(ask) as client:
        message = client.messages.parse(model=ask.model, messages=says(ask), max_tokens=CEILING, output_format=Place)
    heard += text_of(message)
    return {"value": message.parsed_output.model_dump() if message.parsed_output else None}


def image(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A prompt with an image."""
    with client_of(ask) as client:
        heard += text_of(client.messages.create(model=ask.model, messages=shows(ask), max_tokens=CEILING))
    return {}


def count(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """How many tokens a prompt has."""
    with client_of(ask) as client:
        return {"tokens": client.messages.count_tokens(model=ask.model, messages=says(ask)).input_tokens}


def models(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """What the key may use."""
    with client_of(ask) as client:
        return {"ids": [model.id for model in client.models.list()]}


def awaited(verb: Callable[[AsyncAnthropic, Ask, Heard], Coroutine[Any, Any, Mapping[str, Any]]]) -> Verb:
    """An async verb, on a loop of its own."""

    async def run(ask: Ask, heard: Heard) -> Mapping[str, Any]:
        async with AsyncAnthropic(base_url=ask.url, api_key=ask.key, **ask.spared) as client:
            return await verb(client, ask, heard)

    return lambda ask, heard: asyncio.run(run(ask, heard))


@awaited
async def async_chat(client: AsyncAnthropic, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A whole answer."""
    message = await client.messages.create(model=ask.model, messages=says(ask), max_tokens=CEILING)
    heard += text_of(message)
    return usage(message.usage)


@awaited
async def async_stream(client: AsyncAnthropic, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A streamed answer, and the message that the SDK puts together."""
    async with client.messages.stream(model=ask.model, messages=says(ask), max_tokens=CEILING) as events:
        async for piece in events.text_stream:
            heard.append(piece)
        message = await events.get_final_message()
    return usage(message.usage) | {"whole": "".join(text_of(message))}


@awaited
async def async_tools(client: AsyncAnthropic, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """The model's calls, their results, and its answer to those."""
    first = await client.messages.create(model=ask.model, messages=says(ask), tools=TOOLS, max_tokens=CEILING)
    second = await client.messages.create(model=ask.model, messages=[*says(ask), *returned(first)], tools=TOOLS, max_tokens=CEILING)
    heard += text_of(second)
    return {"calls": calls_of(first), "finish": first.stop_reason}


@awaited
async def async_count(client: AsyncAnthropic, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """How many tokens a prompt has."""
    return {"tokens": (await client.messages.count_tokens(model=ask.model, messages=says(ask))).input_tokens}


MESSAGES: Final[Mapping[str, Verb]] = {
    "chat": chat,
    "stream": stream,
    "tools": tools,
    "tools_stream": tools_stream,
    "structured": structured,
    "image": image,
    "image_url": image,
    "count": count,
    "models": models,
}
ASYNC_MESSAGES: Final[Mapping[str, Verb]] = {"chat": async_chat, "stream": async_stream, "tools": async_tools, "count": async_count}
