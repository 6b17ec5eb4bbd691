"""From a reason to the bytes that the app gets: its dialect's error shape, the status, the headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.audit import AuditRow
from contracts.errors import (
    GateUnavailable,
    GuardrailBlocked,
    InvalidRequest,
    Refused,
    RequestTooLarge,
    UnknownRoute,
    UpstreamError,
    UpstreamTimeout,
)
from extproc.core import dialects, headers
from extproc.core.dialects import Route
from extproc.core.effects import OwnAnswer
from extproc.core.events import Headers, ResponseHead


def reply(route: Route | None, why: Refused, row: AuditRow) -> OwnAnswer:
    """The immediate answer for a refusal. Where no route was declared, the shape is OpenAI's, as the paths are."""
    dialect = route.dialect if route else dialects.DEFAULT
    extra: list[tuple[str, str]] = [("content-type", "application/json")]
    if why.retry_after_s is not None:
        extra.append(("retry-after", str(why.retry_after_s)))
    if why.should_retry is not None:
        extra.append(("x-should-retry", "true" if why.should_retry else "false"))
    return OwnAnswer(why.status, (*told(row), *extra), dialect.refusal(why, row.id), why.code)


def told(row: AuditRow, answer: Headers = ()) -> Headers:
    """Headers that name the exchange and its decision to the app; in the dialect's own way too, where the provider's answer doesn't."""
    named = ((headers.REQUEST_ID, row.id), (headers.DECISION_ID, row.decision_id))
    own = headers.ID_OF_FAMILY.get(row.dialect)
    return named if own is None or headers.first(answer, own) else (*named, (own, row.id))


def blocked(side: str, kinds: Mapping[str, int]) -> GuardrailBlocked:
    """The refusal of what may not pass: kinds and counts, never the text."""
    named = ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items()))
    advice = "Take it out and send the request again." if side == "prompt" else "The answer was withheld."
    return GuardrailBlocked(f"The {side} holds what this key's profile blocks: {named}. {advice}", reasons=tuple(sorted(kinds)))


def by_envoy(head: ResponseHead) -> Refused:
    """Envoy answered in the provider's stead: the refusal that says why.

    Envoy's own configuration has already mapped the many causes onto a few statuses (controlplane/envoy/replies.py);
    its details tell a provider that was never reached from one that broke off.
    """
    kind = _BY_STATUS.get(head.status, GateUnavailable)
    message = _MESSAGES.get(head.status, _CLOSED)
    if kind is UpstreamError:
        return UpstreamError(message, termination=_how(head.details))
    return kind(message)


def _how(details: str) -> str:
    if "protocol_error" in details or "codec_error" in details:
        return "upstream_garbage"
    unreached = (
        "connection_failure",
        "connection_timeout",
        "no_healthy_upstream",
        "cluster_not_found",
        "dns_resolution_failure",
        "rbac_access_denied",
    )
    return "upstream_unreachable" if any(word in details for word in unreached) else "upstream_reset"


_CLOSED: Final = "The gate closed this request before it was sent on. Try again; if it stays so, tell whoever runs the gate."

_BY_STATUS: Final[dict[int, type[Refused]]] = {
    400: InvalidRequest,
    404: UnknownRoute,
    408: InvalidRequest,
    413: RequestTooLarge,
    431: InvalidRequest,
    502: UpstreamError,
    504: UpstreamTimeout,
}

_MESSAGES: Final = {
    400: "The request is not well-formed HTTP.",
    404: "This gate serves no such path.",
    408: "The request's body did not arrive in time.",
    413: "The request's body is larger than this gate takes.",
    431: "The request's headers are larger than this gate takes.",
    502: "The provider could not be reached, or broke off. Try again.",
    504: "The provider did not answer in time. Try again.",
}
