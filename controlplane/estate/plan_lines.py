"""Changes as people read them: `+` made, `~` changed, `-` removed; with what a field was and becomes, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.snapshot import CredentialRecord, KeyRecord
from controlplane.estate import ORGANISATION, Change, Changes, Estate, Kept, revoked
from controlplane.estate.declared_fields import fields_of

_LONGEST: Final = 80
_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that changes. `fields` are sentences such as `disabled: unset -> true`."""

    sign: str
    kind: str
    name: str
    fields: Sequence[str] = ()

    def text(self) -> str:
        """The line."""
        return f"{self.sign} {self.kind} {self.name}" + (f" ({', '.join(self.fields)})" if self.fields else "")

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"sign": self.sign, "kind": self.kind, "name": self.name, "fields": list(self.fields)}


def lines_of(estate: Estate, changes: Changes) -> tuple[Line, ...]:
    """A line for each change, but for those that no one could see: a record's owner (its `origin`) alone makes none."""
    found = []
    if changes.organisation is not None:
        was = (f"{estate.organisation} -> {changes.organisation}",) if estate.organisation else ()
        found.append(Line("~" if was else "+", ORGANISATION, changes.organisation, was))
    for change in changes.records:
        fields = tuple(_fields(change.old, change.new)) if change.old and change.new else ()
        if change.sign != "~" or fields:
            found.append(Line(change.sign, change.kind, change.name, fields))
    return tuple(found)


def first_few(names: Sequence[str]) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def unseen(change: Change) -> bool:
    """Whether a change is only of who owns the record."""
    return change.old is not None and change.new is not None and change.old.record == change.new.record


def _fields(old: Kept, new: Kept) -> Iterator[str]:
    before, after = fields_of(old.record), fields_of(new.record)
    for name in dict.fromkeys((*after, *before)):
        if before.get(name) != after.get(name):
            yield f"{name}: {_value(before.get(name))} -> {_value(after.get(name))}"
    if _secret(old) != _secret(new):
        yield "secret"
    if revoked(old.record) != revoked(new.record):
        yield "revoked"


def _secret(kept: Kept) -> Any:
    match kept.record:
        case CredentialRecord(sealed=sealed):
            return sealed
        case KeyRecord(secrets=secrets):
            return secrets
    return None


def _value(value: Any) -> str:
    text = "unset" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
