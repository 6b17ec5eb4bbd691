"""What a request asks for, in whichever dialect; anything unreadable is as if it were not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Ask:
    """What matters of a request to somebody who makes answers up.

    `choices`: of all prompts together, where there are several.
    `document`: the whole body, for what only one dialect has; empty where it is no JSON object.
    """

    model: str = "unnamed"
    stream: bool = False
    include_usage: bool = False
    choices: int = 1
    last_user_text: str = ""
    prompt_bytes: int = 0
    document: Mapping[str, Any] = field(default_factory=dict)


def read_ask(body: bytes) -> Ask:
    """Read a request's body; never raises."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Ask()
    if not isinstance(document, dict):
        return Ask()
    options = document.get("stream_options")
    return Ask(
        model=str(document.get("model", "unnamed")),
        stream=document.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        choices=_choices(document),
        last_user_text=next((_said(document[name]) for name in ("messages", "input", "prompt") if name in document), ""),
        prompt_bytes=len(body),
        document=document,
    )


def strings(value: Any) -> list[Any]:
    """What `input` or `prompt` holds, one item for each answer that it wants: a text, a list of texts, or tokens in either way."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return value
    return [value]


def _choices(document: Mapping[str, Any]) -> int:
    asked = document.get("n")
    each = asked if isinstance(asked, int) and 0 < asked < 100 else 1  # noqa: PLR2004 - OpenAI allows 128; enough here
    return each * len(strings(document.get("prompt")))


def _said(value: Any) -> str:
    if not isinstance(value, list):
        return _text(value)
    said = [turn.get("content") for turn in value if isinstance(turn, dict) and turn.get("role") == "user"]
    return _text(said[-1] if said else [text for text in value if isinstance(text, str)])


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part["text"] if isinstance(part, dict) and "text" in part else part for part in content]
        return " ".join(part for part in parts if isinstance(part, str))
    return ""
