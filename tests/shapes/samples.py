"""Documents made from the official SDKs' types: every documented member at least once, and one nobody knows yet in every object.

Nothing here is copied from an SDK: the types are walked as they are installed, so that an upgrade that brings a member brings its test.
"""

from __future__ import annotations

import collections.abc
import datetime as dt
import os
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NotRequired, Required

from typing_extensions import ReadOnly, is_typeddict

FUTURE: Final = "member_of_next_year"
"""A member that no type knows."""

FREE_NAMES: Final = ("free_name", "deeper_name")
"""Members of objects in which the sender chooses the names."""

FREE: Final = {"free_name": "free text", "deeper": [{"deeper_name": "deeper text"}, 7]}
"""Stands wherever a type says that anything may stand."""

Overrides = Mapping[tuple[str, str], list[Any]]
"""Values for a member of a type, by the names of both; a type's name `*` is any."""

_SEQUENCES: Final = (list, tuple, collections.abc.Iterable, collections.abc.Sequence)
_SKIPPED: Final = (type(None), bytes, os.PathLike)
_WRAPPED: Final = (Required, NotRequired, ReadOnly, typing.Required, typing.NotRequired, typing.Annotated)
_SCALARS: Final[Mapping[Any, Any]] = {int: 1, float: 0.5, bool: True, dt.datetime: "2026-07-01T09:30:00Z"}


def samples(kind: Any, overrides: Overrides, name: str = "", above: tuple[Any, ...] = ()) -> list[Any]:
    """Values of a type that together have each of its members and each alternative of a union. A type inside itself is left out."""
    origin = typing.get_origin(kind)
    if origin in _WRAPPED:
        return samples(typing.get_args(kind)[0], overrides, name, above)
    if origin is typing.Literal:
        return [typing.get_args(kind)[0]]
    if origin is not None and origin not in _SEQUENCES and not _is_mapping(origin):
        return _of_any(typing.get_args(kind), overrides, name, above) if _is_union(origin) else []
    if origin in _SEQUENCES or _is_sequence(kind):
        inside = [argument for argument in typing.get_args(kind) if argument is not Ellipsis]
        return [[value] for value in (samples(inside[0], overrides, name, above) if inside else [f"{name} text"])]
    if _is_mapping(origin):
        return [{"free_name": value} for value in samples(typing.get_args(kind)[1], overrides, name, above)]
    return _of_plain(kind, overrides, name, above)


def _of_plain(kind: Any, overrides: Overrides, name: str, above: tuple[Any, ...]) -> list[Any]:
    if kind in _SKIPPED:
        return []
    if kind in _SCALARS:
        return [0 if name.endswith("index") else _SCALARS[kind]]
    if kind is str:
        return [f"{name} text"]
    if kind in (object, Any, dict):
        return [FREE]
    members = _members(kind)
    if members is None:
        raise TypeError(f"no sample for {kind!r}, which is the type of {name}")
    return [] if kind in above else _of_object(kind, members, overrides, (*above, kind))


def _of_any(kinds: Iterable[Any], overrides: Overrides, name: str, above: tuple[Any, ...]) -> list[Any]:
    """One after the other; words that a string may be anyway add nothing."""
    found = [kind for kind in kinds if not (str in kinds and typing.get_origin(kind) is typing.Literal)]
    return [value for kind in found for value in samples(kind, overrides, name, above)]


def _of_object(kind: Any, members: Mapping[str, tuple[Any, bool]], overrides: Overrides, above: tuple[Any, ...]) -> list[Any]:
    """As many objects as the member with most alternatives has; an optional member is only in as many as it needs."""
    values = {
        name: overrides.get((kind.__name__, name), overrides.get(("*", name))) or samples(inside, overrides, name, above)
        for name, (inside, _) in members.items()
    }
    if any(needed and not values[name] for name, (_, needed) in members.items()):
        return []
    made: list[Any] = []
    for turn in range(max((len(found) for found in values.values()), default=1) or 1):
        document = {
            name: found[turn] if turn < len(found) else found[0]
            for name, found in values.items()
            if turn < len(found) or (found and members[name][1])
        }
        made.append(document if turn else {**document, FUTURE: f"text in a {kind.__name__}"})
    return made


@cache
def _members(kind: Any) -> Mapping[str, tuple[Any, bool]] | None:
    """Name on the wire → type, and whether it must be there. None: the type is no object."""
    if is_typeddict(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        return {name: (inside, _is_needed(kind, name, inside)) for name, inside in hints.items()}
    fields = getattr(kind, "model_fields", None)
    if fields is None:
        return None
    return {field.alias or name: (field.annotation, field.is_required()) for name, field in fields.items()}


def _is_needed(kind: Any, name: str, inside: Any) -> bool:
    """The types are annotated by strings, so the keys that a class says are required leave out those that are only marked."""
    marked = typing.get_origin(inside)
    return marked in (Required, typing.Required) or (name in kind.__required_keys__ and marked not in (NotRequired, typing.NotRequired))


def _is_union(origin: Any) -> bool:
    return origin in (typing.Union, type(int | str))


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, collections.abc.Mapping)


def _is_sequence(kind: Any) -> bool:
    """The SDKs' own name for a sequence that is no string."""
    return getattr(typing.get_origin(kind) or kind, "__name__", "") == "SequenceNotStr"
