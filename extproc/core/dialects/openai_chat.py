"""OpenAI's chat completions: `POST /v1/chat/completions`, whole and as an event stream.

Source: OpenAI's API reference, "Chat Completions", and the types of the official Python SDK.
"""

from __future__ import annotations

from typing import Any, Final

from contracts.usage import Usage
from extproc.core.body import Document, Malformed, Path
from extproc.core.dialects import openai_family
from extproc.core.dialects.members import Media, array, count, flag, is_data_url, members, model_of, objects, said, used, without_storing
from extproc.core.dialects.openai_family import credential_header, name, refusal, stream_refusal
from extproc.core.dialects.shape import AUDIO, FILE, Call, Channel, Encoded, Facts

__all__ = [
    "call", "channel", "credential_header", "done", "echo", "facts", "generated", "name", "refusal", "stream_refusal", "structural",
    "usage",
]  # fmt: skip

done: Final = b"[DONE]"

structural: Final = frozenset(
    {
        ("model",),
        ("messages", "role"),
        ("messages", "content", "type"),
        ("messages", "tool_call_id"),
        ("messages", "tool_calls", "id"),
        ("messages", "tool_calls", "type"),
        ("tools", "type"),
        ("id",),
        ("object",),
        ("system_fingerprint",),
        ("choices", "finish_reason"),
        ("choices", "message", "role"),
        ("choices", "message", "tool_calls", "id"),
        ("choices", "delta", "role"),
        ("choices", "delta", "tool_calls", "id"),
    }
)

_KNOWN: Final = frozenset(openai_family.KEEPS) | {
    "functions", "max_completion_tokens", "max_tokens", "messages", "model", "n", "stream", "stream_options", "tools",
}  # fmt: skip
_MEDIA: Final = frozenset({"image_url", "input_audio", "file"})
_READ: Final = _MEDIA | {"text", "refusal"}
_WHOLE: Final = frozenset({"type", "id", "role"})
_BESIDE: Final = frozenset({"logprobs", "finish_reason"})
_ABOUT: Final = _WHOLE | {"finish_reason"}


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
    ceilings = [count(body, member) for member in ("max_completion_tokens", "max_tokens")]
    return Call(
        model=model_of(body),
        stream=stream,
        max_tokens=max((ceiling for ceiling in ceilings if ceiling), default=None),
        choices=count(body, "n") or 1,
        messages=len(messages),
        tools=len(tools) + len(array(body, "functions")),
        unread=media.counts,
        files=tuple(media.files),
        features=tuple(sorted(features)),
        asks=asks,
        forgets=without_storing(body),
        hides_usage=hides,
    )


def _look(message: dict[str, Any], path: Path, media: Media, features: set[str]) -> None:
    """Note what of a message is no text. A number in the place of text would be read by some and not by others: refused."""
    if message.get("audio") is not None:
        media.note(AUDIO)
    content = message.get("content")
    if content is None or type(content) is str:
        return
    if type(content) is not list or not all(type(part) is dict and type(part.get("type")) is str for part in content):
        raise Malformed("messages holds a content that is neither a string nor an array of parts with a type")
    for position, part in enumerate(content):
        if part["type"] not in _READ:
            media.note(FILE)
        # Some readers go by a part's type, others by the member that it has: either is enough.
        for kind in sorted({part["type"], *part} & _MEDIA):
            _look_at(kind, part.get(kind), (*path, "content", position, kind), media, features)


def _look_at(kind: str, inside: Any, path: Path, media: Media, features: set[str]) -> None:
    """Note a part that is no text, by its kind."""
    if kind == "image_url":
        media.reference(inside.get("url") if type(inside) is dict else inside)
    elif kind == "input_audio":
        media.note(AUDIO)
    else:
        _look_into_file(inside if type(inside) is dict else {}, path, media, features)


def _look_into_file(file: dict[str, Any], path: Path, media: Media, features: set[str]) -> None:
    inside = file.get("file_data")
    if file.get("file_id") is not None:
        features.add("files")
        media.note(FILE)
    elif type(inside) is not str:
        media.note(FILE)
    if type(inside) is str and not is_data_url(inside):
        media.files.append(Encoded((*path, "file_data")))


# ── the answer ─────────────────────────────────────────────────────────────────


def usage(tree: Any, before: Usage | None) -> Usage | None:
    """Tokens as the provider counts them. `prompt_tokens` includes cached ones, `completion_tokens` reasoning."""
    return openai_family.counted(tree.get("usage") if type(tree) is dict else None, "prompt_tokens", "completion_tokens", before)


def facts(tree: Any) -> Facts:
    """What the answer or event says about itself; a choice is finished once it names a reason."""
    if type(tree) is not dict:
        return Facts()
    choices = tree.get("choices")
    finished: list[tuple[int, str]] = []
    sounds = 0
    for position, choice in enumerate(choices if type(choices) is list else ()):
        if type(choice) is not dict:
            continue
        number = _number(choice, position)
        if reason := said(choice, "finish_reason"):
            finished.append((number, reason))
        sounds += any(_sounds(choice.get(part)) for part in ("message", "delta"))
    return Facts(
        model=said(tree, "model"),
        id=said(tree, "id"),
        reasons=tuple([reason for _, reason in finished]),
        closed=tuple([(number,) for number, _ in finished]),
        failed=bool(tree.get("error")),
        extra=choices == [] and type(tree.get("usage")) is dict,
        unread={AUDIO: sounds} if sounds else {},
    )


def _sounds(part: Any) -> bool:
    """Whether there is spoken sound in a message."""
    audio = part.get("audio") if type(part) is dict else None
    return type(audio) is dict and bool(audio.get("data"))


def channel(tree: Any, path: Path) -> Channel | None:
    """Every string of a choice goes on with the one before it, as the SDKs join them, save kinds, roles and ids.

    Items of an array are told apart by their `index` where they have one, as tool calls do.
    """
    if len(path) < 3 or path[0] != "choices" or path[2] in _BESIDE or path[-1] in _WHOLE:  # noqa: PLR2004 - choices, 0, name
        return None
    node = tree["choices"]
    found: list[str | int] = []
    for step in path[1:]:
        node = node[step]
        found.append(_number(node, step) if type(step) is int else step)
    return tuple(found)


def echo(tree: Any, path: Path) -> Path | None:
    """A choice's `logprobs` spell its text again, token by token."""
    if len(path) < 3 or path[0] != "choices":  # noqa: PLR2004 - choices, 0, message
        return None
    choice = tree["choices"][path[1]]
    return ("choices", path[1], "logprobs") if type(choice) is dict and choice.get("logprobs") is not None else None


def generated(_tree: Any, path: Path) -> bool:
    """Everything in a choice is written by the model, save what is said about it, and the tokens' probabilities."""
    return path[:1] == ("choices",) and path[-1] not in _ABOUT and "logprobs" not in path


def _number(item: Any, position: int) -> int:
    """The number an item of an array goes by: its `index`, or its position where it has none."""
    index = item.get("index") if type(item) is dict else None
    if index is not None and type(index) is not int:
        raise Malformed("an index is no whole number, so nobody can say which text goes on")
    return position if index is None else index
