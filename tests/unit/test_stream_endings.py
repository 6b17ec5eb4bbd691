"""Texts of a stream that have ended: nothing goes on with them, nothing is kept of them, and who says them again is not counted twice."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contracts.policy import Actions
from extproc.core import dialects
from extproc.core.stream import StreamedAnswer
from extproc.core.tally import Blocked, Unreadable

REDACT = Actions({}, {"*": "redact"}, "alert")
MAIL = "anna@example.com"


def line(**event: Any) -> bytes:
    """One event."""
    return b"data: " + orjson.dumps(event) + b"\n\n"


def answer(table: dict[str, str] | None = None, route: str = "responses") -> StreamedAnswer:
    """A streamed answer that has just begun."""
    return StreamedAnswer(dialects.named(route), Actions({}, table, "alert") if table else REDACT)


def delta(text: str, item: int = 0, part: int = 0) -> bytes:
    """A piece of a message."""
    return line(type="response.output_text.delta", output_index=item, content_index=part, delta=text, logprobs=[])


def done(text: str, item: int = 0, part: int = 0) -> bytes:
    """The end of a message's text."""
    return line(type="response.output_text.done", output_index=item, content_index=part, text=text, logprobs=[])


def item_done(text: str, item: int = 0) -> bytes:
    """The end of a message."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return line(type="response.output_item.done", output_index=item, item={"type": "message", "content": content})


def completed(*texts: str, **more: Any) -> bytes:
    """The end of a response."""
    output = [{"type": "message", "content": [{"type": "output_text", "text": text}]} for text in texts]
    return line(type="response.completed", response={"status": "completed", "output": output, **more})


def test_a_text_is_decided_where_it_is_done() -> None:
    """What waited for a word to go on leaves, and what says it again with it."""
    stream = answer()
    assert stream.feed(delta("mail anna@example")) == b""
    out = stream.feed(done("mail anna@example"))
    assert out == delta("mail anna@example") + done("mail anna@example")


@pytest.mark.parametrize(
    "end", [done(MAIL), item_done(MAIL), line(type="response.content_part.done", output_index=0, content_index=0, part={})]
)
def test_nothing_goes_on_with_a_text_that_has_ended(end: bytes) -> None:
    """Its halves would have left already. Another text may."""
    stream = answer()
    stream.feed(delta(MAIL) + end + delta("hello", item=1))
    with pytest.raises(Unreadable, match="finished"):
        stream.feed(delta("!"))


def test_another_part_of_the_same_item_goes_on() -> None:
    """The end of one part is not the end of the item."""
    stream = answer()
    out = stream.feed(delta("a ") + done("a ") + delta(MAIL, part=1) + done(MAIL, part=1) + item_done(MAIL))
    assert out.count(b"[EMAIL_ADDRESS]") == 3
    with pytest.raises(Unreadable, match="finished"):
        stream.feed(delta("!", part=2))


def test_nothing_goes_on_after_the_end() -> None:
    """Not even a new text."""
    stream = answer()
    stream.feed(completed())
    with pytest.raises(Unreadable, match="finished"):
        stream.feed(delta("!"))


def test_an_answer_may_have_any_number_of_texts() -> None:
    """What is kept of each that has ended is that it has."""
    stream = answer()
    for item in range(500):
        for part in range(2):
            stream.feed(delta("hello ", item, part) + done("hello ", item, part))
        stream.feed(item_done("hello ", item))
    assert not stream._texts
    assert stream._ended == {"": {"output_index": {item: {} for item in range(500)}}}


def test_what_is_said_again_is_counted_once_and_taken_out_each_time() -> None:
    """In the pieces, at their end, in the item, and at the end of all."""
    stream = answer()
    out = stream.feed(delta("anna@") + delta("example.com") + done(MAIL) + item_done(MAIL) + completed(MAIL)) + stream.finish()
    assert out.count(b"[EMAIL_ADDRESS]") == 4
    assert b"example" not in out
    assert (stream.findings, stream.redacted) == ({"EMAIL_ADDRESS": 1}, 1)


def test_what_the_request_said_is_counted_beside_it() -> None:
    """A response repeats the app's instructions, in each event that has it."""
    stream = answer()
    told = {"instructions": f"write to {MAIL}"}
    begun = [line(type=f"response.{kind}", response={"output": [], **told}) for kind in ("created", "in_progress")]
    stream.feed(b"".join(begun) + delta(MAIL) + done(MAIL) + completed(MAIL, **told))
    assert (stream.findings, stream.redacted) == ({"EMAIL_ADDRESS": 2}, 2)


def test_a_provider_that_sends_no_pieces_is_read_too() -> None:
    """All that it says is in what would be said again; at the end the count is right."""
    stream = answer()
    out = stream.feed(done(MAIL) + item_done(MAIL) + item_done(MAIL, 1) + completed(MAIL, MAIL))
    assert out.count(b"[EMAIL_ADDRESS]") == 5
    assert (stream.findings, stream.redacted) == ({"EMAIL_ADDRESS": 2}, 2)
    with pytest.raises(Blocked) as caught:
        answer({"*": "block"}).feed(done(MAIL))
    assert caught.value.kinds == {"EMAIL_ADDRESS": 1}


def test_a_picture_is_counted_once() -> None:
    """The item has it, and the response at the end."""
    stream = answer()
    picture = {"type": "image_generation_call", "result": "AAAA"}
    stream.feed(line(type="response.output_item.done", output_index=0, item=picture))
    stream.feed(line(type="response.completed", response={"status": "completed", "output": [picture]}))
    assert stream.findings == {"UNSCANNED_IMAGE": 1}


@pytest.mark.parametrize(
    ("route", "event"),
    [
        ("responses", {"delta": "hello"}),
        ("responses", {"type": "response.output_text.delta", "output_index": "0", "delta": "hello"}),
        ("chat", {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": "0", "function": {"arguments": "{}"}}]}}]}),
    ],
)
def test_an_event_whose_text_cannot_be_placed_ends_the_stream(route: str, event: dict[str, Any]) -> None:
    """As one that can't be read: the app is told, and nothing of it leaves."""
    with pytest.raises(Unreadable) as caught:
        answer(route=route).feed(line(**event))
    assert caught.value.before == b""


def test_servers_that_send_an_end_mark_are_understood() -> None:
    """OpenAI itself sends none on this route."""
    stream = answer()
    mark = b"data: [DONE]\n\n"
    assert stream.feed(delta("hello ") + completed() + mark) == delta("hello ") + completed() + mark
    assert (stream.done, stream.failed, stream.finish_reasons) == (True, False, ["completed"])
