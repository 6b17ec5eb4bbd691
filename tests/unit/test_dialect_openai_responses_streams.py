"""What an event of OpenAI's Responses API says: whether it ends something, which text its piece belongs to, and what it shows."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from extproc.core.body import Malformed, read
from extproc.core.dialects import openai_responses
from extproc.core.dialects.shape import AUDIO, IMAGE


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
