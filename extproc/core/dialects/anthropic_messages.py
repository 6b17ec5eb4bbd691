"""Anthropic's messages: `POST /v1/messages`, whole and as an event stream.

Source: Anthropic's API reference, "Messages" and "Streaming messages", and the types of the official Python SDK.
"""

from __future__ import annotations

from typing import Any, Final

from contracts.usage import Usage
from extproc.core.body import Document, Malformed, Path
from extproc.core.dialects import anthropic_family
from extproc.core.dialects.anthropic_blocks import Blocks, unread
from extproc.core.dialects.anthropic_family import credential_header, name, refusal, stream_refusal
from extproc.core.dialects.members import array, caps, count, flag, members, model_of, objects, said, used
from extproc.core.dialects.shape import Call, Channel, Facts

__all__ = [
    "call", "channel", "credential_header", "done", "echo", "facts", "generated", "name", "refusal", "stream_refusal", "structural",
    "usage",
]  # fmt: skip

done: Final = b""

structural: Final = frozenset(
    {
        ("model",),
        ("system", "type"),
        ("messages", "role"),
        ("messages", "content", "type"),
        ("messages", "content", "id"),
        ("messages", "content", "tool_use_id"),
        ("messages", "content", "source", "type"),
        ("messages", "content", "source", "media_type"),
        ("messages", "content", "content", "type"),
        ("messages", "content", "content", "source", "type"),
        ("messages", "content", "content", "source", "media_type"),
        ("tools", "type"),
        ("id",),
        ("type",),
        ("role",),
        ("stop_reason",),
        ("content", "type"),
        ("content", "id"),
        ("content", "tool_use_id"),
        ("message", "model"),
        ("message", "id"),
        ("message", "type"),
        ("message", "role"),
        ("content_block", "type"),
        ("content_block", "id"),
        ("content_block", "tool_use_id"),
        ("delta", "type"),
        ("delta", "stop_reason"),
    }
)

_KNOWN: Final = frozenset(anthropic_family.KEEPS) | {"max_tokens", "messages", "model", "stream", "system", "tools"}
_GROUP: Final = ""
"""Blocks come one after the other, so all texts may fall behind together."""
_IN_BLOCK: Final = frozenset({"content_block_start", "content_block_delta", "content_block_stop"})
_LABELS: Final = frozenset({"type", "id", "tool_use_id", "name", "server_name", "mcp_server_name", "toolset_name", "file_id"})
"""Members of a block that are whole where it starts; no delta goes on with them."""
_WRITTEN: Final = frozenset({"text", "thinking", "partial_json", "input", "name"})
"""Members of a block, or of its delta, that the model wrote. Citations, results and signatures are the provider's."""
_NOTHING: Final = Facts()


# ── the request ────────────────────────────────────────────────────────────────


def call(document: Document) -> Call:
    """What the request asks for. Raises Malformed, naming the member that is missing or of the wrong kind."""
    body = members(document, _KNOWN)
    messages = objects(body, "messages")
    if not messages:
        raise Malformed("messages is missing or empty")
    blocks = Blocks({*used(body, anthropic_family.KEEPS), *anthropic_family.hosted(array(body, "tools"))})
    blocks.look(body.get("system"), ("system",))
    for position, message in enumerate(messages):
        blocks.look(message.get("content"), ("messages", position, "content"))
    ceiling = _ceiling(body)
    return Call(
        model=model_of(body),
        stream=flag(body, "stream"),
        max_tokens=ceiling,
        messages=len(messages),
        tools=len(array(body, "tools")),
        unread=blocks.media.counts,
        files=tuple(blocks.media.files),
        features=tuple(sorted(blocks.features)),
        caps=caps(body, "max_tokens") if ceiling is None else None,
    )


def _ceiling(body: dict[str, Any]) -> int | None:
    """Here 0 is a ceiling too: the cache is filled and nothing is said."""
    value = body.get("max_tokens")
    return 0 if type(value) is int and value == 0 else count(body, "max_tokens")


# ── the answer ─────────────────────────────────────────────────────────────────


def usage(tree: Any, before: Usage | None) -> Usage | None:
    """Tokens as the provider counts them: of a stream its first event has those that came in, a last one those that went out."""
    if type(tree) is not dict:
        return before
    message = tree.get("message")
    return anthropic_family.counted((message if type(message) is dict else tree).get("usage"), before)


def facts(tree: Any) -> Facts:
    """What the answer or event says about itself."""
    if type(tree) is not dict:
        return _NOTHING
    kind = said(tree, "type")
    if kind in _IN_BLOCK:
        return _of_block(kind, _index(tree), tree)
    if kind == "message_stop":
        return Facts(done=True)
    if kind == "message_delta":
        return Facts(reasons=_reasons(tree.get("delta")))
    message = tree.get("message") if kind == "message_start" else tree
    return Facts(
        model=said(message, "model"),
        id=said(message, "id"),
        reasons=_reasons(message),
        failed=kind == "error" or bool(tree.get("error")),
        unread=unread(message),
    )


def _of_block(kind: str, index: int, tree: dict[str, Any]) -> Facts:
    if kind == "content_block_stop":
        return Facts(closed=((_GROUP, index),))
    return Facts(unread=unread({"content": tree.get("content_block")})) if kind == "content_block_start" else _NOTHING


def _reasons(message: Any) -> tuple[str, ...]:
    reason = said(message, "stop_reason")
    return (reason,) if reason else ()


def _index(tree: dict[str, Any]) -> int:
    """The number a block goes by."""
    index = tree.get("index")
    if type(index) is not int or index < 0:
        raise Malformed("an index is no whole number, so nobody can say which text goes on")
    return index


def channel(tree: Any, path: Path) -> Channel | None:
    """The strings of a delta go on with those of the same name in the block they belong to; a citation is whole."""
    way = path[1:]
    if path[:2] == ("message", "content"):
        return _start(path[2:3], path[3:])
    index = tree.get("index") if type(tree) is dict else None
    if type(index) is not int:
        return None
    if path[:1] == ("content_block",):
        return _start((index,), way)
    return None if path[:1] != ("delta",) or way[-1:] == ("type",) or way[:1] == ("citation",) else (_GROUP, index, *way)


def _start(block: Path, way: Path) -> Channel | None:
    """What a block starts with, unless that is one of its labels, or lies deeper."""
    return None if len(way) != 1 or way[0] in _LABELS else (_GROUP, *block, *way)


def echo(_tree: Any, _path: Path) -> Path | None:
    """No text is repeated."""
    return None


def generated(_tree: Any, path: Path) -> bool:
    """Text, thinking, and what tools are called with are written by the model; what tools give back is not."""
    member = path[2:3] if path[:1] == ("content",) else path[1:2] if path[:1] in {("delta",), ("content_block",)} else ()
    return member != () and member[0] in _WRITTEN
