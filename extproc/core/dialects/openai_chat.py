"""OpenAI's chat completions: `POST /v1/chat/completions`, whole and as an event stream.

Source: OpenAI's API reference, "Chat Completions", and the types of the official Python SDK.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from contracts.errors import Refused, UpstreamError
from contracts.usage import Usage
from extproc.core.body import Document, Malformed, Path, structure
from extproc.core.dialects.shape import Call, Channel, Facts

name: Final = "openai"
credential_header: Final = ("authorization", "Bearer ")
done: Final = b"[DONE]"

prompt_structural: Final = structure("model")
"""The declared name, which the gate itself writes anew. Everything else is text, roles and ids too: a provider reads
them all, and what is added to the API next year is scanned."""

_TOKENS: Final = ("content.token", "content.top_logprobs.token", "refusal.token", "refusal.top_logprobs.token")

answer_structural: Final = structure(*(f"choices.logprobs.{member}" for member in _TOKENS))
"""The tokens in `logprobs` repeat the text in splinters: see `echo`."""

_MAX_NAME: Final = 256
_MAX_COUNT: Final = (1 << 53) - 1
_SCANNED_PARTS: Final = frozenset({"text", "refusal"})
_TEXT_MEMBERS: Final = frozenset({"type", "text", "refusal", "cache_control"})
_WHOLE: Final = frozenset({"type", "id", "role"})
_BESIDE: Final = frozenset({"logprobs", "finish_reason"})
_ABOUT: Final = _WHOLE | {"finish_reason"}
_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_SERVER_ERRORS: Final = 500


# ── the request ────────────────────────────────────────────────────────────────


def call(document: Document) -> Call:
    """What the request asks for. Raises Malformed, naming the member that is missing or of the wrong kind."""
    body = document.tree
    if type(body) is not dict:
        raise Malformed("the body is not an object")
    messages = _array(body, "messages")
    if not messages:
        raise Malformed("messages is missing or empty")
    ceilings = [_count(body, member) for member in ("max_completion_tokens", "max_tokens")]
    return Call(
        model=_model(body),
        stream=_flag(body, "stream"),
        max_tokens=max((ceiling for ceiling in ceilings if ceiling), default=None),
        choices=_count(body, "n") or 1,
        messages=len(messages),
        tools=len(_array(body, "tools")) + len(_array(body, "functions")),
        unscanned=sum(_unscanned(message) for message in messages),
    )


def _model(body: dict[str, Any]) -> str:
    model = body.get("model")
    if type(model) is not str or not 0 < len(model) <= _MAX_NAME:
        raise Malformed(f"model is missing, or no string of 1 to {_MAX_NAME} characters")
    return model


def _flag(body: dict[str, Any], member: str) -> bool:
    value = body.get(member)
    if value is not None and type(value) is not bool:
        raise Malformed(f"{member} is neither true nor false")
    return value is True


def _count(body: dict[str, Any], member: str) -> int | None:
    value = body.get(member)
    if value is not None and (type(value) is not int or not 0 < value <= _MAX_COUNT):
        raise Malformed(f"{member} is not a whole number of 1 or more")
    return value


def _array(body: dict[str, Any], member: str) -> list[Any]:
    value = body.get(member)
    if value is not None and type(value) is not list:
        raise Malformed(f"{member} is not an array")
    return value or []


def _unscanned(message: Any) -> int:
    """How many parts of a message are no text. A number in the place of text would not be scanned: refused."""
    if type(message) is not dict:
        raise Malformed("messages holds something that is not an object")
    content = message.get("content")
    if content is None or type(content) is str:
        return 0
    if type(content) is not list or not all(type(part) is dict and type(part.get("type")) is str for part in content):
        raise Malformed("messages holds a content that is neither a string nor an array of parts with a type")
    return sum(part["type"] not in _SCANNED_PARTS or not part.keys() <= _TEXT_MEMBERS for part in content)


# ── the answer ─────────────────────────────────────────────────────────────────


def usage(tree: Any) -> Usage | None:
    """Tokens as the provider counts them. `prompt_tokens` includes cached ones, `completion_tokens` reasoning."""
    counts = tree.get("usage") if type(tree) is dict else None
    if type(counts) is not dict:
        return None
    read, written = _tokens(counts, "prompt_tokens"), _tokens(counts, "completion_tokens")
    if read is None and written is None:
        return None
    cached = _tokens(counts.get("prompt_tokens_details"), "cached_tokens")
    reasoned = _tokens(counts.get("completion_tokens_details"), "reasoning_tokens")
    return Usage(
        input=read or 0,
        output=written or 0,
        cache_read=min(cached or 0, read or 0),
        reasoning=min(reasoned or 0, written or 0),
    )


def _tokens(counts: Any, member: str) -> int | None:
    value = counts.get(member) if type(counts) is dict else None
    return min(value, _MAX_COUNT) if type(value) is int and value >= 0 else None


def facts(tree: Any) -> Facts:
    """What the answer or event says about itself; a choice is finished once it names a reason."""
    if type(tree) is not dict:
        return Facts("", "", (), failed=False)
    model, answer_id, choices = tree.get("model"), tree.get("id"), tree.get("choices")
    finished: list[tuple[int, str]] = []
    for position, choice in enumerate(choices if type(choices) is list else ()):
        reason = choice.get("finish_reason") if type(choice) is dict else None
        if type(reason) is str and reason:
            finished.append((_number(choice, position), reason[:_MAX_NAME]))
    return Facts(
        model=model[:_MAX_NAME] if type(model) is str else "",
        id=answer_id[:_MAX_NAME] if type(answer_id) is str else "",
        finished=tuple(finished),
        failed=bool(tree.get("error")),
    )


def channel(tree: Any, path: Path) -> Channel | None:
    """Every string of a choice goes on with the one before it, as the SDKs join them, save kinds, roles and ids.

    Items of an array are told apart by their `index` where they have one, as tool calls do.
    """
    if len(path) < 3 or path[0] != "choices" or path[2] in _BESIDE or path[-1] in _WHOLE:  # noqa: PLR2004 - choices, 0, name
        return None
    node = tree["choices"]
    found: list[str | int] = []
    for step in path[1:]:
        node = node[step]
        found.append(_number(node, step) if type(step) is int else step)
    return tuple(found)


def echo(tree: Any, path: Path) -> Path | None:
    """A choice's `logprobs` spell its text again, token by token."""
    if len(path) < 3 or path[0] != "choices":  # noqa: PLR2004 - choices, 0, message
        return None
    choice = tree["choices"][path[1]]
    return ("choices", path[1], "logprobs") if type(choice) is dict and choice.get("logprobs") is not None else None


def generated(path: Path) -> bool:
    """Everything in a choice is written by the model, save what is said about it."""
    return path[:1] == ("choices",) and path[-1] not in _ABOUT


def _number(item: Any, position: int) -> int:
    """The number an item of an array goes by: its `index`, or its position where it has none."""
    index = item.get("index") if type(item) is dict else None
    return index if type(index) is int else position


# ── refusals ───────────────────────────────────────────────────────────────────


def refusal(error: Refused, request_id: str) -> bytes:
    """The body of a refusal, in OpenAI's shape with the request's id and the verdict's reason codes beside."""
    kind = _TYPES.get(error.status, "server_error" if error.status >= _SERVER_ERRORS else "invalid_request_error")
    said: dict[str, Any] = {"message": error.message, "type": kind, "param": None, "code": error.code, "request_id": request_id}
    if error.reasons:
        said["reasons"] = list(error.reasons)
    if isinstance(error, UpstreamError) and error.provider:
        status, raw = error.provider
        said["provider"] = {"status": status, "body": _said_by(raw)}
    return orjson.dumps({"error": said})


def _said_by(raw: bytes) -> Any:
    """A provider's error body, which was read and redacted before: JSON as it is, anything else as text."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode(errors="replace")


def stream_refusal(error: Refused, request_id: str) -> bytes:
    """The last event of a stream that is cut: the official SDK raises APIError on data with an `error`."""
    return b"data: %b\n\n" % refusal(error, request_id)
