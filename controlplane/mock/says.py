"""What the made-up model says, before a dialect gives it its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final, NamedTuple

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.script import Step

DEFAULT_TEXT: Final = "This is the mock provider. It has read your message and says nothing about it."
_BULK_PIECE: Final = (DEFAULT_TEXT + " ") * 13
"""About 1 KiB, so that a long stream has neither too many events nor too long ones."""
_WORD: Final = re.compile(r"\S*\s*")
_ARGUMENT_PIECE: Final = 12
_BYTES_A_TOKEN: Final = 4


class Tokens(NamedTuple):
    """Counts of one answer. `completion` has the `reasoning` in it."""

    prompt: int
    completion: int
    reasoning: int

    @property
    def total(self) -> int:
        """What all of it comes to."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Says:
    """One answer's content. `number` counts the requests of this mock, from 1; `bulk` is in bytes of text, 0 for none."""

    number: int
    pieces: Sequence[str]
    reasoning: Sequence[str]
    tool_calls: Sequence[Mapping[str, str]]
    usage: Mapping[str, Any] | None
    model: str | None
    finish_reason: str | None
    bulk: int

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.said())

    def said(self) -> Iterator[str]:
        """The text piece by piece; with `bulk` the pieces over and over, until they are that long together."""
        if not self.bulk:
            yield from self.pieces
            return
        left = self.bulk
        for piece in cycle(self.pieces):
            if left <= 0:
                return
            yield piece
            left -= len(piece.encode())

    def tokens(self, ask: Ask) -> Tokens:
        """Four bytes a token: a guess, but always the same one."""
        text = self.bulk or sum(len(piece.encode()) for piece in self.pieces)
        arguments = sum(len(call["arguments"].encode()) for call in self.tool_calls)
        reasoning = _tokens(sum(len(piece.encode()) for piece in self.reasoning))
        return Tokens(_tokens(ask.prompt_bytes), (_tokens(text + arguments) + reasoning) * ask.choices, reasoning * ask.choices)

    @staticmethod
    def argument_pieces(call: Mapping[str, str]) -> list[str]:
        """A tool call's arguments as a stream has them."""
        text = call["arguments"]
        return [text[i : i + _ARGUMENT_PIECE] for i in range(0, len(text), _ARGUMENT_PIECE)]


def say(step: Step, ask: Ask, number: int) -> Says:
    """What the answer to request `number` says."""
    calls = [_call(call, i) for i, call in enumerate(step.tool_calls)]
    return Says(number, _pieces(step, ask), _words(step.reasoning or []), calls, step.usage, step.model, step.finish_reason, step.bulk)


def _pieces(step: Step, ask: Ask) -> list[str]:
    if isinstance(step.text, list):
        return step.text
    if step.text is None and step.tool_calls and not step.bulk:
        return []
    text = ask.last_user_text if step.echo else step.text
    if step.bulk and not text:  # something has to be said over and over
        return [_BULK_PIECE]
    return _words(DEFAULT_TEXT if text is None else text)


def _words(text: str | list[str]) -> list[str]:
    if isinstance(text, list):
        return text
    return [word for word in _WORD.findall(text) if word]


def _call(call: Mapping[str, Any], index: int) -> dict[str, str]:
    arguments = call.get("arguments", {})
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    return {"id": str(call.get("id", f"call_mock{index}")), "name": str(call["name"]), "arguments": text}


def _tokens(size: int) -> int:
    return -(-size // _BYTES_A_TOKEN)
