"""Anthropic's messages and counts of tokens: what a request asks for, and what an answer says."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any

import orjson
import pytest

from contracts.policy import Actions
from extproc.core import dialects
from extproc.core.body import Malformed, read
from extproc.core.dialects import Call, anthropic_count_tokens, anthropic_messages
from extproc.core.dialects.shape import Encoded
from extproc.core.prompt import cleaned, understood
from extproc.core.spans import Added

HI: dict[str, Any] = {"model": "claude", "messages": [{"role": "user", "content": "hi"}]}
ROUTES = ("messages", "count_tokens")
REDACT = Actions({"*": "redact"}, {"*": "redact"}, "alert")
PNG = b64encode(b"\x89PNG\r\n\x1a\n\x00").decode()
PDF = b64encode(b"%PDF-1.7 jane@example.com").decode()


NO_CONTENT: list[Any] = [4111111111111111, True, ["x"], [1], {}, [{"text": "x"}], [{"type": 1}], {"text": "x"}]


def call(**members: Any) -> Call:
    """What a request with these members on top of HI asks for; None takes a member away."""
    body = {name: value for name, value in (HI | members).items() if value is not None}
    document = read(orjson.dumps(body), max_depth=64)
    asked = anthropic_messages.call(document)
    assert anthropic_count_tokens.call(document) == replace(asked, caps=None)
    return asked


def content(*blocks: Any) -> Call:
    """A request whose one message has these blocks."""
    return call(messages=[{"role": "user", "content": list(blocks)}])


def image(source: Any) -> dict[str, Any]:
    """An image block."""
    return {"type": "image", "source": source}


def document(source: Any) -> dict[str, Any]:
    """A document block."""
    return {"type": "document", "source": source}


# ── the request ────────────────────────────────────────────────────────────────


def test_a_request_says_what_it_asks_for() -> None:
    """Every fact that rules and the row need; nothing is asked for besides, and there is nothing to forget."""
    bare = Call("claude", stream=False, max_tokens=None, choices=1, messages=1, tools=0, caps=Added((), "max_tokens", b"0"))
    assert call() == bare
    assert call(stream=True, max_tokens=7, tools=[{}, {"type": "custom"}], system="be brief", messages=[{}, {"content": None}]) == Call(
        "claude", stream=True, max_tokens=7, choices=1, messages=2, tools=2
    )


def test_no_tokens_are_a_ceiling_too() -> None:
    """The API takes 0 to fill its cache and say nothing."""
    assert (call(max_tokens=0).max_tokens, call(max_tokens=0).caps) == (0, None)


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ("model", [None, 1, "", [], "m" * 257]),
        ("messages", [None, [], {}, "hi", ["hi"], [None], [[]]]),
        ("messages", [[{"content": value}] for value in NO_CONTENT]),
        ("messages", [[{"content": [{"type": "tool_result", "content": value}]}] for value in NO_CONTENT]),
        ("messages", [[{"content": [document({"type": "content", "content": value})]}] for value in NO_CONTENT]),
        ("system", [4111111111111111, True, ["x"], [{"text": "x"}]]),
        ("stream", [1, "true", []]),
        ("max_tokens", [-1, 1.5, "5", True, False, 2**53]),
        ("tools", [{}, "x", 1]),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(member: str, values: list[Any]) -> None:
    """The refusal names the member and never its value."""
    for value in values:
        with pytest.raises(Malformed, match=member) as caught:
            call(**{member: value})
        assert "4111" not in str(caught.value)


@pytest.mark.parametrize("member", ["SYSTEM", "Mcp_Servers", "Stream", "max_Tokens", "Tools"])
def test_a_member_in_another_case_is_refused(member: str) -> None:
    """Some providers would read it, the gate would not."""
    with pytest.raises(Malformed, match=member.casefold()):
        call(**{member: "x"})


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null"])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    """A body is an object."""
    with pytest.raises(Malformed, match="not an object"):
        anthropic_messages.call(read(raw, max_depth=64))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("container", "container_1"),
        ("container", {"skills": [{"type": "anthropic", "skill_id": "pdf"}]}),
        ("mcp_servers", [{"type": "url", "url": "https://example.com", "name": "files"}]),
        ("service_tier", "auto"),
        ("speed", "fast"),
        ("inference_geo", "us"),
        ("fallbacks", "default"),
        ("fallbacks", [{"model": "dear"}]),
        ("thread", {"type": "create"}),
        ("billing_policy", {"type": "billing_policy"}),
        ("diagnostics", {"previous_message_id": "msg_1"}),
    ],
)
def test_what_keeps_state_or_reaches_out_is_a_feature(member: str, value: Any) -> None:
    """By its name; saying nothing in it is nothing."""
    assert call(**{member: value}).features == (member,)
    assert call(**{member: [] if member == "mcp_servers" else ""}).features == ()


def test_features_are_sorted_and_named_once() -> None:
    """From members, tools, and blocks."""
    tools = [{"type": "web_search_20250305"}, {"type": "web_search_20260318"}, {"name": "own"}, {"type": "mcp_toolset"}]
    uploads = [{"type": "container_upload", "file_id": "file_1"}, image({"type": "file", "file_id": "file_2"})]
    asked = call(tools=tools, mcp_servers=[{}], messages=[{"content": uploads}])
    assert asked.features == ("files", "mcp_servers", "tool:mcp", "tool:web_search")
    assert asked.tools == 4


def test_tools_are_found_in_the_middle_of_a_conversation() -> None:
    """A tool that a message defines counts as one of the request's; so do those that a summary brings along."""
    search = {"type": "tool_definition", "definition": {"type": "web_search_20260318", "name": "web_search"}}
    addition = {"type": "tool_addition", "tool": search}
    assert content(addition).features == ("tool:web_search",)
    assert content({"type": "compaction", "content": "so far", "tool_changes": [addition, "x"]}).features == ("tool:web_search",)
    own = {"type": "tool_definition", "definition": {"name": "own", "input_schema": {}}}
    named = {"type": "tool_addition", "tool": {"type": "tool_reference", "tool_name": "own"}}
    assert content({"type": "tool_addition", "tool": own}, named, {"type": "tool_addition"}).features == ()


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (image({"type": "base64", "media_type": "image/png", "data": PNG}), "UNSCANNED_IMAGE"),
        (image({"type": "base64", "media_type": "text/plain", "data": "aGk="}), "UNSCANNED_IMAGE"),
        (image({"type": "url", "url": "https://example.com/a.png"}), "UNSCANNED_URL"),
        (image({"type": "url"}), "UNSCANNED_URL"),
        (image({"type": "file", "file_id": "file_1"}), "UNSCANNED_FILE"),
        (image({"type": "text", "data": "x"}), "UNSCANNED_FILE"),
        (image({"type": "content", "content": "x"}), "UNSCANNED_FILE"),
        (image("x"), "UNSCANNED_FILE"),
        (image(None), "UNSCANNED_FILE"),
        (document({"type": "base64", "media_type": "application/pdf", "data": PDF}), "UNSCANNED_FILE"),
        (document({"type": "base64", "media_type": "audio/wav", "data": PDF}), "UNSCANNED_AUDIO"),
        (document({"type": "base64", "data": PDF}), "UNSCANNED_FILE"),
        (document({"type": "base64", "media_type": "text/plain", "data": 1}), "UNSCANNED_FILE"),
        (document({"type": "base64", "media_type": ["text/plain"], "data": PDF}), "UNSCANNED_FILE"),
        (document({"type": "url", "url": "https://example.com/a.pdf"}), "UNSCANNED_URL"),
        (document({"type": "file", "file_id": "file_1"}), "UNSCANNED_FILE"),
        (document({"type": "hologram"}), "UNSCANNED_FILE"),
        (document({"type": ["text"]}), "UNSCANNED_FILE"),
        ({"type": "container_upload", "file_id": "file_1"}, "UNSCANNED_FILE"),
        ({"type": "hologram", "data": "x"}, "UNSCANNED_FILE"),
    ],
)
def test_what_no_rule_can_read_is_counted(block: Any, kind: str) -> None:
    """Where it stands in a message, in a tool's result, in a document's own content, and in a page that was fetched."""
    places = [
        [block],
        [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}, block]}],
        [document({"type": "content", "content": [block]})],
        [{"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "content": block}}],
    ]
    for blocks in places:
        assert content(*blocks).unread == {kind: 1}
        assert content(*blocks, *blocks).unread == {kind: 2}
    assert call(system=[block]).unread == {kind: 1}


def test_what_is_text_is_not_counted() -> None:
    """Also not what is sealed: it is the provider's own, sent back."""
    asked = content(
        {"type": "text", "text": "x", "citations": [{"type": "page_location", "cited_text": "x"}]},
        {"type": "thinking", "thinking": "x", "signature": PNG},
        {"type": "redacted_thinking", "data": PNG},
        {"type": "tool_use", "id": "t", "name": "n", "input": {"type": "image", "source": {"type": "base64"}}},
        {"type": "tool_result", "tool_use_id": "t", "content": "x"},
        {"type": "tool_result", "tool_use_id": "t"},
        {"type": "search_result", "source": "https://example.com", "title": "x", "content": [{"type": "text", "text": "x"}]},
        {"type": "web_search_tool_result", "content": [{"type": "web_search_result", "encrypted_content": PNG}]},
        {"type": "code_execution_tool_result", "content": {"type": "code_execution_result", "content": [], "stdout": "x"}},
        document({"type": "text", "media_type": "text/plain", "data": "x"}),
        document({"type": "content", "content": "x"}),
        document({"type": "url", "url": "data:text/plain;base64,aGk="}),
    )
    assert (asked.unread, asked.files, asked.features) == ({}, (), ())


def test_text_files_in_base64_are_texts() -> None:
    """By their media type, at the place of their data."""
    held = {"type": "base64", "media_type": "text/csv", "data": b64encode(b"jane@example.com").decode()}
    asked = content({"type": "tool_result", "content": [document(held)]}, document(held))
    assert asked.unread == {}
    assert asked.files == (
        Encoded(("messages", 0, "content", 0, "content", 0, "source", "data")),
        Encoded(("messages", 0, "content", 1, "source", "data")),
    )


@pytest.mark.parametrize("name", ROUTES)
def test_a_file_leaves_redacted(name: str) -> None:
    """A text is decoded, redacted, encoded again; what says it is text and is none is counted."""
    held = {"type": "base64", "media_type": "text/plain", "data": b64encode(b"to jane@example.com").decode()}
    odd = {"type": "base64", "media_type": "text/plain", "data": PNG}
    raw = orjson.dumps(HI | {"messages": [{"role": "user", "content": [document(held), document(odd)]}]})
    reading = understood(dialects.named(name), raw, 64)
    assert reading.counts == {"EMAIL_ADDRESS": 1, "UNSCANNED_FILE": 1}
    clean, places = cleaned(raw, reading, REDACT, ())
    blocks = orjson.loads(clean)["messages"][0]["content"]
    assert (blocks[0]["source"]["data"], places) == (b64encode(b"to [EMAIL_ADDRESS]").decode(), 1)
    assert blocks[1] == document(odd)


EVERYWHERE: dict[str, Any] = {
    "model": "claude",
    "system": [{"type": "text", "text": "@", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "@"},
        {"role": "user", "content": [{"type": "text", "text": "@"}, {"type": "tool_result", "tool_use_id": "@", "content": "@"}]},
        {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "@"}]}]},
        {"role": "user", "content": [{"type": "document", "title": "@", "context": "@", "source": {"type": "text", "data": "@"}}]},
        {"role": "user", "content": [{"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "@"}]}}]},
        {"role": "user", "content": [{"type": "search_result", "source": "@", "title": "@", "content": [{"type": "text", "text": "@"}]}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "@", "name": "@", "input": {"@": ["@", {"to": "@"}]}}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "@", "signature": "@"}, {"type": "redacted_thinking", "data": "@"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "x", "citations": [{"cited_text": "@"}]}]},
        {"role": "@", "content": [{"type": "hologram", "light": "@"}], "next_years_member": "@"},
    ],
    "tools": [{"name": "@", "description": "@", "input_schema": {"properties": {"@": {"enum": ["@"]}}}}],
    "metadata": {"user_id": "@"},
    "stop_sequences": ["@"],
    "next_years_member": {"model": "@"},
}  # fmt: skip


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("written", ["jane@example.com", "jane\\u0040example.com"])
def test_every_text_of_a_prompt_is_read(name: str, written: str) -> None:
    """Values, names, and labels, written plainly or in escapes: no address reaches the provider."""
    raw = orjson.dumps(EVERYWHERE).replace(b"@", written.encode())
    reading = understood(dialects.named(name), raw, 64)
    assert reading.counts["EMAIL_ADDRESS"] == orjson.dumps(EVERYWHERE).count(b"@")
    clean, _ = cleaned(raw, reading, REDACT, ())
    assert b"jane" not in clean
    assert orjson.loads(clean)["model"] == "claude"


def test_what_is_sealed_goes_back_byte_for_byte() -> None:
    """Signatures and sealed thinking are as they came, escapes too, while texts beside them change."""
    raw = (
        rb'{"model":"claude", "messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"to jane@example.com",'
        rb'"signature":"EqQB\/CgIY+AhgCIkD4=="},{"type":"redacted_thinking","data":"\u0045mwK\/AhgB+EgwS=="}]}]}'
    )
    reading = understood(dialects.named("messages"), raw, 64)
    assert cleaned(raw, reading, REDACT, ())[0] == raw.replace(b"jane@example.com", b"[EMAIL_ADDRESS]")
