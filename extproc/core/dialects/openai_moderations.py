"""OpenAI's moderations: `POST /v1/moderations`. A text or an image is judged; providers take nothing for it and count no tokens.

Source: OpenAI's API reference, "Moderations", and the types of the official Python SDK.
"""

from __future__ import annotations

from typing import Any, Final

from contracts.usage import Usage
from extproc.core.body import Document, Malformed
from extproc.core.dialects import openai_family, openai_parts
from extproc.core.dialects.members import Media, members, model_of, said, used
from extproc.core.dialects.openai_embeddings import channel, done, echo, generated
from extproc.core.dialects.openai_family import credential_header, name, refusal, stream_refusal
from extproc.core.dialects.shape import Call, Facts

__all__ = [
    "call", "channel", "credential_header", "done", "echo", "facts", "generated", "name", "refusal", "stream_refusal", "structural",
    "usage",
]  # fmt: skip

structural: Final = frozenset({("model",), ("input", "type"), ("id",), ("results", "category_applied_input_types")})
_KNOWN: Final = frozenset(openai_family.KEEPS) | {"input", "model"}


DEFAULT_MODEL: Final = "omni-moderation-latest"
"""What OpenAI takes where the request names no model, as most do."""


def call(document: Document) -> Call:
    """What the request asks for. Raises Malformed, naming the member."""
    body = members(document, _KNOWN)
    given = body.get("input")
    media, features = Media(), set(used(body, openai_family.KEEPS))
    if openai_parts.are_parts(given):
        openai_parts.look(given, ("input",), media, features)
    elif not (type(given) is str or (type(given) is list and all(type(text) is str for text in given))):
        raise Malformed("input is missing, or neither a string nor an array of strings, nor one of parts with a type")
    return Call(
        model=DEFAULT_MODEL if body.get("model") is None else model_of(body),
        names_model="model" in body,
        messages=len(given) if type(given) is list else 1,
        unread=media.counts,
        files=tuple(media.files),
        features=tuple(sorted(features)),
    )


def usage(_tree: Any, before: Usage | None) -> Usage | None:
    """Nobody counts."""
    return before


def facts(tree: Any) -> Facts:
    """What the answer says about itself."""
    return Facts(model=said(tree, "model"), id=said(tree, "id"), failed=type(tree) is dict and bool(tree.get("error")))
