"""OpenAI's chat completions: `POST /v1/chat/completions`, whole and as an event stream.

Source: OpenAI's API reference, "Chat Completions", and the types of the official Python SDK.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from extproc.core.body import Document, Malformed, Path
from extproc.core.dialects import openai_choices, openai_family, openai_parts
from extproc.core.dialects.members import Media, array, caps, count, flag, members, model_of, objects, used, without_storing
from extproc.core.dialects.openai_choices import channel, done, echo, generated, usage
from extproc.core.dialects.openai_family import credential_header, name, refusal, stream_refusal
from extproc.core.dialects.shape import AUDIO, Call, Facts

__all__ = [
    "call", "channel", "credential_header", "done", "echo", "facts", "generated", "name", "refusal", "stream_refusal", "structural",
    "usage",
]  # fmt: skip

structural: Final = openai_choices.structural | frozenset(
    {
        ("messages", "role"),
        ("messages", "content", "type"),
        ("messages", "tool_call_id"),
        ("messages", "tool_calls", "id"),
        ("messages", "tool_calls", "type"),
        ("tools", "type"),
        ("choices", "message", "role"),
        ("choices", "message", "tool_calls", "id"),
        ("choices", "delta", "role"),
        ("choices", "delta", "tool_calls", "id"),
    }
)

_KNOWN: Final = frozenset(openai_family.KEEPS) | {
    "functions", "max_completion_tokens", "max_tokens", "messages", "model", "n", "stream", "stream_options", "tools",
}  # fmt: skip


# ── the request ────────────────────────────────────────────────────────────────


def call(document: Document) -> Call:
    """What the request asks for. Raises Malformed, naming the member that is missing or of the wrong kind."""
    body = members(document, _KNOWN)
    messages = objects(body, "messages")
    if not messages:
        raise Malformed("messages is missing or empty")
    tools = array(body, "tools")
    media, features = Media(), {*used(body, openai_family.KEEPS), *(openai_family.hosted(tools) if tools else ())}
    for position, message in enumerate(messages):
        _look(message, ("messages", position), media, features)
    stream = flag(body, "stream")
    asks, hides = openai_family.usage_asked(body) if stream else ((), False)
    ceilings = [ceiling for member in ("max_completion_tokens", "max_tokens") if (ceiling := count(body, member))]
    return Call(
        model=model_of(body),
        stream=stream,
        max_tokens=max(ceilings, default=None),
        choices=count(body, "n") or 1,
        messages=len(messages),
        tools=len(tools) + len(array(body, "functions")),
        unread=media.counts,
        files=tuple(media.files),
        features=tuple(sorted(features)),
        asks=asks,
        forgets=without_storing(body),
        caps=None if ceilings else caps(body, "max_completion_tokens"),
        hides_usage=hides,
    )


def _look(message: dict[str, Any], path: Path, media: Media, features: set[str]) -> None:
    """Note what of a message is no text. A number in the place of text would be read by some and not by others: refused."""
    if message.get("audio") is not None:
        media.note(AUDIO)
    content = message.get("content")
    if content is None or type(content) is str:
        return
    if not openai_parts.are_parts(content):
        raise Malformed("messages holds a content that is neither a string nor an array of parts with a type")
    openai_parts.look(content, (*path, "content"), media, features)


# ── the answer ─────────────────────────────────────────────────────────────────


def facts(tree: Any) -> Facts:
    """What the answer or event says about itself; spoken sound in it can't be read."""
    found = openai_choices.facts(tree)
    sounds = sum([_sounds(choice.get("message")) + _sounds(choice.get("delta")) for choice in openai_choices.choices(tree)])
    return replace(found, unread={AUDIO: sounds}) if sounds else found


def _sounds(part: Any) -> bool:
    """Whether there is spoken sound in a message or a piece of one."""
    audio = part.get("audio") if type(part) is dict else None
    return type(audio) is dict and bool(audio.get("data"))
