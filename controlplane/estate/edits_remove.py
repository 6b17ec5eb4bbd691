"""What a record's change or end does to those that name it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from contracts.snapshot import KeyRecord, Record
from controlplane.estate import Change, Changes, Estate
from controlplane.estate.declared_checks import checked
from controlplane.estate.edits_problems import Conflict
from controlplane.estate.plan_lines import first_few
from controlplane.estate.references import PLURAL, Known, known, needs

Dependent = tuple[str, str]
"""Kind and name."""


def broken_by(after: Estate, kind: str, name: str) -> list[Dependent]:
    """The records of `after` that name the record (kind, name) and do not fit it any more, or find it gone."""
    if kind == "key":  # which nothing names, and there may be very many
        return []
    names = known(after)
    return [
        (other, dependent)
        for other in PLURAL
        for dependent, kept in after.of(other).items()
        if needs(kept.record, kind, name) and checked(kept.record, names)[1]
    ]


def all_of(dependents: Iterable[Dependent]) -> str:
    """Records by kind, for people."""
    by_kind: dict[str, list[str]] = {}
    for kind, name in dependents:
        by_kind.setdefault(PLURAL[kind], []).append(name)
    return "; ".join(f"{section} {first_few(names)}" for section, names in by_kind.items())


def without(estate: Estate, change: Change, told: str, *, cascade: bool) -> Changes:
    """The change that takes something away, and with `cascade` all that can't do without it. Raises Conflict (in_use)."""
    changes = {(change.kind, change.name): change}
    todo = [(change.kind, change.name)]
    while todo:
        kind, name = todo.pop()
        after = estate.after(Changes(tuple(changes.values())))
        broken = broken_by(after, kind, name)
        if broken and not cascade:
            raise Conflict("in_use", f"{told} is in use by {all_of(broken)}; remove these first, or all at once with cascade", broken)
        names = known(after)
        for other in broken:
            changes[other] = _parted(estate, after, other, names)
            if changes[other].new is None:
                todo.append(other)
    return Changes(tuple(changes.values()))


def _parted(estate: Estate, after: Estate, dependent: Dependent, names: Known) -> Change:
    """The dependent without what is gone; nothing of it where it can't do without."""
    kind, name = dependent
    there, left = estate.of(kind)[name], _left(after.of(kind)[name].record, names)
    return Change(kind, name, there, replace(there, record=left, version=there.version + 1) if left else None)


def _left(record: Record, names: Known) -> Record | None:
    """A key without the names of models and providers that are gone. None named would be all, so that is never what is left."""
    if not isinstance(record, KeyRecord):
        return None
    models = tuple(pattern for pattern in record.models if "*" in pattern or pattern in names.models)
    providers = tuple(provider for provider in record.providers if provider in names.providers)
    if not models or (record.providers and not providers):
        return None
    left = replace(record, models=models, providers=providers)
    return None if checked(left, names)[1] else left
