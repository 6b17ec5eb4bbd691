"""What providers say about a choice beside its text: in every event, and after its end."""

from __future__ import annotations

import orjson

from contracts.policy import Actions
from extproc.core import dialects
from extproc.core.stream import StreamedAnswer

ROUTE = dialects.named("chat")
REDACT = Actions({"*": "block"}, {"*": "redact"}, "block")
DONE = b"data: [DONE]\n\n"
RATED = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "safe"}}


def rated(piece: str, finish: str | None = None) -> bytes:
    """An event of Azure's: each says how its text is rated."""
    choice = {"index": 0, "delta": {"content": piece} if piece else {}, "finish_reason": finish, "content_filter_results": RATED}
    return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"


def test_what_is_said_about_a_choice_in_each_event_holds_up_nothing() -> None:
    """The word "safe" in one event and again in the next is no word that grows."""
    answer = StreamedAnswer(ROUTE, REDACT)
    waiting = 0
    for number in range(40):
        waiting += 1 - answer.feed(rated(f"word {number} ")).count(b"data:")
        assert waiting <= 1


def test_a_choice_may_be_rated_after_it_has_ended() -> None:
    """Azure's asynchronous filter does that; no text goes on."""
    stream = rated("Hello") + rated("", finish="stop") + rated("") + DONE
    answer = StreamedAnswer(ROUTE, REDACT)
    assert answer.feed(stream) + answer.finish() == stream
    assert answer.text_bytes_out == len("Hello")


def test_what_is_said_about_a_choice_is_looked_into_all_the_same() -> None:
    """An address in it is a text of its own."""
    answer = StreamedAnswer(ROUTE, REDACT)
    said = b'data: {"choices":[{"index":0,"delta":{},"native_finish_reason":"ann@example.com","content_filter_results":{"a":"bo@example.com"}}]}\n\n'
    assert b"example.com" not in answer.feed(said) + answer.finish()
    assert answer.findings == {"EMAIL_ADDRESS": 2}
