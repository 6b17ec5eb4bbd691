"""The exchange as conversations: what is asked, in which order, and what the row says at the end."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from playbook import (
    ALLOWED,
    DENIED,
    KEY_TEXT,
    PROVIDER_SECRET,
    SNAPSHOT,
    answer_head,
    asks,
    chat,
    completion,
    delta,
    emits,
    ends,
    head,
    leaves,
    piece,
    play,
    refuses,
    replies,
    to,
    trailers,
)

from contracts.errors import AuditUnavailable, GateUnavailable, PolicyUnavailable
from contracts.policy import Actions, Verdict
from contracts.settings import Limits
from extproc.core.effects import (
    AskPolicy,
    Complain,
    Cut,
    OpenCredential,
    OpenRoute,
    OwnAnswer,
    PassAnswerHead,
    PassBody,
    PassHead,
    PassTrailers,
    Record,
)
from extproc.core.events import RequestBody, RequestHead
from extproc.core.world import World

STREAM = "text/event-stream"


def governed(*, body: RequestBody | None = None, verdict: Verdict = ALLOWED) -> tuple[object, ...]:
    """The first half of every allowed exchange, up to the open route."""
    return (
        replies(PassHead),
        to(body or chat()),
        asks(AskPolicy, verdict),
        asks(Record),
        asks(OpenCredential, PROVIDER_SECRET),
        replies(OpenRoute),
    )


def test_allowed_request_is_recorded_before_its_credential_is_opened() -> None:
    """An allowed unary request: verdict, intent, credential, route, answer, one row."""

    def no_key(reply: PassHead) -> None:
        assert "authorization" in reply.remove_headers

    def rewritten(reply: OpenRoute) -> None:
        assert (reply.provider, reply.route, reply.header, reply.prefix) == ("local", "chat", "authorization", "Bearer ")
        assert json.loads(reply.body or b"")["model"] == "tiny"

    def costed(reply: PassBody) -> None:
        assert dict(reply.set_headers)["x-portcullis-cost-usd"] == "0.00000315"

    play(
        head(),
        replies(PassHead, no_key),
        to(chat()),
        asks(AskPolicy, ALLOWED, lambda effect: effect.input.document()),
        asks(Record, None, lambda effect: effect.intent.row.provider == "local"),
        asks(OpenCredential, PROVIDER_SECRET),
        replies(OpenRoute, rewritten),
        to(answer_head()),
        replies(PassAnswerHead),
        to(completion()),
        ends(PassBody, costed),
        emits(
            outcome="served",
            termination="complete",
            status=200,
            team="search",
            key_name="ranking-dev",
            model_asked="cheap",
            model_served="tiny-1",
            input_tokens=9,
            output_tokens=3,
            usage_source="provider",
            cost_nanousd=3150,
            allow=True,
            policy_revision="rules-1",
            snapshot_revision="7",
            envoy_id="envoy-1",
        ),
    )


def test_denied_model_never_opens_a_credential() -> None:
    """A deny refuses in the caller's dialect, records no intent, and leaves one row with the rule's reason."""
    play(
        head(),
        replies(PassHead),
        to(chat()),
        asks(AskPolicy, DENIED),
        refuses(403, "not_allowed"),
        emits(outcome="refused", termination="refused", error_code="not_allowed", reasons=("model_not_allowed",), allow=False, status=403),
    )


def test_undeclared_model_is_refused_like_a_forbidden_one() -> None:
    """A model that no one declared gives the same code as one the key may not use, so models can't be probed."""
    play(
        head(),
        replies(PassHead),
        to(chat(model="gpt-x")),
        refuses(403, "not_allowed"),
        emits(reasons=("model_not_allowed",), model_asked="(undeclared)"),
    )


def test_model_name_that_is_no_name_stays_out_of_the_row() -> None:
    """What the caller typed as model gets into the row only if somebody declared it."""
    play(
        head(),
        replies(PassHead),
        to(chat(model="my card is 4111 1111 1111 1111")),
        refuses(403, "not_allowed"),
        emits(model_asked="(undeclared)"),
    )


@pytest.mark.parametrize(
    "bad",
    [
        head(key=None),
        head(key="sk-not-ours"),
        head(key=KEY_TEXT[:-1] + ("0" if KEY_TEXT[-1] != "0" else "1")),
        head(key=KEY_TEXT[:4] + "A" * 12 + KEY_TEXT[16:]),
    ],
    ids=["none", "foreign", "checksum", "unknown id"],
)
def test_unusable_key_is_one_refusal_for_every_cause(bad: RequestHead) -> None:
    """Missing, foreign, mistyped and unknown keys are refused at the head, by one code, and nothing else is asked."""
    play(bad, refuses(401, "invalid_api_key"), emits(outcome="refused", error_code="invalid_api_key", key_id="", team=""))


def test_expired_key_is_no_key() -> None:
    """A key past its expiry is refused like an unknown one."""
    late = head()
    late = RequestHead(
        late.id, late.decision_id, 2_000_000_000 * 10**9, late.at, late.headers, late.end, late.source_address, late.envoy_id
    )

    play(late, refuses(401, "invalid_api_key"), emits(key_id=""))


def test_gate_without_a_snapshot_knows_no_key() -> None:
    """Before the first snapshot no key is good."""
    empty = World(SNAPSHOT, Limits(), "extproc-0", "0", None)

    play(head(), refuses(401, "invalid_api_key"), emits(outcome="refused"), world=empty)


def test_undeclared_path_does_not_exist() -> None:
    """A path without a parser is 404, before any key is looked at."""
    play(head(path="/v1/files"), refuses(404, "unknown_route"), emits(outcome="refused", path="/v1/files"))


def test_query_parameters_are_not_forwarded() -> None:
    """A query string is bytes that nobody reads: refused."""
    play(head(path="/v1/chat/completions?x=1"), refuses(400, "invalid_request"), emits(path="/v1/chat/completions"))


def test_request_without_a_body_is_refused_at_the_head() -> None:
    """No body, no call; the head's answer is the only one there is, and it refuses."""
    play(head(end=True), refuses(400, "invalid_request"), emits(outcome="refused"))


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"model":"cheap","model":"dear","messages":[]}', b'{"messages":[]}', b'"\xff"', b'{"model": NaN}']
)
def test_body_that_two_parsers_may_read_differently_is_refused(raw: bytes) -> None:
    """Not JSON, no model, a doubled key, bad UTF-8, NaN: refused before the rules are asked."""
    play(
        head(),
        replies(PassHead),
        to(RequestBody(0, raw)),
        refuses(400, "invalid_request"),
        emits(outcome="refused", key_name="ranking-dev"),
    )


def test_found_address_is_redacted_before_it_leaves() -> None:
    """The body sent on carries the placeholder, the row the kind and count, and neither the address."""

    def clean(reply: OpenRoute) -> None:
        assert b"jane@example.com" not in (reply.body or b"")
        assert b"[EMAIL_ADDRESS]" in (reply.body or b"")

    row = play(
        head(),
        replies(PassHead),
        to(chat("write to jane@example.com please")),
        asks(AskPolicy, ALLOWED, lambda effect: effect.input.findings_prompt["EMAIL_ADDRESS"] == 1),
        asks(Record),
        asks(OpenCredential, PROVIDER_SECRET),
        replies(OpenRoute, clean),
        to(answer_head()),
        replies(PassAnswerHead),
        to(completion()),
        ends(PassBody),
        emits(findings_prompt={"EMAIL_ADDRESS": 1}, redacted_prompt=1, actions={"prompt.EMAIL_ADDRESS": "redact"}),
    )
    assert "jane" not in repr(row)


def test_blocked_kind_refuses_by_kind_and_count_only() -> None:
    """A card in the prompt is refused; the message names the kind, never the number."""
    play(
        head(),
        replies(PassHead),
        to(chat("pay with 4111 1111 1111 1111")),
        asks(AskPolicy, ALLOWED),
        refuses(400, "guardrail_blocked"),
        emits(outcome="refused", error_code="guardrail_blocked", findings_prompt={"CREDIT_CARD": 1}),
    )


@pytest.mark.parametrize(
    ("where", "fault", "code"),
    [
        ("policy", PolicyUnavailable("late"), "policy_unavailable"),
        ("record", AuditUnavailable("full"), "audit_unavailable"),
        ("open", GateUnavailable("vault"), "gate_unavailable"),
    ],
)
def test_part_that_is_down_closes_the_gate_with_its_own_code(where: str, fault: Exception, code: str) -> None:
    """Policy, spool or vault down: 503 with the part's code, and the route is never opened."""
    steps = {"policy": [asks(AskPolicy, fault)], "record": [asks(AskPolicy, ALLOWED), asks(Record, fault)]}
    steps["open"] = [asks(AskPolicy, ALLOWED), asks(Record), asks(OpenCredential, fault)]

    play(head(), replies(PassHead), to(chat()), *steps[where], refuses(503, code), emits(outcome="refused", error_code=code))


def test_bug_in_the_gate_refuses_and_leaves_its_row() -> None:
    """An unexpected exception is told to the operator, refused to the app, and recorded."""
    play(
        head(),
        replies(PassHead),
        to(chat()),
        asks(AskPolicy, RuntimeError("jane@example.com")),
        asks(Complain),
        refuses(503, "gate_unavailable"),
        emits(outcome="refused", error_code="gate_unavailable"),
    )


def test_app_that_leaves_before_the_verdict_leaves_a_row() -> None:
    """The stream's early end is recorded as undecided between the sides; ingest settles which."""
    play(head(), replies(PassHead), leaves(), emits(outcome="aborted", termination="gone", status=0))


def test_app_that_leaves_while_the_provider_works_leaves_a_row() -> None:
    """After the route was opened too."""
    play(head(), *governed(), leaves(), emits(outcome="aborted", termination="gone", provider="local", allow=True))


def test_too_large_a_body_is_refused_by_its_own_code() -> None:
    """Envoy's own 413 while it buffers the body becomes the gate's refusal."""
    play(
        head(),
        replies(PassHead),
        to(answer_head(413, details="request_payload_too_large")),
        refuses(413, "request_too_large"),
        emits(error_code="request_too_large"),
    )


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


def test_part_that_cannot_be_scanned_is_blocked() -> None:
    """A remote reference is a finding of its own kind, and the profile's `unscanned` decides."""
    parts = [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    body = RequestBody(0, json.dumps({"model": "cheap", "messages": [{"role": "user", "content": parts}]}).encode())

    play(
        head(),
        replies(PassHead),
        to(body),
        asks(AskPolicy, ALLOWED),
        refuses(400, "guardrail_blocked"),
        emits(findings_prompt={"UNSCANNED_URL": 1}),
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
    verdict = Verdict(True, (), Actions({"*": "redact"}, {"EMAIL_ADDRESS": "block", "*": "redact"}), "rules-1")
    late = replace(piece(delta("much later")), at=10**12)

    def error_event(reply: PassBody) -> None:
        assert b"guardrail_blocked" in (reply.body or b"")
        assert b"jane" not in (reply.body or b"")

    def nothing(reply: PassBody) -> None:
        assert reply.body == b""

    play(
        head(),
        *governed(body=chat(stream=True), verdict=verdict),
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
    verdict = Verdict(True, (), Actions({"*": "redact"}, {"EMAIL_ADDRESS": "block", "*": "redact"}), "rules-1")

    play(
        head(),
        *governed(body=chat(stream=True), verdict=verdict),
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
    verdict = Verdict(True, (), Actions({"*": "redact"}, {"EMAIL_ADDRESS": "block", "*": "redact"}), "rules-1")

    def nothing(reply: PassBody) -> None:
        assert reply.body == b""

    play(
        head(),
        *governed(body=chat(stream=True), verdict=verdict),
        to(answer_head(kind=STREAM)),
        replies(PassAnswerHead),
        to(piece(delta("jane@example.com"))),
        replies(PassBody, nothing),
        to(trailers()),
        ends(Cut),
        emits(outcome="refused", termination="cut", error_code="guardrail_blocked"),
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


def test_key_pasted_into_other_headers_goes_nowhere() -> None:
    """A virtual key as user-agent reaches neither the provider nor the row."""

    def gone(reply: PassHead) -> None:
        assert "user-agent" in reply.remove_headers

    pasted = head()
    pasted = replace(pasted, headers=tuple((name, KEY_TEXT if name == "user-agent" else text) for name, text in pasted.headers))

    row = play(pasted, replies(PassHead, gone), leaves(), emits(user_agent="[virtual key]"))
    assert KEY_TEXT not in repr(row)


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


def test_an_app_that_leaves_while_the_provider_thinks_is_billed_for_its_prompt() -> None:
    """The provider has the prompt and charges for it: an estimate of what was sent, and nothing for an answer that never came."""
    play(head(), *governed(), leaves(), emits(outcome="aborted", usage_source="estimated", output_tokens=0, price_version="declared:7"))


def test_an_app_that_leaves_before_the_prompt_is_sent_is_billed_nothing() -> None:
    """Nobody was asked."""
    play(head(), replies(PassHead), leaves(), emits(outcome="aborted", usage_source="none", input_tokens=0))
