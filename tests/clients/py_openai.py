"""OpenAI's SDK for Python, as an app uses it: sync and async, chat completions and responses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import openai
from asked import FOUND, Ask, Failure, Heard, Verb, classes
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"of": {"type": "string"}, "at": {"type": "number"}},
    "required": ["of", "at"],
    "additionalProperties": False,
}
TOOLS: Final[Any] = [{"type": "function", "function": {"name": "look_up", "parameters": PARAMETERS}}]
FLAT_TOOLS: Final[Any] = [{"type": "function", "name": "look_up", "parameters": PARAMETERS, "strict": True}]


class Place(BaseModel):
    """What structured output asks for."""

    city: str
    mail: str


def describe(error: Exception) -> Failure:
    """The SDK's error; LangChain raises the same."""
    assert isinstance(error, openai.APIError), repr(error)
    return Failure(classes(error), getattr(error, "status_code", None), error.code, error.message, error.body, headers_of(error))


def headers_of(error: Any) -> dict[str, str]:
    """The headers of the answer that was an error; none where it was none."""
    return {name.lower(): value for name, value in error.response.headers.items()} if hasattr(error, "response") else {}


def client_of(ask: Ask) -> OpenAI:
    """Only the address and the key say that it is not OpenAI's."""
    return OpenAI(base_url=f"{ask.url}/v1", api_key=ask.key, **ask.spared)


def async_client_of(ask: Ask) -> AsyncOpenAI:
    """The same, async."""
    return AsyncOpenAI(base_url=f"{ask.url}/v1", api_key=ask.key, **ask.spared)


def says(ask: Ask) -> list[Any]:
    """The conversation's first message."""
    return [{"role": "user", "content": ask.prompt}]


def shows(ask: Ask) -> list[Any]:
    """A message with an image in it."""
    image = {"type": "image_url", "image_url": {"url": picture(ask)}}
    return [{"role": "user", "content": [{"type": "text", "text": ask.prompt}, image]}]


def picture(ask: Ask) -> str:
    """The image's address, or a data URL of it."""
    return ask.image if ask.image.startswith("https:") else f"data:image/png;base64,{ask.image}"


def usage(of: Any) -> dict[str, Any]:
    """Its tokens, where they were told."""
    return {} if of is None else {"input": of.prompt_tokens, "output": of.completion_tokens}


def returned(calls: list[Any]) -> list[Any]:
    """The assistant's message with its calls, and each one's result."""
    made = {"role": "assistant", "tool_calls": [call.model_dump(include={"id", "type", "function"}) for call in calls]}
    for call in made["tool_calls"]:
        call["function"] = {name: call["function"][name] for name in ("name", "arguments")}
    return [made, *({"role": "tool", "tool_call_id": call.id, "content": FOUND} for call in calls)]


def called(calls: list[Any]) -> list[dict[str, Any]]:
    """Calls in the words that all clients share."""
    return [{"id": call.id, "name": call.function.name, "arguments": json.loads(call.function.arguments)} for call in calls]


# ── chat completions ──────────────────────────────────────────────────────────


def chat(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A whole answer."""
    with client_of(ask) as client:
        answer = client.chat.completions.create(model=ask.model, messages=says(ask))
    heard.append(answer.choices[0].message.content or "")
    return usage(answer.usage)


def stream(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A streamed answer, with the usage that is asked for."""
    told: dict[str, Any] = {}
    with (
        client_of(ask) as client,
        client.chat.completions.create(model=ask.model, messages=says(ask), stream=True, stream_options={"include_usage": True}) as chunks,
    ):
        for chunk in chunks:
            heard += [choice.delta.content for choice in chunk.choices if choice.delta.content]
            told |= usage(chunk.usage)
    return told


def tools(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """The model's calls, their results, and its answer to those."""
    with client_of(ask) as client:
        first = client.chat.completions.create(model=ask.model, messages=says(ask), tools=TOOLS)
        calls = first.choices[0].message.tool_calls or []
        second = client.chat.completions.create(model=ask.model, messages=[*says(ask), *returned(calls)], tools=TOOLS)
    heard.append(second.choices[0].message.content or "")
    return {"calls": called(calls), "finish": first.choices[0].finish_reason}


def tools_stream(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """The same, streamed, put together by the SDK."""
    with client_of(ask) as client:
        with client.chat.completions.stream(model=ask.model, messages=says(ask), tools=TOOLS) as events:
            first = events.get_final_completion()
        calls = first.choices[0].message.tool_calls or []
        with client.chat.completions.stream(model=ask.model, messages=[*says(ask), *returned(calls)], tools=TOOLS) as events:
            heard += [event.delta for event in events if event.type == "content.delta"]
    return {"calls": called(calls), "finish": first.choices[0].finish_reason}


def structured(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """An answer parsed into a model of the app's own."""
    with client_of(ask) as client:
        answer = client.chat.completions.parse(model=ask.model, messages=says(ask), response_format=Place)
    message = answer.choices[0].message
    heard.append(message.content or "")
    return {"value": message.parsed.model_dump() if message.parsed else None}


def image(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A prompt with an image."""
    with client_of(ask) as client:
        answer = client.chat.completions.create(model=ask.model, messages=shows(ask))
    heard.append(answer.choices[0].message.content or "")
    return {}


# ── the smaller endpoints ─────────────────────────────────────────────────────


def embed(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """Vectors, which the SDK asks for as base64."""
    with client_of(ask) as client:
        answer = client.embeddings.create(model=ask.model, input=list(ask.texts))
    return {"vectors": [each.embedding for each in answer.data]}


def models(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """What the key may use."""
    with client_of(ask) as client:
        return {"ids": [model.id for model in client.models.list()]}


def moderate(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A judgement of a text."""
    with client_of(ask) as client:
        answer = client.moderations.create(model=ask.model, input=ask.prompt)
    return {"flagged": [each.flagged for each in answer.results]}


def complete(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A legacy completion."""
    with client_of(ask) as client:
        answer = client.completions.create(model=ask.model, prompt=ask.prompt)
    heard.append(answer.choices[0].text)
    return usage(answer.usage)


def complete_stream(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A legacy completion, streamed."""
    with client_of(ask) as client, client.completions.create(model=ask.model, prompt=ask.prompt, stream=True) as chunks:
        heard += (choice.text for chunk in chunks for choice in chunk.choices if choice.text)
    return {}


# ── async ─────────────────────────────────────────────────────────────────────


def awaited(verb: Callable[[AsyncOpenAI, Ask, Heard], Coroutine[Any, Any, Mapping[str, Any]]]) -> Verb:
    """An async verb, on a loop of its own."""

    async def run(ask: Ask, heard: Heard) -> Mapping[str, Any]:
        async with async_client_of(ask) as client:
            return await verb(client, ask, heard)

    return lambda ask, heard: asyncio.run(run(ask, heard))


@awaited
async def async_chat(client: AsyncOpenAI, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A whole answer."""
    answer = await client.chat.completions.create(model=ask.model, messages=says(ask))
    heard.append(answer.choices[0].message.content or "")
    return usage(answer.usage)


@awaited
async def async_stream(client: AsyncOpenAI, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A streamed answer, with the usage that is asked for."""
    told: dict[str, Any] = {}
    chunks = await client.chat.completions.create(model=ask.model, messages=says(ask), stream=True, stream_options={"include_usage": True})
    async with chunks:
        async for chunk in chunks:
            heard += [choice.delta.content for choice in chunk.choices if choice.delta.content]
            told |= usage(chunk.usage)
    return told


@awaited
async def async_tools(client: AsyncOpenAI, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """The model's calls, their results, and its answer to those."""
    first = await client.chat.completions.create(model=ask.model, messages=says(ask), tools=TOOLS)
    calls = first.choices[0].message.tool_calls or []
    second = await client.chat.completions.create(model=ask.model, messages=[*says(ask), *returned(calls)], tools=TOOLS)
    heard.append(second.choices[0].message.content or "")
    return {"calls": called(calls), "finish": first.choices[0].finish_reason}


@awaited
async def async_tools_stream(client: AsyncOpenAI, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """The same, streamed, put together by the SDK."""
    async with client.chat.completions.stream(model=ask.model, messages=says(ask), tools=TOOLS) as events:
        first = await events.get_final_completion()
    calls = first.choices[0].message.tool_calls or []
    async with client.chat.completions.stream(model=ask.model, messages=[*says(ask), *returned(calls)], tools=TOOLS) as events:
        async for event in events:
            heard += [event.delta] if event.type == "content.delta" else []
    return {"calls": called(calls), "finish": first.choices[0].finish_reason}


@awaited
async def async_embed(client: AsyncOpenAI, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """Vectors, which the SDK asks for as base64."""
    answer = await client.embeddings.create(model=ask.model, input=list(ask.texts))
    return {"vectors": [each.embedding for each in answer.data]}


CHAT: Final[Mapping[str, Verb]] = {
    "chat": chat,
    "stream": stream,
    "tools": tools,
    "tools_stream": tools_stream,
    "structured": structured,
    "image": image,
    "image_url": image,
    "embed": embed,
    "models": models,
    "moderate": moderate,
    "complete": complete,
    "complete_stream": complete_stream,
}
ASYNC_CHAT: Final[Mapping[str, Verb]] = {
    "chat": async_chat,
    "stream": async_stream,
    "tools": async_tools,
    "tools_stream": async_tools_stream,
    "embed": async_embed,
}
