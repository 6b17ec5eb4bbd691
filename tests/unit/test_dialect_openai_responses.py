"""OpenAI's Responses API: what a request asks for, what an answer and its events say, and how the gate refuses."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import httpx2
import openai
import orjson
import pytest

from contracts.errors import GuardrailBlocked, NotAllowed
from contracts.policy import Actions
from contracts.usage import Usage
from extproc.core import dialects, prompt
from extproc.core.body import Malformed, read
from extproc.core.dialects import Call, openai_responses
from extproc.core.dialects.shape import AUDIO, FILE, IMAGE, URL, Encoded
from extproc.core.spans import rewrite

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


# ── the request ────────────────────────────────────────────────────────────────


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


# ── the answer ─────────────────────────────────────────────────────────────────

COUNTS: dict[str, Any] = {
    "input_tokens": 90,
    "input_tokens_details": {"cached_tokens": 80},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 10},
    "total_tokens": 102,
}


def test_usage_of_an_answer_and_of_a_stream() -> None:
    """Cached and reasoning tokens are parts of the counts; a stream has it in its last event and null before."""
    counted = Usage(90, 12, cache_read=80, reasoning=10)
    assert openai_responses.usage({"object": "response", "usage": COUNTS}, None) == counted
    for kind in ("completed", "incomplete", "failed"):
        assert openai_responses.usage({"type": f"response.{kind}", "response": {"usage": COUNTS}}, None) == counted
    assert openai_responses.usage({"type": "response.created", "response": {"usage": None}}, None) is None
    assert openai_responses.usage({"type": "response.output_text.delta", "delta": "x"}, counted) == counted


@pytest.mark.parametrize("tree", [None, [], "x", {}, {"type": "x"}, {"response": {"usage": COUNTS}}, {"type": "x", "response": []}])
def test_what_has_no_usage_has_none(tree: Any) -> None:
    """Nothing is guessed."""
    assert openai_responses.usage(tree, None) is None


@pytest.mark.parametrize(
    ("more", "reasons", "failed"),
    [
        ({"status": "completed"}, ("completed",), False),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, ("max_output_tokens",), False),
        ({"status": "incomplete", "incomplete_details": None}, ("incomplete",), False),
        ({"status": "failed", "error": {"code": "server_error", "message": "m"}}, ("failed",), True),
        ({"status": "queued"}, ("queued",), False),
        ({}, (), False),
    ],
)
def test_an_answer_says_how_it_ended(more: dict[str, Any], reasons: tuple[str, ...], failed: bool) -> None:
    """By its status, or by what made it incomplete; in the event that ends a stream as in a whole answer."""
    answer = {"id": "resp_1", "object": "response", "model": "tiny-1", "error": None, **more}
    whole = openai_responses.facts(answer)
    assert (whole.model, whole.id, whole.reasons, whole.failed) == ("tiny-1", "resp_1", reasons, failed)
    kind = f"response.{more.get('status', 'completed')}"
    event = openai_responses.facts({"type": kind, "response": answer})
    assert (event.model, event.id, event.failed) == ("tiny-1", "resp_1", failed)
    if kind != "response.queued":
        assert (event.reasons, event.done) == (reasons or ("completed",), True)


@pytest.mark.parametrize("kind", ["response.created", "response.queued", "response.in_progress", "response.output_item.done", "keepalive"])
def test_an_event_on_the_way_ends_nothing(kind: str) -> None:
    """A status that is said before the end is no reason."""
    facts = openai_responses.facts({"type": kind, "output_index": 0, "response": {"status": "in_progress"}})
    assert (facts.reasons, facts.done, facts.failed) == ((), False, False)


@pytest.mark.parametrize(
    "event", [{"type": "error", "code": "x", "message": "m"}, {"type": "error", "error": {"message": "m"}}, {"error": {"message": "m"}}]
)
def test_an_error_event_ends_the_stream(event: dict[str, Any]) -> None:
    """The SDKs raise on it, whichever of its shapes it has."""
    facts = openai_responses.facts(event)
    assert (facts.failed, facts.done) == (True, True)


@pytest.mark.parametrize("tree", [[], "x", None, 1])
def test_an_answer_of_another_shape_says_nothing(tree: Any) -> None:
    """Nothing is guessed."""
    facts = openai_responses.facts(tree)
    assert (facts.model, facts.id, facts.reasons, facts.failed, facts.done) == ("", "", (), False, False)


TEXT: dict[str, Any] = {"item_id": "msg_1", "output_index": 2, "content_index": 1}
OF_TEXT = ("", "output_index", 2, "content_index", 1)


@pytest.mark.parametrize(
    ("event", "closed"),
    [
        ({"type": "response.output_text.done", **TEXT, "text": "x"}, (*OF_TEXT, "response.output_text")),
        ({"type": "response.refusal.done", **TEXT, "refusal": "x"}, (*OF_TEXT, "response.refusal")),
        ({"type": "response.content_part.done", **TEXT, "part": {}}, OF_TEXT),
        (
            {"type": "response.reasoning_summary_part.done", "output_index": 0, "summary_index": 3, "part": {}},
            ("", "output_index", 0, "summary_index", 3),
        ),
        (
            {"type": "response.function_call_arguments.done", "output_index": 4, "arguments": "{}"},
            ("", "output_index", 4, "response.function_call_arguments"),
        ),
        ({"type": "response.output_item.done", "output_index": 4, "item": {}}, ("", "output_index", 4)),
        ({"type": "response.audio.transcript.done"}, ("", "response.audio.transcript")),
    ],
)
def test_a_done_event_ends_its_text(event: dict[str, Any], closed: tuple[str | int, ...]) -> None:
    """One text, or all that a part or an item has; it says again what came in pieces."""
    facts = openai_responses.facts(event)
    assert (facts.closed, facts.repeats) == ((closed,), True)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_item.done", "item": {}},
        {"type": "response.content_part.done", "output_index": 0, "part": {}},
        {"type": "response.output_text.delta", **TEXT, "delta": "x"},
        {"type": "response.output_item.added", "output_index": 0, "item": {}},
        {"type": "done"},
    ],
)
def test_an_event_that_ends_nothing_closes_nothing(event: dict[str, Any]) -> None:
    """Also one that does not say which part or item it means: else everything would have ended."""
    assert openai_responses.facts(event).closed == ()


@pytest.mark.parametrize("index", ["output_index", "content_index", "summary_index", "command_index"])
@pytest.mark.parametrize("value", ["0", 1.0, True, []])
def test_an_index_that_is_no_number_is_refused(index: str, value: Any) -> None:
    """Nobody could say which text goes on; its event is refused before its text is looked at."""
    with pytest.raises(Malformed, match="index"):
        openai_responses.facts({"type": "response.output_text.delta", index: value, "delta": "x"})


def leaves(event: dict[str, Any]) -> dict[str, Any]:
    """Each text of an event, and the channel that it goes on with."""
    document = read(orjson.dumps(event), max_depth=64)
    return {leaf.text: openai_responses.channel(document.tree, leaf.path) for leaf in document.strings()}


def test_each_piece_of_text_belongs_to_its_channel() -> None:
    """Told apart by the numbers that the provider gives and by the event's type; ids, kinds and padding are whole texts."""
    event = {
        "type": "response.output_text.delta",
        **TEXT,
        "delta": "d",
        "next_years_text": "n",
        "obfuscation": "o",
        "logprobs": [{"token": "t", "top_logprobs": [{"token": "u"}]}],
    }
    assert leaves(event) == {
        "response.output_text.delta": None,
        "msg_1": None,
        "d": (*OF_TEXT, "response.output_text", "delta"),
        "n": (*OF_TEXT, "response.output_text", "next_years_text"),
        "o": None,
        "t": None,
        "u": None,
    }
    output = {"type": "response.shell_call_output_content.delta", "output_index": 1, "command_index": 0, "delta": {"stdout": "s"}}
    assert leaves(output)["s"] == ("", "output_index", 1, "command_index", 0, "response.shell_call_output_content", "delta", "stdout")
    assert leaves({"type": "response.audio.transcript.delta", "delta": "d"})["d"] == ("", "response.audio.transcript", "delta")
    assert leaves({"type": "response.thing_of_next_year.delta", "output_index": None, "words": ["w"]})["w"] == (
        "",
        "response.thing_of_next_year",
        "words",
        0,
    )


@pytest.mark.parametrize("kind", ["response.output_text.done", "response.created", "error", "keepalive", "delta", ""])
def test_texts_of_other_events_are_whole(kind: str) -> None:
    """They are judged as they stand."""
    assert set(leaves({"type": kind, **TEXT, "text": "x", "item": {"text": "y"}}).values()) == {None}


def test_an_event_without_a_type_is_refused() -> None:
    """Nobody could say whether its text goes on; an error without one is what other servers send."""
    with pytest.raises(Malformed, match="no type"):
        openai_responses.channel({"delta": "x"}, ("delta",))
    assert openai_responses.channel({"error": {"message": "x"}}, ("error", "message")) is None
    assert openai_responses.channel(["x"], (0,)) is None


PART: dict[str, Any] = {"type": "output_text", "text": "x", "annotations": [], "logprobs": [{"token": "x"}]}


@pytest.mark.parametrize(
    ("tree", "path", "echo"),
    [
        ({"delta": "x", "logprobs": [{"token": "x"}]}, ("delta",), ("logprobs",)),
        ({"text": "x", "logprobs": [{"token": "x"}]}, ("text",), ("logprobs",)),
        ({"part": PART}, ("part", "text"), ("part", "logprobs")),
        ({"item": {"content": [PART]}}, ("item", "content", 0, "text"), ("item", "content", 0, "logprobs")),
        ({"output": [{"content": [PART]}]}, ("output", 0, "content", 0, "text"), ("output", 0, "content", 0, "logprobs")),
        ({"output": [{"content": [PART]}]}, ("output", 0, "content", 0, "logprobs", 0, "token"), ("output", 0, "content", 0, "logprobs")),
        ({"delta": "x", "logprobs": []}, ("delta",), None),
        ({"delta": "x", "logprobs": None}, ("delta",), None),
        ({"delta": {"stdout": "x"}, "logprobs": [{"token": "x"}]}, ("delta", "stdout"), None),
        (["x"], (0,), None),
    ],
)
def test_logprobs_repeat_the_text_beside_them(tree: Any, path: tuple[str | int, ...], echo: tuple[str | int, ...] | None) -> None:
    """Where there are any, an edit of the text can't reach them."""
    assert openai_responses.echo(tree, path) == echo


ANSWER: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "model": "tiny-1",
    "status": "completed",
    "instructions": "said by the app",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "gAAA"},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [PART | {"text": "t", "annotations": [{"title": "by others"}]}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "n", "arguments": "a"},
        {"type": "code_interpreter_call", "id": "ci_1", "code": "c", "outputs": [{"type": "logs", "logs": "by the tool"}]},
        {"type": "mcp_call", "id": "mcp_1", "arguments": "m", "output": "by the server"},
        {"type": "thing_of_next_year", "words": ["w"]},
    ],
}


def test_what_the_model_wrote_is_paid_for_once() -> None:
    """Texts, arguments and summaries of a whole answer; of a stream only the pieces, not what repeats them."""
    document = read(orjson.dumps(ANSWER), max_depth=64)
    written = [leaf.text for leaf in document.strings() if openai_responses.generated(document.tree, leaf.path)]
    assert sorted(written) == ["a", "c", "m", "n", "s", "t", "w"]
    event = read(orjson.dumps({"type": "response.completed", "response": ANSWER, "output": [{"text": "x"}]}), max_depth=64)
    assert not [leaf for leaf in event.strings() if openai_responses.generated(event.tree, leaf.path)]


@pytest.mark.parametrize(
    ("item", "unread"),
    [
        ({"type": "image_generation_call", "result": "AAAA"}, {IMAGE: 1}),
        ({"type": "image_generation_call", "result": None}, {}),
        ({"type": "code_interpreter_call", "outputs": [{"type": "image", "url": "https://example.com/a.png"}]}, {URL: 1}),
        ({"type": "message", "content": [{"type": "output_audio", "data": "AAAA"}]}, {AUDIO: 1}),
        ({"type": "function_call_output", "output": [{"type": "input_image", "file_id": "f"}]}, {IMAGE: 1}),
        ({"type": "function_call_output", "output": [{"type": "input_file", "file_data": "AAAA"}]}, {FILE: 1}),
        ({"type": "message", "content": [PART, {"type": "part_of_next_year"}, {"type": []}, "x"]}, {}),
        ({"type": "message", "content": "x"}, {}),
    ],
)
def test_what_an_answer_shows_is_counted(item: dict[str, Any], unread: dict[str, int]) -> None:
    """In a whole answer, in an item's event and in the event at the end."""
    assert openai_responses.facts({"object": "response", "output": [item, "x"]}).unread == unread
    assert openai_responses.facts({"type": "response.output_item.done", "output_index": 0, "item": item}).unread == unread
    assert openai_responses.facts({"type": "response.completed", "response": {"output": [item]}}).unread == unread


@pytest.mark.parametrize(
    ("event", "unread"),
    [
        ({"type": "response.image_generation_call.partial_image", "output_index": 0, "partial_image_b64": "AAAA"}, {IMAGE: 1}),
        ({"type": "response.audio.delta", "delta": "AAAA"}, {AUDIO: 1}),
        ({"type": "response.audio.transcript.delta", "delta": "x"}, {}),
        ({"type": "response.content_part.done", "output_index": 0, "part": {"type": "output_audio"}}, {AUDIO: 1}),
    ],
)
def test_what_an_event_shows_is_counted(event: dict[str, Any], unread: dict[str, int]) -> None:
    """A picture that is not finished, and sound."""
    assert openai_responses.facts(event).unread == unread


# ── refusals ───────────────────────────────────────────────────────────────────


def client(status: int, body: bytes, media_type: str) -> openai.OpenAI:
    """The official SDK, talking to an answer that is already there."""
    answer = httpx2.Response(status, content=body, headers={"content-type": media_type})
    transport = httpx2.MockTransport(lambda _: answer)
    return openai.OpenAI(api_key="k", base_url="http://gate/v1", max_retries=0, http_client=httpx2.Client(transport=transport))


def test_the_sdk_raises_its_own_error_on_a_refusal() -> None:
    """The app sees PermissionDeniedError with our code and message."""
    with client(403, openai_responses.refusal(NotAllowed("not this model"), "req-1"), "application/json") as sdk:
        with pytest.raises(openai.PermissionDeniedError, match="not this model") as caught:
            sdk.responses.create(**HI)
        assert (caught.value.code, caught.value.type) == ("not_allowed", "permission_error")


def test_the_sdk_raises_its_own_error_in_the_middle_of_a_stream() -> None:
    """A stream that is cut ends in the SDK's APIError with our code, after what came before."""
    delta = {"type": "response.output_text.delta", **TEXT, "delta": "Hi", "logprobs": [], "sequence_number": 4}
    stream = b"data: " + orjson.dumps(delta) + b"\n\n" + openai_responses.stream_refusal(GuardrailBlocked("a card number"), "req-1")
    with client(200, stream, "text/event-stream") as sdk:
        events = iter(sdk.responses.create(**HI, stream=True))
        assert next(events).delta == "Hi"
        with pytest.raises(openai.APIError, match="a card number") as caught:
            next(events)
    assert caught.value.code == "guardrail_blocked"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["request_id"] == "req-1"


def test_the_last_event_is_the_documented_one_too() -> None:
    """Readers that know the event by its name or by its type, and look for the message beside it, find it there."""
    refusal = GuardrailBlocked("a card number", reasons=("why",))
    name, data, end = openai_responses.stream_refusal(refusal, "req-1").split(b"\n", 2)
    told = orjson.loads(data.removeprefix(b"data: "))
    assert (name, end) == (b"event: error", b"\n")
    assert {member: told[member] for member in ("type", "code", "message", "param", "sequence_number")} == {
        "type": "error",
        "code": "guardrail_blocked",
        "message": "a card number",
        "param": None,
        "sequence_number": 0,
    }
    assert told["error"]["reasons"] == ["why"]
    assert openai.types.responses.ResponseErrorEvent.model_validate(told).message == "a card number"


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
