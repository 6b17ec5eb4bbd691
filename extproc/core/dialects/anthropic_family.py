"""What Anthropic's dialects share: the credential's header, members that keep state, tools, what a block holds, usage, refusals.

Source: Anthropic's API reference, and the types of the official Python SDK, those of its beta features too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from contracts.errors import Refused, UpstreamError
from contracts.usage import Usage
from extproc.core.dialects.members import LARGEST_COUNT, kind_of, said, tokens
from extproc.core.dialects.openai_family import said_by

name: Final = "anthropic"
credential_header: Final = ("x-api-key", "")

KEEPS: Final = (
    "billing_policy", "container", "diagnostics", "fallbacks", "inference_geo", "mcp_servers", "service_tier", "speed", "thread",
)  # fmt: skip
"""Members that keep state at the provider, reach out, let another model answer, or choose where and at what price it is done."""

_LOCAL_TOOL: Final = re.compile(r"(?:bash|text_editor|computer|computer_toolset|browser_toolset|memory)_[0-9]{8}")
"""Tools that the app runs itself."""

_CUSTOM: Final = "custom"
_HOSTED: Final = ("web_search", "web_fetch", "code_execution", "tool_search")
_TOOLSET: Final = "mcp_toolset"

_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SERVER_ERRORS: Final = 500

_COUNTS: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_BESIDE: Final = frozenset({"advisor_message", "compaction"})
"""Rounds whose tokens are not in the sum above them."""


def hosted(tools: Iterable[Any]) -> set[str]:
    """The features that tools are which the provider would run. A type nobody knows yet is one of them."""
    kinds = [kind_of(tool, _CUSTOM) for tool in tools]
    named = [_CUSTOM if kind is None else str(kind) for kind in kinds]
    return {f"tool:{_feature(kind)}" for kind in named if kind != _CUSTOM and not _LOCAL_TOOL.fullmatch(kind)}


def _feature(kind: str) -> str:
    if kind == _TOOLSET:
        return "mcp"
    return next((known for known in _HOSTED if kind.startswith(f"{known}_")), "other")


def counted(counts: Any, before: Usage | None) -> Usage | None:
    """A usage object and those before it; `before` where it says nothing.

    Here `input_tokens` leaves out what was read from and written to the cache. Counts are of all that flowed so far, so a
    later one stands in for the one before it. One that is missing, or zero, takes nothing back.
    """
    rounds = counts.get("iterations") if type(counts) is dict else None
    beside = [each for each in rounds if said(each, "type") in _BESIDE] if type(rounds) is list else []
    now = [_count(counts, beside, member) for member in _COUNTS]
    if not [count for count in now if count is not None]:
        return before
    fresh, read, written, output = now
    old = before or Usage()
    cached, stored = read or old.cache_read, written or old.cache_write
    output = max(output or 0, old.output)
    reasoned = tokens(counts.get("output_tokens_details"), "thinking_tokens") or old.reasoning
    hours = sum(tokens(each.get("cache_creation"), "ephemeral_1h_input_tokens") or 0 for each in (counts, *beside))
    searched = tokens(counts.get("server_tool_use"), "web_search_requests") or old.web_searches
    return Usage(
        input=(fresh or old.input - old.cache_read - old.cache_write) + cached + stored,
        output=output,
        cache_read=cached,
        cache_write=stored,
        reasoning=min(reasoned, output),
        cache_write_1h=min(hours or old.cache_write_1h, stored),
        web_searches=searched,
    )


def _count(counts: Any, beside: Iterable[Any], member: str) -> int | None:
    """A count, with those of the rounds that are not in it; None where it is missing."""
    total = tokens(counts, member)
    return None if total is None else min(total + sum(tokens(each, member) or 0 for each in beside), LARGEST_COUNT)


def refusal(error: Refused, request_id: str) -> bytes:
    """The body of a refusal, in Anthropic's shape; the official SDKs read the code under `details`."""
    told: dict[str, Any] = {
        "type": _TYPES.get(error.status, "api_error" if error.status >= _SERVER_ERRORS else "invalid_request_error"),
        "message": error.message,
        "code": error.code,
        "details": {"error_code": error.code},
    }
    if error.reasons:
        told["reasons"] = list(error.reasons)
    if isinstance(error, UpstreamError) and error.provider:
        status, raw = error.provider
        told["provider"] = {"status": status, "body": said_by(raw)}
    return orjson.dumps({"type": "error", "error": told, "request_id": request_id})


def stream_refusal(error: Refused, request_id: str) -> bytes:
    """The last event of a stream that is cut: the official SDKs raise APIError on an event of this name."""
    return b"event: error\ndata: %b\n\n" % refusal(error, request_id)
