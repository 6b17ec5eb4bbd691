"""For each route, everything that its requests and answers can have, as far as the official SDKs' types say."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from anthropic import types as anthropic
from anthropic.types import beta, message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count_tokens_params
from anthropic.types.beta import message_create_params as beta_create_params
from openai import types as openai
from openai.types import completion_create_params, embedding_create_params, moderation_create_params
from openai.types import shared as openai_shared
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import Response, response_create_params, response_stream_event
from shapes import anthropic_streams, openai_streams
from shapes.planting import fresh
from shapes.samples import FREE, FUTURE, Overrides, samples
from shapes.streams import Document, Stream


@dataclass(frozen=True, slots=True)
class Shapes:
    """Documents of one route.

    `requests` and `answers` together have every documented member and one that nobody knows in every object; so have `events`.
    `errors` are what a provider says when it fails. `files`: members that may hold a text file in base64, by the ways to them.
    """

    requests: tuple[Document, ...]
    answers: tuple[Document, ...]
    errors: tuple[Document, ...]
    events: tuple[Document, ...] = ()
    stream: Stream | None = None
    files: frozenset[tuple[str, ...]] = field(default_factory=frozenset)


MODEL: Final = "cheap"
_PNG: Final = "data:image/png;base64,iVBORw0KGgo="
_CSV: Final = base64.b64encode(b"name,mail\nnobody,none\n").decode()
_ARGUMENTS: Final = json.dumps({"city": "Oslo", "days": 3, "why": 'they said "so"'})

_REQUEST: Final[Overrides] = {
    ("*", "model"): [MODEL],
    ("*", "arguments"): [_ARGUMENTS],
    ("*", "image_url"): ["https://example.org/a.png", _PNG],
    ("ImageURL", "url"): ["https://example.org/a.png", _PNG],
    ("FileFile", "file_data"): [f"data:text/csv;base64,{_CSV}", _CSV],
    ("ResponseInputFileParam", "file_data"): [f"data:text/csv;base64,{_CSV}", _CSV],
    ("ResponseInputFileContentParam", "file_data"): [f"data:text/csv;base64,{_CSV}", _CSV],
    ("ChatCompletionContentPartImageParam", "image_url"): [{"url": "https://example.org/a.png", "detail": "low"}, {"url": _PNG}],
    ("ModerationImageURLInputParam", "image_url"): [{"url": "https://example.org/a.png", FUTURE: "future text"}, {"url": _PNG}],
    ("InputSchemaTyped", "properties"): [{"city": {"type": "string", "description": "a city's name", "enum": ["Oslo", "Rome"]}}],
}  # fmt: skip
_ANSWER: Final[Overrides] = {("*", "model"): ["tiny-1"], ("*", "arguments"): [_ARGUMENTS]}


def _requests(kind: Any, *more: Document) -> tuple[Document, ...]:
    """Sampled requests, each with a model; the types say less than people do about what an object may hold, so `more` follow."""
    return (*({**document, "model": MODEL} for document in samples(kind, _REQUEST)), *more)


def _answers(kind: Any) -> tuple[Document, ...]:
    return tuple(samples(kind, _ANSWER))


def _schema() -> Document:
    return {"type": "object", "properties": {"city": {"type": "string", "description": "a city", "enum": ["Oslo"]}}, "required": ["city"]}


def _chat(*messages: Document, **more: Any) -> Document:
    return {"model": MODEL, "messages": list(messages), **more}


_USER: Final = {"role": "user", "content": "hello"}

_CHAT: Final = (
    _chat(_USER, tools=[{"type": "function", "function": {"name": "weather", "parameters": _schema(), "strict": True}}]),
    _chat(_USER, response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": _schema(), "strict": True}}),
    _chat({"role": "user", "content": [{"type": "part_of_next_year", "words": "some words", "inside": FREE}]}),
    _chat({"role": "assistant", "content": None, "reasoning_content": "thoughts of other servers"}, _USER),
    _chat({"role": "speaker_of_next_year", "content": "words"}, _USER),
    _chat(_USER, stream=True, stream_options={"include_usage": False, "include_obfuscation": False}),
)
_RESPONSES: Final = (
    {"model": MODEL, "input": "hello", "tools": [{"type": "function", "name": "weather", "parameters": _schema(), "strict": True}]},
    {"model": MODEL, "input": "hello", "text": {"format": {"type": "json_schema", "name": "place", "schema": _schema()}}},
    {"model": MODEL, "input": [{"type": "item_of_next_year", "words": "some words", "inside": FREE}]},
    {"model": MODEL, "input": [{"type": "message", "role": "user", "content": [{"type": "part_of_next_year", "words": "words"}]}]},
    {"model": MODEL, "input": "hello", "stream": True},
)
_MESSAGES: Final = (
    {"model": MODEL, "max_tokens": 16, "messages": [_USER], "tools": [{"name": "weather", "input_schema": _schema()}]},
    {"model": MODEL, "max_tokens": 16, "messages": [{"role": "user", "content": [{"type": "block_of_next_year", "words": "words"}]}]},
    {"model": MODEL, "max_tokens": 16, "messages": [{"role": "user", "content": [{
        "type": "document", "title": "people", "source": {"type": "base64", "media_type": "text/csv", "data": _CSV}}]}]},
    {"model": MODEL, "max_tokens": 16, "messages": [_USER], "stream": True},
)  # fmt: skip


def _openai_errors() -> tuple[Document, ...]:
    return (*({"error": error} for error in samples(openai_shared.ErrorObject, {})), {"error": "text", "detail": [FREE]})


def _anthropic_errors() -> tuple[Document, ...]:
    return (*_answers(anthropic.ErrorResponse), {"type": "error", "error": {"type": "error_of_next_year", "message": "text", **FREE}})


def _error_event_of_chat() -> Document:
    return {"error": {"message": "the provider failed", "type": "server_error", "param": "messages", "code": "overloaded"}}


_FILES_OF_CHAT: Final = frozenset({("messages", "content", "file", "file_data")})
_FILES_OF_RESPONSES: Final = frozenset({("input", "content", "file_data"), ("input", "output", "file_data")})
_FILES_OF_MESSAGES: Final[frozenset[tuple[str, ...]]] = frozenset()


@cache
def of(route: str) -> Shapes:
    """The shapes of the route of this name. Raises KeyError: there are none, so nobody looks into what it reads."""
    return _MADE[route]()


def _of_chat() -> Shapes:
    return Shapes(
        _requests(chat_params.CompletionCreateParamsNonStreaming, *_CHAT),
        _answers(ChatCompletion),
        _openai_errors(),
        (*_answers(ChatCompletionChunk), _error_event_of_chat()),
        openai_streams.CHAT,
        _FILES_OF_CHAT,
    )


def _of_completions() -> Shapes:
    return Shapes(
        _requests(completion_create_params.CompletionCreateParamsNonStreaming),
        _answers(openai.Completion),
        _openai_errors(),
        (*_answers(openai.Completion), _error_event_of_chat()),
        openai_streams.COMPLETIONS,
    )


def _of_responses() -> Shapes:
    return Shapes(
        _requests(response_create_params.ResponseCreateParamsNonStreaming, *_RESPONSES),
        _answers(Response),
        _openai_errors(),
        _answers(response_stream_event.ResponseStreamEvent),
        openai_streams.RESPONSES,
        _FILES_OF_RESPONSES,
    )


def _of_embeddings() -> Shapes:
    vectors: Document = {"object": "list", "model": "tiny-1", "data": [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAD8="}]}
    return Shapes(
        _requests(embedding_create_params.EmbeddingCreateParams),
        (*_answers(openai.CreateEmbeddingResponse), vectors),
        _openai_errors(),
    )


def _of_moderations() -> Shapes:
    return Shapes(_requests(moderation_create_params.ModerationCreateParams), _answers(openai.ModerationCreateResponse), _openai_errors())


def _new(known: tuple[Document, ...], given: tuple[Document, ...]) -> tuple[Document, ...]:
    """What is known, and of what is given those that have a place which that has not."""
    both = (*known, *given)
    wanted = {id(document) for document, _ in fresh(both)} | {id(document) for document in known}
    return tuple([document for document in both if id(document) in wanted])


def _of_messages() -> Shapes:
    plain = _requests(message_create_params.MessageCreateParamsNonStreaming, *_MESSAGES)
    events = (*_answers(anthropic.RawMessageStreamEvent), {"type": "ping", FUTURE: "text"}, *_anthropic_errors())
    return Shapes(
        _new(plain, _requests(beta_create_params.MessageCreateParamsNonStreaming)),
        _new(_answers(anthropic.Message), _answers(beta.BetaMessage)),
        _anthropic_errors(),
        _new(events, _answers(beta.BetaRawMessageStreamEvent)),
        anthropic_streams.MESSAGES,
        _FILES_OF_MESSAGES,
    )


def _of_count_tokens() -> Shapes:
    return Shapes(
        _new(_requests(message_count_tokens_params.MessageCountTokensParams), _requests(beta_count_tokens_params.MessageCountTokensParams)),
        (*_answers(anthropic.MessageTokensCount), *_answers(beta.BetaMessageTokensCount)),
        _anthropic_errors(),
    )


_MADE: Final[Mapping[str, Any]] = {
    "chat": _of_chat,
    "completions": _of_completions,
    "responses": _of_responses,
    "embeddings": _of_embeddings,
    "moderations": _of_moderations,
    "messages": _of_messages,
    "count_tokens": _of_count_tokens,
}
