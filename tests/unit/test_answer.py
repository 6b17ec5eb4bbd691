"""Whole answers on their way to the app: what leaves, and what is known of it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest

from contracts.policy import Actions
from contracts.usage import Usage
from extproc.core import dialects
from extproc.core.answer import BufferedAnswer, buffered, estimated_tokens
from extproc.core.tally import Unreadable

ROUTE = dialects.named("chat")
CARD = "4111 1111 1111 1111"


def acting(answer: dict[str, str], unscanned: str = "block") -> Actions:
    """What is to be done about an answer."""
    return Actions({"*": "block"}, answer, unscanned)


REDACT = acting({"*": "redact"})


def whole(answer: dict[str, Any], wanted: Actions = REDACT) -> BufferedAnswer:
    """An answer in one piece, read."""
    return buffered(ROUTE, orjson.dumps(answer), wanted, 64)


def test_a_clean_answer_keeps_its_bytes() -> None:
    """Nothing found, nothing written anew; the row's facts are read all the same."""
    read = whole(
        {
            "id": "chatcmpl-1",
            "model": "tiny-2026",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Grüße"}, "finish_reason": "stop"},
                {"index": 1, "message": {"content": None}, "finish_reason": "length"},
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2},
            "note": "not written by the model",
        }
    )
    assert read == BufferedAnswer(
        body=None,
        usage=Usage(9, 2),
        findings={},
        actions={},
        redacted=0,
        model="tiny-2026",
        id="chatcmpl-1",
        finish_reasons=("stop", "length"),
        text_bytes_out=0,
        blocked={},
    )


@pytest.mark.parametrize("counts", [None, {}, {"prompt_tokens": 9}, {"prompt_tokens": 9, "completion_tokens": 0}])
def test_what_the_model_wrote_is_measured_where_nobody_counted_it(counts: dict[str, int] | None) -> None:
    """Bytes of the texts as they leave; a note beside them, a kind and a role are not paid for."""
    message = {"role": "assistant", "content": "Grüße, jane@example.com", "refusal": "ü"}
    read = whole({"choices": [{"message": message, "finish_reason": "stop"}], "usage": counts, "note": "not written by the model"})
    assert read.text_bytes_out == len("Grüße, [EMAIL_ADDRESS]ü".encode())


def test_what_is_found_is_taken_out_wherever_it_stands() -> None:
    """Content, tool arguments, ids and members nobody knows; each place is counted."""
    raw = (
        b'{"id":"4111111111111111","choices":[{"message":{"content":"a\\u00e9 jane@example.com","tool_calls":'
        b'[{"function":{"arguments":"{\\"to\\":\\"bob@example.com\\"}"}}]}}],"x":["4111 1111 1111 1111"]}'
    )
    read = buffered(ROUTE, raw, REDACT, 64)
    assert read.body == (
        b'{"id":"[CREDIT_CARD]","choices":[{"message":{"content":"a\\u00e9 [EMAIL_ADDRESS]","tool_calls":'
        b'[{"function":{"arguments":"{\\"to\\":\\"[EMAIL_ADDRESS]\\"}"}}]}}],"x":["[CREDIT_CARD]"]}'
    )
    assert read.findings == {"EMAIL_ADDRESS": 2, "CREDIT_CARD": 2}
    assert read.actions == {"EMAIL_ADDRESS": "redact", "CREDIT_CARD": "redact"}
    assert read.redacted == 4
    assert read.text_bytes_out == len("aé [EMAIL_ADDRESS]".encode()) + len('{"to":"[EMAIL_ADDRESS]"}')


def test_names_and_numbers_are_read_too() -> None:
    """A member's name, and a number as long as a card's, which becomes a string; the answer is JSON afterwards."""
    raw = b'{"choices":[{"message":{"content":"hi","jane@example.com":[4111111111111111, 1.5]}}]}'
    read = buffered(ROUTE, raw, REDACT, 64)
    assert read.body == b'{"choices":[{"message":{"content":"hi","[EMAIL_ADDRESS]":["[CREDIT_CARD]", 1.5]}}]}'


def test_a_number_that_no_double_holds_passes() -> None:
    """It goes to an app, and to no second provider: nothing is decided by it."""
    assert buffered(ROUTE, b'{"choices":[],"system":12345678901234567890123}', REDACT, 64).body is None


@pytest.mark.parametrize(("unscanned", "blocked"), [("block", {"UNSCANNED_AUDIO": 1, "UNSCANNED_IMAGE": 2}), ("alert", {})])
def test_what_can_not_be_read_follows_its_own_action(unscanned: str, blocked: dict[str, int]) -> None:
    """Spoken sound and data URLs of images: blocked, or counted and passed."""
    image = "data:image/png;base64,AAAA"
    message = {"content": image, "audio": {"data": "AAAA"}, "images": [{"image_url": {"url": image}}]}
    read = whole({"choices": [{"message": message}]}, acting({"*": "redact"}, unscanned))
    assert (read.body, read.blocked) == (None, blocked)
    assert read.findings == {"UNSCANNED_AUDIO": 1, "UNSCANNED_IMAGE": 2}
    assert set(read.actions.values()) == {unscanned}


def test_a_text_in_base64_is_read() -> None:
    """A data URL of a text type: decoded, redacted, encoded again."""
    read = whole({"file": "data:text/plain;base64," + b64encode(b"to jane@example.com").decode()})
    assert read.body is not None
    assert orjson.loads(read.body) == {"file": "data:text/plain;base64," + b64encode(b"to [EMAIL_ADDRESS]").decode()}


def test_alert_counts_and_changes_nothing() -> None:
    """The table decides: an alert is a count."""
    read = whole({"choices": [{"message": {"content": "jane@example.com"}}]}, acting({"*": "alert"}))
    assert (read.body, read.findings, read.actions, read.redacted) == (None, {"EMAIL_ADDRESS": 1}, {"EMAIL_ADDRESS": "alert"}, 0)


def test_block_counts_all_and_gives_no_body() -> None:
    """Kinds and counts of what is blocked, counts of everything found, and nothing that could leave."""
    answer = {"choices": [{"message": {"content": f"jane@example.com {CARD}"}}, {"message": {"content": CARD}}]}
    read = whole(answer, acting({"*": "redact", "CREDIT_CARD": "block"}))
    assert read.body is None
    assert read.blocked == {"CREDIT_CARD": 2}
    assert read.findings == {"EMAIL_ADDRESS": 1, "CREDIT_CARD": 2}
    assert read.actions == {"EMAIL_ADDRESS": "redact", "CREDIT_CARD": "block"}


def test_logprobs_of_a_changed_choice_go() -> None:
    """They spell the text again in splinters that no rule matches; another choice keeps its own."""
    spelled = {"content": [{"token": "jane", "bytes": [1]}, {"token": "@example.com", "bytes": [2]}]}
    clean = {"content": [{"token": "hi", "bytes": [3]}]}
    read = whole(
        {
            "choices": [
                {"message": {"content": "jane@example.com", "refusal": "bob@example.com"}, "logprobs": spelled},
                {"message": {"content": "hi"}, "logprobs": clean},
            ]
        }
    )
    assert read.body is not None
    choices = orjson.loads(read.body)["choices"]
    assert [choice["logprobs"] for choice in choices] == [None, clean]
    assert choices[0]["message"] == {"content": "[EMAIL_ADDRESS]", "refusal": "[EMAIL_ADDRESS]"}


def test_logprobs_with_a_finding_of_their_own_go_too() -> None:
    """An unknown member in them is text; its edit and their removal don't collide."""
    read = whole({"choices": [{"message": {"content": "x"}, "logprobs": {"note": "jane@example.com"}}]})
    assert read.body == b'{"choices":[{"message":{"content":"x"},"logprobs":null}]}'


@pytest.mark.parametrize("raw", [b"", b"<html>", b'{"a":1,"a":2}', b'{"a":"\xff"}', b"[" * 70 + b"]" * 70])
def test_what_cannot_be_read_does_not_pass(raw: bytes) -> None:
    """An answer that is not the JSON we accept is never handed on."""
    with pytest.raises(Unreadable) as caught:
        buffered(ROUTE, raw, REDACT, 64, content_type="text/html")
    assert "html" not in str(caught.value)


def test_a_providers_error_is_read_like_an_answer() -> None:
    """Any JSON, with a type or without."""
    read = buffered(ROUTE, b'{"error":{"message":"jane@example.com is not allowed"}}', REDACT, 64, ok=False)
    assert read.body == b'{"error":{"message":"[EMAIL_ADDRESS] is not allowed"}}'
    assert read.text_bytes_out == 0


def test_a_providers_error_may_be_text() -> None:
    """Text is scanned as it is; empty is nothing."""
    read = buffered(ROUTE, "jané@example.com bob@example.com".encode(), REDACT, 64, ok=False, content_type="Text/HTML; charset=utf-8")
    assert read.body is not None
    assert b"bob" not in read.body
    assert read.findings["EMAIL_ADDRESS"] == read.redacted
    assert buffered(ROUTE, b"plain", REDACT, 64, ok=False, content_type="text/plain").body is None
    assert buffered(ROUTE, b"", REDACT, 64, ok=False).body is None


def test_a_providers_error_of_text_can_be_blocked() -> None:
    """Block holds for text too."""
    read = buffered(ROUTE, CARD.encode(), acting({"*": "block"}), 64, ok=False, content_type="text/plain")
    assert (read.body, read.blocked) == (None, {"CREDIT_CARD": 1})


@pytest.mark.parametrize(("raw", "content_type"), [(b"x", ""), (b"x", "image/png"), (b"x", "application/json"), (b"\xff", "text/plain")])
def test_a_providers_error_of_another_kind_does_not_pass(raw: bytes, content_type: str) -> None:
    """What is neither JSON nor UTF-8 text can't be read."""
    with pytest.raises(Unreadable):
        buffered(ROUTE, raw, REDACT, 64, ok=False, content_type=content_type)


def test_tokens_are_estimated_from_bytes() -> None:
    """A token for each four bytes begun."""
    assert [estimated_tokens(size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]
