"""What the made-up model says, before a dialect gives it its shape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.script import Step

DEFAULT_TEXT = "This is the mock provider. It has read your message and says nothing about it."
_WORD = re.compile(r"\S*\s*")
_ARGUMENT_PIECE = 12
_BYTES_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Says:
    """One answer's content. `number` counts the requests of this mock, from 1."""

    number: int
    pieces: Sequence[str]
    tool_calls: Sequence[Mapping[str, str]]
    usage: Mapping[str, Any] | None
    model: str | None
    finish_reason: str | None

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)

    def tokens(self, ask: Ask) -> tuple[int, int]:
        """Input and output tokens at four bytes a token: a guess, but always the same one."""
        return -(-ask.prompt_bytes // _BYTES_A_TOKEN), -(-len(self.text.encode()) * ask.choices // _BYTES_A_TOKEN)

    @staticmethod
    def argument_pieces(call: Mapping[str, str]) -> list[str]:
        """A tool call's arguments as a stream has them."""
        text = call["arguments"]
        return [text[i : i + _ARGUMENT_PIECE] for i in range(0, len(text), _ARGUMENT_PIECE)]


def say(step: Step, ask: Ask, number: int) -> Says:
    """What the answer to request `number` says."""
    calls = [_call(call, i) for i, call in enumerate(step.tool_calls)]
    return Says(number, _pieces(step, ask), calls, step.usage, step.model, step.finish_reason)


def _pieces(step: Step, ask: Ask) -> list[str]:
    if isinstance(step.text, list):
        return step.text
    if step.text is None and step.tool_calls:
        return []
    text = ask.last_user_text if step.echo else DEFAULT_TEXT if step.text is None else step.text
    return [word for word in _WORD.findall(text) if word]


def _call(call: Mapping[str, Any], index: int) -> dict[str, str]:
    arguments = call.get("arguments", {})
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    return {"id": str(call.get("id", f"call_mock{index}")), "name": str(call["name"]), "arguments": text}
