"""Where a record's fields stand in a declarative file, so that what is wrong with one can be told with its line."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from contracts.snapshot import Record, TeamRecord
from controlplane.estate.declared_readers import REQUIRED
from extproc.yaml_lines import Item, Problems

_ELSEWHERE: Final = {"upstream": "model", "keep_rows": "retention.rows", "keep_content": "retention.content", "name": ""}
_NUMBERED: Final = re.compile(r"(.*)\[([0-9]+)\]", re.ASCII)


def place_of(record: Record, field: str) -> str:
    """A record's field as the file has it: `projects[1]` of a team is `projects.suggest`."""
    numbered = _NUMBERED.fullmatch(field)
    if numbered and isinstance(record, TeamRecord):
        return f"projects.{getattr(record, numbered[1])[int(numbered[2])]}"
    return _ELSEWHERE.get(field, field)


def complain(kind: str, item: Item, record: Record, field: str, detail: str) -> None:
    """Tell what is wrong with a record's field at its line; what was noted there while it was read is not told again."""
    place = place_of(record, field)
    found = item_at(item, place)
    if found is None and place in REQUIRED[kind]:
        return  # that it is missing was noted
    found = found or item
    if not any(sentence.startswith(f"{found.path}: ") for _, sentence in item.problems.found if found is not item):
        found.wrong(detail)


def item_at(item: Item, place: str) -> Item | None:
    """The item at `name`, `name[number]` or `name.name` under an entry; None where there is none."""
    if not place:
        return item
    name, _, rest = place.partition(".")
    numbered = _NUMBERED.fullmatch(name)
    quiet = replace(item, problems=Problems(item.problems.file))  # what is wrong with the entry as such was noted
    found = quiet.entries().get(numbered[1] if numbered else name)
    if found and numbered:
        found = found.items()[int(numbered[2])]
    if found and rest:
        found = found.entries().get(rest)
    return replace(found, problems=item.problems) if found else None
