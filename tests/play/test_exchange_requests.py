"""An allowed request as a conversation: what is asked before it is sent on, what is sent on, and what an app pays that leaves."""

from __future__ import annotations

import json
from dataclasses import replace

from playbook import (
    ALLOWED,
    KEY_TEXT,
    PROVIDER_SECRET,
    answer_head,
    asks,
    chat,
    completion,
    emits,
    ends,
    governed,
    head,
    leaves,
    play,
    replies,
    to,
)

from extproc.core.effects import AskPolicy, OpenCredential, OpenRoute, PassAnswerHead, PassBody, PassHead, Record


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


def test_app_that_leaves_before_the_verdict_leaves_a_row() -> None:
    """The stream's early end is recorded as undecided between the sides; ingest settles which."""
    play(head(), replies(PassHead), leaves(), emits(outcome="aborted", termination="gone", status=0))


def test_app_that_leaves_while_the_provider_works_leaves_a_row() -> None:
    """After the route was opened too."""
    play(head(), *governed(), leaves(), emits(outcome="aborted", termination="gone", provider="local", allow=True))


def test_key_pasted_into_other_headers_goes_nowhere() -> None:
    """A virtual key as user-agent reaches neither the provider nor the row."""

    def gone(reply: PassHead) -> None:
        assert "user-agent" in reply.remove_headers

    pasted = head()
    pasted = replace(pasted, headers=tuple((name, KEY_TEXT if name == "user-agent" else text) for name, text in pasted.headers))

    row = play(pasted, replies(PassHead, gone), leaves(), emits(user_agent="[virtual key]"))
    assert KEY_TEXT not in repr(row)


def test_an_app_that_leaves_while_the_provider_thinks_is_billed_for_its_prompt() -> None:
    """The provider has the prompt and charges for it: an estimate of what was sent, and nothing for an answer that never came."""
    play(head(), *governed(), leaves(), emits(outcome="aborted", usage_source="estimated", output_tokens=0, price_version="declared:7"))


def test_an_app_that_leaves_before_the_prompt_is_sent_is_billed_nothing() -> None:
    """Nobody was asked."""
    play(head(), replies(PassHead), leaves(), emits(outcome="aborted", usage_source="none", input_tokens=0))
