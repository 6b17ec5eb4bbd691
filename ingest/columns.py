"""A row as JSON (column → value, from the spool) becomes the tuple that ClickHouse is given, or is refused by name.

What passes here can be inserted: types and ranges are those of contracts/audit.py. So a poison row is found before
the insert, in most cases, and not by trying.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from contracts.audit import COLUMNS, AuditRow

Row = dict[str, Any]

NAMES: Final = tuple(COLUMNS)
TYPES: Final = tuple(meta["ch"] for meta in COLUMNS.values())


class PoisonError(ValueError):
    """The row can't be stored as it is. Names the column, never the value."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    value.encode()  # a lone surrogate has no UTF-8
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not true or false")
    return value


def _whole(bits: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError("not a whole number")
        if not 0 <= value < 1 << bits:
            raise ValueError(f"not within {bits} bits")
        return value

    return check


def _list(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise TypeError("not a list")
    return [_text(item) for item in value]


def _map(of: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise TypeError("not a map")
        return {_text(key): of(item) for key, item in value.items()}

    return check


_CANONICAL: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def _uuid(value: Any) -> str:
    text = _text(value)
    return text if _CANONICAL(text) else str(UUID(text))


_CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "UUID": _uuid,
    "DateTime64(9, 'UTC')": _whole(63),
    "String": _text,
    "LowCardinality(String)": _text,
    "Bool": _flag,
    "UInt16": _whole(16),
    "UInt32": _whole(32),
    "UInt64": _whole(64),
    "Array(LowCardinality(String))": _list,
    "Map(String, String)": _map(_text),
    "Map(LowCardinality(String), String)": _map(_text),
    "Map(LowCardinality(String), LowCardinality(String))": _map(_text),
    "Map(LowCardinality(String), UInt32)": _map(_whole(32)),
}

_BITS: Final = {_CHECKS["DateTime64(9, 'UTC')"]: 63, _CHECKS["UInt16"]: 16, _CHECKS["UInt32"]: 32, _CHECKS["UInt64"]: 64}
_EMPTIES: Final = {_list: list, **{check: dict for ch, check in _CHECKS.items() if ch.startswith("Map(")}}
_PICK: Final = itemgetter(*NAMES)
_BLANK: Final = AuditRow(id="00000000-0000-0000-0000-000000000000")
_PLAN: Final = tuple((name, _CHECKS[meta["ch"]], getattr(_BLANK, name)) for name, meta in COLUMNS.items())


def _value(name: str, check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return check(value)
    except (TypeError, ValueError) as error:
        raise PoisonError(f"column {name}: {error if isinstance(error, TypeError) else 'out of range'}") from None


def by_column(rows: Sequence[Row]) -> list[list[Any]]:
    """The same for many rows, a list for each column, checked a column at a time. Raises PoisonError if any row would."""
    return [_column(name, check, given) for (name, check, _), given in zip(_PLAN, _turned(rows), strict=True)]


def _turned(rows: Sequence[Row]) -> list[list[Any]]:
    """A list for each column. Rows of extproc have every column, which is the quick case; a blank is filled with its default."""
    try:
        picked = list(map(_PICK, rows))
    except KeyError:
        picked = []
    if not picked:
        return [[row.get(name, default) for row in rows] for name, _, default in _PLAN]
    return list(map(list, zip(*picked, strict=True)))


def _column(name: str, check: Callable[[Any], Any], given: list[Any]) -> list[Any]:
    """What is plainly right is passed as it is; all else is checked value by value."""
    kinds = set(map(type, given))
    whole = _BITS.get(check)
    if kinds == {int} and whole and min(given) >= 0 and max(given) >> whole == 0:
        return given
    if (check is _flag and kinds == {bool}) or (check is _text and kinds == {str} and _is_unicode(given)):
        return given
    if kinds == {_EMPTIES.get(check)} and not any(given):
        return given
    return [_value(name, check, value) for value in given]


def _is_unicode(texts: list[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True
