"""Errors as each family writes them, and the events with which a stream that has begun ends in one."""

from __future__ import annotations

from typing import Final

import orjson

SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429
_ANTHROPIC: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    _TOO_MANY: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""docs.anthropic.com/en/api/errors"""


def openai_error(status: int, message: str) -> bytes:
    """OpenAI's error object (platform.openai.com/docs/guides/error-codes)."""
    kind = "server_error" if status >= SERVER_ERROR else "rate_limit_exceeded" if status == _TOO_MANY else "invalid_request_error"
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": f"mock_{status}"}})


def anthropic_error(status: int, message: str) -> bytes:
    """Anthropic's error object."""
    kind = _ANTHROPIC.get(status, "api_error" if status >= SERVER_ERROR else "invalid_request_error")
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_mock_{status}"})


def openai_broken(_number: int, message: str) -> bytes:
    """A chat or completions stream ends: the error object as the last event, and no `[DONE]`."""
    return b"data: %b\n\n" % openai_error(SERVER_ERROR, message)


def responses_broken(number: int, message: str) -> bytes:
    """A stream of responses ends; `number` is the event's sequence number."""
    code = f"mock_{SERVER_ERROR}"
    document = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": number}
    return b"event: error\ndata: %b\n\n" % orjson.dumps(document)


def anthropic_broken(_number: int, message: str) -> bytes:
    """A stream of messages ends."""
    return b"event: error\ndata: %b\n\n" % orjson.dumps({"type": "error", "error": {"type": "overloaded_error", "message": message}})
