"""What a request in OpenAI's Responses API asks for: model, features, tools, parts that can't be read, and what the gate adds."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest

from contracts.policy import Actions
from extproc.core import dialects, prompt
from extproc.core.body import Malformed, read
from extproc.core.dialects import Call, openai_responses
from extproc.core.dialects.shape import AUDIO, FILE, IMAGE, URL, Encoded
from extproc.core.spans import Added, rewrite

HI: dict[str, Any] = {"model": "cheap", "input": "hi"}
ROUTE = dialects.named("responses")


def call(**members: Any) -> Call:
    """What a request with these members on top of HI asks for; None takes a member away."""
    body = {name: value for name, value in (HI | members).items() if value is not None}
    return openai_responses.call(read(orjson.dumps(body), max_depth=64))


def with_part(**part: Any) -> Call:
    """A request with one message of one part."""
    return call(input=[{"role": "user", "content": [part]}])


def with_item(**item: Any) -> Call:
    """A request with one item."""
    return call(input=[item])


def with_tool(**tool: Any) -> Call:
    """A request with one tool."""
    return call(tools=[tool])


def test_the_route_is_declared() -> None:
    """By this path, and to this path behind the provider's."""
    assert dialects.of("POST", "/v1/responses") is ROUTE
    assert (ROUTE.upstream_path, ROUTE.dialect.name, ROUTE.price) == ("/responses", "openai", "tokens")


def test_a_request_says_what_it_asks_for() -> None:
    """Every fact that rules and the row need."""
    asked = call(store=False)
    assert (asked.model, asked.stream, asked.max_tokens, asked.choices, asked.messages, asked.tools) == ("cheap", False, None, 1, 1, 0)
    assert (asked.unread, asked.files, asked.features, asked.asks, asked.forgets, asked.hides_usage) == ({}, (), (), (), (), False)
    more = call(stream=True, max_output_tokens=7, tools=[{"type": "function"}] * 2, input=[{"role": "user", "content": "a"}] * 3)
    assert (more.stream, more.max_tokens, more.messages, more.tools, more.features) == (True, 7, 3, 2, ())
    assert (asked.caps, more.caps) == (Added((), "max_output_tokens", b"0"), None)


NO_PARTS: list[Any] = [4111111111111111, {}, ["x"], [{"text": "x"}], [{"type": []}]]


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ("model", [None, 1, "", [], "m" * 257]),
        ("input", [None, [], {}, 4111111111111111, ["hi"], [None], [[]]]),
        ("input", [[{"role": "user", "content": value}] for value in NO_PARTS]),
        ("input", [[{"type": "function_call_output", "output": value}] for value in NO_PARTS]),
        ("input", [[{"type": 1}], [{"type": []}]]),
        ("stream", [1, "true", []]),
        ("store", [1, "false"]),
        ("max_output_tokens", [0, -1, True, 1.0, "1", 2**53]),
        ("tools", [{}, "x", 1]),
        ("tools", [[{"type": "namespace", "tools": {}}]]),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(member: str, values: list[Any]) -> None:
    """The refusal names the member and never its value."""
    for value in values:
        with pytest.raises(Malformed, match=member) as caught:
            call(**{member: value})
        assert "4111" not in str(caught.value)


@pytest.mark.parametrize("member", ["Model", "INPUT", "Store", "Previous_Response_Id", "Tools", "Max_output_tokens"])
def test_a_member_in_another_case_is_refused(member: str) -> None:
    """Some providers would read it, and the gate would not."""
    with pytest.raises(Malformed, match=f"{member.lower()} is written in another case"):
        call(**{member.lower(): None, member: "x"})


def test_a_stored_prompt_does_not_name_the_model() -> None:
    """What it says can't be governed; with a model it is a feature."""
    with pytest.raises(Malformed, match="model is missing: the one that a stored prompt names"):
        call(model=None, prompt={"id": "pmpt_1"})
    assert call(prompt={"id": "pmpt_1"}).features == ("prompt",)


@pytest.mark.parametrize("instead", [{"prompt": {"id": "p"}}, {"previous_response_id": "r"}, {"conversation": "c"}])
def test_what_the_provider_has_may_stand_for_the_input(instead: dict[str, Any]) -> None:
    """It is a feature, and a rule decides."""
    asked = call(input=None, **instead)
    assert (asked.messages, asked.features) == (0, tuple(instead))


@pytest.mark.parametrize(
    ("member", "value", "feature"),
    [
        ("store", True, "store"),
        ("previous_response_id", "resp_1", "previous_response_id"),
        ("conversation", "conv_1", "conversation"),
        ("conversation", {"id": "conv_1"}, "conversation"),
        ("background", True, "background"),
        ("background_options", {"completion_window": "8h"}, "background"),
        ("prompt", {"id": "pmpt_1"}, "prompt"),
        ("service_tier", "flex", "service_tier"),
        ("prompt_cache_retention", "24h", "prompt_cache_retention"),
        ("prompt_cache_options", {"ttl": "12h"}, "prompt_cache_retention"),
        ("prompt_cache_options", {"prewarm": True}, "prompt_cache_retention"),
        ("prompt_cache_options", "12h", "prompt_cache_retention"),
        ("web_search_options", {"x": 1}, "web_search_options"),
        ("input", [{"type": "item_reference", "id": "msg_1"}], "previous_response_id"),
        ("input", [{"type": None, "id": "msg_1"}], "previous_response_id"),
        ("input", [{"id": "msg_1"}], "previous_response_id"),
        (
            "input",
            [{"content": [{"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}]}],
            "prompt_cache_retention",
        ),
    ],
)
def test_what_keeps_state_or_reaches_out_is_a_feature(member: str, value: Any, feature: str) -> None:
    """By its name, which rules know."""
    assert call(**{member: value}).features == (feature,)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("store", False),
        ("background", False),
        ("prompt_cache_options", {"mode": "explicit"}),
        ("prompt_cache_key", "k"),
        ("input", [{"type": "message", "id": "msg_1", "role": "assistant", "content": []}]),
        ("input", [{"content": [{"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}]}]),
    ],
)
def test_what_keeps_nothing_is_no_feature(member: str, value: Any) -> None:
    """False, an id of an item that is there, a breakpoint with the default's life."""
    assert call(**{member: value}).features == ()


@pytest.mark.parametrize(
    ("tool", "features"),
    [
        ({"type": "function", "name": "f"}, ()),
        ({"type": "custom", "name": "c"}, ()),
        ({"type": "local_shell"}, ()),
        ({"type": "apply_patch"}, ()),
        ({"type": "shell", "environment": {"type": "local", "skills": [{"name": "s", "path": "p"}]}}, ()),
        ({"type": "namespace", "tools": [{"type": "function"}, {"type": "custom"}]}, ()),
        ({"type": "namespace", "tools": [{"type": "mcp"}]}, ("tool:mcp",)),
        ({"type": "shell"}, ("tool:other",)),
        ({"type": "shell", "environment": {"type": "container_auto"}}, ("tool:other",)),
        ({"type": "shell", "environment": {"type": "container_reference", "container_id": "c"}}, ("container", "tool:other")),
        ({"type": "web_search"}, ("tool:web_search",)),
        ({"type": "web_search_2025_08_26"}, ("tool:web_search",)),
        ({"type": "web_search_preview_2025_03_11"}, ("tool:web_search",)),
        ({"type": "file_search", "vector_store_ids": ["v"]}, ("tool:file_search",)),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, ("tool:code_interpreter",)),
        ({"type": "code_interpreter", "container": "cntr_1"}, ("container", "tool:code_interpreter")),
        ({"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}}, ("files", "tool:code_interpreter")),
        ({"type": "image_generation"}, ("tool:image_generation",)),
        ({"type": "image_generation", "input_image_mask": {"file_id": "f"}}, ("files", "tool:image_generation")),
        ({"type": "computer"}, ("tool:computer_use",)),
        ({"type": "computer_use_preview"}, ("tool:computer_use",)),
        ({"type": "mcp", "server_url": "https://example.com"}, ("tool:mcp",)),
        ({"type": "tool_search"}, ("tool:tool_search",)),
        ({"type": "programmatic_tool_calling"}, ("tool:other",)),
        ({"type": "hologram"}, ("tool:other",)),
        ({"type": ["function"]}, ("tool:other",)),
    ],
)
def test_hosted_tools_are_features(tool: dict[str, Any], features: tuple[str, ...]) -> None:
    """The app's own tools are none; what a container brings along is named beside it."""
    assert with_tool(**tool).features == features


@pytest.mark.parametrize("kind", ["additional_tools", "tool_search_output"])
def test_tools_among_the_input_are_tools(kind: str) -> None:
    """They can be called like the others, so they are counted and named like them."""
    asked = call(input=[{"type": kind, "tools": [{"type": "mcp"}, {"type": "function"}]}], tools=[{"type": "function"}])
    assert (asked.tools, asked.features) == (3, ("tool:mcp",))


def test_tools_that_a_server_has_listed_are_none() -> None:
    """A list of what an MCP server said it has is history."""
    listed = with_item(type="mcp_list_tools", id="m", server_label="s", tools=[{"name": "t", "input_schema": {}}])
    assert (listed.tools, listed.features, listed.unread) == (0, (), {})


@pytest.mark.parametrize(
    ("part", "unread", "features"),
    [
        ({"type": "input_text", "text": "x"}, {}, ()),
        ({"type": "output_text", "text": "x", "annotations": []}, {}, ()),
        ({"type": "refusal", "refusal": "x"}, {}, ()),
        ({"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"}, {URL: 1}, ()),
        ({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}, {}, ()),
        ({"type": "input_image", "file_id": "file_1"}, {IMAGE: 1}, ("files",)),
        ({"type": "input_image"}, {IMAGE: 1}, ()),
        ({"type": "input_image", "image_url": {"url": "data:image/png;base64,AAAA"}}, {URL: 1}, ()),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, {AUDIO: 1}, ()),
        ({"type": "input_file", "file_id": "file_1"}, {FILE: 1}, ("files",)),
        ({"type": "input_file", "file_url": "https://example.com/a.pdf"}, {URL: 1}, ()),
        ({"type": "input_file", "file_data": "data:text/plain;base64,AAAA"}, {}, ()),
        ({"type": "input_file"}, {FILE: 1}, ()),
        ({"type": "input_file", "file_data": 7}, {FILE: 1}, ()),
        ({"type": "computer_screenshot", "file_id": "file_1"}, {IMAGE: 1}, ("files",)),
        ({"type": "hologram", "text": "x"}, {FILE: 1}, ()),
        ({"type": "input_text", "text": "x", "image_url": "https://example.com/a.png"}, {URL: 1}, ()),
        ({"type": "input_text", "text": "x", "file_id": "file_1"}, {FILE: 1}, ("files",)),
        ({"type": "input_text", "text": "x", "input_audio": {"data": "AAAA"}}, {AUDIO: 1}, ()),
    ],
)
def test_parts_that_are_no_text_are_counted(part: dict[str, Any], unread: dict[str, int], features: tuple[str, ...]) -> None:
    """In a message, in a tool's result and in a stored prompt's variables alike."""
    for asked in (
        with_part(**part),
        with_item(type="function_call_output", call_id="c", output=[part]),
        with_item(type="custom_tool_call_output", call_id="c", output=[part]),
    ):
        assert (asked.unread, asked.features) == (unread, features)
    stored = call(prompt={"id": "p", "variables": {"a": "x", "b": part}})
    assert (stored.unread, stored.features) == (unread, tuple(sorted({*features, "prompt"})))


def test_a_file_in_base64_is_to_be_decoded() -> None:
    """Wherever a part may stand; one in a data URL is found by itself."""
    data = b64encode(b"mail anna@example.com").decode()
    part = {"type": "input_file", "filename": "a.txt", "file_data": data}
    assert with_part(**part).files == (Encoded(("input", 0, "content", 0, "file_data")),)
    assert with_item(type="function_call_output", output=[part]).files == (Encoded(("input", 0, "output", 0, "file_data")),)
    assert call(prompt={"id": "p", "variables": {"b": part}}).files == (Encoded(("prompt", "variables", "b", "file_data")),)
    reading = prompt.understood(ROUTE, orjson.dumps(HI | {"input": [{"role": "user", "content": [part]}]}), 64)
    assert reading.counts == {"EMAIL_ADDRESS": 1}


@pytest.mark.parametrize(
    ("item", "unread"),
    [
        ({"type": "message", "role": "user", "content": "x"}, {}),
        ({"role": "user", "content": "x"}, {}),
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, {}),
        ({"type": "function_call_output", "call_id": "c", "output": "x"}, {}),
        ({"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "x"}], "encrypted_content": "gAAA"}, {}),
        ({"type": "compaction", "encrypted_content": "gAAA"}, {}),
        ({"type": "computer_call", "action": {"type": "type", "text": "x"}}, {}),
        ({"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "https://example.com"}}, {URL: 1}),
        ({"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AA"}}, {}),
        ({"type": "computer_call_output", "output": "x"}, {IMAGE: 1}),
        ({"type": "image_generation_call", "result": "AAAA"}, {IMAGE: 1}),
        ({"type": "image_generation_call", "result": None}, {}),
        (
            {"type": "code_interpreter_call", "code": "x", "outputs": [{"type": "logs", "logs": "x"}, {"type": "image", "url": "u"}]},
            {URL: 1},
        ),
        ({"type": "code_interpreter_call", "code": "x", "outputs": None}, {}),
        ({"type": "shell_call_output", "output": [{"stdout": "x", "stderr": "", "outcome": {"type": "exit"}}]}, {}),
        ({"type": "web_search_call", "action": {"type": "open_page", "url": "https://example.com"}}, {}),
        ({"type": "hologram", "light": "x"}, {FILE: 1}),
    ],
)
def test_items_that_are_no_text_are_counted(item: dict[str, Any], unread: dict[str, int]) -> None:
    """A kind that nobody knows yet is a file; a page that was read is history."""
    assert with_item(**item).unread == unread


def test_a_file_at_the_provider_on_a_screen_is_a_feature() -> None:
    """By its id, as in a message."""
    asked = with_item(type="computer_call_output", output={"type": "computer_screenshot", "file_id": "file_1"})
    assert (asked.unread, asked.features) == ({IMAGE: 1}, ("files",))


def test_what_a_container_is_filled_with_is_not_read() -> None:
    """Files that the provider has, and archives that come along."""
    asked = with_tool(
        type="shell",
        environment={
            "type": "container_auto",
            "file_ids": ["f"],
            "skills": [{"type": "skill_reference", "skill_id": "s"}, {"type": "inline", "source": {"data": "UEsD"}}],
        },
    )
    assert (asked.unread, asked.features) == ({FILE: 3}, ("files", "tool:other"))


def sent(raw: bytes, **also: bool) -> bytes:
    """A body with what the gate changes of itself; `forgets`: in an environment that keeps nothing."""
    asked = openai_responses.call(read(raw, max_depth=64))
    return rewrite(raw, [*asked.asks, *(asked.forgets if also.get("forgets") else ())])


@pytest.mark.parametrize(
    ("raw", "left", "forgetting"),
    [
        (b'{"model":"m","input":"x"}', b'{"model":"m","input":"x","store":false}', None),
        (b'{"model":"m","store" : null,"input":"x"}', b'{"model":"m","store" : false,"input":"x"}', None),
        (b'{"model":"m","store":false,"input":"x"}', b'{"model":"m","store":false,"input":"x"}', None),
        (b'{"model":"m","store":true,"input":"x"}', b'{"model":"m","store":true,"input":"x"}', b'{"model":"m","store":false,"input":"x"}'),
    ],
)
def test_the_provider_keeps_nothing_that_nobody_asked_it_to_keep(raw: bytes, left: bytes, forgetting: bytes | None) -> None:
    """Without the member it would keep everything; `true` is for a rule to judge, and no environment without retention sends it."""
    assert sent(raw) == left
    assert sent(raw, forgets=True) == (forgetting or left)


def test_ids_and_kinds_are_not_edited() -> None:
    """A plain word at a declared place stays, however much it looks like something; anything else there is text."""
    table = Actions({"*": "redact"}, {"*": "redact"}, "alert")
    body = HI | {
        "input": [{"type": "message", "role": "user", "id": "msg_4111111111111111", "content": [{"type": "input_text", "text": "x"}]}]
    }
    raw = orjson.dumps(body)
    assert prompt.understood(ROUTE, raw, 64).counts == {}
    body["input"][0]["id"] = "anna@example.com"
    raw = orjson.dumps(body)
    assert prompt.cleaned(raw, prompt.understood(ROUTE, raw, 64), table, ())[0] == raw.replace(b"anna@example.com", b"[EMAIL_ADDRESS]")
