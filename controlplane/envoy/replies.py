"""What the app reads when Envoy itself answers: our error shape and codes, never Envoy's own words.

Every local reply passes here, also those made while extproc is down. The first line of the table that fits wins.
Details and flags: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_conn_man/response_code_details
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLogFilter, ExtensionFilter
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    SubstitutionFormatString,
)
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import LocalReplyConfig, ResponseMapper
from envoy_data_plane.google.protobuf import Struct

from controlplane.envoy.edge import STAMP
from controlplane.envoy.text import packed
from controlplane.envoy.witness import EXCHANGE_ID

OWN_DETAILS: Final = "portcullis"
"""Extproc's refusals carry details that start with this word. Their body stands as extproc wrote it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of the table. `when` is a CEL expression; `status` None keeps the status that Envoy chose."""

    when: str
    status: int | None
    code: str
    message: str


def _one_of(*details: str) -> str:
    """Match code details that start with one of these; Envoy appends the cause in braces."""
    return " || ".join(f"response.code_details.startsWith('{text}')" for text in details)


_NO_REQUEST: Final = "The request is not valid HTTP for this gate, or came too slowly. Check headers, encoding and size."

ANSWERS: Final = (
    Answer(_one_of("ext_proc"), 503, "gate_unavailable", "The gate could not decide about this request. Try again."),
    Answer(
        "response.code_details == 'direct_response' && response.code == 503",
        503,
        "gate_unavailable",
        "The gate did not let this request through. Try again.",
    ),
    Answer(
        "response.code == 404 || " + _one_of("upgrade_failed"),
        404,
        "unknown_route",
        "This path, method or upgrade is not served here. Check the base URL.",
    ),
    Answer(_one_of("request_payload_too_large"), 413, "request_too_large", "The request is larger than this gate accepts. Send less."),
    Answer(
        _one_of("upstream_response_timeout", "upstream_per_try_timeout", "upstream_max_stream_duration_reached")
        + " || (response.code == 504 && "
        + _one_of("stream_idle_timeout")
        + ")",
        504,
        "upstream_timeout",
        "The provider did not answer in time. Try again.",
    ),
    Answer(
        _one_of(
            "upstream_reset_before_response_started",
            "upstream_reset_after_response_started",
            "no_healthy_upstream",
            "response_payload_too_large",
            "dns_resolution_failure",
            "rbac_access_denied",
        ),
        502,
        "upstream_error",
        "The provider could not be reached, broke off, or gave an answer that can't be passed on. Try again.",
    ),
    # An unknown transfer-encoding is 501 to Envoy, an absolute https:// target 403: both are no valid request here.
    Answer("(response.code == 501 || response.code == 403) && " + _one_of("http1."), 400, "invalid_request", _NO_REQUEST),
    Answer("response.code >= 400 && response.code < 500", None, "invalid_request", _NO_REQUEST),
    Answer("true", 503, "gate_unavailable", "The gate can't serve this request now. Try again."),
)
"""From the most exact cause to the least; the last line fits everything."""


def error_type(code: str) -> str:
    """OpenAI's `type` for our code: whose fault it is, in the words that extproc uses (dialects/openai_chat.py)."""
    return "invalid_request_error" if code in {"unknown_route", "request_too_large", "invalid_request"} else "server_error"


def local_replies() -> LocalReplyConfig:
    """The whole table, after a first line that leaves extproc's own refusals as they are."""
    own = ResponseMapper(filter=_cel(_one_of(OWN_DETAILS)))
    return LocalReplyConfig(mappers=[own, *(_mapper(answer) for answer in ANSWERS)])


def error_of(answer: Answer, request_id: str) -> dict[str, object]:
    """The body, in a shape that both families' SDKs read: Envoy does not know which of them asks."""
    return {
        "type": "error",
        "error": {
            "message": answer.message,
            "type": error_type(answer.code),
            "param": None,
            "code": answer.code,
            "request_id": request_id,
            "details": {"error_code": answer.code},
        },
        "request_id": request_id,
    }


def _mapper(answer: Answer) -> ResponseMapper:
    body = SubstitutionFormatString(json_format=Struct.from_dict(error_of(answer, EXCHANGE_ID)), content_type="application/json")
    return ResponseMapper(
        filter=_cel(answer.when),
        status_code=answer.status,
        body_format_override=body,
        headers_to_add=[
            HeaderValueOption(
                header=HeaderValue(key=STAMP, value=EXCHANGE_ID),
                append_action=HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
            )
        ],
    )


def _cel(expression: str) -> AccessLogFilter:
    return AccessLogFilter(
        extension_filter=ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel",
            typed_config=packed(ExpressionFilter(expression=expression)),
        )
    )
