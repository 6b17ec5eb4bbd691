"""Events that are too much work for the event loop: looked into elsewhere, and the same leaves as if they had not been."""

from __future__ import annotations

import orjson
import pytest

from contracts.policy import Actions
from extproc.core import dialects
from extproc.core.effects import AT_ONCE
from extproc.core.heavy import looked_into
from extproc.core.stream import STREAM_DEPTH, StreamedAnswer
from extproc.core.tally import Blocked

REDACT = Actions({"*": "redact"}, {"*": "redact"}, "block")
ALERT = Actions({"*": "redact"}, {"CREDIT_CARD": "redact", "*": "alert"}, "alert")
BLOCK = Actions({"*": "redact"}, {"CREDIT_CARD": "block", "*": "redact"}, "block")
CHAT = dialects.named("chat")
ADDRESSES = "write to jane.doe@example.com or joe@example.org, " * (AT_ONCE // 2_000)
LARGE = ADDRESSES + "and so on. " * (AT_ONCE // 10)


def event(text: str, **more: object) -> bytes:
    """One event of a chat."""
    return b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": {"content": text}}], **more}) + b"\n\n"


def read(stream: bytes, wanted: Actions, *, apart: bool) -> tuple[bytes, StreamedAnswer, int]:
    """What leaves, what is known then, and how many events were looked into apart."""
    answer = StreamedAnswer(CHAT, wanted, apart=apart)
    out, heavy = answer.feed(stream), 0
    while answer.heavy and answer.heavy.data:
        heavy += 1
        out += answer.go_on(looked_into(CHAT, answer.heavy.data, wanted, STREAM_DEPTH))
    return out + answer.finish(), answer, heavy


@pytest.mark.parametrize("wanted", [REDACT, ALERT])
@pytest.mark.parametrize(
    "stream",
    [
        event("before ") + event(LARGE) + event("after"),
        event("jan") + event("e@example.com " + LARGE + "jane@example.co") + event("m"),
        event("x", note=LARGE, jane_at=[4111111111111111, {"jane@example.com": LARGE}]) + event(LARGE),
        b": jane@example.com\n" + event(LARGE) + b"data: [DONE]\n\n",
    ],
    ids=["in a text", "halves at both ends", "beside the text", "with a comment"],
)
def test_the_same_leaves_and_is_counted(stream: bytes, wanted: Actions) -> None:
    """Bytes, findings, actions and places changed are those of a stream that was read here alone."""
    here, kept, none = read(stream, wanted, apart=False)
    out, answer, heavy = read(stream, wanted, apart=True)
    assert (none, heavy > 0) == (0, True)
    assert out == here
    assert (answer.findings, answer.actions, answer.redacted) == (kept.findings, kept.actions, kept.redacted)
    assert answer.text_bytes_out == kept.text_bytes_out


def test_what_blocks_stops_the_stream_before_the_event() -> None:
    """What came before it may leave, nothing of it does."""
    stream = event("before ") + event(LARGE + " 4111 1111 1111 1111 ") + event("after")
    answer = StreamedAnswer(CHAT, BLOCK, apart=True)
    out = answer.feed(stream)
    assert answer.heavy
    assert answer.heavy.data
    with pytest.raises(Blocked) as caught:
        answer.go_on(looked_into(CHAT, answer.heavy.data, BLOCK, STREAM_DEPTH))
    assert caught.value.kinds == {"CREDIT_CARD": 1}
    assert LARGE[:40].encode() not in out + caught.value.before


def test_an_event_that_the_end_of_the_stream_ends_leaves_too() -> None:
    """Its last byte is a CR, so it is only whole when nothing follows; then it is read at once, whatever work that is."""
    stream = event(LARGE, usage={"prompt_tokens": 1, "completion_tokens": 2}).replace(b"\n", b"\r")
    here, kept, _ = read(stream, REDACT, apart=False)
    out, answer, heavy = read(stream, REDACT, apart=True)
    assert heavy == 0
    assert out == here != b""
    assert answer.usage == kept.usage is not None


def test_small_events_are_read_at_once() -> None:
    """Nothing is sent elsewhere for them."""
    answer = StreamedAnswer(CHAT, REDACT, apart=True)
    answer.feed(event(ADDRESSES[:2_000]))
    assert answer.heavy is None
