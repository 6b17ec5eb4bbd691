"""Envoy's flags, details and status as outcome, termination and code."""

from __future__ import annotations

import pytest

from contracts.audit import OUTCOMES, TERMINATIONS
from ingest.endings import CRASHED, TABLE, Ending, ending, with_credential


@pytest.mark.parametrize(
    ("flags", "details", "status", "expected"),
    [
        ("-", "via_upstream", 200, ("served", "complete", "")),
        ("-", "via_upstream", 429, ("failed", "upstream_status", "upstream_error")),
        ("-", "via_upstream", 500, ("failed", "upstream_status", "upstream_error")),
        ("-", "", 200, ("served", "complete", "")),
        ("-", "spurious_message", 200, ("refused", "gate_died", "gate_unavailable")),
        ("-", "something_new", 200, ("failed", "unknown", "")),
        ("DC", "downstream_remote_disconnect", 0, ("aborted", "client_gone", "")),
        ("DC", "ext_proc_error_gRPC_error_14", 200, ("aborted", "client_gone", "")),
        ("", "", 0, ("aborted", "client_gone", "")),
        ("-", "ext_proc_error_gRPC_error_14{connection_failure}", 503, ("refused", "gate_died", "gate_unavailable")),
        ("-", "ext_proc_error_per-message_timeout_exceeded", 503, ("refused", "gate_died", "gate_unavailable")),
        ("-", "direct_response", 503, ("refused", "gate_died", "gate_unavailable")),
        ("-", "direct_response", 404, ("refused", "refused", "unknown_route")),
        ("NR", "route_not_found", 404, ("refused", "refused", "unknown_route")),
        ("-", "request_payload_too_large", 413, ("refused", "refused", "request_too_large")),
        ("DPE", "http1.codec_error", 400, ("refused", "refused", "invalid_request")),
        ("DPE", "http2.remote_reset", 0, ("refused", "refused", "invalid_request")),
        ("DPE", "codec_error:The_user_callback_function_failed", 0, ("refused", "refused", "invalid_request")),
        ("DR", "http2.unexpected_underscore", 0, ("refused", "refused", "invalid_request")),
        ("DR", "http2.remote_reset", 0, ("aborted", "client_gone", "")),
        ("-", "path_normalization_failed", 400, ("refused", "refused", "invalid_request")),
        ("-", "request_headers_too_large", 431, ("refused", "refused", "invalid_request")),
        ("UF,URX", "upstream_reset_before_response_started{connection_failure}", 503, ("failed", "upstream_unreachable", "upstream_error")),
        ("UH", "no_healthy_upstream", 503, ("failed", "upstream_unreachable", "upstream_error")),
        ("UC", "upstream_reset_before_response_started{connection_termination}", 503, ("failed", "upstream_reset", "upstream_error")),
        ("UPE", "upstream_reset_before_response_started{protocol_error}", 502, ("failed", "upstream_garbage", "upstream_error")),
        ("UPE", "upstream_reset_after_response_started{protocol_error}", 200, ("failed", "upstream_reset", "upstream_error")),
        ("-", "portcullis_audit_unavailable", 503, ("refused", "refused", "audit_unavailable")),
        ("-", "portcullis_guardrail_blocked", 400, ("refused", "refused", "guardrail_blocked")),
        ("-", "portcullis_unsupported_feature", 400, ("refused", "refused", "unsupported_feature")),
        ("-", "portcullis_served", 200, ("served", "complete", "")),
        ("DC", "portcullis_served", 200, ("aborted", "client_gone", "")),
        ("-", "portcullis_upstream_error", 502, ("failed", "upstream_reset", "upstream_error")),
        ("UT", "upstream_response_timeout", 504, ("failed", "upstream_timeout", "upstream_timeout")),
        ("SI", "stream_idle_timeout", 200, ("failed", "upstream_timeout", "upstream_timeout")),
        ("-", "something_new", 0, ("failed", "unknown", "")),
    ],
)
def test_the_table(flags: str, details: str, status: int, expected: tuple[str, str, str]) -> None:
    """Each kind of log line has one reading."""
    assert ending(flags, details, status) == Ending(*expected)


def test_the_table_speaks_the_contract_s_words() -> None:
    """No outcome or termination is made up here."""
    for end in [sign.ending for sign in TABLE] + [CRASHED]:
        assert end.outcome in OUTCOMES
        assert end.termination in TERMINATIONS


def test_a_gate_that_died_after_the_credential_was_used_crashed() -> None:
    """Refused means that nothing was sent on."""
    assert with_credential(ending("-", "ext_proc_error", 503)).outcome == "crashed"
    assert with_credential(ending("DC", "", 0)).outcome == "aborted"


def test_an_app_that_breaks_http_in_the_middle_of_its_answer_has_left() -> None:
    """Refused means that nothing was sent on."""
    assert with_credential(ending("DPE", "codec_error", 200)) == Ending("aborted", "client_gone")
