"""Single values that people declare: each reader takes the text as written, and raises ValueError with what to do."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import SplitResult, urlsplit

from controlplane.estate.addresses import Place, place_of
from extproc.core import dialects
from extproc.yaml_lines import suggestion

DIALECTS: Final = tuple(dict.fromkeys(route.dialect.name for route in dialects.ROUTES))
"""Dialects that the gate reads. What a provider of another would say nobody could govern, so it can't be declared."""
ROUTES: Final = tuple(route.name for route in dialects.ROUTES)

ACTIONS: Final = ("allow", "alert", "redact", "block")
LATER_ACTIONS: Final = ("mask", "hash", "tokenize")
UNSCANNED_ACTIONS: Final = ("allow", "alert", "block")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}", re.ASCII)
_PATTERN: Final = re.compile(r"[A-Za-z0-9*][A-Za-z0-9._:/@+*-]{0,199}", re.ASCII)
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*", re.ASCII)
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*", re.ASCII)
_SECRET: Final = re.compile(r"[\x21-\x7e]{1,8192}")
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)
"""The last part of a host that systems take for an IPv4 address, in whatever spelling (WHATWG URL, "ends in a number checker")."""
_AGE: Final = re.compile(r"[1-9][0-9]{0,4}d", re.ASCII)
_FRACTION_DIGITS: Final = 9
_LONGEST_WORDS: Final = 200
MOST_TOKENS: Final = 100_000_000
"""More than any model writes: a larger ceiling is a mistake."""
LATEST: Final = 253_402_300_799
"""The last second of the year 9999: what is later can be written by no date."""


def name(text: str) -> str:
    """A name that an operator chose: letters, digits, dot, dash, underscore."""
    if not _NAME.fullmatch(text):
        raise ValueError("a name starts with a letter or digit and has up to 63 of letters, digits, '.', '-' and '_'")
    return text


def model_name(text: str) -> str:
    """A model's name; vendors use slashes and colons in theirs."""
    if not _MODEL.fullmatch(text):
        raise ValueError("a model's name starts with a letter or digit and has up to 200 of letters, digits and . _ : / @ + -")
    return text


def pattern(text: str) -> str:
    """A model's name, or a pattern with one `*`, as policies/gateway/lib/names.rego reads it."""
    if not _PATTERN.fullmatch(text) or text.count("*") > 1:
        raise ValueError("must be a model's name, or one in which a single '*' stands for any characters, such as \"gpt-4o*\"")
    return text


def matches(glob: str, model: str) -> bool:
    """Whether a key's pattern covers a model: one `*` stands for any characters, everything else for itself. As `pattern` has it."""
    start, star, end = glob.partition("*")
    return glob == model or bool(star and model.startswith(start) and model.removeprefix(start).endswith(end))


def url(text: str) -> str:
    """A provider's address: scheme, host, port and path only, without a trailing slash."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("must be an https:// URL, such as https://api.openai.com/v1")
    if port == 0 or text != text.strip() or not text.isascii():
        raise ValueError("is no URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user name or password; secrets go under credentials")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("must not have a query or fragment")
    if not _host(parts) or not _PATH.fullmatch(parts.path.rstrip("/")) or {".", ".."} & set(parts.path.split("/")):
        raise ValueError("has a host or path that can't be used as it stands")
    return text.rstrip("/")


def _host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if ":" in host:
        return _plain_ipv6(host)
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return _plain_ipv4(host)
    return _HOST.fullmatch(host) is not None


def _plain_ipv4(host: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        raise ValueError("has an IPv4 address in an odd spelling; write it as four decimal numbers, such as 192.0.2.1") from None


def _plain_ipv6(host: str) -> bool:
    try:
        found = ipaddress.IPv6Address(host)
    except ValueError:
        return False
    if found.ipv4_mapped:
        raise ValueError(f"has an IPv4 address written as IPv6; write it as {found.ipv4_mapped}")
    return "%" not in host


def plain(address: str) -> bool:
    """Whether a URL is plain HTTP."""
    return urlsplit(address).scheme == "http"


def place(address: str) -> Place | None:
    """Where a provider's URL leads, if it can be told from its text; None: a name that somebody else resolves."""
    return place_of(urlsplit(address).hostname or "")


def network(text: str) -> str:
    """An address or a network (CIDR), as its canonical network."""
    address, slash, length = text.partition("/")
    if (slash and not (length.isdigit() and length.isascii())) or "%" in text:
        raise ValueError(_NO_NETWORK)
    try:
        found = ipaddress.ip_network(text, strict=False)
        exact = found.network_address == ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(_NO_NETWORK) from None
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        raise ValueError("holds IPv4 addresses written as IPv6; callers are seen by their IPv4 address, so write that")
    if not exact:
        raise ValueError(f"is an address within a network; write the network, {found}, or the address without its /{length}")
    return str(found)


_NO_NETWORK: Final = "must be an address or a network, such as 192.0.2.17, 10.0.0.0/8 or 2001:db8::/32"
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def dialect(text: str) -> str:
    """A dialect that the gate reads."""
    if text not in DIALECTS:
        raise ValueError(f"unknown dialect{suggestion(text, DIALECTS)}")
    return text


def route(text: str) -> str:
    """A route of the gate."""
    if text not in ROUTES:
        raise ValueError(f"unknown route{suggestion(text, ROUTES)}")
    return text


def content(text: str) -> str:
    """What of prompts and answers an environment keeps."""
    if text not in {"full", "none"}:
        raise ValueError("must be full or none")
    return text


def age(text: str) -> str:
    """How long something is kept."""
    if not _AGE.fullmatch(text):
        raise ValueError("must be a number of days, such as 30d")
    return text


def words(text: str) -> str:
    """A short text for people, such as an owner's name; no line breaks or other control characters."""
    if len(text) > _LONGEST_WORDS or not text.isprintable() or text != text.strip():
        raise ValueError(f"must be up to {_LONGEST_WORDS} characters of text on one line, without spaces around it")
    return text


def whole(text: str) -> int:
    """A whole number as digits."""
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise ValueError("must be a whole number")
    return int(text)


def ceiling(number: int) -> int:
    """The most tokens that one request may ask for."""
    if not 1 <= number <= MOST_TOKENS:
        raise ValueError(f"must be a whole number from 1 to {MOST_TOKENS}; leave the field out for no ceiling")
    return number


def unpriced(text: str) -> bool:
    """Whether a model without a price may run."""
    if text not in {"allow", "refuse"}:
        raise ValueError("must be allow or refuse")
    return text == "allow"


def moment(text: str) -> int:
    """Unix seconds of a date (its first moment in UTC), or of an RFC 3339 time with its zone."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            text = f"{text}T00:00:00Z"
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date such as 2027-01-01, or a time such as 2027-01-01T08:00:00Z") from None
    if found.tzinfo is None:
        raise ValueError("has no time zone; end it with Z or an offset such as +02:00")
    seconds = int(found.timestamp())
    if not 0 <= seconds <= LATEST:
        raise ValueError("must be from 1970 to 9999, in UTC")
    return seconds


def when(seconds: int) -> str:
    """A moment as it is written: a date where it is the first moment of one in UTC, else with its time."""
    found = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return f"{found:%Y-%m-%d}" if found.time() == dt.time() else f"{found:%Y-%m-%dT%H:%M:%SZ}"


def dollars(text: str) -> Decimal:
    """US dollars for a million tokens, exactly."""
    try:
        found = Decimal(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,18})?", text, re.ASCII) else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise ValueError("must be US dollars for a million tokens, such as 0.15")
    if -int(found.normalize().as_tuple().exponent) > _FRACTION_DIGITS:
        raise ValueError("has more than nine decimals; money is counted in nano-dollars")
    return found


def action(text: str) -> str:
    """What to do with a kind of personal data."""
    if text in LATER_ACTIONS:
        raise ValueError(f"the action '{text}' is not in this version; use redact, which removes more")
    if text not in ACTIONS:
        raise ValueError(f"unknown action; known are {', '.join(ACTIONS)}")
    return text


def unscanned(text: str) -> str:
    """What to do with a part that can't be scanned: it can be let through or refused, but not redacted."""
    if text not in UNSCANNED_ACTIONS:
        raise ValueError(f"must be {', '.join(UNSCANNED_ACTIONS[:-1])} or {UNSCANNED_ACTIONS[-1]}: what can't be scanned can't be redacted")
    return text


def secret_text(text: str) -> str:
    """A provider's secret that can stand in a header. The complaint never holds any of it."""
    if not _SECRET.fullmatch(text):
        raise ValueError("the secret is empty, or holds spaces, line breaks or characters that no header may carry")
    return text
