"""What a rule is told and what it may say: the two ends of `data.gateway.verdict`.

A rule hears who, what, where from and how much. It never sees text of a prompt or an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

STRENGTH: Final = ("allow", "alert", "mask", "hash", "tokenize", "redact", "block")
"""Actions from weak to strong; where several apply, the strongest wins."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: organisation → team → project → key, and the end user where the key may name one."""

    organisation: str
    team: str
    project: str
    environment: str
    key_id: str
    key_name: str
    user: str = ""


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """The input document of one decision; `schemas/input.json` is generated from this class.

    `priced`: what the request costs will be known. `max_tokens` is what the app asked for, `key_max_tokens` the most that it may.
    """

    principal: Principal
    route: str
    dialect: str
    model: str
    provider: str
    upstream_model: str
    stream: bool
    source_address: str
    time_ns: int
    request_bytes: int
    max_tokens: int | None
    findings_prompt: Mapping[str, int]
    key_models: tuple[str, ...]
    key_routes: tuple[str, ...]
    key_providers: tuple[str, ...]
    key_addresses: tuple[str, ...]
    key_max_tokens: int | None
    profile_prompt: Mapping[str, str]
    profile_answer: Mapping[str, str]
    profile_unscanned: str
    zero_data_retention: bool
    unpriced: bool
    priced: bool
    features: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """The JSON object that rules read as `input`."""
        return {
            "principal": {name: getattr(self.principal, name) for name in Principal.__slots__},
            "request": {
                "route": self.route,
                "dialect": self.dialect,
                "model": self.model,
                "stream": self.stream,
                "bytes": self.request_bytes,
                "max_tokens": self.max_tokens,
                "features": list(self.features),
            },
            "target": {"provider": self.provider, "model": self.upstream_model, "priced": self.priced},
            "source": {"address": _canonical(self.source_address)},
            "time_ns": self.time_ns,
            "findings": {"prompt": dict(self.findings_prompt)},
            "key": {
                "models": list(self.key_models),
                "routes": list(self.key_routes),
                "providers": list(self.key_providers),
                "addresses": list(self.key_addresses),
                "max_tokens": self.key_max_tokens,
            },
            "profile": {
                "prompt": dict(self.profile_prompt),
                "answer": dict(self.profile_answer),
                "unscanned": self.profile_unscanned,
            },
            "environment": {"zero_data_retention": self.zero_data_retention, "unpriced": self.unpriced},
        }


@lru_cache(maxsize=4096)
def _canonical(address: str) -> str:
    """The one spelling of an address: no zone, and one of IPv4 in IPv6 (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2) as IPv4.

    The two Rego engines disagree whether the long form lies in an IPv4 network. Empty where it is no address: then no network
    holds it, while either engine would break on it.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if found.version == 6 else None  # noqa: PLR2004 - IPv6
    return str(mapped or found)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rule denied or warned. `code` and `message` come from the rule's annotation."""

    code: str
    message: str
    scope: str = ""
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Actions:
    """What to do with findings, by kind; `*` stands for every kind not named."""

    prompt: Mapping[str, str]
    answer: Mapping[str, str]
    unscanned: str = "block"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision. `upstream` is None where no rule chose another target."""

    allow: bool
    reasons: tuple[Reason, ...]
    actions: Actions
    revision: str
    upstream: tuple[str, str] | None = None
    warnings: tuple[Reason, ...] = field(default=())


class MalformedVerdict(ValueError):  # noqa: N818 - names what it is; nobody but the engines raises or catches it
    """The policy's answer is not of the documented shape. Callers refuse."""


def _fields(required: set[str], optional: frozenset[str] | set[str] = frozenset()) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(required), frozenset(required | optional)


# Names of an object's fields: those that it must have, those that it may have.
_TOP: Final = _fields({"allow", "reasons", "actions", "warnings", "revision"}, {"upstream"})
_ACTIONS: Final = _fields({"prompt", "answer", "unscanned"})
_REASON: Final = _fields({"code", "message"}, {"scope", "retry_after_s", "threshold"})
_UPSTREAM: Final = _fields({"provider", "model"})


def verdict_of(answer: object) -> Verdict:
    """Read the JSON value of `data.gateway.verdict`; anything but the exact shape raises MalformedVerdict."""
    top = _object(answer, "verdict", *_TOP)
    allow = top["allow"]
    if allow is not True and allow is not False:
        raise MalformedVerdict("verdict.allow is not a boolean")
    reasons = _reasons(top["reasons"], "reasons")
    if allow and reasons:
        raise MalformedVerdict("verdict allows and names reasons against it")
    actions = _object(top["actions"], "actions", *_ACTIONS)
    return Verdict(
        allow,
        reasons,
        Actions(
            _table(actions["prompt"], "prompt"),
            _table(actions["answer"], "answer"),
            _action(actions["unscanned"], "unscanned"),
        ),
        _text(top["revision"], "revision"),
        _upstream(top.get("upstream")),
        _reasons(top["warnings"], "warnings"),
    )


def _object(value: object, name: str, required: frozenset[str], allowed: frozenset[str]) -> dict[str, object]:
    if not isinstance(value, dict) or not required <= value.keys() <= allowed:
        raise MalformedVerdict(f"{name} must be an object with {sorted(required)}")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise MalformedVerdict(f"{name} is not a string")
    return value


def _action(value: object, name: str) -> str:
    if not isinstance(value, str) or value not in STRENGTH:
        raise MalformedVerdict(f"{name} names an unknown action")
    return value


def _table(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, dict) or "*" not in value:
        raise MalformedVerdict(f"actions.{name} must be an object with an entry for '*'")
    for kind, action in value.items():
        _text(kind, name)
        _action(action, f"actions.{name}")
    return value


def _reasons(value: object, name: str) -> tuple[Reason, ...]:
    if not isinstance(value, list):
        raise MalformedVerdict(f"{name} is not an array")
    return tuple([_reason(item, name) for item in value]) if value else ()


def _reason(value: object, name: str) -> Reason:
    item = _object(value, name, *_REASON)
    retry = item.get("retry_after_s")
    if retry is not None and not (isinstance(retry, int) and retry >= 0):
        raise MalformedVerdict(f"{name}: retry_after_s is not a count of seconds")
    return Reason(_text(item["code"], name), _text(item["message"], name), _text(item.get("scope", ""), name), retry)


def _upstream(value: object) -> tuple[str, str] | None:
    if value is None:
        return None
    target = _object(value, "upstream", *_UPSTREAM)
    return _text(target["provider"], "upstream"), _text(target["model"], "upstream")
