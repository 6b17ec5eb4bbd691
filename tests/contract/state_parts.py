"""An estate with every field set, changes of it, and events."""

from __future__ import annotations

import itertools
import time
import uuid
from dataclasses import replace
from typing import Any

from contracts import snapshot as s
from contracts.events import AdminEvent, shown
from contracts.usage import Price, Tier
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.state import State

KEY = s.KeyRecord(
    id="K1",
    name="one",
    secrets=(s.LiveSecret("00" * 32, 2), s.LiveSecret("11" * 32, 1, 1_900_000_000)),
    team="search",
    project="ranking",
    environment="dev",
    models=("a", "b*"),
    routes=("chat",),
    providers=("p",),
    addresses=("10.0.0.0/8",),
    max_tokens=7,
    profile="strict",
    expires=5,
    may_set_user=True,
    disabled=True,
    revoked=6,
    owner="o",
    labels={"ü": "\0\n'"},
)
PRICE = Price(1, 1 << 62, version="declared:1", web_search=3, above=(Tier(5, 6, above=9),), since=4, daily=(1, 2))
RECORDS: list[tuple[str, s.Record]] = [
    ("provider", s.ProviderRecord("p", "openai", "http://127.0.0.1:1", insecure=True, private=True)),
    ("credential", s.CredentialRecord("c", "p", "c2VhbGVk", 3, "search/ranking", draining=True)),
    ("model", s.ModelRecord("a", "p", "c", "x", (PRICE,), "gpt-4o")),
    ("model", s.ModelRecord("b", "p", "", "b")),
    (
        "environment",
        s.EnvironmentRecord("dev", zero_data_retention=True, content="none", keep_rows="30d", keep_content="3d", unpriced=True),
    ),
    ("team", s.TeamRecord("search", ("ranking", "suggest"), disabled=True, disabled_projects=("suggest",))),
    ("profile", s.ProfileRecord("strict", {"*": "block"}, {"*": "redact"}, "alert")),
    ("key", KEY),
]
_numbers = itertools.count()


def made(kind: str, record: s.Record, **kept: Any) -> Change:
    """The change that makes a record."""
    return Change(kind, record.name, None, Kept(record, **kept))


def altered(estate: Estate, kind: str, name: str, **fields: Any) -> Change:
    """The change that gives a record other fields."""
    old = estate.of(kind)[name]
    return Change(kind, name, old, replace(old, record=replace(old.record, **fields), version=old.version + 1))  # type: ignore[arg-type] # of one kind


def removed(estate: Estate, kind: str, name: str) -> Change:
    """The change that removes a record."""
    return Change(kind, name, estate.of(kind)[name], None)


FULL = Changes(
    [made(kind, record, version=2, origin="file", created=9, creator="admin") for kind, record in RECORDS], "acme", {1: "p1", 12: "p12"}
)


def event(change: Change | None = None) -> AdminEvent:
    """An event, of that change where one is given; those made later have later names."""
    old, new = (change.old, change.new) if change else (None, None)
    return AdminEvent(
        id=str(uuid.uuid4()),
        time=time.time_ns(),
        verb="key.put",
        actor="admin",
        kind=change.kind if change else "key",
        name=change.name if change else f"k{next(_numbers)}",
        before=shown(old.record) if old else None,
        after=shown(new.record) if new else None,
        request_id="r1",
    )


def filled(state: State) -> Estate:
    """Put the full estate into a fresh state."""
    estate = state.load()
    state.commit(estate, FULL, [])
    return estate.after(FULL)
