"""Answers in OpenAI's chat-completions shape (platform.openai.com/docs/api-reference/chat), whole and as an event stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.says import Says

CREATED = 1_700_000_000
"""Seconds of the Unix epoch; always the same, so that answers can be compared byte by byte."""


def unary(ask: Ask, says: Says) -> bytes:
    """A `chat.completion` object."""
    message: dict[str, Any] = {"role": "assistant", "content": says.text if says.pieces or not says.tool_calls else None, "refusal": None}
    if says.tool_calls:
        message["tool_calls"] = [_call(call) for call in says.tool_calls]
    choices = [{"index": i, "message": message, "logprobs": None, "finish_reason": _finish(says)} for i in range(ask.choices)]
    return orjson.dumps(_frame("chat.completion", ask, says, choices) | {"usage": _usage(ask, says)})


def events(ask: Ask, says: Says) -> Iterator[bytes]:
    """The stream, one event a piece, ending in `[DONE]`."""
    for index in range(ask.choices):
        for delta in _deltas(says):
            yield _event(ask, says, [{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}])
        yield _event(ask, says, [{"index": index, "delta": {}, "logprobs": None, "finish_reason": _finish(says)}])
    if ask.include_usage or says.usage is not None:
        yield _event(ask, says, [], usage=_usage(ask, says))
    yield b"data: [DONE]\n\n"


def error(status: int, message: str) -> bytes:
    """An error object."""
    return orjson.dumps({"error": {"message": message, "type": "mock_error", "param": None, "code": f"mock_{status}"}})


def _frame(kind: str, ask: Ask, says: Says, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-mock{says.number}",
        "object": kind,
        "created": CREATED,
        "model": says.model or ask.model,
        "choices": choices,
        "system_fingerprint": "fp_mock",
    }


def _event(ask: Ask, says: Says, choices: list[dict[str, Any]], **more: Any) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(_frame("chat.completion.chunk", ask, says, choices) | more)


def _deltas(says: Says) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "", "refusal": None}
    for piece in says.pieces:
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


def _usage(ask: Ask, says: Says) -> Mapping[str, Any]:
    if says.usage is not None:
        return says.usage
    prompt, completion = says.tokens(ask)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
