"""Content blocks of Anthropic's messages: which of them are no text, and what of them reaches out.

Source: the types of the official Python SDK, those of its beta features too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from extproc.core import places
from extproc.core.body import Malformed, Path
from extproc.core.dialects.anthropic_family import hosted
from extproc.core.dialects.members import Media, exact
from extproc.core.dialects.shape import FILE, IMAGE, Encoded

_SOURCED: Final = frozenset({"image", "document"})
_CONTENTS: Final = frozenset({"content", "source"})
_UPLOAD: Final = "container_upload"

_TEXTS: Final = frozenset(
    {
        "text", "thinking", "redacted_thinking", "connector_text",
        "tool_use", "tool_result", "tool_reference", "tool_addition", "tool_removal",
        "server_tool_use", "mcp_tool_use", "mcp_tool_result", "mcp_tool_listing",
        "search_result", "browser_state", "compaction", "fallback",
        "web_search_tool_result", "web_search_result", "web_search_tool_result_error",
        "web_fetch_tool_result", "web_fetch_result", "web_fetch_tool_result_error",
        "code_execution_tool_result", "code_execution_result", "encrypted_code_execution_result", "code_execution_output",
        "code_execution_tool_result_error",
        "bash_code_execution_tool_result", "bash_code_execution_result", "bash_code_execution_output",
        "bash_code_execution_tool_result_error",
        "text_editor_code_execution_tool_result", "text_editor_code_execution_view_result",
        "text_editor_code_execution_create_result", "text_editor_code_execution_str_replace_result",
        "text_editor_code_execution_tool_result_error",
        "tool_search_tool_result", "tool_search_tool_search_result", "tool_search_tool_result_error",
        "advisor_tool_result", "advisor_result", "advisor_redacted_result", "advisor_tool_result_error",
    }
)  # fmt: skip
"""Blocks that are text, or hold blocks that are looked into themselves. What is sealed in some is the provider's own, sent back."""


class Blocks:
    """What the blocks of a request hold besides text, as they are met: files and images, and features."""

    def __init__(self, features: set[str]) -> None:
        self.media = Media()
        self.features = features

    def look(self, content: Any, path: Path) -> None:
        """Look through a content: a string, a block, or blocks. Raises Malformed for what some would read as one and others not."""
        if content is None or type(content) is str:
            return
        if type(content) is dict:
            self._block(content, path)
        elif type(content) is list:
            for position, block in enumerate(content):
                self._block(block, (*path, position))
        else:
            raise Malformed(f"{path[0]} holds a content that is neither a string nor an array of blocks")

    def _block(self, block: Any, path: Path) -> None:
        kind = block.get("type") if type(block) is dict else None
        if type(kind) is not str:
            raise Malformed(f"{path[0]} holds a content block that is no object with a type")
        exact(block, _CONTENTS)
        if kind in _SOURCED:
            self._source(block.get("source"), (*path, "source"), image=kind == "image")
        elif kind in _TEXTS:
            self.look(block.get("content"), (*path, "content"))
            self._changes([block, *_list(block.get("tool_changes"))])
        else:
            self.media.note(FILE)
            if kind == _UPLOAD:
                self.features.add("files")

    def _changes(self, blocks: list[Any]) -> None:
        """Tools can be added in the middle of a conversation."""
        added = [block["tool"] for block in blocks if type(block) is dict and type(block.get("tool")) is dict]
        self.features |= hosted(tool["definition"] for tool in added if "definition" in tool)

    def _source(self, source: Any, path: Path, *, image: bool) -> None:
        """Where an image's or a document's content comes from."""
        kind = source.get("type") if type(source) is dict else None
        if kind == "base64":
            self._encoded(source, path, image=image)
        elif kind == "url":
            self.media.reference(source.get("url"))
        elif kind == "content" and not image:
            self.look(source.get("content"), (*path, "content"))
        elif kind != "text" or image:
            self.media.note(FILE)
            if kind == "file":
                self.features.add("files")

    def _encoded(self, source: dict[str, Any], path: Path, *, image: bool) -> None:
        media_type = source.get("media_type")
        unread_as = IMAGE if image else places.unread_kind(media_type) if type(media_type) is str else FILE
        if unread_as or type(source.get("data")) is not str:
            self.media.note(unread_as or FILE)
        else:
            self.media.files.append(Encoded((*path, "data")))


def unread(message: Any) -> Mapping[str, int]:
    """Images and files that an answer's blocks hold, by kind: a page that the provider fetched, say."""
    found: dict[str, int] = {}
    _note(message, found)
    return found


def _note(block: Any, found: dict[str, int]) -> None:
    if type(block) is not dict:
        return
    source = block.get("source")
    if type(source) is dict and source.get("type") == "base64":
        kind = IMAGE if block.get("type") == "image" else FILE
        found[kind] = found.get(kind, 0) + 1
    inner = block.get("content")
    for each in inner if type(inner) is list else [inner]:
        _note(each, found)


def _list(value: Any) -> list[Any]:
    return value if type(value) is list else []
