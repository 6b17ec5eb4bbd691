"""Members that decide what a part or a tool is, written in another case: readers that fold case would read them, the gate would not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from extproc.core import dialects
from extproc.core.body import Malformed, read

CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
RESPONSES = {"model": "m", "input": "x"}
MESSAGES = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}


def said(part: dict[str, Any]) -> list[dict[str, Any]]:
    """A message of one part."""
    return [{"role": "user", "content": [part]}]


@pytest.mark.parametrize(
    ("route", "asked"),
    [
        ("chat", CHAT | {"tools": [{"Type": "web_search"}]}),
        ("chat", CHAT | {"messages": said({"type": "text", "text": "x", "Image_URL": {"url": "https://example.com"}})}),
        ("chat", CHAT | {"messages": said({"type": "file", "file": {"File_ID": "f", "file_data": "eA=="}})}),
        ("responses", RESPONSES | {"tools": [{"TYPE": "mcp", "server_url": "https://example.com"}]}),
        ("responses", RESPONSES | {"input": said({"type": "input_text", "text": "x", "File_url": "https://example.com"})}),
        ("messages", MESSAGES | {"tools": [{"Type": "web_search_20250305", "name": "w"}]}),
        ("messages", MESSAGES | {"messages": said({"type": "text", "text": "x", "Source": {"type": "url", "url": "https://example.com"}})}),
    ],
)
def test_a_part_or_tool_in_another_case_is_refused(route: str, asked: dict[str, Any]) -> None:
    """As members of the body are."""
    with pytest.raises(Malformed, match="is written in another case"):
        dialects.named(route).dialect.call(read(orjson.dumps(asked), max_depth=64))


def test_names_in_a_tools_schema_are_the_apps() -> None:
    """Only what the provider reads has one spelling."""
    schema = {"type": "object", "properties": {"Type": {"type": "string"}, "Source": {}, "URL": {}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    assert dialects.named("chat").dialect.call(read(orjson.dumps(CHAT | {"tools": tools}), max_depth=64)).features == ()
