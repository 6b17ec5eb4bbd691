"""A streamed answer as a conversation: what leaves of it, how it is cut, and what the row says of one that breaks off."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playbook import answer_head, chat, delta, emits, ends, governed, head, leaves, piece, play, replies, to, trailers

from contracts.policy import Actions, Verdict
from extproc.core.effects import Cut, PassAnswerHead, PassBody, PassTrailers

STREAM = "text/event-stream"
BLOCKING = Verdict(True, (), Actions({"*": "redact"}, {"EMAIL_ADDRESS": "block", "*": "redact"}), "rules-1")
"""An address in an answer is blocked."""


def test_stream_is_shown_piece_by_piece() -> None:
    """An event stream is asked for in pieces, its usage is read, and clean events are passed untouched."""
    usage = 'data: {"id":"chatcmpl-1","model":"tiny-1","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\n'

    def streamed(reply: PassAnswerHead) -> None:
        assert reply.streamed

    def flushed(reply: PassBody) -> None:
        assert reply.body == (delta("lo", "stop") + usage + "data: [DONE]\n\n").encode() or reply.body is None

    play(
        head(),
        *governed(body=chat(stream=True)),
        to(answer_head(kind=STREAM)),
        replies(PassAnswerHead, streamed),
        to(piece(delta("hello, "))),
        replies(PassBody),
        to(piece(delta("lo", "stop") + usage)),
        replies(PassBody),
        to(piece("data: [DONE]\n\n", end=True)),
        ends(PassBody),
        emits(
            outcome="served",
            termination="complete",
            stream=True,
            input_tokens=4,
            output_tokens=2,
            finish_reason="stop",
            usage_source="provider",
        ),
    )


def test_address_split_over_two_events_is_redacted() -> None:
    """Text is decided across events: the first half waits for the second."""
    sent: list[bytes] = []

    def keep(reply: PassBody) -> None:
        assert reply.body is not None
        sent.append(reply.body)

    play(
        head(),
        *governed(body=chat(stream=True)),
        to(answer_head(kind=STREAM)),
        replies(PassAnswerHead),
        to(piece(delta("ask jane@exa"))),
        replies(PassBody, keep),
        to(piece(delta("mple.com now", "stop") + "data: [DONE]\n\n", end=True)),
        ends(PassBody, keep),
        emits(outcome="served", findings_answer={"EMAIL_ADDRESS": 1}, redacted_answer=1),
    )
    assert b"[EMAIL_ADDRESS]" in b"".join(sent)
    assert b"jane" not in b"".join(sent)


@pytest.mark.parametrize("goes_on", [True, False], ids=["the provider goes on", "the provider ends"])
def test_block_in_mid_stream_ends_with_the_sdks_own_error(goes_on: bool) -> None:
    """A blocked kind in a stream: one error event, then nothing. A provider that goes on for long is cut, one that ends ends cleanly."""
    late = replace(piece(delta("much later")), at=10**12)

    def error_event(reply: PassBody) -> None:
        assert b"guardrail_blocked" in (reply.body or b"")
        assert b"jane" not in (reply.body or b"")

    def nothing(reply: PassBody) -> None:
        assert reply.body == b""

    play(
        head(),
        *governed(body=chat(stream=True), verdict=BLOCKING),
        to(answer_head(kind=STREAM)),
        replies(PassAnswerHead),
        to(piece(delta("ask jane@example.com now"))),
        replies(PassBody, error_event),
        to(piece(delta("more"))),
        replies(PassBody, nothing),
        to(late if goes_on else piece("data: [DONE]\n\n", end=True)),
        ends(Cut) if goes_on else ends(PassBody, nothing),
        emits(outcome="refused", termination="cut", status=200, error_code="guardrail_blocked", findings_answer={"EMAIL_ADDRESS": 1}),
    )


def test_block_in_mid_stream_keeps_its_row_when_the_app_leaves() -> None:
    """An app that hangs up after the error event changes nothing about what happened."""
    play(
        head(),
        *governed(body=chat(stream=True), verdict=BLOCKING),
        to(answer_head(kind=STREAM)),
        replies(PassAnswerHead),
        to(piece(delta("ask jane@example.com now"))),
        replies(PassBody),
        leaves(),
        emits(outcome="refused", termination="cut", error_code="guardrail_blocked"),
    )


def test_stream_garbage_is_cut() -> None:
    """An event that can't be read ends the stream; the rest is not passed on."""
    play(
        head(),
        *governed(body=chat(stream=True)),
        to(answer_head(kind=STREAM)),
        replies(PassAnswerHead),
        to(piece("data: {oops\n\n", end=True)),
        ends(PassBody, lambda reply: b"upstream_error" in reply.body),
        emits(outcome="failed", termination="upstream_garbage", error_code="upstream_error"),
    )


def test_stream_without_its_last_event_is_truncated() -> None:
    """A stream that ends cleanly but early is a failure of the provider, with an estimate of what flowed."""
    play(
        head(),
        *governed(body=chat(stream=True)),
        to(answer_head(kind=STREAM)),
        replies(PassAnswerHead),
        to(piece(delta("half a sen"), end=True)),
        ends(PassBody),
        emits(outcome="failed", termination="truncated", usage_source="estimated", output_tokens=3),
    )


def test_stream_that_breaks_off_is_counted_by_what_flowed() -> None:
    """Either side leaving in mid-stream leaves a row with an estimate, never zero for bytes that flowed."""
    play(
        head(),
        *governed(body=chat(stream=True)),
        to(answer_head(kind=STREAM)),
        replies(PassAnswerHead),
        to(piece(delta("some text. "))),
        replies(PassBody),
        leaves(),
        emits(outcome="aborted", termination="gone", usage_source="estimated", output_tokens=3),
    )


def test_trailers_end_a_stream() -> None:
    """A provider that ends with trailers instead of an end of body still leaves a complete row."""
    play(
        head(),
        *governed(body=chat(stream=True)),
        to(answer_head(kind=STREAM)),
        replies(PassAnswerHead),
        to(piece(delta("done", "stop") + "data: [DONE]\n\n")),
        replies(PassBody),
        to(trailers()),
        ends(PassTrailers),
        emits(outcome="served", termination="complete"),
    )


def test_finding_decided_by_trailers_cuts_the_stream() -> None:
    """A blocked kind that only the end of the text decides can't be told in a body any more: the stream is cut, and nothing of it left."""

    def nothing(reply: PassBody) -> None:
        assert reply.body == b""

    play(
        head(),
        *governed(body=chat(stream=True), verdict=BLOCKING),
        to(answer_head(kind=STREAM)),
        replies(PassAnswerHead),
        to(piece(delta("jane@example.com"))),
        replies(PassBody, nothing),
        to(trailers()),
        ends(Cut),
        emits(outcome="refused", termination="cut", error_code="guardrail_blocked"),
    )
