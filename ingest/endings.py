"""How an exchange ended, read from Envoy's log line: response flags, code details and status.

One table, first match wins. Flags: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
(`%RESPONSE_FLAGS%`); details: …/configuration/http/http_conn_man/response_code_details. `docs/reference/audit.md` prints
this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of an exchange, in the row's own columns."""

    outcome: str
    termination: str
    error_code: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """As they stand in a row."""
        return {"outcome": self.outcome, "termination": self.termination, "error_code": self.error_code}


@dataclass(frozen=True, slots=True)
class Sign:
    """One line of the table. It fits where any flag, any prefix of the details, or the status is met; all blank fits all."""

    ending: Ending
    flags: frozenset[str] = frozenset()
    details: tuple[str, ...] = ()
    statuses: range | tuple[int, ...] = ()

    def fits(self, flags: frozenset[str], details: str, status: int) -> bool:
        """Whether a log line shows this sign."""
        return bool(flags & self.flags) or details.startswith(self.details or ("\0",)) or status in self.statuses


CRASHED: Final = Ending("crashed", "crashed", "gate_unavailable")
"""An intent whose writer died: no log line is needed to know."""

ENVOY_DIED: Final = Ending("crashed", "gate_died", "gate_unavailable")
"""An exchange that broke off under extproc and of which Envoy, which writes a line for each, wrote none."""

_CLIENT_GONE: Final = Ending("aborted", "client_gone")
_GATE: Final = Ending("refused", "gate_died", "gate_unavailable")
_INVALID: Final = Ending("refused", "refused", "invalid_request")
_UNREACHABLE: Final = Ending("failed", "upstream_unreachable", "upstream_error")
_RESET: Final = Ending("failed", "upstream_reset", "upstream_error")
_GARBAGE: Final = Ending("failed", "upstream_garbage", "upstream_error")
_LATE: Final = Ending("failed", "upstream_timeout", "upstream_timeout")
_COMPLETE: Final = Ending("served", "complete")

OWN: Final = "portcullis_"
"""An answer of extproc's own has details of this word and a refusal's code, or `served`: where the spool could not take its
row, the line says what became of the exchange."""

_OWN_CODES: Final = (
    "invalid_request", "guardrail_blocked", "unsupported_feature", "invalid_api_key", "not_allowed", "unknown_route",
    "request_too_large", "policy_unavailable", "audit_unavailable", "gate_unavailable",
)  # fmt: skip

TABLE: Final = (
    # Before all others: where Envoy resets a stream because the app broke HTTP, the details say `http2.remote_reset` too.
    Sign(_INVALID, frozenset({"DPE"})),
    Sign(_CLIENT_GONE, frozenset({"DC"}), ("downstream_remote", "http2.remote_re")),
    *(Sign(Ending("refused", "refused", code), details=(OWN + code,)) for code in _OWN_CODES),
    Sign(_COMPLETE, details=(OWN + "served",)),
    Sign(_GATE, details=("ext_proc_", "spurious_message", "filter_chain_not_found"), flags=frozenset({"OM", "NFCF"})),
    Sign(
        _LATE,
        frozenset({"UT", "DT", "UMSDR", "SI"}),
        ("upstream_response_timeout", "upstream_per_try", "stream_idle_timeout", "duration_timeout"),
    ),
    Sign(
        _UNREACHABLE,
        frozenset({"UF", "UH", "UO", "URX", "NC", "DF"}),
        ("no_healthy_upstream", "cluster_not_found", "dns_resolution_failure", "rbac_access_denied"),
    ),
    # A body that ends before its length has the flag of a protocol error too; Envoy does not tell it from a garbled one.
    Sign(_RESET, details=("upstream_reset_after_response_started",)),
    Sign(
        _GARBAGE,
        frozenset({"UPE"}),
        ("upstream_protocol_error", "response_headers_too_large"),
    ),
    Sign(_RESET, frozenset({"UC", "UR", "LR"}), ("upstream_reset",)),
    Sign(_INVALID, frozenset({"IH"}), ("http1.", "http2.", "path_normalization_failed", "low_version", "missing_host", "missing_path")),
    Sign(Ending("refused", "refused", "request_too_large"), details=("request_payload_too_large",), statuses=(413,)),
    Sign(Ending("refused", "refused", "unknown_route"), frozenset({"NR"}), ("route_not_found",), (404, 405)),
    Sign(_CLIENT_GONE, details=("request_overall_timeout", "request_header_timeout"), statuses=(408,)),
    Sign(Ending("refused", "refused", "invalid_api_key"), statuses=(401,)),
    Sign(Ending("refused", "refused", "budget_exceeded"), statuses=(402,)),
    Sign(Ending("refused", "refused", "not_allowed"), statuses=(403,)),
    Sign(Ending("refused", "refused", "rate_limited"), statuses=(429,)),
    Sign(_INVALID, statuses=range(400, 500)),
    Sign(_LATE, statuses=(504,)),
    Sign(Ending("failed", "upstream_reset", "upstream_error"), statuses=(502,)),
    Sign(_GATE, statuses=range(500, 600)),
)
"""For answers that Envoy made itself, and for streams that broke off."""

PROVIDERS: Final = (
    Sign(Ending("failed", "upstream_status", "upstream_error"), statuses=range(400, 600)),
    Sign(_COMPLETE, statuses=range(100, 400)),
)
"""For answers that the provider made (details `via_upstream`, no flag)."""

_GOOD: Final = range(200, 400)
_UNKNOWN: Final = Ending("failed", "unknown")


def ending(flags: str, details: str, status: int) -> Ending:
    """Read a log line. `flags` as Envoy writes them: `-`, `DC`, `UF,URX`."""
    seen = frozenset(flags.split(",")) - {"", "-"}
    if not status and not seen and details in {"", "-"}:
        return _CLIENT_GONE
    # A 200 with other details, but for extproc's own answers, began well and was ended by Envoy: never `complete`.
    whole = details == "via_upstream" or (details in {"", "-"} and status in _GOOD)
    table = PROVIDERS if whole and not seen else TABLE
    return next((sign.ending for sign in table if sign.fits(seen, details, status)), _UNKNOWN)


def with_credential(end: Ending) -> Ending:
    """The same end for an exchange that had its intent on record: it was not refused.

    The gate that failed it crashed; an app that broke HTTP in the middle of its answer left.
    """
    if end.termination == "gate_died":
        return Ending("crashed", end.termination, end.error_code)
    return _CLIENT_GONE if end == _INVALID else end
