"""Answers in events on their way to the app: what leaves, when it leaves, and what is known of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contracts.policy import Actions
from contracts.usage import Usage
from extproc.core import dialects
from extproc.core.sse import MAX_EVENT
from extproc.core.stream import PATIENCE, STREAM_DEPTH, StreamedAnswer
from extproc.core.tally import Blocked, Unreadable

ROUTE = dialects.named("chat")
CARD = "4111 1111 1111 1111"


def acting(answer: dict[str, str], unscanned: str = "block") -> Actions:
    """What is to be done about an answer."""
    return Actions({"*": "block"}, answer, unscanned)


REDACT = acting({"*": "redact"})


def chunk(delta: dict[str, Any] | None = None, *, choice: int = 0, finish: str | None = None, **members: Any) -> bytes:
    """One event of a chat completion's stream."""
    choices = [{"index": choice, "delta": delta or {}, "finish_reason": finish}]
    return b"data: " + orjson.dumps({"id": "chatcmpl-1", "model": "tiny-2026", "choices": choices, **members}) + b"\n\n"


def text(piece: str, choice: int = 0) -> bytes:
    """An event with a piece of a choice's content."""
    return chunk({"content": piece}, choice=choice)


def call(index: int, piece: str) -> bytes:
    """An event with a piece of a tool call's arguments."""
    return chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})


DONE = b"data: [DONE]\n\n"


def contents(stream: bytes) -> list[str]:
    """The content pieces of the events in a stream."""
    found = []
    for event in stream.split(b"\n\n")[:-1]:
        data = event.removeprefix(b"data: ")
        if data.startswith(b"{"):
            found += [choice["delta"].get("content", "") for choice in orjson.loads(data)["choices"]]
    return found


def test_a_clean_stream_keeps_its_bytes() -> None:
    """Odd spacing, comments, fields beside the data, CRLF, escapes: all as they came."""
    stream = (
        b": keep-alive\n\n"
        + chunk({"role": "assistant", "content": ""})
        + b'id: 7\r\nevent: x\r\ndata:{"choices" : [{"delta":{"content":"a\\u00e9\\/ "}}]}\r\n\r\n'
        + b'data: {"choices":[],\ndata: "usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'
        + b"data:\n\n"
        + chunk(finish="stop")
        + DONE
    )
    answer = StreamedAnswer(ROUTE, REDACT)
    assert answer.feed(stream) + answer.finish() == stream
    assert (answer.model, answer.id, answer.finish_reasons, answer.chunks) == ("tiny-2026", "chatcmpl-1", ["stop"], 4)
    assert (answer.usage, answer.done, answer.failed, answer.truncated) == (Usage(9, 2), True, False, False)
    assert answer.text_bytes_out == len("aé/ ".encode())
    assert (answer.findings, answer.actions, answer.redacted) == ({}, {}, 0)


def test_prose_is_held_back_by_one_event_at_most() -> None:
    """An event leaves no later than when the next one is there."""
    answer = StreamedAnswer(ROUTE, REDACT)
    waiting = 0
    for word in [
        "The",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over",
        "the",
        "lazy",
        "dog",
        ",",
        "twice",
        ".",
        "It",
        "is",
        "3",
        "km",
        "away\n",
        "and",
        "so",
        "on",
    ]:
        waiting += 1 - len(contents(answer.feed(text(word + " "))))
        assert waiting <= 1
    assert answer.finish() or not waiting


def test_a_finding_over_several_events_stands_where_it_starts() -> None:
    """The placeholder is in the first event, the rest is gone from those after; no event is lost."""
    answer = StreamedAnswer(ROUTE, REDACT)
    pieces = ["Write to ja", "ne", "@example", ".com or", " call"]
    held = [answer.feed(text(piece)) for piece in pieces]
    assert held[1] == held[2] == b""
    assert contents(b"".join(held) + answer.finish()) == ["Write to [EMAIL_ADDRESS]", "", "", " or", " call"]
    assert (answer.findings, answer.redacted) == ({"EMAIL_ADDRESS": 1}, 1)


def test_choices_and_tool_calls_are_texts_of_their_own() -> None:
    """Pieces of different texts that come in turn don't run together, and each finding is put together rightly."""
    answer = StreamedAnswer(ROUTE, REDACT)
    stream = [
        text("jane@exa"),
        text("bob@", 1),
        call(0, '{"a":"eve@x'),
        text("mple.com "),
        call(1, '"@"'),
        text("example.org ", 1),
        call(0, '.org"}'),
    ]
    out = b"".join(map(answer.feed, stream)) + answer.finish()
    assert contents(out) == ["[EMAIL_ADDRESS]", "[EMAIL_ADDRESS]", "", " ", "", " ", ""]
    calls = [event["choices"][0]["delta"]["tool_calls"][0] for event in events(out) if "tool_calls" in event["choices"][0]["delta"]]
    assert [(call["index"], call["function"]["arguments"]) for call in calls] == [(0, '{"a":"[EMAIL_ADDRESS]'), (1, '"@"'), (0, '"}')]


def events(stream: bytes) -> list[Any]:
    """The JSON of the events of a stream."""
    return [orjson.loads(event[6:]) for event in stream.split(b"\n\n")[:-1]]


def test_a_finish_reason_ends_a_choices_texts() -> None:
    """What was held of that choice leaves at once; another choice goes on."""
    answer = StreamedAnswer(ROUTE, REDACT)
    assert answer.feed(text("jane@example.com")) == b""
    assert contents(answer.feed(chunk({"content": ""}, finish="stop"))) == ["[EMAIL_ADDRESS]", ""]
    assert answer.feed(text("bob@example", 1)) == b""
    assert contents(answer.feed(text(".com and", 1)) + answer.finish()) == ["[EMAIL_ADDRESS]", " and"]


def test_the_end_mark_ends_all_texts() -> None:
    """Everything leaves at [DONE], before the connection closes."""
    answer = StreamedAnswer(ROUTE, REDACT)
    assert answer.feed(text("jane@example.com") + text("bob@example.com", 1)) == b""
    out = answer.feed(DONE)
    assert contents(out) == ["[EMAIL_ADDRESS]", "[EMAIL_ADDRESS]"]
    assert out.endswith(DONE)
    assert answer.finish() == b""


@pytest.mark.parametrize("end", [chunk(finish="stop"), DONE])
def test_no_text_goes_on_after_its_end(end: bytes) -> None:
    """A finding in both halves would leave in halves; an empty piece is no text."""
    answer = StreamedAnswer(ROUTE, REDACT)
    answer.feed(text("jane@exam") + end + text(""))
    with pytest.raises(Unreadable, match="finished"):
        answer.feed(text("ple.com"))


def test_the_end_of_the_stream_ends_all_texts() -> None:
    """A provider that neither finishes nor says [DONE] is read to its end."""
    answer = StreamedAnswer(ROUTE, REDACT)
    assert answer.feed(text("jane@example.com")) == b""
    assert contents(answer.finish()) == ["[EMAIL_ADDRESS]"]
    assert not answer.done


def test_half_an_event_is_dropped_at_the_end() -> None:
    """As readers of event streams do; that it happened is known."""
    answer = StreamedAnswer(ROUTE, REDACT)
    out = answer.feed(text("a ") + b'data: {"choices":[') + answer.finish()
    assert out == text("a ")
    assert answer.truncated


def test_an_end_mark_without_its_blank_line_counts() -> None:
    """It can be nothing else, and readers of lines wait for it."""
    answer = StreamedAnswer(ROUTE, REDACT)
    stream = text("hi") + b"data: [DONE]\n"
    assert answer.feed(stream) + answer.finish() == stream
    assert (answer.done, answer.truncated) == (True, False)


def test_a_text_that_was_turned_away_from_is_waited_for_only_so_long() -> None:
    """A tool call behind a content's last word flows on after PATIENCE events, then one event behind."""
    answer = StreamedAnswer(ROUTE, REDACT)
    answer.feed(text("Let me ask jane@example.com"))
    out = [answer.feed(call(0, f"{number}, ")) for number in range(PATIENCE + 5)]
    assert out[: PATIENCE - 1] == [b""] * (PATIENCE - 1)
    assert contents(out[PATIENCE - 1])[0] == "Let me ask [EMAIL_ADDRESS]"
    assert all(out[PATIENCE:])


def test_other_choices_do_not_try_the_patience() -> None:
    """A choice waits its turn while others speak, however long."""
    answer = StreamedAnswer(ROUTE, REDACT)
    out = answer.feed(text("jane@exam")) + b"".join(answer.feed(text("word ", 1)) for _ in range(3 * PATIENCE))
    assert out == b""
    assert contents(answer.feed(text("ple.com and ")))[0] == "[EMAIL_ADDRESS]"


def test_a_text_that_goes_on_too_late_is_still_redacted() -> None:
    """The half of a finding that had to leave is gone; the other half never leaves, nor what follows it in clear."""
    answer = StreamedAnswer(ROUTE, REDACT)
    answer.feed(text("4111 1111"))
    for number in range(PATIENCE):
        answer.feed(call(0, f"{number}, "))
    out = answer.feed(text(" 1111 1111 or jane@example.com") + DONE)
    assert "1111" not in "".join(contents(out))
    assert answer.findings == {"CREDIT_CARD": 1, "EMAIL_ADDRESS": 1}


def test_a_stream_that_ends_in_cr_is_whole() -> None:
    """The last CR ends the last event."""
    answer = StreamedAnswer(ROUTE, REDACT)
    stream = (text("hi") + DONE).replace(b"\n", b"\r")
    assert answer.feed(stream) + answer.finish() == stream
    assert (answer.done, answer.truncated) == (True, False)


def test_a_blocked_finding_never_leaves() -> None:
    """Neither it nor its beginning; what was decided before it may still go."""
    answer = StreamedAnswer(ROUTE, acting({"*": "redact", "CREDIT_CARD": "block"}))
    assert contents(answer.feed(text("A card: ") + text("and ") + text("4111 1111 "))) == ["A card: ", "and "]
    with pytest.raises(Blocked) as caught:
        answer.feed(text("1111 1111 is it"))
    assert caught.value.kinds == {"CREDIT_CARD": 1}
    assert caught.value.before == b""
    assert answer.findings == {"CREDIT_CARD": 1}
    assert answer.actions == {"CREDIT_CARD": "block"}
    assert "4111" not in str(caught.value)


def test_what_came_before_a_block_in_the_same_bytes_is_kept() -> None:
    """The cut stands at the same place however the bytes were split."""
    answer = StreamedAnswer(ROUTE, acting({"*": "block"}))
    with pytest.raises(Blocked) as caught:
        answer.feed(text("Hello ") + text("you ") + text(f"{CARD} it is"))
    assert contents(caught.value.before) == ["Hello ", "you "]


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"{",
        b'{"a":NaN}',
        b'{"a":1,"A":2}',
        b"[DONE] jane@example.com",
        b'"\xff"',
        b"[" * (STREAM_DEPTH + 1) + b"]" * (STREAM_DEPTH + 1),
    ],
)
def test_an_event_that_cannot_be_read_does_not_pass(data: bytes) -> None:
    """Whatever its data is, if it isn't JSON or the end mark."""
    answer = StreamedAnswer(ROUTE, REDACT)
    with pytest.raises(Unreadable) as caught:
        answer.feed(text("hi ") + text("x ") + b"data: " + data + b"\n\n")
    assert contents(caught.value.before) == ["hi ", "x "]


def test_an_event_too_large_to_hold_does_not_pass() -> None:
    """A provider can't make us hold without end."""
    answer = StreamedAnswer(ROUTE, REDACT)
    with pytest.raises(Unreadable, match="bytes") as caught:
        answer.feed(text("hi ") + text("x ") + b"data: " + b"x" * MAX_EVENT)
    assert contents(caught.value.before) == ["hi ", "x "]


def test_a_providers_error_passes_redacted() -> None:
    """It is read like any event, and known."""
    answer = StreamedAnswer(ROUTE, REDACT)
    out = answer.feed(b'data: {"error":{"message":"no jane@example.com"}}\n\n') + answer.finish()
    assert out == b'data: {"error":{"message":"no [EMAIL_ADDRESS]"}}\n\n'
    assert answer.failed
    assert answer.text_bytes_out == 0


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b": jane@example.com\n\n", b":\n\n"),
        (b'event: jane@example.com\ndata: {"a":1}\n\n', b'data: {"a":1}\n\n'),
        (b'id: jane@example.com\ndata: {"a":\ndata: "bob@example.com"}\n\n', b'data: {"a":\ndata: "[EMAIL_ADDRESS]"}\n\n'),
    ],
)
def test_what_stands_beside_the_data_is_read_too(raw: bytes, expected: bytes) -> None:
    """A comment or field with a finding goes, the data stays."""
    answer = StreamedAnswer(ROUTE, REDACT)
    assert answer.feed(raw) + answer.finish() == expected
    assert answer.findings["EMAIL_ADDRESS"] == answer.redacted


def test_logprobs_of_a_changed_event_go() -> None:
    """An event whose text was changed loses its logprobs, others keep them."""

    def spelled(piece: str) -> bytes:
        choice = {"index": 0, "delta": {"content": piece}, "logprobs": {"content": [{"token": piece, "logprob": -1}]}}
        return b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n"

    answer = StreamedAnswer(ROUTE, REDACT)
    out = b"".join(answer.feed(spelled(piece)) for piece in ("jane@", "example.com", " and")) + answer.finish()
    assert contents(out) == ["[EMAIL_ADDRESS]", "", " and"]
    assert [bool(event["choices"][0]["logprobs"]) for event in events(out)] == [False, False, True]


def test_the_last_count_of_tokens_stands() -> None:
    """Some providers count in every event; an event without a count changes nothing."""
    answer = StreamedAnswer(ROUTE, REDACT)
    for counts in ({"completion_tokens": 1}, None, {"completion_tokens": 3}, None):
        answer.feed(chunk({"content": "a "}, usage=counts))
    assert answer.usage == Usage(0, 3)


USAGE = b'data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'


@pytest.mark.parametrize("hides", [True, False])
def test_a_usage_that_the_app_did_not_ask_for_is_hidden(*, hides: bool) -> None:
    """Counted all the same; it waits its turn behind the text before it, and no other byte is touched."""
    answer = StreamedAnswer(ROUTE, REDACT, hides_usage=hides)
    stream = text("to ") + chunk({}, usage=None) + text("you") + chunk(finish="stop") + USAGE + DONE
    assert answer.feed(stream) + answer.finish() == (stream.replace(USAGE, b"") if hides else stream)
    assert (answer.usage, answer.chunks) == (Usage(9, 2), 5)


def test_what_hides_in_a_usage_event_is_no_text() -> None:
    """An event with anything to say is not taken for one of usage: it is shown, redacted."""
    answer = StreamedAnswer(ROUTE, REDACT, hides_usage=True)
    shown = chunk({"content": "jane@example.com"}, usage={"completion_tokens": 1})
    assert contents(answer.feed(shown + USAGE + DONE)) == ["[EMAIL_ADDRESS]"]


def test_names_and_numbers_of_an_event_are_read() -> None:
    """A member's name, a number as long as a card's, and JSON in a tool's arguments that stays JSON, number and all."""
    answer = StreamedAnswer(ROUTE, REDACT)
    odd = b'data: {"choices":[{"index":0,"delta":{"jane@example.com":1},"n":4111111111111111}]}\n\n'
    stream = (
        odd + call(0, '{"n": 41111111') + call(0, '11111111, "to": "bob\\u0040exam') + call(0, 'ple.com"}') + chunk(finish="tool_calls")
    )
    left = events(answer.feed(stream))
    assert left[0] == {"choices": [{"index": 0, "delta": {"[EMAIL_ADDRESS]": 1}, "n": "[CREDIT_CARD]"}]}
    pieces = [event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] for event in left[1:4]]
    assert orjson.loads("".join(pieces)) == {"n": "[CREDIT_CARD]", "to": "[EMAIL_ADDRESS]"}
    assert answer.findings == {"EMAIL_ADDRESS": 2, "CREDIT_CARD": 2}


@pytest.mark.parametrize(("unscanned", "blocked"), [("block", True), ("alert", False)])
def test_what_can_not_be_read_follows_its_own_action(unscanned: str, *, blocked: bool) -> None:
    """Sound in a piece of an answer: blocked, or counted and passed."""
    answer = StreamedAnswer(ROUTE, acting({"*": "redact"}, unscanned))
    sound = chunk({"audio": {"data": "AAAA"}})
    if not blocked:
        assert answer.feed(sound) + answer.finish() == sound
    else:
        with pytest.raises(Blocked) as caught:
            answer.feed(sound)
        assert caught.value.kinds == {"UNSCANNED_AUDIO": 1}
    assert (answer.findings, answer.actions) == ({"UNSCANNED_AUDIO": 1}, {"UNSCANNED_AUDIO": unscanned})


def test_events_that_wait_for_one_text_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A choice that never ends its word holds back no more than the limit, however much another one says."""
    monkeypatch.setattr("extproc.core.stream.MOST_HELD", 5_000)
    answer = StreamedAnswer(ROUTE, REDACT)
    held = len(text("jane@exam")) - len(answer.feed(text("jane@exam")))
    for _ in range(100):
        held += len(text("word ", 1)) - len(answer.feed(text("word ", 1)))
        assert held <= 5_000 + 200


def test_text_is_counted_as_it_leaves() -> None:
    """Bytes after redaction; what is still held doesn't count."""
    answer = StreamedAnswer(ROUTE, REDACT)
    answer.feed(chunk({"tool_calls": [{"index": n, "function": {"name": name, "arguments": ""}} for n, name in enumerate(("se", "nd"))]}))
    answer.feed(text("ü jane@example.com"))
    assert answer.text_bytes_out == 0
    answer.finish()
    assert answer.text_bytes_out == len("send") + len("ü [EMAIL_ADDRESS]".encode())


def test_data_of_another_shape_is_scanned_as_it_is() -> None:
    """An event that is no chat completion still leaves nothing unread."""
    answer = StreamedAnswer(ROUTE, REDACT)
    assert (
        answer.feed(b'data: "jane@example.com"\n\ndata: [1,"bob@example.com"]\n\n')
        == b'data: "[EMAIL_ADDRESS]"\n\ndata: [1,"[EMAIL_ADDRESS]"]\n\n'
    )
