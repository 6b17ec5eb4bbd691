"""OpenAI's Responses API by its SDK for Python: no state is kept at the provider, each turn sends what came before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from asked import FOUND, Ask, Heard, Verb
from openai import AsyncOpenAI
from py_openai import FLAT_TOOLS, Place, async_client_of, client_of, picture, says


def usage(of: Any) -> dict[str, Any]:
    """Its tokens, where they were told."""
    return {} if of is None else {"input": of.input_tokens, "output": of.output_tokens}


def calls_of(response: Any) -> list[Any]:
    """The output's function calls."""
    return [item for item in response.output if item.type == "function_call"]


def called(calls: list[Any]) -> list[dict[str, Any]]:
    """Calls in the words that all clients share."""
    return [{"id": call.call_id, "name": call.name, "arguments": json.loads(call.arguments)} for call in calls]


def returned(calls: list[Any]) -> list[Any]:
    """The calls, and each one's result."""
    made = [{"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments} for call in calls]
    return [*made, *({"type": "function_call_output", "call_id": call.call_id, "output": FOUND} for call in calls)]


def chat(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A whole answer."""
    with client_of(ask) as client:
        answer = client.responses.create(model=ask.model, input=ask.prompt)
    heard.append(answer.output_text)
    return usage(answer.usage)


def stream(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A streamed answer: its pieces, and the whole that the last event repeats."""
    told: dict[str, Any] = {}
    with client_of(ask) as client, client.responses.create(model=ask.model, input=ask.prompt, stream=True) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                heard.append(event.delta)
            elif event.type == "response.completed":
                told = usage(event.response.usage) | {"whole": event.response.output_text}
            elif event.type == "error":
                told = {"broken": event.code}
    return told


def tools(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """The model's calls, their results, and its answer to those."""
    with client_of(ask) as client:
        calls = calls_of(client.responses.create(model=ask.model, input=says(ask), tools=FLAT_TOOLS))
        second = client.responses.create(model=ask.model, input=[*says(ask), *returned(calls)], tools=FLAT_TOOLS)
    heard.append(second.output_text)
    return {"calls": called(calls)}


def tools_stream(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """The same, streamed, put together by the SDK."""
    with client_of(ask) as client:
        with client.responses.stream(model=ask.model, input=says(ask), tools=FLAT_TOOLS) as events:
            calls = calls_of(events.get_final_response())
        with client.responses.stream(model=ask.model, input=[*says(ask), *returned(calls)], tools=FLAT_TOOLS) as events:
            heard += (event.delta for event in events if event.type == "response.output_text.delta")
    return {"calls": called(calls)}


def structured(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """An answer parsed into a model of the app's own."""
    with client_of(ask) as client:
        answer = client.responses.parse(model=ask.model, input=ask.prompt, text_format=Place)
    heard.append(answer.output_text)
    return {"value": answer.output_parsed.model_dump() if answer.output_parsed else None}


def image(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A prompt with an image."""
    parts = [{"type": "input_text", "text": ask.prompt}, {"type": "input_image", "image_url": picture(ask), "detail": "auto"}]
    shown: Any = [{"role": "user", "content": parts}]
    with client_of(ask) as client:
        heard.append(client.responses.create(model=ask.model, input=shown).output_text)
    return {}


def awaited(verb: Callable[[AsyncOpenAI, Ask, Heard], Coroutine[Any, Any, Mapping[str, Any]]]) -> Verb:
    """An async verb, on a loop of its own."""

    async def run(ask: Ask, heard: Heard) -> Mapping[str, Any]:
        async with async_client_of(ask) as client:
            return await verb(client, ask, heard)

    return lambda ask, heard: asyncio.run(run(ask, heard))


@awaited
async def async_chat(client: AsyncOpenAI, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A whole answer."""
    answer = await client.responses.create(model=ask.model, input=ask.prompt)
    heard.append(answer.output_text)
    return usage(answer.usage)


@awaited
async def async_stream(client: AsyncOpenAI, ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """A streamed answer: its pieces, and the whole that the last event repeats."""
    told: dict[str, Any] = {}
    async with await client.responses.create(model=ask.model, input=ask.prompt, stream=True) as events:
        async for event in events:
            if event.type == "response.output_text.delta":
                heard.append(event.delta)
            elif event.type == "response.completed":
                told = usage(event.response.usage) | {"whole": event.response.output_text}
            elif event.type == "error":
                told = {"broken": event.code}
    return told


RESPONSES: Final[Mapping[str, Verb]] = {
    "chat": chat,
    "stream": stream,
    "tools": tools,
    "tools_stream": tools_stream,
    "structured": structured,
    "image": image,
    "image_url": image,
}
ASYNC_RESPONSES: Final[Mapping[str, Verb]] = {"chat": async_chat, "stream": async_stream}
