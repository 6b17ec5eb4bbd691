"""Values of options, as people write them and as the API takes them. Each reader raises argparse's error, which ends with exit code 2."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_PAIR: Final = re.compile(r"([^=]{1,128})=(.{0,1024})")


def duration(text: str) -> int:
    """Seconds of `90s`, `30m`, `24h` or `7d`; `0` is none."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text, re.ASCII)
    if text == "0":
        return 0
    if not match:
        raise ArgumentTypeError("must be a duration such as 30m, 24h or 7d")
    return int(match[1]) * _SECONDS[match[2]]


def moment(text: str) -> int | str | None:
    """A date or time as it stands, a duration from now as seconds of the Unix epoch, `never` as nothing."""
    if text == "never":
        return None
    if re.fullmatch(r"[0-9]+[smhd]", text, re.ASCII):
        return int(time.time()) + duration(text)
    try:
        zone = dt.datetime.fromisoformat(text).tzinfo
    except ValueError:
        zone = None
    if zone is None and not _DAY.fullmatch(text):
        raise ArgumentTypeError("must be a date such as 2027-01-01, a time with its zone such as 2027-01-01T08:00:00Z, 30d, or never")
    return text


def names(text: str) -> list[str]:
    """Names with commas between them; nothing is none."""
    return [name.strip() for name in text.split(",") if name.strip()]


def whole(text: str) -> int | None:
    """A whole number; `none` is none."""
    if text == "none":
        return None
    if not re.fullmatch(r"[0-9]{1,12}", text, re.ASCII):
        raise ArgumentTypeError("must be a whole number, or none")
    return int(text)


def days(text: str) -> int:
    """A number of days."""
    found = whole(text)
    if not found:
        raise ArgumentTypeError("must be a whole number from 1 on")
    return found


def pair(text: str) -> list[tuple[str, str]]:
    """NAME=VALUE."""
    match = _PAIR.fullmatch(text)
    if not match:
        raise ArgumentTypeError("must be NAME=VALUE")
    return [(match[1], match[2])]


def actions(text: str) -> list[tuple[str, str]]:
    """KIND=ACTION with commas between them."""
    return [found for each in names(text) for found in pair(each)]


def price(text: str) -> Any:
    """CLASS=USD with commas between them, or JSON as a declarative file has it; `none`: of the price list. Every digit stays as it is."""
    if text == "none":
        return None
    if text.startswith(("{", "[")):
        try:
            return json.loads(text, parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            raise ArgumentTypeError("is no JSON") from None
    return dict(_paid(each) for each in names(text))


def _paid(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"([a-z0-9_]{1,32})=([0-9]{1,6}(\.[0-9]{1,18})?)", text, re.ASCII)
    if not match:
        raise ArgumentTypeError("must be like input=0.15,output=0.60: US dollars for a million tokens")
    return match[1], match[2]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a field is written on the command line. `many`: its option may stand several times. `sent`: what the API gets of it."""

    metavar: str
    read: Callable[[str], Any]
    many: bool = False
    sent: Callable[[Any], Any] = lambda value: value


def _mapping(found: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return dict(found)


TEXT: Final = Kind("TEXT", str)
NAME: Final = Kind("NAME", str)
NAMES: Final = Kind("NAME[,NAME…]", names, many=True)
WHOLE: Final = Kind("N", whole)
MOMENT: Final = Kind("WHEN", moment)
AGE: Final = Kind("AGE", str)
PAIRS: Final = Kind("NAME=VALUE", pair, many=True, sent=_mapping)
ACTIONS: Final = Kind("KIND=ACTION[,…]", actions, many=True, sent=_mapping)
PRICE: Final = Kind("CLASS=USD[,…]", price)
YES: Final = Kind("", bool)
"""A flag, or with `--no-` in front its contrary."""


def day(seconds: int | None, otherwise: str = "never") -> str:
    """Seconds of the Unix epoch, for people."""
    return otherwise if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
