"""Ingest is killed at every instant that could matter; each exchange is stored once all the same."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.audit import AuditRow, Intent
from contracts.settings import Spool as SpoolSettings
from extproc.edge.spool import Spool
from ingest.clickhouse import Engine
from ingest.columns import NAMES
from ingest.ledger import Ledger
from ingest.shipper import Places, Shipper
from ingest.spool_reader import SpoolReader

START = 1_795_500_000_000_000_000
SECOND = 1_000_000_000
BLANK = AuditRow(id="")
INSTANTS = [
    (Ledger, "write"),
    (Engine, "insert"),
    (Ledger, "stored"),
    (SpoolReader, "delete"),
]


class KilledError(BaseException):
    """Stands for SIGKILL: nothing in ingest catches it, nothing is tidied up."""


class Reaper:
    """Kills before or after the n-th call of one of the instants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, *, after: bool) -> None:
        self.countdown = 0
        real: Callable[..., Any] = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.countdown -= 1
            if self.countdown == 0 and not after:
                raise KilledError
            result = real(*arguments, **named)
            if self.countdown == 0:
                raise KilledError
            return result

        monkeypatch.setattr(owner, name, call)


class World:
    """A spool and an access log that grow round by round, and what should be stored in the end."""

    def __init__(self, folder: Path) -> None:
        self.places = Places((folder / "spool",), folder / "access.jsonl", folder / "ingest")
        self.spool = Spool(self.places.spools[0], SpoolSettings(), segment_bytes=6_000)
        self.exchanges = 0
        self.now = START

    def round(self) -> None:
        """Served exchanges, refusals without a key, and exchanges that only Envoy saw."""
        self.now += 70 * SECOND
        lines = []
        for _ in range(6):
            row = self._row(key_id="k", outcome="served", termination="complete")
            self.spool.intent(Intent(row=row))
            self.spool.row(row)
            lines.append(self._line(row.id, row.envoy_id, status=200))
        for _ in range(13):
            row = self._row(outcome="refused", termination="refused", error_code="invalid_api_key", client_address="10.2.0.7")
            self.spool.row(row)
            lines.append(self._line("", row.envoy_id, status=401))
        row = self._row(key_id="k", outcome="aborted", termination="gone")
        self.spool.row(row)
        lines.append(self._line(row.id, row.envoy_id, status=0, flags="DC"))
        lines += [self._line("", str(uuid.uuid4()), status=503, details="ext_proc_error", client_address="10.3.0.7") for _ in range(12)]
        self.exchanges += len(lines)
        with self.places.access_log.open("a") as log:
            log.writelines(lines)

    def _row(self, **fields: Any) -> AuditRow:
        return AuditRow(id=str(uuid.uuid4()), envoy_id=str(uuid.uuid4()), time=self.now, **fields)

    def _line(self, exchange: str, envoy_id: str, **fields: Any) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(self.now // SECOND))
        return json.dumps({"id": exchange, "envoy_id": envoy_id, "time": at, "details": "via_upstream", "duration_ms": 1, **fields}) + "\n"


def _life(world: World, engine: Engine, *, to_the_end: bool = False) -> None:
    """One life of ingest: it reads what there is, and in its last life waits for all graces to pass."""
    ledger = Ledger(world.places.ledger)
    shipper = Shipper(world.places, engine, ledger)
    try:
        for wait in (0, SECOND, 3 * SECOND, *([70 * SECOND, 140 * SECOND] if to_the_end else [])):
            while shipper.step(world.now + wait):
                pass
        shipper.finish()
    finally:
        shipper.close()
        ledger.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), INSTANTS, ids=[name for _, name in INSTANTS])
def test_killed_at_any_instant_nothing_is_lost_or_doubled(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, after: bool
) -> None:
    """Round by round a later call is the last one of that life; then one life goes on to the end."""
    engine.command("TRUNCATE TABLE audit.requests")
    world = World(tmp_path)
    reaper = Reaper(monkeypatch, owner, name, after=after)
    killed = 0
    for instant in (1, 2, 3, 1):
        world.round()
        reaper.countdown = instant
        try:
            _life(world, engine)
        except KilledError:
            killed += 1
        world.spool.tick()
    reaper.countdown = 0
    _life(world, engine, to_the_end=True)

    assert killed >= 3
    assert engine.rows("SELECT sum(count), count() - uniqExact(id) FROM audit.requests") == [(world.exchanges, 0)]
    told = dict(engine.rows("SELECT termination, sum(count) FROM audit.requests GROUP BY termination"))
    assert told == {"complete": 24, "refused": 52, "client_gone": 4, "gate_died": 48}
    assert len(list(world.places.spools[0].glob("*.seg"))) == 1
    asyncio.run(world.spool.close())


def test_a_lost_ledger_doubles_nothing(tmp_path: Path, engine: Engine) -> None:
    """Without it the spool is read anew, and ClickHouse is asked what it has."""
    engine.command("TRUNCATE TABLE audit.requests")
    world = World(tmp_path)
    row = AuditRow(id=str(uuid.uuid4()), time=world.now, key_id="k", outcome="served")
    world.spool.row(row)
    _life(world, engine)
    shutil.rmtree(world.places.ledger)

    _life(world, engine, to_the_end=True)

    assert engine.rows("SELECT count() FROM audit.requests") == [(1,)]
    asyncio.run(world.spool.close())


def test_a_poison_row_is_put_aside_and_blocks_nothing(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where only the engine knows that it is one: halving finds it."""
    engine.command("TRUNCATE TABLE audit.requests")
    monkeypatch.setattr("ingest.shipper.by_column", lambda rows: [[row.get(name, getattr(BLANK, name)) for row in rows] for name in NAMES])
    world = World(tmp_path)
    rows = [AuditRow(id=str(uuid.uuid4()), time=world.now, key_id="k", outcome="served") for _ in range(9)]
    rows[4].status = 70_000
    rows[7].id = "no-uuid"
    for row in rows:
        world.spool.row(row)

    ledger = Ledger(world.places.ledger)
    shipper = Shipper(world.places, engine, ledger)
    while shipper.step(world.now):
        pass
    shipper.finish()

    assert engine.rows("SELECT count() FROM audit.requests") == [(7,)]
    dead = [json.loads(line) for line in (world.places.dead / "rows.jsonl").read_text().splitlines()]
    assert sorted(record["row"]["id"] for record in dead) == sorted([rows[4].id, "no-uuid"])
    assert shipper.story.counts["dead"] == 2
    shipper.close()
    ledger.close()
    asyncio.run(world.spool.close())


def test_a_segment_is_kept_while_an_intent_in_it_is_open(tmp_path: Path, engine: Engine) -> None:
    """It is where a next life finds the intent again."""
    engine.command("TRUNCATE TABLE audit.requests")
    world = World(tmp_path)
    held = AuditRow(id=str(uuid.uuid4()), time=world.now, key_id="k", team="search")
    world.spool.intent(Intent(row=held))
    for _ in range(10):
        world.spool.row(AuditRow(id=str(uuid.uuid4()), time=world.now, key_id="k", outcome="served"))
    world.spool.tick()
    _life(world, engine)
    assert (world.places.spools[0] / "0000000001.seg").exists()
    asyncio.run(world.spool.close())

    _life(world, engine, to_the_end=True)

    assert engine.rows("SELECT team, outcome, witness FROM audit.requests WHERE outcome != 'served'") == [("search", "crashed", "envoy")]
    assert not (world.places.spools[0] / "0000000001.seg").exists()
