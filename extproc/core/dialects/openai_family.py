"""What all of OpenAI's dialects share: the credential's header, members that keep state, tools, usage, refusals.

Source: OpenAI's API reference, and the types of the official Python SDK.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from contracts.errors import Refused, UpstreamError
from contracts.usage import Usage
from extproc.core.body import Malformed
from extproc.core.dialects.members import LARGEST_COUNT, kind_of, tokens
from extproc.core.spans import Added, Change, Replaced

name: Final = "openai"
credential_header: Final = ("authorization", "Bearer ")

KEEPS: Final = (
    "background", "conversation", "models", "plugins", "preset", "previous_response_id", "prompt_cache_retention", "provider", "route",
    "search_parameters", "service_tier", "store", "web_search_options",
)  # fmt: skip
"""Members that keep state at the provider, reach out, let another model answer, or choose where and at what price it is done.

`models`, `plugins`, `preset`, `provider` and `route` are OpenRouter's, `search_parameters` xAI's.
"""

_LOCAL_TOOLS: Final = frozenset({"function", "custom", "local_shell", "apply_patch"})
"""Tools that the app runs itself."""

_HOSTED: Final[Mapping[str, str]] = {
    "web_search": "web_search", "web_search_preview": "web_search", "file_search": "file_search", "code_interpreter": "code_interpreter",
    "image_generation": "image_generation", "computer_use_preview": "computer_use", "computer": "computer_use", "mcp": "mcp",
    "tool_search": "tool_search",
}  # fmt: skip

_CACHED: Final = ("prompt_cache_hit_tokens", "cached_tokens")
"""Where DeepSeek and Moonshot count what was read from the cache."""

_ASKS: Final = b'{"include_usage":true}'

_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_SERVER_ERRORS: Final = 500


def hosted(tools: Iterable[Any]) -> set[str]:
    """The features that tools are which the provider would run. A type nobody knows yet is one of them."""
    kinds = [str(kind_of(tool, "function")) for tool in tools]
    return {f"tool:{_HOSTED.get(kind.partition('_20')[0], 'other')}" for kind in kinds if kind not in _LOCAL_TOOLS}


def usage_asked(body: Mapping[str, Any]) -> tuple[tuple[Change, ...], bool]:
    """How to ask for a stream's usage, and whether to hide it, since the app has not asked. Raises Malformed."""
    options = body.get("stream_options")
    if options is None:
        new: Change = Replaced(("stream_options",), _ASKS) if "stream_options" in body else Added((), "stream_options", _ASKS)
        return (new,), True
    if type(options) is not dict:
        raise Malformed("stream_options is not an object")
    if options.get("include_usage") is True:
        return (), False
    here = ("stream_options",)
    known = "include_usage" in options
    return (Replaced((*here, "include_usage"), b"true") if known else Added(here, "include_usage", b"true"),), True


def counted(counts: Any, read: str, written: str, before: Usage | None) -> Usage | None:
    """A usage object whose members are named so; `before` where it is none.

    Its input includes what was read from and written to the cache, and its output reasoning. Vendors of this shape who count
    reasoning beside the output (xAI, Google) have it in `total_tokens` all the same, so what that has more was written too.
    """
    asked, said = tokens(counts, read), tokens(counts, written)
    if asked is None and said is None:
        return before
    came, went = counts.get(f"{read}_details"), counts.get(f"{written}_details")
    # where the input is not counted, what is over is the input
    beside = 0 if asked is None else max((tokens(counts, "total_tokens") or 0) - asked - (said or 0), 0)
    every, output = asked or 0, min((said or 0) + beside, LARGEST_COUNT)
    return Usage(
        input=every,
        output=output,
        cache_read=min(_first(tokens(came, "cached_tokens"), *(tokens(counts, name) for name in _CACHED)), every),
        cache_write=min(tokens(came, "cache_write_tokens") or 0, every),
        reasoning=min(_first(tokens(went, "reasoning_tokens"), tokens(counts, "reasoning_tokens"), beside), output),
        input_audio=min(tokens(came, "audio_tokens") or 0, every),
        input_image=min(tokens(came, "image_tokens") or 0, every),
        output_audio=min(tokens(went, "audio_tokens") or 0, output),
        web_searches=tokens(counts, "num_search_queries") or 0,
    )


def _first(*found: int | None) -> int:
    """The first count that is there."""
    return next((count for count in found if count is not None), 0)


def refusal(error: Refused, request_id: str) -> bytes:
    """The body of a refusal, in OpenAI's shape with the request's id and the verdict's reason codes beside."""
    kind = _TYPES.get(error.status, "server_error" if error.status >= _SERVER_ERRORS else "invalid_request_error")
    told: dict[str, Any] = {"message": error.message, "type": kind, "param": None, "code": error.code, "request_id": request_id}
    if error.reasons:
        told["reasons"] = list(error.reasons)
    if isinstance(error, UpstreamError) and error.provider:
        status, raw = error.provider
        told["provider"] = {"status": status, "body": said_by(raw)}
    return orjson.dumps({"error": told})


def said_by(raw: bytes) -> Any:
    """A provider's error body, which was read and redacted before: JSON as it is, anything else as text."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode(errors="replace")


def stream_refusal(error: Refused, request_id: str) -> bytes:
    """The last event of a stream that is cut: the official SDKs raise APIError on data with an `error`."""
    return b"data: %b\n\n" % refusal(error, request_id)
