"""Planes are told what models cost: they know no price list, and the estate keeps none of its prices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.snapshot import KeyRecord, LiveSecret, ModelRecord, ProviderRecord, Record, TeamRecord
from contracts.usage import Price
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.estate.price_list import source
from controlplane.planes.view import Projects, View
from extproc.edge.snapshot_wire import unpacked

OPENAI = ProviderRecord("there", "openai", "https://api.openai.com/v1")
KEY = KeyRecord("id1", "dev", (LiveSecret("00" * 32),), "search", "ranking", "dev", ("*",))
RECORDS: dict[str, list[Record]] = {
    "provider": [OPENAI],
    "model": [
        ModelRecord("listed", "there", "", "gpt-4o-mini"),
        ModelRecord("own", "there", "", "gpt-4o-mini", (Price(1, 2, "declared:1"),)),
        ModelRecord("nobody's", "there", "", "nobody-knows-this"),
    ],
    "team": [TeamRecord("search", ("ranking",))],
    "key": [KEY],
}


def change(kind: str, old: Record | None, new: Record) -> Change:
    """One record that is made or changed."""
    return Change(kind, new.name, Kept(old) if old else None, Kept(new))


def told(items: list[tuple[str, str, bytes]]) -> dict[str, list[str]]:
    """Of each model that is told of, the versions of its prices."""
    found = {}
    for kind, name, raw in items:
        if kind == "model":
            record = unpacked(kind, raw)
            assert isinstance(record, ModelRecord)
            found[name] = [price.version for price in record.prices]
    return found


@pytest.mark.parametrize("projects", [None, frozenset({"search/ranking"})], ids=["of all projects", "of some"])
def test_planes_get_the_prices_of_the_list(projects: Projects | None) -> None:
    """Where none is declared; and anew when the provider's URL, by which a model is found in the list, changes."""
    made = Changes([change(kind, None, record) for kind, records in RECORDS.items() for record in records])
    estate = Estate().after(made)
    view = View(estate, projects)
    assert told(list(view.shown.items())) == {"listed": [source()], "own": ["declared:1"], "nobody's": []}

    moved = Changes([change("provider", OPENAI, replace(OPENAI, url="https://llm.corp.example/v1"))])
    before = view.shown.revision
    view.after(estate.after(moved), moved)
    touched = view.since(view.epoch, before)
    assert touched is not None
    assert told([view.shown.item(touch) for touch in touched])["listed"] == []
    assert told(list(view.shown.items())) == {"listed": [], "own": ["declared:1"], "nobody's": []}
