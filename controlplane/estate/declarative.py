"""The declarative file (contract, section 3): read whole, every problem reported at once with its line.

    text ─► yaml_lines ─► declared_readers (records) ─► declared_checks (faults) ─► declared_places (their lines)

What this version would not enforce, and whose silence would let more through than the file says (budgets, limits), is refused by
name; what only keeps less than asked (content, retention) is accepted with a note.
"""

from __future__ import annotations

from typing import Final

from contracts.errors import Unusable
from contracts.snapshot import RECORDS, Record
from controlplane.estate import declared_values as values
from controlplane.estate.declared import Declared
from controlplane.estate.declared_checks import checked, remarks
from controlplane.estate.declared_places import complain, item_at, place_of
from controlplane.estate.declared_readers import record_at, source_at
from controlplane.estate.references import PLURAL, Known, known_of
from extproc.yaml_lines import Item, read

SECTIONS: Final = ("organisation", "providers", "credentials", "models", "environments", "teams", "keys", "budgets", "limits", "profiles")
_UNENFORCED: Final = {
    "budgets": "budgets are not in this version, so nothing would stop the spending; remove the section",
    "limits": "limits are not in this version, so nothing would slow the traffic; remove the section",
}


def declared(text: str, file: str) -> Declared:
    """Read the file. Raises Unusable with one line for each problem there is."""
    if not text.strip():
        # as when the command fails whose output was to be applied: it must not take away all that is governed
        raise Unusable(f"{file}:1: holds nothing; a file of which nothing is to be governed says so: {{}}")
    top = read(text, file)
    sections = top.fields(SECTIONS)
    for section, sentence in _UNENFORCED.items():
        if section in sections and sections[section].entries():
            sections[section].wrong(sentence)
    organisation = sections["organisation"].read(values.name) if "organisation" in sections else None
    entries = {kind: sections[PLURAL[kind]].entries() if PLURAL[kind] in sections else {} for kind in RECORDS}
    records = {kind: {name: record_at(kind, item, name) for name, item in there.items()} for kind, there in entries.items()}
    sources = {name: source_at(item) for name, item in entries["credential"].items()}
    known = known_of({kind: there.keys() for kind, there in entries.items()}, records)
    notes: list[str] = []
    found = {
        kind: {name: _checked(kind, entries[kind][name], record, known, notes) for name, record in there.items()}
        for kind, there in records.items()
    }
    top.problems.stop()
    return Declared(organisation or "", found, sources, tuple(notes))


def _checked(kind: str, item: Item, record: Record, known: Known, notes: list[str]) -> Record:
    settled, faults = checked(record, known)
    for field, detail in faults:
        complain(kind, item, record, field, detail)
    for field, detail in remarks(settled, known):
        at = item_at(item, place_of(record, field)) or item
        notes.append(f"{item.problems.file}:{at.line}: {at.path}: {detail}")
    return settled
