"""Answers in Anthropic's messages shape (docs.anthropic.com/en/api/messages), whole and as an event stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.says import Says


def unary(ask: Ask, says: Says) -> bytes:
    """A `message` object."""
    blocks: list[dict[str, Any]] = [{"type": "text", "text": says.text}] if says.pieces else []
    blocks += [{**_tool(call), "input": _input(call)} for call in says.tool_calls]
    return orjson.dumps(_message(ask, says) | {"content": blocks, "stop_reason": _stop(says), "usage": _usage(ask, says)})


def events(ask: Ask, says: Says) -> Iterator[bytes]:
    """The stream, one event a piece, ending in `message_stop`."""
    usage = _usage(ask, says)
    yield _event({"type": "message_start", "message": _message(ask, says) | {"content": [], "usage": {**usage, "output_tokens": 0}}})
    yield from _blocks(says)
    yield _event({"type": "message_delta", "delta": {"stop_reason": _stop(says), "stop_sequence": None}, "usage": usage})
    yield _event({"type": "message_stop"})


def error(status: int, message: str) -> bytes:
    """An error object."""
    return orjson.dumps({"type": "error", "error": {"type": f"mock_{status}", "message": message}})


def _blocks(says: Says) -> Iterator[bytes]:
    index = 0
    if says.pieces:
        yield from _block(index, {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in says.pieces])
        index += 1
    for place, call in enumerate(says.tool_calls, index):
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in says.argument_pieces(call)]
        yield from _block(place, {**_tool(call), "input": {}}, deltas)


def _block(index: int, start: dict[str, Any], deltas: list[dict[str, str]]) -> Iterator[bytes]:
    yield _event({"type": "content_block_start", "index": index, "content_block": start})
    for delta in deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta})
    yield _event({"type": "content_block_stop", "index": index})


def _event(document: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(document["type"]).encode(), orjson.dumps(document))


def _message(ask: Ask, says: Says) -> dict[str, Any]:
    return {
        "id": f"msg_mock{says.number}",
        "type": "message",
        "role": "assistant",
        "model": says.model or ask.model,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _tool(call: Mapping[str, str]) -> dict[str, Any]:
    return {"type": "tool_use", "id": call["id"], "name": call["name"]}


def _input(call: Mapping[str, str]) -> Any:
    try:
        return orjson.loads(call["arguments"])
    except orjson.JSONDecodeError:
        return {}


def _stop(says: Says) -> str:
    return says.finish_reason or ("tool_use" if says.tool_calls else "end_turn")


def _usage(ask: Ask, says: Says) -> Mapping[str, Any]:
    if says.usage is not None:
        return says.usage
    prompt, completion = says.tokens(ask)
    return {"input_tokens": prompt, "output_tokens": completion}
