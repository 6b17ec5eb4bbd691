"""What OpenAI's chat completions and legacy completions have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.says import Says

CREATED: Final = 1_700_000_000
"""Seconds of the Unix epoch; always the same, so that answers can be compared byte by byte."""
DONE: Final = b"data: [DONE]\n\n"


def frame(prefix: str, kind: str, ask: Ask, says: Says, choices: list[dict[str, Any]]) -> dict[str, Any]:
    """The outer object of an answer or of one event, without usage."""
    return {
        "id": f"{prefix}-mock{says.number}",
        "object": kind,
        "created": CREATED,
        "model": says.model or ask.model,
        "choices": choices,
        "system_fingerprint": "fp_mock",
    }


def event(ask: Ask, document: dict[str, Any]) -> bytes:
    """One event with choices; where usage was asked for every event has the field, and all but the last have it empty."""
    return b"data: %b\n\n" % orjson.dumps(document | {"usage": None} if ask.include_usage else document)


def usage_event(ask: Ask, says: Says, document: dict[str, Any]) -> bytes:
    """The event that `stream_options.include_usage` asks for: the last one, without choices."""
    return b"data: %b\n\n" % orjson.dumps(document | {"usage": usage(ask, says)})


def usage(ask: Ask, says: Says) -> Mapping[str, Any]:
    """A `CompletionUsage` object."""
    if says.usage is not None:
        return says.usage
    tokens = says.tokens(ask)
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
