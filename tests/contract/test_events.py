"""Admin events in the real engine: each once, in the columns of the contract, and asked like rows. And what a key was used for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from state_parts import FULL, event

from contracts.audit import AuditRow
from contracts.events import COLUMNS
from ingest.clickhouse import Engine, open_engine
from ingest.columns import by_column
from ingest.events import Events
from ingest.key_usage import SUMS, KeyUsage
from ingest.migrate import migrate
from ingest.query import Queries

DAY = 86_400_000_000_000


@pytest.fixture
def engine(engine_folder: Path) -> Iterator[Engine]:
    """A session with the schema in place and nothing stored."""
    opened = open_engine("chdb", engine_folder)
    migrate(opened)
    opened.command("TRUNCATE TABLE audit.requests")
    opened.command("TRUNCATE TABLE audit.events")
    yield opened
    opened.close()


@pytest.fixture
def events(engine: Engine, engine_folder: Path) -> Iterator[Events]:
    """Who writes events."""
    made = Events(lambda: open_engine("chdb", engine_folder), lambda: True)
    yield made
    made.close()


@pytest.fixture
def queries(engine: Engine, engine_folder: Path) -> Iterator[Queries]:
    """Read-only sessions, as people get them."""
    made = Queries(lambda: open_engine("chdb", engine_folder), in_session=True)
    yield made
    made.close()


def test_columns_of_the_table_are_those_of_the_contract(engine: Engine) -> None:
    """Names, order and types exactly."""
    described = [(row[0], row[1]) for row in engine.rows("DESCRIBE TABLE audit.events")]
    assert described == [(name, meta["ch"]) for name, meta in COLUMNS.items()]


def test_an_event_is_stored_once_however_often_it_is_sent(events: Events, engine: Engine) -> None:
    """Whole batches, parts of them, and one twice in a batch; times do not matter."""
    told = [event(change) for change in FULL.records]
    told[3] = replace(told[3], time=1)
    assert events.store(told[:3]) == 3
    assert events.store(told) == len(told) - 3
    assert events.store([*told, *told]) == 0
    assert events.store([new := event(), new]) == 1
    assert events.store([]) == 0
    assert engine.rows("SELECT count(), uniqExact(id) FROM audit.events") == [(len(told) + 1, len(told) + 1)]


def test_events_are_asked_like_rows(events: Events, queries: Queries) -> None:
    """By the same read-only door; before and after are JSON, an absent one is empty."""
    change = next(change for change in FULL.records if change.kind == "key")
    told = replace(event(change), time=1_795_500_000_123_456_789, name="it's \\ ü")
    events.store([told, replace(event(), before={"a": 'q"\n'})])
    asked = "SELECT id, time, category, verb, outcome, actor, kind, name, before, JSONExtractString(after, 'team'), request_id FROM audit.events"
    assert queries.ask(f"{asked} WHERE before = ''").rows == [
        [told.id, "2026-11-24 06:00:00.123456789", "admin", "key.put", "done", "admin", "key", "it's \\ ü", "", "search", "r1"]
    ]
    assert queries.ask("SELECT JSONExtractString(before, 'a'), after FROM events WHERE before != ''").rows == [['q"\n', ""]]
    assert queries.ask("DESCRIBE audit.events").rows


def _used(engine: Engine, *rows: dict[str, Any]) -> None:
    blank = orjson.loads(orjson.dumps(AuditRow(id=str(uuid.uuid4()), time=time.time_ns(), key_id="K1", outcome="served")))
    engine.insert(by_column([{**blank, "id": str(uuid.uuid4()), **row} for row in rows]), str(uuid.uuid4()))


def test_use_of_a_key_is_summed_by_day(engine: Engine, queries: Queries) -> None:
    """Requests by what became of them, tokens, cost to the nano-dollar, the last use, and use of the old secret; of this key alone."""
    now = time.time_ns()
    tokens = {name: 2 for name in SUMS if name.endswith("_tokens")}
    _used(
        engine,
        {"time": now, "cost_nanousd": (1 << 60) + 1, "key_old_secret": True, **tokens},
        {"time": now, "outcome": "refused", "count": 3},
        {"time": now, "outcome": "failed"},
        {"time": now, "outcome": "crashed"},
        {"time": now, "outcome": "aborted", **tokens},
        {"time": now - 3 * DAY, "cost_nanousd": 7},
        {"time": now - 40 * DAY},
        {"time": now, "key_id": "K2"},
    )
    found = KeyUsage(queries, lambda: True).usage("K1", 30)
    today, before = found["by_day"]
    assert today | dict.fromkeys(("day", "last_use")) == dict.fromkeys(("day", "last_use")) | dict.fromkeys(tokens, 4) | {
        "requests": 7,
        "refused": 3,
        "failed": 2,
        "aborted": 1,
        "cost_nanousd": (1 << 60) + 1,
        "old_secret": 1,
    }
    assert (before["requests"], before["cost_nanousd"], before["last_use"]) == (1, 7, (now - 3 * DAY) // 1_000_000_000)
    assert before["day"] < today["day"]
    assert (found["total"]["requests"], found["total"]["cost_nanousd"], found["total"]["last_use"]) == (
        8,
        (1 << 60) + 8,
        now // 1_000_000_000,
    )
    assert [len(KeyUsage(queries, lambda: True).usage("K1", days)["by_day"]) for days in (1, 3, 4, 41)] == [1, 1, 2, 3]


def test_a_key_that_was_not_used_has_no_days(queries: Queries) -> None:
    """And no last use; whatever stands in the id is a value, never SQL."""
    for name in ("K1", "' OR 1 = 1 --", "{days:UInt16}"):
        found = KeyUsage(queries, lambda: True).usage(name, 30)
        assert (found["by_day"], found["total"]["requests"], found["total"]["last_use"]) == ([], 0, None)
