"""Why a request does not pass: one class a refusal, each with its code and HTTP status.

    PortcullisError
    ├── Refused                      an answer to the app; never the caller's own text in it
    │   ├── InvalidRequest           400 invalid_request
    │   ├── GuardrailBlocked         400 guardrail_blocked
    │   ├── UnsupportedFeature       400 unsupported_feature
    │   ├── InvalidApiKey            401 invalid_api_key
    │   ├── NotAllowed               403 not_allowed
    │   ├── UnpricedModel            403 unpriced_model
    │   ├── UnknownRoute             404 unknown_route
    │   ├── RequestTooLarge          413 request_too_large
    │   ├── UpstreamError            502 upstream_error
    │   ├── UpstreamTimeout          504 upstream_timeout
    │   ├── PolicyUnavailable        503 policy_unavailable
    │   ├── AuditUnavailable         503 audit_unavailable
    │   └── GateUnavailable          503 gate_unavailable
    └── Unusable                     a file, setting or record that can't be used; names the field

Codes and statuses are public (docs/reference/errors.md): adding one is a contract change.
"""

from __future__ import annotations


class PortcullisError(Exception):
    """Root of everything this product raises on purpose."""


class Refused(PortcullisError):  # noqa: N818 - what it says is what happened
    """A refusal of one exchange.

    `message` is shown to the app and says what to do next. It is made of names from the
    configuration and of counts; the caller's own text never gets into it.
    """

    code = "gate_unavailable"
    status = 503
    should_retry: bool | None = None  # None: leave it to the SDK's own rules

    def __init__(self, message: str, *, reasons: tuple[str, ...] = (), retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reasons = reasons
        self.retry_after_s = retry_after_s


class InvalidRequest(Refused):
    """The bytes are not a request of the declared dialect."""

    code, status = "invalid_request", 400


class GuardrailBlocked(Refused):
    """A detector whose action is block found something."""

    code, status, should_retry = "guardrail_blocked", 400, False


class UnsupportedFeature(Refused):
    """A field that keeps state at the provider or reaches out, and that no rule allows."""

    code, status, should_retry = "unsupported_feature", 400, False


class InvalidApiKey(Refused):
    """No usable virtual key. One message for every cause, so nothing can be probed."""

    code, status, should_retry = "invalid_api_key", 401, False

    def __init__(self) -> None:
        super().__init__("The API key is missing or not valid here. Ask whoever runs this gate for a virtual key.")


class NotAllowed(Refused):
    """A rule said no."""

    code, status, should_retry = "not_allowed", 403, False


class UnpricedModel(Refused):
    """Nobody knows what the model costs, and the environment does not allow that."""

    code, status, should_retry = "unpriced_model", 403, False


class UnknownRoute(Refused):
    """The path, method or upgrade has no declared parser."""

    code, status, should_retry = "unknown_route", 404, False


class RequestTooLarge(Refused):
    """The body is over limits.request_bytes."""

    code, status, should_retry = "request_too_large", 413, False


class UpstreamError(Refused):
    """The provider could not be reached, broke off, refused, or answered what can't be read.

    `termination` is the row's word for which of these it was. `provider` is the provider's own status and
    error body, redacted, where it gave one.
    """

    code, status = "upstream_error", 502

    def __init__(self, message: str, *, termination: str = "upstream_status", provider: tuple[int, bytes] | None = None) -> None:
        super().__init__(message)
        self.termination = termination
        self.provider = provider


class UpstreamTimeout(Refused):
    """The provider did not answer in time."""

    code, status = "upstream_timeout", 504


class PolicyUnavailable(Refused):
    """No usable verdict: undefined, malformed, late, or an evaluation error."""

    code, status = "policy_unavailable", 503


class AuditUnavailable(Refused):
    """The intent could not be recorded, so no credential is used."""

    code, status = "audit_unavailable", 503


class GateUnavailable(Refused):
    """A part of the gate itself is down or broke."""

    code, status = "gate_unavailable", 503


class Unusable(PortcullisError):  # noqa: N818 - as above
    """A file, setting or record that can't be used. The text names the field and what to do."""
