"""OpenAI's embeddings: `POST /v1/embeddings`. The answer is vectors, as numbers or in base64; they hold no text.

Source: OpenAI's API reference, "Embeddings", and the types of the official Python SDK.
"""

from __future__ import annotations

from typing import Any, Final

from contracts.usage import Usage
from extproc.core.body import Document, Malformed, Path
from extproc.core.dialects import openai_family
from extproc.core.dialects.members import inputs, members, model_of, said, tokens, used
from extproc.core.dialects.openai_family import credential_header, name, refusal, stream_refusal
from extproc.core.dialects.shape import Call, Channel, Facts

__all__ = [
    "call", "channel", "credential_header", "done", "echo", "facts", "generated", "name", "refusal", "stream_refusal", "structural",
    "usage",
]  # fmt: skip

done: Final = b""
structural: Final = frozenset({("model",), ("encoding_format",), ("object",), ("data", "object")})
_KNOWN: Final = frozenset(openai_family.KEEPS) | {"input", "model"}


def call(document: Document) -> Call:
    """What the request asks for. Raises Malformed, naming the member that is missing or of the wrong kind."""
    body = members(document, _KNOWN)
    if body.get("input") is None:
        raise Malformed("input is missing")
    texts, unread = inputs(body, "input")
    return Call(model=model_of(body), messages=texts, unread=unread, features=tuple(sorted(used(body, openai_family.KEEPS))))


def usage(tree: Any, before: Usage | None) -> Usage | None:
    """Tokens as the provider counts them. There are none but those of the input, which Voyage has as the total alone."""
    counts = tree.get("usage") if type(tree) is dict else None
    read = tokens(counts, "prompt_tokens")
    read = tokens(counts, "total_tokens") if read is None else read
    return before if read is None else Usage(input=read)


def facts(tree: Any) -> Facts:
    """What the answer says about itself."""
    return Facts(model=said(tree, "model"), failed=type(tree) is dict and bool(tree.get("error")))


def channel(_tree: Any, _path: Path) -> Channel | None:
    """It comes whole."""
    return None


def echo(_tree: Any, _path: Path) -> Path | None:
    """Nothing is said twice."""
    return None


def generated(_tree: Any, _path: Path) -> bool:
    """No model writes here."""
    return False
