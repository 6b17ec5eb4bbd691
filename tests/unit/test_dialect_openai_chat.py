"""OpenAI's chat completions: what a request asks for, and what an answer says."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contracts.usage import Usage
from extproc.core.body import Malformed, read
from extproc.core.dialects import Call, openai_chat
from extproc.core.dialects.shape import Encoded
from extproc.core.places import search
from extproc.core.spans import Added, Replaced

HI: dict[str, Any] = {"model": "cheap", "messages": [{"role": "user", "content": "hi"}]}
FORGETS = (Added((), "store", b"false"),)


def call(**members: Any) -> Call:
    """What a request with these members on top of HI asks for; None takes a member away."""
    body = {name: value for name, value in (HI | members).items() if value is not None}
    return openai_chat.call(read(orjson.dumps(body), max_depth=64))


def parts(*given: dict[str, Any]) -> Call:
    """What a request with a message of these parts asks for."""
    return call(messages=[{"role": "user", "content": list(given)}])


# ── the request ────────────────────────────────────────────────────────────────


def test_a_request_says_what_it_asks_for() -> None:
    """Every fact that rules and the row need."""
    assert call() == Call("cheap", messages=1, forgets=FORGETS, caps=Added((), "max_completion_tokens", b"0"))
    asked = call(stream=True, n=3, max_tokens=7, tools=[{}, {}], functions=[{}], messages=[{}, {}])
    assert asked == Call(
        "cheap",
        stream=True,
        max_tokens=7,
        choices=3,
        messages=2,
        tools=3,
        asks=(Added((), "stream_options", b'{"include_usage":true}'),),
        forgets=FORGETS,
        hides_usage=True,
    )


def test_only_a_stream_is_asked_for_its_usage() -> None:
    """An answer in one piece brings it anyway, and the provider refuses the option there."""
    assert (call().asks, call().hides_usage) == ((), False)
    own = call(stream=True, stream_options={"include_usage": True})
    assert (own.asks, own.hides_usage) == ((), False)


def test_a_request_can_be_made_to_leave_nothing_behind() -> None:
    """`store` is false, added or replaced."""
    assert call(store=True).forgets == (Replaced(("store",), b"false"),)
    assert call(store=False).forgets == ()


def test_the_higher_of_two_ceilings_counts() -> None:
    """An estimate must not fall short because the old and the new name of the ceiling differ."""
    assert call(max_tokens=5, max_completion_tokens=9).max_tokens == 9
    assert call(max_tokens=9, max_completion_tokens=5).max_tokens == 9


@pytest.mark.parametrize("member", ["max_tokens", "max_completion_tokens"])
def test_a_ceiling_of_the_apps_leaves_no_place_for_another(member: str) -> None:
    """By whichever name: providers refuse a request that has both."""
    assert call(**{member: 5}).caps is None


def test_a_ceiling_that_is_null_is_replaced() -> None:
    """It is none, and a member that is named twice would be read in two ways."""
    null = openai_chat.call(read(orjson.dumps({**HI, "max_completion_tokens": None, "max_tokens": None}), max_depth=64))
    assert (null.max_tokens, null.caps) == (None, Replaced(("max_completion_tokens",), b"0"))


def test_what_keeps_state_or_reaches_out_is_named() -> None:
    """Members, hosted tools and files at the provider, sorted."""
    file = {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}
    asked = call(store=True, service_tier="flex", web_search_options={"x": 1}, tools=[{"type": "web_search"}], messages=[file])
    assert asked.features == ("files", "service_tier", "store", "tool:web_search", "web_search_options")
    assert call(store=False, web_search_options={}, tools=[{"type": "function"}]).features == ()


URL = {"url": "https://example.com/a.png"}


@pytest.mark.parametrize(
    ("part", "unread"),
    [
        ({"type": "text", "text": "x"}, {}),
        ({"type": "refusal", "refusal": "x"}, {}),
        ({"type": "image_url", "image_url": URL}, {"UNSCANNED_URL": 1}),
        ({"type": "image_url", "image_url": "https://example.com/a.png"}, {"UNSCANNED_URL": 1}),
        ({"type": "image_url"}, {"UNSCANNED_URL": 1}),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, {}),
        ({"type": "image_url", "image_url": {"url": " Data:image/png;base64,AAAA"}}, {}),
        ({"type": "image_url", "image_url": {"url": " " * 40 + "data:image/png;base64,AAAA"}}, {"UNSCANNED_URL": 1}),
        ({"type": "image_url", "image_url": {"url": "data:image/png"}}, {"UNSCANNED_URL": 1}),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, {"UNSCANNED_AUDIO": 1}),
        ({"type": "file"}, {"UNSCANNED_FILE": 1}),
        ({"type": "file", "file": {"file_id": "file-1"}}, {"UNSCANNED_FILE": 1}),
        ({"type": "file", "file": {"filename": "a.txt", "file_data": 7}}, {"UNSCANNED_FILE": 1}),
        ({"type": "file", "file": {"filename": "a.txt", "url": "https://example.com"}}, {"UNSCANNED_FILE": 1}),
        ({"type": "hologram"}, {"UNSCANNED_FILE": 1}),
        ({"type": "text", "text": "x", "image_url": URL}, {"UNSCANNED_URL": 1}),
        ({"type": "text", "text": "x", "input_audio": {"data": "AAAA"}, "file": {}}, {"UNSCANNED_AUDIO": 1, "UNSCANNED_FILE": 1}),
    ],
)
def test_parts_that_are_no_text_are_counted(part: dict[str, Any], unread: dict[str, int]) -> None:
    """By kind, whether a part's type or one of its members says so. A data URL says itself what it is: it is seen wherever it stands."""
    assert parts(part).unread == unread


def test_several_parts_are_counted_together() -> None:
    """Over all messages; a reference to an earlier spoken answer too."""
    spoken = {"role": "assistant", "audio": {"id": "audio_1"}}
    seen = {"role": "user", "content": [{"type": "image_url", "image_url": URL}, {"type": "hologram"}]}
    assert call(messages=[seen, spoken, {"content": None}, {"content": []}, seen]).unread == {
        "UNSCANNED_URL": 2,
        "UNSCANNED_FILE": 2,
        "UNSCANNED_AUDIO": 1,
    }


def test_a_file_that_comes_along_is_read() -> None:
    """In base64 it is decoded; a data URL is found without being told where."""
    given = {"type": "file", "file": {"filename": "a.txt", "file_data": "amFuZUBleGFtcGxlLmNvbQ=="}}
    url = {"type": "file", "file": {"file_data": "data:text/plain;base64,amFuZUBleGFtcGxlLmNvbQ=="}}
    asked = parts(given, url)
    assert asked.files == (Encoded(("messages", 0, "content", 0, "file", "file_data")),)
    assert asked.unread == {}


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ("model", [None, 1, "", [], "m" * 257]),
        ("messages", [None, [], {}, "hi", ["hi"], [None], [[]]]),
        ("messages", [[{"content": 4111111111111111}], [{"content": {}}], [{"content": ["x"]}], [{"content": [{"text": "x"}]}]]),
        ("stream", [1, "true", []]),
        ("stream_options", [1, "x", [], True]),
        ("n", [0, -1, True, 1.0, "1"]),
        ("max_tokens", [0, 1.5, "5", True]),
        ("max_completion_tokens", [-5, [], 2**53]),
        ("tools", [{}, "x", 1]),
        ("functions", [{}]),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(member: str, values: list[Any]) -> None:
    """The refusal names the member and never its value."""
    for value in values:
        with pytest.raises(Malformed, match=member) as caught:
            call(stream=True, **{member: value}) if member == "stream_options" else call(**{member: value})
        assert "4111" not in str(caught.value)


@pytest.mark.parametrize("name", ["Model", "MESSAGES", "Stream", "N", "Max_Tokens", "Stream_Options", "Store", "toolſ"])
def test_a_member_in_another_case_is_refused(name: str) -> None:
    """Some providers would read it as the member that it is not here; the refusal names that one."""
    with pytest.raises(Malformed, match=f"{name.casefold()} is written in another case"):
        call(**{name.casefold(): None, name: 1})


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null"])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    """A body is an object."""
    with pytest.raises(Malformed, match="not an object"):
        openai_chat.call(read(raw, max_depth=64))


def test_every_text_of_a_prompt_is_looked_into() -> None:
    """Names, tool arguments and results, schemas, metadata, kinds, roles and ids: an address is found wherever it stands."""
    a = "jane@example.com"
    body = {
        "model": a,
        "messages": [
            {"role": a, "content": a, "name": a},
            {"role": a, "content": [{"type": a, "text": a}, {"type": a, "image_url": {"url": a}}]},
            {"tool_calls": [{"id": a, "type": a, "function": {"name": a, "arguments": a}}]},
            {"tool_call_id": a, "content": a},
        ],
        "tools": [{"type": a, "function": {"name": a, "parameters": {"type": a, "enum": [a]}}}],
        "metadata": {"id": a, "role": a, a: "x"},
        "user": a,
        "stop": [a],
        "prediction": {"content": a},
        "next_years_member": {"model": a},
    }
    document = read(orjson.dumps(body), max_depth=64)
    assert [place.path for place in search(document, openai_chat.structural).places] == [
        leaf.path for leaf in document.leaves() if leaf.text == a
    ]


def test_an_id_of_digits_is_no_finding() -> None:
    """Where an id or a role stands, a plain word is left alone: replaced, it would be no id."""
    digits = "call-4111111111111111"
    message = {"tool_calls": [{"id": digits, "type": "function", "function": {"name": digits}}], "tool_call_id": digits}
    document = read(orjson.dumps({"messages": [message], "id": digits, "other_id": digits}), max_depth=64)
    found = [place.path for place in search(document, openai_chat.structural).places]
    assert found == [("messages", 0, "tool_calls", 0, "function", "name"), ("other_id",)]


# ── the answer ─────────────────────────────────────────────────────────────────


def test_an_answers_usage_is_read() -> None:
    """By its names here, with their details."""
    counts = {
        "prompt_tokens": 90,
        "completion_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 80},
        "completion_tokens_details": {"reasoning_tokens": 10},
    }
    assert openai_chat.usage({"usage": counts}, None) == Usage(90, 12, cache_read=80, reasoning=10)


def test_an_answer_without_usage_has_none() -> None:
    """Also one that is no object; what an earlier event counted stands."""
    for tree in ({}, [{"usage": {"prompt_tokens": 1}}], {"usage": None}, "x"):
        assert openai_chat.usage(tree, None) is None
        assert openai_chat.usage(tree, Usage(1, 2)) == Usage(1, 2)


def test_an_answer_says_what_it_is() -> None:
    """Model, id and which choices are finished, by their own numbers."""
    facts = openai_chat.facts(
        {
            "id": "chatcmpl-1",
            "model": "tiny-2026",
            "choices": [
                {"index": 1, "finish_reason": "stop"},
                {"index": 0, "finish_reason": None},
                {"finish_reason": "length"},
                {"index": 7, "finish_reason": ""},
                "x",
            ],
        }
    )
    assert (facts.model, facts.id, facts.failed, facts.done, facts.extra) == ("tiny-2026", "chatcmpl-1", False, False, False)
    assert (facts.reasons, facts.closed) == (("stop", "length"), ((1,), (2,)))


@pytest.mark.parametrize("index", [True, 1.0, "1", []])
def test_a_choice_without_a_number_of_its_own_is_refused(index: Any) -> None:
    """A choice that readers number differently could go on where they see another."""
    with pytest.raises(Malformed, match="index"):
        openai_chat.facts({"choices": [{"index": index, "finish_reason": "stop"}]})
    with pytest.raises(Malformed, match="index"):
        openai_chat.channel(
            {"choices": [{"delta": {"tool_calls": [{"index": index, "id": "x"}]}}]}, ("choices", 0, "delta", "tool_calls", 0, "x")
        )


@pytest.mark.parametrize("tree", [[], "x", None, {"choices": {}}, {"model": 1, "id": [], "choices": None}, {"error": None}])
def test_an_answer_of_another_shape_says_nothing(tree: Any) -> None:
    """Nothing is guessed."""
    facts = openai_chat.facts(tree)
    assert (facts.model, facts.id, facts.reasons, facts.closed, facts.failed) == ("", "", (), (), False)


def test_what_a_provider_says_of_itself_has_a_length() -> None:
    """It goes into rows: no provider fills them."""
    facts = openai_chat.facts({"model": "m" * 999, "id": "i" * 999, "choices": [{"finish_reason": "f" * 999}]})
    assert [len(text) for text in (facts.model, facts.id, facts.reasons[0])] == [256, 256, 256]


def test_an_error_event_is_seen() -> None:
    """An error of the provider in the middle of a stream."""
    assert openai_chat.facts({"error": {"message": "overloaded"}}).failed


@pytest.mark.parametrize(
    ("tree", "extra"),
    [
        ({"choices": [], "usage": {"prompt_tokens": 1}}, True),
        ({"choices": [], "usage": None}, False),
        ({"usage": {"prompt_tokens": 1}}, False),
        ({"choices": [{"delta": {}}], "usage": {"prompt_tokens": 1}}, False),
    ],
)
def test_an_event_with_nothing_but_usage_is_known(tree: Any, *, extra: bool) -> None:
    """The one that comes where the gate asked for it."""
    assert openai_chat.facts(tree).extra == extra


def test_spoken_answers_can_not_be_read() -> None:
    """Once for each choice with sound in it; its transcript is a text like any other."""
    sound = {"audio": {"data": "AAAA", "transcript": "hi"}}
    choices = [{"message": sound}, {"delta": sound}, {"message": {"audio": {"transcript": "hi"}}}, {"message": {"audio": None}}]
    assert openai_chat.facts({"choices": choices}).unread == {"UNSCANNED_AUDIO": 2}


EVENT: dict[str, Any] = {
    "id": "structural",
    "system_fingerprint": "structural",
    "choices": [
        {
            "index": 3,
            "delta": {
                "role": "structural",
                "content": "c",
                "refusal": "r",
                "tool_calls": [
                    {"index": 5, "id": "structural", "type": "structural", "function": {"name": "n", "arguments": "a"}},
                    {"function": {"arguments": "b"}},
                ],
                "next_years_text": ["x"],
            },
            "logprobs": {"content": [{"token": "l", "note": "l"}]},
            "finish_reason": "structural",
        },
        {"delta": {"content": "d"}},
        {"index": 4, "text": "y", "message": {"content": "z"}},
    ],
    "obfuscation": "o",
}


def test_each_piece_of_text_belongs_to_its_channel() -> None:
    """Told apart by the numbers that the provider gives, by position where it gives none; whole texts have no channel."""
    document = read(orjson.dumps(EVENT), max_depth=64)
    leaves = document.strings()
    assert {leaf.text: openai_chat.channel(document.tree, leaf.path) for leaf in leaves} == {
        "c": (3, "delta", "content"),
        "r": (3, "delta", "refusal"),
        "structural": None,
        "n": (3, "delta", "tool_calls", 5, "function", "name"),
        "a": (3, "delta", "tool_calls", 5, "function", "arguments"),
        "b": (3, "delta", "tool_calls", 1, "function", "arguments"),
        "x": (3, "delta", "next_years_text", 0),
        "l": None,
        "d": (1, "delta", "content"),
        "y": (4, "text"),
        "z": (4, "message", "content"),
        "o": None,
    }
    written = [leaf.text for leaf in leaves if openai_chat.generated(document.tree, leaf.path)]
    assert written == ["c", "r", "n", "a", "b", "x", "d", "y", "z"]


def test_logprobs_repeat_a_choices_text() -> None:
    """Where a choice has them, they are what an edit of its text can't reach."""
    assert openai_chat.echo(EVENT, ("choices", 0, "delta", "content")) == ("choices", 0, "logprobs")
    assert openai_chat.echo(EVENT, ("choices", 1, "delta", "content")) is None
    assert openai_chat.echo(EVENT, ("obfuscation",)) is None
    assert openai_chat.echo({"choices": {"a": "x"}}, ("choices", "a", "b")) is None
