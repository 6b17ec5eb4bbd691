"""The provider's answer as a conversation: how it fails, what is passed on of it, and what is withheld."""

from __future__ import annotations

import json

import pytest
from playbook import answer_head, chat, completion, delta, emits, ends, governed, head, piece, play, refuses, replies, to

from extproc.core.effects import OwnAnswer, PassAnswerHead, PassBody

STREAM = "text/event-stream"


@pytest.mark.parametrize(
    ("status", "details", "code", "termination"),
    [
        (502, "upstream_reset_before_response_started{connection_termination}", "upstream_error", "upstream_reset"),
        (
            502,
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
            "upstream_error",
            "upstream_unreachable",
        ),
        (502, "upstream_reset_before_response_started{protocol_error}", "upstream_error", "upstream_garbage"),
        (504, "response_timeout", "upstream_timeout", "upstream_timeout"),
    ],
)
def test_provider_that_fails_is_told_apart(status: int, details: str, code: str, termination: str) -> None:
    """Envoy's answer in the provider's stead becomes the gate's own refusal, and the row says how the provider failed."""
    play(
        head(),
        *governed(),
        to(answer_head(status, details=details)),
        refuses(status, code),
        emits(outcome="failed", termination=termination, error_code=code),
    )


def test_provider_error_is_passed_on_redacted() -> None:
    """A provider's 429 keeps its status and body; personal data and the credential in it are taken out."""
    echoed = b'{"error": {"message": "jane@example.com used sk-provider-secret"}}'

    def clean(reply: PassBody) -> None:
        assert b"jane" not in (reply.body or b"")
        assert b"sk-provider-secret" not in (reply.body or b"")

    play(
        head(),
        *governed(),
        to(answer_head(429)),
        replies(PassAnswerHead),
        to(piece(echoed, end=True)),
        ends(PassBody, clean),
        emits(outcome="failed", termination="upstream_status", status=429, provider_status=429),
    )


@pytest.mark.parametrize("status", [500, 503, 401, 402, 403, 407, 201, 204, 302])
def test_provider_fault_or_refused_credential_is_502(status: int) -> None:
    """Neither 200 nor about the request, or about the gate's own credential: upstream_error with the provider's words inside."""

    def quoted(reply: OwnAnswer) -> None:
        assert reply.status == 502
        assert json.loads(reply.body)["error"]["provider"] == {"status": status, "body": {"error": {"message": "no, [EMAIL_ADDRESS]"}}}

    play(
        head(),
        *governed(),
        to(answer_head(status)),
        replies(PassAnswerHead),
        to(piece(b'{"error": {"message": "no, jane@example.com"}}', end=True)),
        ends(OwnAnswer, quoted),
        emits(outcome="failed", error_code="upstream_error", provider_status=status, status=502),
    )


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (answer_head(), piece(b"<html>", end=True)),
        (answer_head(kind="text/html"), piece(b"hello", end=True)),
        (answer_head(), piece(b"", end=True)),
        (answer_head(kind=STREAM), piece(delta("hello", "stop"), end=True)),
    ],
    ids=["not json", "html", "empty", "events that nobody asked for"],
)
def test_answer_that_cannot_be_read_is_not_passed_on(answer: object, body: object) -> None:
    """A 200 that is no answer of its dialect is withheld."""
    play(
        head(),
        *governed(),
        to(answer),  # type: ignore[arg-type] # parametrised events
        replies(PassAnswerHead),
        to(body),  # type: ignore[arg-type] # parametrised events
        refuses(502, "upstream_error"),
        emits(outcome="failed", termination="upstream_garbage"),
    )


def test_answer_without_a_body_keeps_its_status() -> None:
    """A provider's 4xx with no body at all is passed as it is, by its head."""
    play(
        head(),
        *governed(),
        to(answer_head(404, end=True)),
        ends(PassAnswerHead),
        emits(outcome="failed", termination="upstream_status", status=404),
    )


def test_compressed_answer_is_refused_unread() -> None:
    """An answer in an encoding nobody asked for is refused at its head."""
    play(
        head(),
        *governed(),
        to(answer_head(200, "application/json", "via_upstream", ("content-encoding", "gzip"))),
        refuses(502, "upstream_error"),
        emits(termination="upstream_garbage"),
    )


def test_event_stream_without_a_body_is_no_answer() -> None:
    """A 200 that promises events and ends at its head is withheld."""
    play(
        head(),
        *governed(body=chat(stream=True)),
        to(answer_head(kind=STREAM, end=True)),
        refuses(502, "upstream_error"),
        emits(outcome="failed", termination="upstream_garbage"),
    )


@pytest.mark.parametrize("secret", ["sk-provider-secret", "sk\\u002dprovider\\u002dsecret"], ids=["as it is", "escaped"])
def test_credential_that_the_provider_echoes_is_taken_out(secret: str) -> None:
    """In a whole answer, in an event, in a header: the app never sees the credential's text."""

    def clean(reply: PassBody) -> None:
        assert b"provider-secret" not in (reply.body or b"").replace(b"\\u002d", b"-")

    def hidden(reply: PassAnswerHead) -> None:
        assert "x-request-id" in reply.remove_headers

    echoing = answer_head(200, "application/json", "via_upstream", ("x-request-id", "for sk-provider-secret"))
    said = piece(completion("you sent SECRET").data.replace(b"SECRET", secret.encode()), end=True)
    play(head(), *governed(), to(echoing), replies(PassAnswerHead, hidden), to(said), ends(PassBody, clean), emits(outcome="served"))

    event = piece(delta("you sent SECRET. ", "stop").replace("SECRET", secret) + "data: [DONE]\n\n", end=True)
    stream = governed(body=chat(stream=True))
    play(head(), *stream, to(answer_head(kind=STREAM)), replies(PassAnswerHead), to(event), ends(PassBody, clean), emits(outcome="served"))
