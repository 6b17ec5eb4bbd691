"""Anthropic's count of tokens: `POST /v1/messages/count_tokens`. It asks as messages do; its answer is a number, and costs nothing.

Source: Anthropic's API reference, "Count message tokens", and the types of the official Python SDK.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from contracts.usage import Usage
from extproc.core.body import Document, Path
from extproc.core.dialects import anthropic_messages
from extproc.core.dialects.anthropic_family import credential_header, name, refusal, stream_refusal
from extproc.core.dialects.anthropic_messages import echo, structural
from extproc.core.dialects.shape import Call, Channel, Facts

__all__ = [
    "call", "channel", "credential_header", "done", "echo", "facts", "generated", "name", "refusal", "stream_refusal", "structural",
    "usage",
]  # fmt: skip

done: Final = b""


def call(document: Document) -> Call:
    """As of messages. There is no answer that could have a ceiling."""
    return replace(anthropic_messages.call(document), caps=None)


def usage(_tree: Any, before: Usage | None) -> Usage | None:
    """The count is of what a message would use; nothing was used."""
    return before


def facts(_tree: Any) -> Facts:
    """The answer says nothing about itself."""
    return Facts()


def channel(_tree: Any, _path: Path) -> Channel | None:
    """It comes whole."""
    return None


def generated(_tree: Any, _path: Path) -> bool:
    """No model wrote it."""
    return False
