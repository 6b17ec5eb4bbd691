"""Several workers of one data plane, each with its own spool: ingest reads them all, and tells whose an exchange was."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.audit import AuditRow, Intent
from contracts.settings import Settings
from contracts.settings import Spool as SpoolSettings
from extproc.edge.spool import Spool
from ingest.clickhouse import Engine
from ingest.ledger import Ledger
from ingest.shipper import Shipper
from ingest.witness import Life, Writer, Writers
from ingest.worker import places

NOW = 1_700_000_000_000_000_000
MINUTE = 60_000_000_000


def life(settings: Settings, engine: Engine, now: int) -> None:
    """One life of ingest."""
    ledger = Ledger(places(settings).ledger)
    shipper = Shipper(places(settings), engine, ledger)
    try:
        for wait in (0, MINUTE):
            while shipper.step(now + wait):
                pass
        shipper.finish()
    finally:
        shipper.close()
        ledger.close()


def row(**fields: object) -> AuditRow:
    """A row of an exchange."""
    return AuditRow(id=str(uuid.uuid4()), time=NOW, key_id="k", **fields)  # type: ignore[arg-type] - tests name columns that there are


def test_rows_of_all_workers_are_stored_once_and_a_dead_workers_open_exchange_is_crashed(tmp_path: Path, engine: Engine) -> None:
    """Rows come from every spool, also that of a worker that is no longer configured; an intent counts as open while its own worker lives."""
    settings = Settings(data=tmp_path, workers=2)
    spools = {plane: Spool(settings.spool_of(plane), SpoolSettings(), plane=plane) for plane in ("extproc-0", "extproc-1", "extproc-7")}
    under_way, lost = row(plane="extproc-0"), row(plane="extproc-1")
    for plane, spool in spools.items():
        spool.row(row(plane=plane, outcome="served"))
        spool.tick()
    spools["extproc-0"].intent(Intent(row=under_way))
    spools["extproc-1"].intent(Intent(row=lost))
    for spool in spools.values():
        spool.tick()
    asyncio.run(spools["extproc-1"].close())

    life(settings, engine, NOW)
    life(settings, engine, NOW + MINUTE)

    found = engine.rows("SELECT plane, outcome FROM audit.requests ORDER BY plane, outcome")
    assert found == [("extproc-0", "served"), ("extproc-1", "crashed"), ("extproc-1", "served"), ("extproc-7", "served")]
    spools["extproc-0"].row(replace(under_way, outcome="served"))
    for plane in ("extproc-0", "extproc-7"):
        asyncio.run(spools[plane].close())
    life(replace(settings, workers=1), engine, NOW + 2 * MINUTE)
    assert engine.rows("SELECT count() FROM audit.requests WHERE outcome = 'served'") == [(4,)]


@pytest.mark.parametrize(
    ("lives", "together"),
    [
        ((Life.DEAD, Life.ALIVE), Life.ALIVE),
        ((Life.STOPPED, Life.ALIVE), Life.ALIVE),
        ((Life.DEAD, Life.STOPPED), Life.STOPPED),
        ((Life.DEAD, Life.DEAD), Life.DEAD),
    ],
)
def test_an_exchange_of_nobody_knows_which_worker_waits_for_any_that_lives(lives: tuple[Life, ...], together: Life) -> None:
    """As long as one of the workers may still write its record; an exchange of a known worker waits for that one."""
    writers = Writers(tuple(Writer(str(number), life) for number, life in enumerate(lives)))
    assert writers.life is together
    assert [writers.of(str(number)) for number in range(len(lives))] == list(lives)
    assert writers.of("a former life") is Life.DEAD
