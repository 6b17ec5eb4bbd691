"""What a request asks for, in whichever dialect; anything unreadable is as if it were not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Ask:
    """What matters of a request to somebody who makes answers up."""

    model: str = "unnamed"
    stream: bool = False
    include_usage: bool = False
    choices: int = 1
    last_user_text: str = ""
    prompt_bytes: int = 0


def read_ask(body: bytes) -> Ask:
    """Read a request's body; never raises."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Ask()
    if not isinstance(document, dict):
        return Ask()
    options = document.get("stream_options")
    choices = document.get("n")
    return Ask(
        model=str(document.get("model", "unnamed")),
        stream=document.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        choices=choices if isinstance(choices, int) and 0 < choices < 100 else 1,  # noqa: PLR2004 - OpenAI allows 128; enough here
        last_user_text=_last_user_text(document.get("messages")),
        prompt_bytes=len(body),
    )


def _last_user_text(messages: Any) -> str:
    if not isinstance(messages, list):
        return ""
    said = [message.get("content") for message in messages if isinstance(message, dict) and message.get("role") == "user"]
    return _text(said[-1]) if said else ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    return ""
