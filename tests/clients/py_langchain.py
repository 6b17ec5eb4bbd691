"""LangChain's chat models and embeddings, as an app uses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import anthropic
import httpx2
import py_anthropic
import py_openai
from asked import FOUND, Ask, Failure, Heard, Verb, classes
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from py_openai import Place

Make = Callable[[Ask], BaseChatModel]


@tool
def look_up(of: str, at: float) -> str:
    """Looks somebody up."""
    return FOUND


def describe(error: Exception) -> Failure:
    """LangChain raises the errors of the SDK below it, but for an event of an error in a stream of responses."""
    if isinstance(error, ValueError):
        return Failure(classes(error), None, None, str(error))
    return (
        py_anthropic.describe(error) if isinstance(error, (anthropic.AnthropicError, httpx2.TransportError)) else py_openai.describe(error)
    )


def chat_openai(ask: Ask) -> BaseChatModel:
    """Over chat completions. At an address of one's own LangChain asks a stream for its usage only when told to."""
    return ChatOpenAI(base_url=f"{ask.url}/v1", api_key=ask.key, model=ask.model, stream_usage=True, **ask.spared)  # type: ignore[arg-type] # the class turns the text into its own secret


def responses_openai(ask: Ask) -> BaseChatModel:
    """Over the Responses API."""
    return ChatOpenAI(base_url=f"{ask.url}/v1", api_key=ask.key, model=ask.model, use_responses_api=True, **ask.spared)  # type: ignore[arg-type] # as above


def chat_anthropic(ask: Ask) -> BaseChatModel:
    """Over Anthropic's messages."""
    return ChatAnthropic(base_url=ask.url, api_key=ask.key, model_name=ask.model, **ask.spared)  # type: ignore[arg-type] # as above; the rest has defaults


def usage(message: AIMessage) -> dict[str, Any]:
    """Its tokens, where they were told."""
    told = message.usage_metadata
    return {"input": told["input_tokens"], "output": told["output_tokens"]} if told else {}


def called(message: AIMessage) -> list[dict[str, Any]]:
    """Calls in the words that all clients share."""
    return [{"id": call["id"], "name": call["name"], "arguments": call["args"]} for call in message.tool_calls]


def results(message: AIMessage) -> list[BaseMessage]:
    """The message with its calls, and what the tool says to each."""
    made: list[ToolMessage] = [look_up.invoke(call) for call in message.tool_calls]
    return [message, *made]


def verbs_of(make: Make) -> dict[str, Verb]:
    """What an app does with a chat model, whoever is behind it."""

    def chat(ask: Ask, heard: Heard) -> Mapping[str, Any]:
        answer = make(ask).invoke(ask.prompt)
        heard.append(answer.text)
        return usage(answer)

    def stream(ask: Ask, heard: Heard) -> Mapping[str, Any]:
        whole: AIMessageChunk | None = None
        for chunk in make(ask).stream(ask.prompt):
            assert isinstance(chunk, AIMessageChunk)
            heard += [chunk.text] if chunk.text else []
            whole = chunk if whole is None else whole + chunk
        return usage(whole) if whole else {}

    def tools(ask: Ask, heard: Heard) -> Mapping[str, Any]:
        model = make(ask).bind_tools([look_up])
        first = model.invoke(ask.prompt)
        heard.append(model.invoke([HumanMessage(ask.prompt), *results(first)]).text)
        return {"calls": called(first)}

    def tools_stream(ask: Ask, heard: Heard) -> Mapping[str, Any]:
        model = make(ask).bind_tools([look_up])
        whole: Any = None
        for chunk in model.stream(ask.prompt):
            whole = chunk if whole is None else whole + chunk
        heard += [chunk.text for chunk in model.stream([HumanMessage(ask.prompt), *results(whole)]) if chunk.text]
        return {"calls": called(whole)}

    def structured(ask: Ask, heard: Heard) -> Mapping[str, Any]:
        found = make(ask).with_structured_output(Place, method="json_schema").invoke(ask.prompt)
        assert isinstance(found, Place)
        return {"value": found.model_dump()}

    def image(ask: Ask, heard: Heard) -> Mapping[str, Any]:
        source = {"url": ask.image} if ask.image.startswith("https:") else {"base64": ask.image, "mime_type": "image/png"}
        message = HumanMessage([{"type": "text", "text": ask.prompt}, {"type": "image", **source}])
        heard.append(make(ask).invoke([message]).text)
        return {}

    return {
        "chat": chat,
        "stream": stream,
        "tools": tools,
        "tools_stream": tools_stream,
        "structured": structured,
        "image": image,
        "image_url": image,
    }


def embed(ask: Ask, heard: Heard) -> Mapping[str, Any]:
    """Vectors of texts as they are: without the setting LangChain sends token ids, and fetches a tokenizer to make them."""
    client = OpenAIEmbeddings(base_url=f"{ask.url}/v1", api_key=ask.key, model=ask.model, check_embedding_ctx_length=False, **ask.spared)  # type: ignore[arg-type] # as above
    return {"vectors": client.embed_documents(list(ask.texts))}


CHAT_OPENAI: Final[Mapping[str, Verb]] = {**verbs_of(chat_openai), "embed": embed}
RESPONSES_OPENAI: Final[Mapping[str, Verb]] = verbs_of(responses_openai)
CHAT_ANTHROPIC: Final[Mapping[str, Verb]] = verbs_of(chat_anthropic)
