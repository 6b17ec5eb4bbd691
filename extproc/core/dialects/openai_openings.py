"""Texts of a responses stream that begin before their first delta: with the answer, the item, the part or the command they are of.

The official SDKs add the deltas to what stands there, so half of an address may stand there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from extproc.core.body import Path
from extproc.core.dialects.members import said
from extproc.core.dialects.shape import Channel

_MEMBERS: Final[Mapping[tuple[str, str], str]] = {
    ("function_call", "arguments"): "response.function_call_arguments",
    ("mcp_call", "arguments"): "response.mcp_call_arguments",
    ("custom_tool_call", "input"): "response.custom_tool_call_input",
    ("code_interpreter_call", "code"): "response.code_interpreter_call_code",
}
"""Kind of an item and its member → the events whose deltas go on with it."""

_PARTS: Final[Mapping[tuple[str, str], str]] = {
    ("output_text", "text"): "response.output_text",
    ("refusal", "refusal"): "response.refusal",
    ("reasoning_text", "text"): "response.reasoning_text",
}
"""The same for a part of an item's content."""

_SUMMARY: Final = "response.reasoning_summary_text"
_COMMAND: Final = "response.shell_call_command"


def opened(tree: Mapping[str, Any], kind: str, where: Channel, path: Path) -> Channel | None:
    """The text that begins at `path` of an event that announces something, by the numbers the event has in `where`."""
    if kind == "response.output_item.added" and path[:1] == ("item",):
        return _of_item(tree["item"], where, path[1:])
    if kind == "response.created" and path[:2] == ("response", "output") and len(path) > 3:  # noqa: PLR2004 - response, output, 0, member
        return _of_item(tree["response"]["output"][path[2]], (*where, "output_index", path[2]), path[3:])
    if kind == "response.content_part.added" and path[:1] == ("part",):
        return _text(where, _PARTS.get((said(tree["part"], "type"), str(path[-1])))) if len(path) == 2 else None  # noqa: PLR2004 - part, text
    if kind == "response.reasoning_summary_part.added" and path == ("part", "text"):
        return _text(where, _SUMMARY)
    return _text(where, _COMMAND) if (kind, path) == (f"{_COMMAND}.added", ("command",)) else None


def _of_item(item: Any, where: Channel, way: Path) -> Channel | None:
    match way:
        case (str() as member,):
            return _text(where, _MEMBERS.get((said(item, "type"), member)))
        case ("content", int() as number, str() as member):
            return _text((*where, "content_index", number), _PARTS.get((said(item["content"][number], "type"), member)))
        case ("summary", int() as number, "text"):
            return _text((*where, "summary_index", number), _SUMMARY)
        case ("action", "commands", int() as number):
            return _text((*where, "command_index", number), _COMMAND)
    return None


def _text(where: Channel, events: str | None) -> Channel | None:
    return None if events is None else (*where, events, "delta")
