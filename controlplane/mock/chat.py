"""Answers in OpenAI's chat-completions shape (platform.openai.com/docs/api-reference/chat), whole and as an event stream.

OpenAI's own models don't show what they think here. `reasoning_content` is where the servers that
speak this dialect and do show it (vLLM, DeepSeek, llama.cpp) have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.logprobs import of_chat
from controlplane.mock.openai_frame import DONE, event, frame, usage, usage_event
from controlplane.mock.says import Says


def unary(ask: Ask, says: Says) -> bytes:
    """A `chat.completion` object."""
    message: dict[str, Any] = {"role": "assistant", "content": says.text if says.pieces or not says.tool_calls else None, "refusal": None}
    if says.reasoning:
        message["reasoning_content"] = "".join(says.reasoning)
    if says.tool_calls:
        message["tool_calls"] = [_call(call) for call in says.tool_calls]
    logprobs = of_chat(ask.document, list(says.said()))
    choices = [{"index": i, "message": message, "logprobs": logprobs, "finish_reason": _finish(says)} for i in range(ask.choices)]
    return orjson.dumps(frame("chatcmpl", "chat.completion", ask, says, choices) | {"usage": usage(ask, says)})


def events(ask: Ask, says: Says) -> Iterator[bytes]:
    """The stream, one event a piece, ending in `[DONE]`."""
    for index in range(ask.choices):
        for delta in _deltas(says):
            logprobs = of_chat(ask.document, [delta["content"]]) if delta.get("content") else None
            yield event(ask, _chunk(ask, says, [{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}]))
        yield event(ask, _chunk(ask, says, [{"index": index, "delta": {}, "logprobs": None, "finish_reason": _finish(says)}]))
    if ask.include_usage:
        yield usage_event(ask, says, _chunk(ask, says, []))
    yield DONE


def _chunk(ask: Ask, says: Says, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return frame("chatcmpl", "chat.completion.chunk", ask, says, choices)


def _deltas(says: Says) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "", "refusal": None}
    for piece in says.reasoning:
        yield {"reasoning_content": piece}
    for piece in says.said():
        yield {"content": piece}
    for index, call in enumerate(says.tool_calls):
        whole = _call(call)
        yield {"tool_calls": [{"index": index, **whole, "function": {**whole["function"], "arguments": ""}}]}
        for piece in says.argument_pieces(call):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _call(call: Mapping[str, str]) -> dict[str, Any]:
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}


def _finish(says: Says) -> str:
    return says.finish_reason or ("tool_calls" if says.tool_calls else "stop")
