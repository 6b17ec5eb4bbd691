"""Which headers pass the gate, and what the app tells the gate in them.

Both ways by allow-list: what nobody thought of stays here. Names are lower case, as HTTP/2 has them;
values are bytes read as Latin-1, as HTTP has them (RFC 9110, section 5.5).

Envoy keeps for itself what no ext_proc answer may touch (pseudo-headers, `host`, `x-envoy-*`) and
what belongs to the connection (`content-length`, `transfer-encoding`); it also writes `x-request-id`
afresh for each request, and its access log, the second witness, reads it when all is over.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from extproc.core.body import Malformed, read
from extproc.core.events import Headers
from extproc.redact.scanner import scan

TO_PROVIDER: Final = frozenset(
    {"accept", "accept-encoding", "anthropic-beta", "anthropic-version", "content-type", "openai-beta", "user-agent"}
)
"""Request headers that are sent on. `accept-encoding` is there because ASK overwrites it.

Not there, with a reason: `authorization`, `x-api-key` and their like carry the virtual key;
`openai-organization` and `openai-project` choose whom the provider bills; `cookie`, `x-forwarded-*`
and `traceparent` tell about the app's network; `x-portcullis-*` is between app and gate.
"""

TO_APP: Final = frozenset(
    {
        "cache-control",
        "content-language",
        "content-type",
        "date",
        "openai-processing-ms",
        "openai-version",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "server",
        "x-request-id",
        "x-should-retry",
    },
)
"""Headers of an answer that the app gets. The provider's `x-ratelimit-*` are about our account there, not about the app."""

USER: Final = "x-portcullis-user"
METADATA: Final = "x-portcullis-metadata"
REQUEST_ID: Final = "x-portcullis-request-id"
DECISION_ID: Final = "x-portcullis-decision-id"
COST: Final = "x-portcullis-cost-usd"

ID_OF_FAMILY: Final = {"anthropic": "request-id", "openai": "x-request-id"}
"""Where the official SDKs of a family look for the request's id."""

ASK: Final[Headers] = (("accept-encoding", "identity"),)
"""Set on every request that is sent on: an answer that is compressed can't be read here."""

_ENVOYS: Final = frozenset({"host", "content-length", "transfer-encoding", "x-request-id", "x-forwarded-proto"})
"""Envoy finds no route for a request without `x-forwarded-proto`; the route takes it off (controlplane/envoy/routes.py)."""

_KEY_HEADERS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_DIGITS: Final = 19  # of a length that any program can hold
_MAX_USER: Final = 256
_MAX_METADATA: Final = 2048
_MAX_PAIRS: Final = 16
_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_JSON: Final = re.compile(r"application/json[ \t]*(;[ \t]*(charset=\"?utf-?8\"?[ \t]*)?)?", re.IGNORECASE)


def first(headers: Headers, name: str) -> str:
    """The first value of a header, empty where it is missing."""
    for found, text in headers:
        if found == name:
            return text
    return ""


def value(headers: Headers, name: str) -> str | None:
    """The value of a header that may come once; None where it is missing or comes with different values."""
    values = [text for found, text in headers if found == name]
    return values[0] if values and values.count(values[0]) == len(values) else None


# ── what passes ────────────────────────────────────────────────────────────────


def strip(headers: Headers) -> tuple[str, ...]:
    """Names to take off a request before it is sent on."""
    return _removals(_names(headers), TO_PROVIDER)


def not_sent(headers: Headers) -> tuple[str, ...]:
    """Names of headers that could go on but hold the virtual key, pasted there by mistake, or personal data."""
    secret = (bearer(headers) or "").rpartition("_")[0].rpartition("_")[2]
    return tuple([name for name, text in headers if name in TO_PROVIDER and (_dirty(text) or (secret and secret in text))])


@lru_cache(maxsize=512)
def _dirty(text: str) -> bool:
    """An app says the same in its headers time after time."""
    return "pcl_" in text or bool(scan(text))


def answer_removals(headers: Headers) -> tuple[str, ...]:
    """Names to take off an answer before the app gets it."""
    return _removals(_names(headers), TO_APP)


def _names(headers: Headers) -> tuple[str, ...]:
    return tuple([name for name, _ in headers])


@lru_cache(maxsize=512)
def _removals(names: tuple[str, ...], allowed: frozenset[str]) -> tuple[str, ...]:
    """An app, and a provider, send the same names time after time."""
    return tuple(dict.fromkeys(name for name in names if name not in allowed and not _of_envoy(name)))


def _of_envoy(name: str) -> bool:
    return name.startswith((":", "x-envoy-")) or name in _ENVOYS


# ── who asks ───────────────────────────────────────────────────────────────────


def bearer(headers: Headers) -> str | None:
    """The virtual key, wherever the app's SDK puts it; None where there is none, or where there are different ones."""
    keys = [key for name, text in headers if name in _KEY_HEADERS and (key := _key(name, text))]
    return keys[0] if keys and keys.count(keys[0]) == len(keys) else None


def _key(name: str, text: str) -> str:
    if name != "authorization":
        return text.strip()
    scheme, _, key = text.strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def end_user(headers: Headers) -> str:
    """The end user the app names in `x-portcullis-user`; empty where it names none.

    Raises:
        Malformed: it names several, or one of more than 256 characters or with unprintable ones.
    """
    user = _told(headers, USER)
    if len(user) > _MAX_USER or not user.isprintable():
        raise Malformed(f"{USER} is not an id of at most {_MAX_USER} printable characters")
    return user


def metadata(headers: Headers) -> dict[str, str]:
    """What the app wants noted, from `x-portcullis-metadata`; empty where there is nothing.

    Raises:
        Malformed: no JSON object of at most 16 string pairs in at most 2 KiB.
    """
    text = _told(headers, METADATA)
    if not text:
        return {}
    raw = text.encode()
    try:
        told = read(raw, max_depth=1).tree if len(raw) <= _MAX_METADATA else None
    except Malformed as why:
        raise Malformed(f"{METADATA} can't be read: {why}") from None
    if type(told) is not dict or len(told) > _MAX_PAIRS or not all(type(noted) is str for noted in told.values()):
        raise Malformed(f"{METADATA} is not a JSON object of at most {_MAX_PAIRS} string pairs in {_MAX_METADATA} bytes")
    return told


def _told(headers: Headers, name: str) -> str:
    text = value(headers, name)
    if text is None:
        if name not in _names(headers):
            return ""
        raise Malformed(f"{name} comes several times")
    try:
        return text.strip().encode("latin-1").decode()
    except UnicodeError:
        pass
    raise Malformed(f"{name} is not UTF-8")


def traceparent(headers: Headers) -> tuple[str, str]:
    """Trace id and parent span id (W3C Trace Context, version 00 and what later versions keep of it); empty where there are none."""
    match = _TRACEPARENT.fullmatch(value(headers, "traceparent") or "")
    if not match or (match[1] == "00" and match[4]):
        return "", ""
    return match[2], match[3]


# ── how much there is ───────────────────────────────────────────────────


def length(headers: Headers) -> int:
    """Bytes of the body, as its head announces them; 0 where it does not say."""
    announced = first(headers, "content-length")
    return int(announced) if announced.isascii() and announced.isdigit() and len(announced) < _DIGITS else 0


# ── what the gate can't read ───────────────────────────────────────────────────


def encoded(headers: Headers) -> bool:
    """The body is compressed or otherwise encoded, so nobody here can read it."""
    return any([text.strip().lower() not in {"", "identity"} for name, text in headers if name == "content-encoding"])  # noqa: C419 - cheaper


def is_json(headers: Headers) -> bool:
    """The body says it is JSON in UTF-8, however it is encoded on the way."""
    return bool(_JSON.fullmatch((value(headers, "content-type") or "").strip()))


def media_type(headers: Headers) -> str:
    """The answer's media type in lower case, without parameters; empty where there is none or several."""
    return (value(headers, "content-type") or "").partition(";")[0].strip().lower()


def is_event_stream(headers: Headers) -> bool:
    """The answer comes as an event stream."""
    return media_type(headers) == "text/event-stream"
