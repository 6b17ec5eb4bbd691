"""The spool's promises on a real file system."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from contracts.audit import AuditRow, Intent
from contracts.errors import AuditUnavailable, Unusable
from contracts.settings import Spool as SpoolSettings
from extproc.edge import spool as spool_module
from extproc.edge.spool import Spool
from ingest.spool_reader import Cursor, SpoolReader
from ingest.witness import Life

FSYNC = SpoolSettings(durability="fsync")


def _row(**fields: object) -> AuditRow:
    return AuditRow(id=str(uuid.uuid4()), time=1, **fields)  # type: ignore[arg-type] # whatever the test says


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.seg"))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in _segments(folder))


def _read(folder: Path) -> list[tuple[str, str]]:
    reader = SpoolReader(folder, Cursor())
    found, drained = [], False
    while not drained:
        records, drained = reader.read(reader.writer())
        found += [(record.kind, record.row["id"]) for record in records]
    assert not reader.counts["corrupt"]
    return found


def _fill(spool: Spool) -> list[AuditRow]:
    """Intents until one is refused."""
    accepted: list[AuditRow] = []
    with suppress(AuditUnavailable):
        while len(accepted) < 1_000:
            row = _row()
            spool.intent(Intent(row=row))
            accepted.append(row)
    return accepted


@contextmanager
def _no_file_longer_than(size: int) -> Iterator[None]:
    """What a full disk does to a write, without filling a disk: EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_an_intent_is_in_the_file_before_the_call_returns(tmp_path: Path) -> None:
    """With durability os a killed process loses nothing that was accepted."""
    spool = Spool(tmp_path, SpoolSettings())
    row = _row()

    assert spool.intent(Intent(row=row)) is None

    assert _read(tmp_path) == [("intent", row.id)]
    await spool.close()


async def test_many_intents_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With durability fsync each waits for the disk, but not each for a sync of its own."""
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(fd), real(fd)))
    spool = Spool(tmp_path, FSYNC)
    waits = [spool.intent(Intent(row=_row())) for _ in range(200)]

    await asyncio.gather(*(wait for wait in waits if wait))

    assert len([wait for wait in waits if wait]) == 200
    assert 1 <= len(synced) <= 3
    await spool.close()


async def test_a_sync_that_fails_refuses_the_intent_and_writes_the_row_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what of a segment is on disk then; another one is begun."""
    spool = Spool(tmp_path, FSYNC)
    row, broken = _row(), True
    real = os.fdatasync

    def sync(fd: int) -> None:
        if broken:
            raise OSError(5, "Input/output error")
        real(fd)

    monkeypatch.setattr(os, "fdatasync", sync)
    wait = spool.intent(Intent(row=row))
    assert wait is not None
    with pytest.raises(AuditUnavailable):
        await wait
    broken = False
    spool.row(row)
    await spool.close()

    assert len(_segments(tmp_path)) == 2
    assert ("row", row.id) in _read(tmp_path)


async def test_a_full_disk_refuses_intents_and_loses_no_row(tmp_path: Path) -> None:
    """The torn frame is cut off, the row waits, and goes first once there is room."""
    spool = Spool(tmp_path, SpoolSettings())
    first, second = _row(), _row()
    spool.intent(Intent(row=first))
    size = _bytes(tmp_path)

    with _no_file_longer_than(size + 100):
        with pytest.raises(AuditUnavailable):
            spool.intent(Intent(row=second))
        spool.row(first)
        assert spool.waiting == 1
        with pytest.raises(AuditUnavailable):
            spool.intent(Intent(row=second))
        assert _bytes(tmp_path) == size
    spool.intent(Intent(row=second))

    assert _read(tmp_path) == [("intent", first.id), ("row", first.id), ("intent", second.id)]
    await spool.close()


async def test_a_waiting_row_is_tried_again_every_second(tmp_path: Path) -> None:
    """No further traffic is needed for it to be written."""
    spool = Spool(tmp_path, SpoolSettings())
    row = _row()
    with _no_file_longer_than(10):
        spool.row(row)
    assert spool.waiting == 1

    spool.tick()

    assert spool.waiting == 0
    assert _read(tmp_path) == [("row", row.id)]
    await spool.close()


async def test_at_its_cap_it_refuses_intents_until_segments_are_deleted(tmp_path: Path) -> None:
    """max_bytes counts what ingest has not stored yet, and room is held for the rows of open intents."""
    spool = Spool(tmp_path, SpoolSettings(max_bytes=40_000), segment_bytes=8_000)
    accepted = _fill(spool)
    for row in accepted:
        spool.row(row)

    assert accepted
    assert spool.waiting == 0
    assert _bytes(tmp_path) <= 40_000
    while more := _fill(spool):
        for row in more:
            spool.row(row)
    with pytest.raises(AuditUnavailable, match="bring ingest back"):
        spool.intent(Intent(row=_row()))
    for path in _segments(tmp_path)[:-1]:
        path.unlink()
    spool.intent(Intent(row=_row()))
    await spool.close()


async def test_a_small_cap_is_spread_over_segments(tmp_path: Path) -> None:
    """Ingest never deletes the newest segment; were it the only one, a full spool would stay full for ever."""
    spool = Spool(tmp_path, SpoolSettings(max_bytes=40_000))
    for row in _fill(spool):
        spool.row(row)
    _fill(spool)

    for path in _segments(tmp_path)[:-1]:
        path.unlink()

    assert spool.intent(Intent(row=_row())) is None
    await spool.close()


async def test_rows_of_refusals_wait_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full spool under load does not eat the memory: beyond its patience it leaves those to the access log, and counts."""
    monkeypatch.setattr(spool_module, "PATIENCE", 5)
    spool = Spool(tmp_path, SpoolSettings(max_bytes=10))
    for _ in range(8):
        spool.row(_row())

    assert (spool.waiting, spool.shed) == (5, 3)
    await spool.close()


async def test_a_row_that_json_can_not_hold_is_trimmed_and_written(tmp_path: Path) -> None:
    """A lone surrogate or a number without end does not cost the exchange its row."""
    spool = Spool(tmp_path, SpoolSettings())
    row = _row(path="/\ud800" + "x" * 2_000_000, input_tokens=1 << 80)

    spool.row(row)

    assert _read(tmp_path) == [("row", row.id)]
    await spool.close()


async def test_liveness_is_told_by_lock_and_touch(tmp_path: Path) -> None:
    """Held and fresh: alive. Held and stale: stopped. Free: dead."""
    reader = SpoolReader(tmp_path, Cursor())
    assert reader.writer().life is Life.DEAD
    spool = Spool(tmp_path, SpoolSettings())
    spool.tick()
    assert reader.writer().life is Life.ALIVE
    os.utime(tmp_path / "writer.lock", (1, 1))
    assert reader.writer().life is Life.STOPPED
    await spool.close()
    assert reader.writer().life is Life.DEAD


async def test_a_second_writer_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writers of one folder would be two truths."""
    monkeypatch.setattr("extproc.edge.segment.LOCK_PATIENCE_SECONDS", 0.0)
    spool = Spool(tmp_path, SpoolSettings())

    with pytest.raises(Unusable, match="another extproc writes the spool"):
        Spool(tmp_path, SpoolSettings())
    await spool.close()


async def test_a_successor_opens_a_segment_of_its_own(tmp_path: Path) -> None:
    """What a dead writer left is never appended to."""
    for _ in range(2):
        spool = Spool(tmp_path, SpoolSettings())
        spool.row(_row())
        await spool.close()

    assert [path.name for path in _segments(tmp_path)] == ["0000000001.seg", "0000000002.seg"]
    assert len(_read(tmp_path)) == 2


async def test_a_segment_of_some_age_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that ingest can delete it though traffic is thin."""
    monkeypatch.setattr(spool_module, "SEGMENT_SECONDS", 0.0)
    spool = Spool(tmp_path, SpoolSettings())
    spool.row(_row())
    spool.tick()
    spool.row(_row())

    assert len(_segments(tmp_path)) == 2
    await spool.close()


async def test_a_corrupt_segment_is_skipped_counted_and_kept(tmp_path: Path) -> None:
    """Damage costs what is behind it in that segment, and nothing else."""
    spool = Spool(tmp_path / "s", SpoolSettings(), segment_bytes=3_000)
    rows = [_row() for _ in range(6)]
    for row in rows:
        spool.row(row)
    await spool.close()
    damaged = _segments(tmp_path / "s")[1]
    content = bytearray(damaged.read_bytes())
    content[1700] ^= 1
    damaged.write_bytes(content)
    reader = SpoolReader(tmp_path / "s", Cursor())
    found, drained = [], False
    while not drained:
        records, drained = reader.read(reader.writer())
        found += [record.row["id"] for record in records]
    reader.read(reader.writer())
    reader.delete(reader.cursor, [], tmp_path / "dead")

    assert [row.id for row in rows if row.id not in found] == [rows[3].id]
    assert reader.counts["corrupt"] == 1
    assert [path.name for path in (tmp_path / "dead").iterdir()] == ["s-0000000002.seg"]


def test_the_writer_brings_no_database_into_extproc(root: Path) -> None:
    """Extproc stays small: 80 MiB is its target, the engine alone takes 400."""
    code = "import sys, extproc.edge.spool; print([m for m in sys.modules if m.split('.')[0] in ('clickhouse_connect', 'chdb', 'aiohttp', 'numpy')])"

    shown = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True, timeout=60)

    assert shown.stdout.strip() == "[]"
