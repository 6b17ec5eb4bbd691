"""Answers in OpenAI's responses shape (platform.openai.com/docs/api-reference/responses): the object, and the items of its output.

`responses_stream` has the same as events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.logprobs import of_response
from controlplane.mock.openai_frame import CREATED
from controlplane.mock.says import Says

COMPLETED: Final = "completed"
FAILED: Final = "failed"
INCOMPLETE: Final = "incomplete"
_ECHOED: Final[Mapping[str, Any]] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of the request that the answer repeats, with what it says where they were not there."""
_ENCRYPTED: Final = "reasoning.encrypted_content"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the output as it is when it is done, and the pieces in which its text comes."""

    done: dict[str, Any]
    pieces: Sequence[str]

    @property
    def kind(self) -> str:
        """`message`, `function_call` or `reasoning`."""
        return str(self.done["type"])


def unary(ask: Ask, says: Says) -> bytes:
    """A `response` object."""
    output = [item.done for item in items(ask, says, list(says.said()))]
    return orjson.dumps(response(ask, says, ended(says), output))


def ended(says: Says) -> str:
    """The status that the response ends with: any finish reason that is no status is why it is incomplete."""
    reason = says.finish_reason or COMPLETED
    return reason if reason in (COMPLETED, FAILED) else INCOMPLETE


def response(ask: Ask, says: Says, status: str, output: Sequence[dict[str, Any]] | None) -> dict[str, Any]:
    """The `response` object in some state of it. `output` None: not told."""
    over = status != "in_progress"
    return {
        "id": f"resp_mock{says.number}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "completed_at": CREATED if status == COMPLETED else None,
        "error": {"code": "server_error", "message": "The mock provider was told to fail."} if status == FAILED else None,
        "incomplete_details": {"reason": says.finish_reason} if status == INCOMPLETE else None,
        "model": says.model or ask.model,
        **{name: ask.document.get(name, default) for name, default in _ECHOED.items()},
        "output": output,
        "usage": _usage(ask, says) if over else None,
    }


def items(ask: Ask, says: Says, pieces: Sequence[str]) -> Iterator[Item]:
    """What the model thinks, says in `pieces`, and calls."""
    if says.reasoning:
        yield _reasoning(ask, says)
    if pieces:
        yield message(ask, says, 0, pieces)
    for index, call in enumerate(says.tool_calls):
        done = {"type": "function_call", "id": f"fc_mock{says.number}_{index}", "status": COMPLETED, "call_id": call["id"]}
        yield Item({**done, "name": call["name"], "arguments": call["arguments"]}, says.argument_pieces(call))


def message(ask: Ask, says: Says, index: int, pieces: Sequence[str]) -> Item:
    """A message of the output; `index` tells several of them apart."""
    part = {"type": "output_text", "text": "".join(pieces), "annotations": [], "logprobs": of_response(ask.document, pieces)}
    done = {"type": "message", "id": f"msg_mock{says.number}_{index}", "status": COMPLETED, "role": "assistant", "content": [part]}
    return Item(done, pieces)


def _reasoning(ask: Ask, says: Says) -> Item:
    done = {
        "type": "reasoning",
        "id": f"rs_mock{says.number}",
        "summary": [{"type": "summary_text", "text": "".join(says.reasoning)}],
    }
    included = ask.document.get("include")
    if isinstance(included, list) and _ENCRYPTED in included:
        done["encrypted_content"] = "bW9jayByZWFzb25pbmc="
    return Item(done, says.reasoning)


def _usage(ask: Ask, says: Says) -> Mapping[str, Any]:
    if says.usage is not None:
        return says.usage
    tokens = says.tokens(ask)
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.total,
    }
