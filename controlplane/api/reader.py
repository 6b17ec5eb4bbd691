"""A request's body, read into a frozen dataclass: every problem at once, each with the path of its field.

type of the field        JSON
str, int, bool           the same; a number with a point is no int
Literal[…]               one of these texts
Any                      whatever it is; a number with a point exactly as it was written
Moment                   seconds of the Unix epoch, or a text that declarative files take too (2027-01-01)
Secret                   a text; from here on it shows itself to nobody
tuple[T, ...]            an array
Mapping[str, T]          an object of any names
a dataclass              an object of its fields, and of no others
T | None                 null too
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from controlplane.api.problems import FieldProblem, Problem
from controlplane.estate import declared_values as values
from custody.secret import Secret
from extproc.yaml_lines import suggestion

T = TypeVar("T")


class Moment(int):
    """A point in time, in seconds of the Unix epoch."""

    __slots__ = ()


def read(kind: type[T], raw: bytes) -> T:
    """The body as a `kind`. Raises Problem (400)."""
    return kind(**given(kind, raw))


def given(kind: type, raw: bytes) -> dict[str, Any]:
    """The fields of `kind` that the body gives, and no defaults. Raises Problem (400), also where a field without a default is missing."""
    return _read(kind, raw, complete=True)


def some(kind: type, raw: bytes) -> dict[str, Any]:
    """As `given`, where every field may be missing but one must be there: a change of what is named and of nothing else."""
    found = _read(kind, raw, complete=False)
    if not found:
        raise Problem(400, "invalid_request", f"The body names nothing to change; it may name {', '.join(_known(kind))}.")
    return found


def _read(kind: type, raw: bytes, *, complete: bool) -> dict[str, Any]:
    problems: list[FieldProblem] = []
    found = _fields(kind, _document(raw, problems), "", problems, complete=complete)
    if problems:
        raise Problem(400, "invalid_request", "; ".join(f"{error.field}: {error.detail}" for error in problems), problems)
    return found


def _document(raw: bytes, problems: list[FieldProblem]) -> dict[str, Any]:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in found]
        problems.extend(FieldProblem(name, "stands twice") for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(found)

    try:
        document = json.loads(raw, object_pairs_hook=pairs, parse_float=Decimal, parse_constant=_no_constant)
        json.dumps(document, default=str, ensure_ascii=False).encode()  # half a surrogate is in no text
    except (ValueError, RecursionError):
        raise Problem(400, "invalid_request", "The body is no JSON.") from None
    if not isinstance(document, dict):
        raise Problem(400, "invalid_request", "The body must be a JSON object.")
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(name)


@cache
def _known(kind: type) -> dict[str, tuple[Any, bool]]:
    """Field → its type, and whether it must be there."""
    hints = typing.get_type_hints(kind)
    return {entry.name: (hints[entry.name], entry.default is MISSING and entry.default_factory is MISSING) for entry in fields(kind)}


def _fields(kind: type, document: Mapping[str, Any], path: str, problems: list[FieldProblem], *, complete: bool = True) -> dict[str, Any]:
    known = _known(kind)
    at = f"{path}." if path else ""
    found = {}
    for name, value in document.items():
        if name not in known:
            problems.append(FieldProblem(f"{at}{_shown(name)}", f"is no field of this{suggestion(name, known)}"))
        else:
            found[name] = _value(known[name][0], value, f"{at}{name}", problems)
    if complete:
        missing = [name for name, (_, needed) in known.items() if needed and name not in document]
        problems.extend(FieldProblem(f"{at}{name}", "is missing") for name in missing)
    return found


def _shown(name: str) -> str:
    """A name from outside, fit for a log and a terminal."""
    return name[:64] if name.isprintable() and name.isascii() else "(a name that can't be shown)"


def _value(kind: Any, value: Any, path: str, problems: list[FieldProblem]) -> Any:
    choices = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if value is None or kind is Any:
        if kind is not Any and types.NoneType not in choices:
            problems.append(FieldProblem(path, "can't be null"))
        return value
    chosen = next(choice for choice in choices if choice is not types.NoneType)
    origin = typing.get_origin(chosen)
    try:
        if is_dataclass(chosen):
            return _nested(typing.cast("type", chosen), value, path, problems)
        if origin is Mapping:
            inner = typing.get_args(chosen)[1]
            entries = _expect(value, dict, "an object")
            return {name: _value(inner, entry, f"{path}.{_shown(name)}", problems) for name, entry in entries.items()}
        return tuple(_each(chosen, _expect(value, list, "an array"), path, problems)) if origin is tuple else _single(chosen, value)
    except ValueError as error:
        problems.append(FieldProblem(path, str(error)))
        return None


def _nested(kind: type, value: Any, path: str, problems: list[FieldProblem]) -> Any:
    before = len(problems)
    inside = _fields(kind, _expect(value, dict, "an object"), path, problems)
    return kind(**inside) if len(problems) == before else None


def _each(kind: Any, value: list[Any], path: str, problems: list[FieldProblem]) -> list[Any]:
    inner = typing.get_args(kind)[0]
    return [_value(inner, entry, f"{path}[{number}]", problems) for number, entry in enumerate(value)]


def _expect(value: Any, kind: type[T], told: str) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"must be {told}")  # noqa: TRY004 - collected beside the values that are wrong
    return value


def _single(kind: Any, value: Any) -> Any:
    if typing.get_origin(kind) is typing.Literal:
        if value not in typing.get_args(kind):
            raise ValueError(f"must be {' or '.join(typing.get_args(kind))}")
        return value
    if kind is Secret:
        return Secret(values.secret_text(_expect(value, str, "a text")).encode())
    if kind is Moment:
        return _moment(value)
    if kind is int and isinstance(value, bool):
        raise ValueError("must be a whole number")
    return _expect(value, kind, {str: "a text", int: "a whole number", bool: "true or false"}[kind])


def _moment(value: Any) -> Moment:
    if isinstance(value, str):
        return Moment(values.moment(value))
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= values.LATEST:
        raise ValueError("must be seconds of the Unix epoch, or a date such as 2027-01-01")
    return Moment(value)
