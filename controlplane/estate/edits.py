"""Single changes of what is governed: pure functions from the estate to its Changes.

They refuse what a declarative file would refuse, by the same checks (declared_checks.py). Keys and credentials, which
carry secrets, have files of their own: edits_keys.py, edits_credentials.py. Every edit raises Problems, NotThere or Conflict
(edits_problems.py), and gives empty Changes where nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from typing import Any, Final

from contracts.snapshot import DEFAULT_PROFILE, RECORDS, CredentialRecord, KeyRecord, ModelRecord, Record, TeamRecord
from controlplane.estate import Change, Changes, Estate, Kept, declared_values
from controlplane.estate.declared_checks import checked
from controlplane.estate.declared_prices import prices_given, prices_kept
from controlplane.estate.edits_problems import Conflict, Fault, NotThere, Problems
from controlplane.estate.edits_remove import all_of, broken_by, without
from controlplane.estate.references import known
from extproc.yaml_lines import suggestion

_OTHER_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {"model": {"model": "upstream", "price": "prices"}}
"""Fields that a call names otherwise than the record does."""
_NOT_GIVEN: Final = {"name", "id", "secrets", "revoked", "sealed", "version", "prices", "upstream"}
_MAY: Final = {"credential", "unscanned"}
"""Fields that a record must have and a call may leave out."""
_BLANK: Final[Mapping[str, Any]] = {
    "id": "", "secrets": (), "sealed": "", "version": 0, "credential": "", "unscanned": DEFAULT_PROFILE.unscanned,
}  # fmt: skip
More = Callable[[Record], list[Fault]]
"""What else may be wrong with a record."""


def put(estate: Estate, kind: str, name: str, fields: Mapping[str, Any], now: int, actor: str) -> Changes:
    """Make a provider, model, environment, team or profile, or make it anew: a field that is not given stands at its default.

    `fields` are the record's (contracts/snapshot.py) but for its name; a model's `upstream` is called `model`, and its `price` is
    JSON with exact numbers (declared_prices.py).
    """
    _carries_no_secret(kind)
    there = estate.of(kind).get(name)
    return kept(estate, kind, given(kind, name, fields), there, now, actor)


def patch(estate: Estate, kind: str, name: str, fields: Mapping[str, Any], now: int, actor: str) -> Changes:
    """Change the fields that are given, and no others. Keys: edits_keys.key_patched; credentials: credential_patched."""
    _carries_no_secret(kind)
    there = present(estate, kind, name)
    return kept(estate, kind, given(kind, name, fields, there.record), there, now, actor)


def _carries_no_secret(kind: str) -> None:
    if kind in {"key", "credential"}:
        raise ValueError(f"a {kind} is changed by edits of its own")


def remove(estate: Estate, kind: str, name: str, *, cascade: bool) -> Changes:
    """Remove a record of any kind; a key only once it is revoked. What still needs it is a Conflict (in_use), or with `cascade` goes too.

    A key that names one model or provider among others loses that name only.
    """
    there = present(estate, kind, name)
    if isinstance(there.record, KeyRecord) and there.record.revoked is None:
        raise Conflict("not_revoked", f"key '{name}' is not revoked; revoke it first")
    return without(estate, Change(kind, name, there, None), f"{kind} '{name}'", cascade=cascade)


def organisation_put(estate: Estate, name: str) -> Changes:
    """Name the organisation, or rename it."""
    try:
        found = declared_values.name(name)
    except ValueError as error:
        raise Problems([("name", str(error))]) from None
    return Changes() if found == estate.organisation else Changes(organisation=found)


def project_put(estate: Estate, team: str, project: str, *, disabled: bool, now: int, actor: str) -> Changes:
    """Make a team's project, or disable or enable it."""
    there = present(estate, "team", team)
    record = _team(there.record)
    others = tuple(name for name in record.disabled_projects if name != project)
    changed = replace(
        record,
        projects=record.projects if project in record.projects else (*record.projects, project),
        disabled_projects=(*others, project) if disabled else others,
    )
    try:
        return kept(estate, "team", changed, there, now, actor)
    except Problems as problems:
        raise Problems([("project", detail) for _, detail in problems.errors]) from None


def project_removed(estate: Estate, team: str, project: str, *, cascade: bool) -> Changes:
    """Remove a team's project; its keys and credentials as with `remove`."""
    there = present(estate, "team", team)
    record = _team(there.record)
    if project not in record.projects:
        raise NotThere("project", f"{team}/{project}")
    left = replace(
        record,
        projects=tuple(name for name in record.projects if name != project),
        disabled_projects=tuple(name for name in record.disabled_projects if name != project),
    )
    change = Change("team", team, there, replace(there, record=left, version=there.version + 1))
    return without(estate, change, f"project '{team}/{project}'", cascade=cascade)


def _team(record: Record) -> TeamRecord:
    if not isinstance(record, TeamRecord):
        raise NotThere("team", record.name)
    return record


# ── what edits share ──────────────────────────────────────────────────────────


def present(estate: Estate, kind: str, name: str) -> Kept:
    """The record of that name. Raises NotThere."""
    there = estate.of(kind).get(name)
    if there is None:
        raise NotThere(kind, name)
    return there


def given(kind: str, name: str, fields: Mapping[str, Any], there: Record | None = None) -> Record:
    """The record that a call describes; what it does not give is as `there`, or at its default. Raises Problems."""
    faults: list[Fault] = []
    named = _OTHER_FIELDS.get(kind, {})
    may, must = _fields_of(kind)
    faults += [(field, f"unknown field{suggestion(field, may)}") for field in fields if field not in may]
    if there is None:
        faults += [(field, "is missing") for field in must if field not in fields]
    values = {named.get(field, field): value for field, value in fields.items() if field in may}
    if "prices" in values:
        values["prices"], wrong = prices_given(values["prices"]) if values["prices"] is not None else ((), [])
        faults += wrong
    if faults:
        raise Problems(faults)
    if there is not None:
        return replace(there, **values)
    blank = {**_BLANK, "upstream": name}
    return RECORDS[kind](**{field: value for field, value in blank.items() if field in _names(kind)} | {"name": name} | values)


def _fields_of(kind: str) -> tuple[set[str], list[str]]:
    """Fields that a call may give, and must."""
    own = [entry for entry in fields(RECORDS[kind]) if entry.name not in _NOT_GIVEN]
    must = [entry.name for entry in own if entry.default is MISSING and entry.default_factory is MISSING and entry.name not in _MAY]
    return {entry.name for entry in own} | {*_OTHER_FIELDS.get(kind, {})}, must


def _names(kind: str) -> set[str]:
    return {entry.name for entry in fields(RECORDS[kind])}


def kept(estate: Estate, kind: str, record: Record, there: Kept | None, now: int, actor: str, extra: More | None = None) -> Changes:
    """The record in place of the one that is there. Raises Problems, with what `extra` finds too, and Conflict where others break."""
    names = known(estate)
    record, faults = checked(record, names)
    faults = [(_called(kind, field), detail) for field, detail in faults] + (extra(record) if extra else [])
    if faults:
        raise Problems(faults)
    if isinstance(record, ModelRecord):
        before = there.record.prices if there and isinstance(there.record, ModelRecord) else ()
        record = replace(record, prices=prices_kept(record.prices, before, estate.revision + 1))
    if there is None:
        return Changes((Change(kind, record.name, None, Kept(record, 1, "api", now, actor)),))
    if record == there.record:
        return Changes()
    change = Change(kind, record.name, there, replace(there, record=record, version=there.version + 1))
    if not _may_break(there.record, record):
        return Changes((change,))
    if broken := broken_by(estate.after(Changes((change,))), kind, record.name):
        raise Conflict(
            "in_use", f"{kind} '{record.name}' can't become that: {all_of(broken)} would no longer fit; change these first", broken
        )
    return Changes((change,))


def _may_break(old: Record, new: Record) -> bool:
    """Whether records that name this one may no longer fit it. There may be very many, so only then they are looked at."""
    if isinstance(old, TeamRecord) and isinstance(new, TeamRecord):
        return not {*old.projects} <= {*new.projects}
    if isinstance(old, CredentialRecord) and isinstance(new, CredentialRecord):
        return (old.provider, old.project) != (new.provider, new.project)
    return False


def _called(kind: str, field: str) -> str:
    """A record's field as a call names it."""
    return next((name for name, own in _OTHER_FIELDS.get(kind, {}).items() if own == field), field)
