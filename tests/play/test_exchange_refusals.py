"""A request that is not sent on, as a conversation: the key, the route, the body, the rules, what was found, a part that is down."""

from __future__ import annotations

import json

import pytest
from playbook import ALLOWED, DENIED, KEY_TEXT, SNAPSHOT, answer_head, asks, chat, emits, head, play, refuses, replies, to

from contracts.errors import AuditUnavailable, GateUnavailable, PolicyUnavailable
from contracts.settings import Limits
from extproc.core.effects import AskPolicy, Complain, OpenCredential, PassHead, Record
from extproc.core.events import RequestBody, RequestHead
from extproc.core.world import World


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


def test_too_large_a_body_is_refused_by_its_own_code() -> None:
    """Envoy's own 413 while it buffers the body becomes the gate's refusal."""
    play(
        head(),
        replies(PassHead),
        to(answer_head(413, details="request_payload_too_large")),
        refuses(413, "request_too_large"),
        emits(error_code="request_too_large"),
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
