"""Answers in Anthropic's messages shape (docs.anthropic.com/en/api/messages), whole and as an event stream, and counts of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.says import Says

SIGNATURE: Final = "bW9jayBzaWduYXR1cmU="
"""Stands where the provider signs what the model thinks; it is opaque, and comes back with the next turn."""
_PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
"""May come anywhere in a real stream; here it comes in the first block."""
_ONLY_WHOLE: Final = ("cache_creation", "service_tier")


def unary(ask: Ask, says: Says) -> bytes:
    """A `message` object."""
    blocks: list[dict[str, Any]] = []
    if says.reasoning:
        blocks.append({"type": "thinking", "thinking": "".join(says.reasoning), "signature": SIGNATURE})
    if says.pieces:
        blocks.append({"type": "text", "text": says.text})
    blocks += [{**_tool(call), "input": _input(call)} for call in says.tool_calls]
    return orjson.dumps(_message(ask, says) | {"content": blocks, "stop_reason": _stop(says), "usage": _usage(ask, says)})


def events(ask: Ask, says: Says) -> Iterator[bytes]:
    """The stream, one event a piece, ending in `message_stop`."""
    usage = _usage(ask, says)
    begun = {**usage, "output_tokens": 1 if usage.get("output_tokens") else 0}
    yield _event({"type": "message_start", "message": _message(ask, says) | {"content": [], "usage": begun}})
    for index, (start, deltas) in enumerate(_blocks(says)):
        yield from _block(index, start, deltas)
    so_far = usage if says.usage is not None else {name: count for name, count in usage.items() if name not in _ONLY_WHOLE}
    yield _event({"type": "message_delta", "delta": {"stop_reason": _stop(says), "stop_sequence": None}, "usage": so_far})
    yield _event({"type": "message_stop"})


def count_tokens(ask: Ask, says: Says) -> bytes:
    """Answers `/v1/messages/count_tokens`."""
    return orjson.dumps({"input_tokens": _usage(ask, says).get("input_tokens", 0)})


def _blocks(says: Says) -> Iterator[tuple[dict[str, Any], Iterable[dict[str, str]]]]:
    """Each block as it starts, and the deltas that fill it."""
    if says.reasoning:
        thought = [{"type": "thinking_delta", "thinking": piece} for piece in says.reasoning]
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*thought, {"type": "signature_delta", "signature": SIGNATURE}]
    if says.pieces:
        yield {"type": "text", "text": ""}, ({"type": "text_delta", "text": piece} for piece in says.said())
    for call in says.tool_calls:
        pieces = says.argument_pieces(call)
        yield {**_tool(call), "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces]]


def _block(index: int, start: dict[str, Any], deltas: Iterable[dict[str, str]]) -> Iterator[bytes]:
    yield _event({"type": "content_block_start", "index": index, "content_block": start})
    if index == 0:
        yield _PING
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
    tokens = says.tokens(ask)
    return {
        "input_tokens": tokens.prompt,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens.completion,
        "service_tier": "standard",
    }
