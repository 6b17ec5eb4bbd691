"""Answers in OpenAI's legacy completions shape (platform.openai.com/docs/api-reference/completions), whole and streamed.

It has neither tools nor a place for reasoning. A list of prompts gets its choices in the prompts' order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.logprobs import of_completion
from controlplane.mock.openai_frame import DONE, event, frame, usage, usage_event
from controlplane.mock.says import Says


def unary(ask: Ask, says: Says) -> bytes:
    """A `text_completion` object."""
    pieces = list(says.said())
    text, logprobs = "".join(pieces), of_completion(ask.document, pieces)
    choices = [_choice(index, text, logprobs, _finish(says)) for index in range(ask.choices)]
    return orjson.dumps(_frame(ask, says, choices) | {"usage": usage(ask, says)})


def events(ask: Ask, says: Says) -> Iterator[bytes]:
    """The stream, one event a piece, ending in `[DONE]`."""
    for index in range(ask.choices):
        start = 0
        for piece in says.said():
            yield event(ask, _frame(ask, says, [_choice(index, piece, of_completion(ask.document, [piece], start), None)]))
            start += len(piece)
        yield event(ask, _frame(ask, says, [_choice(index, "", None, _finish(says))]))
    if ask.include_usage:
        yield usage_event(ask, says, _frame(ask, says, []))
    yield DONE


def _frame(ask: Ask, says: Says, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return frame("cmpl", "text_completion", ask, says, choices)


def _choice(index: int, text: str, logprobs: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}


def _finish(says: Says) -> str:
    return says.finish_reason or "stop"
