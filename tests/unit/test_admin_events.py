"""Admin events as values: what they show, how they cross a border, and the page that explains them."""

from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any

import pytest

from contracts import events, snapshot
from contracts.events import COLUMNS, AdminEvent, event_document, event_of, shown
from ingest.events_reference import page

PLANTED = "planted-secret"


def test_the_page_is_generated(root: Path) -> None:
    """Edit contracts/events.py, then run `python -m ingest.events_reference`."""
    assert (root / "docs" / "reference" / "events.md").read_text(encoding="utf-8") == page()


def test_every_column_is_explained() -> None:
    """Type, meaning and example are given for each, and none breaks the table."""
    for name, meta in COLUMNS.items():
        assert meta["doc"], name
        assert meta["example"], name
        assert "|" not in "".join(meta.values()), name


def test_an_event_comes_back_as_it_was_sent() -> None:
    """Every field, through JSON; another shape is refused."""
    event = AdminEvent(
        id="i", time=1, verb="key.put", outcome="refused", actor="a", kind="key", name="n", before={"a": [1]}, after=None, request_id="r"
    )
    assert event_of(json.loads(json.dumps(event_document(event)))) == event
    with pytest.raises(TypeError):
        event_of({**event_document(event), "more": 1})


@pytest.mark.parametrize("kind", list(snapshot.RECORDS))
def test_what_a_record_shows_holds_no_secret(kind: str) -> None:
    """Planted into the fields that hold secrets, of every kind; the other fields are all shown."""
    record = snapshot.RECORDS[kind]
    hidden = events.HIDDEN & {field.name for field in dataclasses.fields(record)}
    values: dict[str, Any] = {field.name: field.name for field in dataclasses.fields(record)}
    values |= {"sealed": PLANTED} if "sealed" in hidden else {}
    values |= {"secrets": (snapshot.LiveSecret(PLANTED, 3, 77), snapshot.LiveSecret(PLANTED))} if "secrets" in hidden else {}
    found = shown(record(**values))
    assert PLANTED not in json.dumps(found)
    assert found.keys() - {"secrets_until"} == values.keys() - hidden
    assert found.get("secrets_until", [77, None]) == [77, None]


def test_fields_that_sound_like_secrets_are_hidden() -> None:
    """A field that is added to a record under such a name must be decided about here."""
    names = {field.name for record in typing.get_args(snapshot.Record) for field in dataclasses.fields(record)}
    telling = {name for name in names if any(word in name for word in ("secret", "sealed", "hash", "pepper", "token", "password"))}
    assert telling - events.HIDDEN == {"max_tokens"}
