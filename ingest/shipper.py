"""One step at a time: read the spool and the log, let the story say which rows there are, store them, move on.

Every step leaves the world so that the next life, started at any instant, ends with each exchange stored once:
what is read is not forgotten before the ledger names it, the ledger names it before it is inserted, and a segment is
deleted only when the ledger says that nothing in it is needed.
"""

from __future__ import annotations

import json
import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ingest.access_line import line, names, read
from ingest.access_log import AccessLog, LogCursor
from ingest.batcher import Batcher
from ingest.clickhouse import Engine, EngineDownError, EngineRefusedError
from ingest.columns import PoisonError, Row, by_column
from ingest.envoy_admin import reopen_logs
from ingest.keyless import Keyless, is_keyless
from ingest.ledger import Ledger, Plan
from ingest.rotation import Rotation
from ingest.spool_reader import Cursor, Record, SpoolReader
from ingest.witness import Candidate, Known, Story, Writer, Writers

log = logging.getLogger(__name__)

HOUR: Final = 3_600_000_000_000
QUIET: Final = 1_000_000_000
ROW_BYTES: Final = 1024  # of a row of the second witness, for the batch's sake
UNLINED_KEPT: Final = 5_000


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie."""

    spools: tuple[Path, ...]
    """A folder for each worker of the data plane."""
    access_log: Path
    ledger: Path
    envoy_admin: Path | None = None
    """Envoy's admin socket; without it the access log is not begun anew."""

    @property
    def dead(self) -> Path:
        """Rows that ClickHouse can't take, and damaged segments."""
        return self.ledger / "dead"


class Shipper:
    """Use from one thread. `on_stored` is told the rows of each batch once they are in."""

    def __init__(self, places: Places, engine: Engine, ledger: Ledger, on_stored: Callable[[list[Row]], None] = lambda _rows: None) -> None:
        self._places, self._engine, self._ledger, self._on_stored = places, engine, ledger, on_stored
        plan, done = self._ledger.load()
        self._plan = None if done else plan
        self._recovering = not done
        self._columns: list[list[Any]] | None = None  # of the plan's rows
        state: dict[str, Any] = plan.after if plan else {}
        self._distrust = "spools" not in state  # no ledger, or an older one: what the spool holds may be stored already
        self._stored = _cursors(state)
        self.counts: Counter[str] = Counter(state.get("spool_counts", {}))
        """What was found in all spools."""
        self.readers = [SpoolReader(folder, self._stored.get(folder.name, Cursor()), self.counts) for folder in places.spools]
        self.log = AccessLog(places.access_log, LogCursor(*state.get("log", (0, 0))))
        admin = places.envoy_admin
        self._rotation = Rotation(places.access_log, lambda: reopen_logs(admin)) if admin else None
        self.story = Story.from_json(state.get("story", {}), places.spools[0].name)
        self.keyless = Keyless.from_json(state.get("keyless", []))
        self.batcher = Batcher()
        self._number: int = state.get("number", 0)
        self._dead: list[Row] = []
        self._unlined: deque[str] = deque(state.get("keyless_unlined", []), UNLINED_KEPT)
        self._changed = False
        self._unwritten = False
        self._planned_at = 0
        self._remember()

    # ── steps ──────────────────────────────────────────────────────────────────

    def step(self, now: int) -> bool:
        """Do what is to be done now (ns of the Unix epoch). True if there may be more at once. Raises EngineDownError."""
        self._carry_out()
        writers = Writers(tuple(reader.writer() for reader in self.readers))
        drained = [self._read(reader, writer, now) for reader, writer in zip(self.readers, writers.present, strict=True)]
        more_lines = self._read_log()
        self._second_witness(now, now if all(drained) and not more_lines else None, writers)
        self._collect(now)
        if self._is_due(now):
            self._store(now)
        if self._rotation and not more_lines:
            self._rotation.step(self.log.cursor, now)
        self._distrust = self._distrust and not drained
        return not drained or more_lines

    def finish(self) -> None:
        """Store what is collected: the end of this life, not of anything else. Raises EngineDownError."""
        self._carry_out()
        if self._changed or self.batcher.rows:
            self._store(self._planned_at)

    def close(self) -> None:
        """Let go of files."""
        self.log.close()

    @property
    def spooled(self) -> int:
        """Exchanges that were read of and are not stored yet, but for those under way."""
        rows = [*(self._plan.rows if self._plan else ()), *self.batcher.rows]
        return sum(int(row.get("count", 1)) for row in rows) + self.story.waiting + self.keyless.held

    # ── reading ────────────────────────────────────────────────────────────────

    def _remember(self) -> None:
        """Find the open intents again, in the segments that are kept for them."""
        for reader in self.readers:
            for record in reader.again():
                if record.kind == "intent":
                    self.story.counts["intents"] -= 1
                    self.story.intent(record.row, record.segment, record.writer, reader.name)
                elif record.kind == "row" and isinstance(record.row, dict):
                    self.story.again(record.row)

    def _read(self, reader: SpoolReader, writer: Writer, now: int) -> bool:
        """Read a spool on; whether that is all that was there."""
        records, drained = reader.read(writer)
        for record in records:
            self._record(record, now, reader.name)
        return drained

    def _record(self, record: Record, now: int, spool: str) -> None:
        self._changed = True
        if record.kind == "intent":
            self.story.intent(record.row, record.segment, record.writer, spool)
        elif record.kind == "row" and isinstance(record.row, dict):
            self.story.row(record.row, now)
        else:
            self._die("no row and no intent", dict(record.row))

    def _read_log(self) -> bool:
        lines, at_end = self.log.read()
        for text, at in lines:
            self._changed = True
            try:
                said = read(text)
                if not self.story.echo(*names(said)):
                    self.story.line(line(said, at))
            except ValueError as error:
                self.story.counts["unreadable_lines"] += 1
                log.error("access log: the line at %s can't be read: %s", at, type(error).__name__)  # noqa: TRY400 - a trace adds nothing
        return not at_end

    # ── deciding ───────────────────────────────────────────────────────────────

    def _second_witness(self, now: int, drained_at: int | None, writers: Writers) -> None:
        candidates = self.story.overdue(now, drained_at, writers)
        if candidates:
            self._changed = True
            self.story.settle(candidates, self._known([candidate.row for candidate in candidates], candidates))

    def _known(self, rows: list[Row], candidates: list[Candidate]) -> Known:
        names = [candidate.id for candidate in candidates] + [candidate.envoy_id for candidate in candidates]
        times = [row["time"] for row in rows]
        return self._engine.known(names, max(0, min(times) - HOUR), max(times) + HOUR)

    def _collect(self, now: int) -> None:
        """Move rows from the story to the batch; refusals without a key go past their own gate."""
        rows, self.story.rows = self.story.rows, []
        for row in rows:
            if is_keyless(row):
                if self.story.awaits_line(row["id"]):
                    self._unlined.append(row["id"])
                if not self.keyless.admit(row):
                    continue
            self.batcher.add(row, ROW_BYTES, now)
        for row in self.keyless.due(now):
            self.batcher.add(row, ROW_BYTES, now)

    def _is_due(self, now: int) -> bool:
        """A batch is due, or for a while things were read that gave no row: cursors move on too."""
        return self.batcher.due(now) or (self._changed and not self.batcher.rows and now - self._planned_at >= QUIET)

    # ── storing ────────────────────────────────────────────────────────────────

    def _store(self, now: int) -> None:
        """Turn the batch into a plan, and carry it out."""
        self._planned_at = now
        if self._distrust and self.batcher.rows:
            self.batcher.rows = self._unknown_of(self.batcher.rows)
        self._plan = self._planned(self._checked(self.batcher.take(now)))
        self._unwritten, self._changed = True, False
        self._carry_out()

    def _checked(self, rows: list[Row]) -> list[Row]:
        """The rows that can be stored; the others die."""
        try:
            self._columns = by_column(rows)
        except PoisonError:
            rows = [row for row in rows if self._is_sound(row)]
            self._columns = by_column(rows)
        return rows

    def _is_sound(self, row: Row) -> bool:
        try:
            by_column([row])
        except PoisonError as error:
            self._die(str(error), row)
            return False
        return True

    def _unknown_of(self, rows: list[Row]) -> list[Row]:
        times = [row["time"] for row in rows]
        known = self._engine.known([row["id"] for row in rows], max(0, min(times) - HOUR), max(times) + HOUR)
        return [row for row in rows if row["id"] not in known.ids]

    def _planned(self, rows: list[Row]) -> Plan:
        self._number += 1
        log_at = self.log.cursor
        spools = {reader.name: [reader.cursor.segment, reader.cursor.offset] for reader in self.readers}
        read_to = ",".join(f"{name}/{segment}+{offset}" for name, (segment, offset) in spools.items())
        token = f"{read_to}/{log_at.inode}+{log_at.offset}/{self._number}"
        if rows:
            token += f"/{rows[0]['id']}"
        dead, self._dead = self._dead, []
        after = {
            "spools": spools,
            "spool_counts": dict(self.counts),
            "log": [log_at.inode, log_at.offset],
            "number": self._number,
            "keyless": self.keyless.to_json(),
            "keyless_unlined": [name for name in self._unlined if self.story.awaits_line(name)],
            "story": self.story.to_json(self._unlined),
        }
        return Plan(token, rows, dead, after)

    def _carry_out(self) -> None:
        """Write the plan down, insert, put aside, mark it as done. What fails is done again, with the same effect."""
        plan = self._plan
        if plan is None:
            return
        if self._unwritten:
            self._ledger.write(plan)
            self._unwritten = False
        self._insert_surely(plan)
        self._put_aside(plan.dead)
        self._ledger.stored(plan)
        self._plan = self._columns = None
        self._stored = _cursors(plan.after)
        for reader in self.readers:
            needed = (intent.segment for intent in self.story.open.values() if intent.spool == reader.name)
            reader.delete(self._stored.get(reader.name, Cursor()), needed, self._places.dead)
        if self._rotation:
            self._rotation.forget(LogCursor(*plan.after["log"]))
        self._on_stored(plan.rows)

    def _insert_surely(self, plan: Plan) -> None:
        """Insert; after a failure also ask what is there, for a token may be on record whose rows are not."""
        try:
            if plan.rows:
                self._insert(plan.rows, plan.token, self._columns)
            if self._recovering:
                self._insert_missing(plan)
        except EngineDownError:
            self._recovering = True
            raise
        self._recovering = False

    def _insert(self, rows: list[Row], token: str, columns: list[list[Any]] | None = None) -> None:
        """Insert once; rows that the engine can't take are found by halving, and put aside."""
        try:
            self._engine.insert(columns or by_column(rows), token)
        except EngineRefusedError as error:
            if len(rows) == 1:
                self._put_aside([{"why": str(error), "row": rows[0]}])
                self.story.counts["dead"] += 1
                return
            half = len(rows) // 2
            self._insert(rows[:half], token + ".0")
            self._insert(rows[half:], token + ".1")

    def _insert_missing(self, plan: Plan) -> None:
        missing = self._unknown_of(plan.rows) if plan.rows else []
        if missing:
            log.warning("audit: %d rows of a batch are missing after a failure; storing them now", len(missing))
            self._insert(missing, plan.token + "/missing")

    # ── dead rows ──────────────────────────────────────────────────────────────

    def _die(self, why: str, row: Row) -> None:
        log.error("audit: a record can't be stored and is kept in %s: %s", self._places.dead, why)
        self.story.counts["dead"] += 1
        self._dead.append({"why": why, "row": row})

    def _put_aside(self, dead: list[dict[str, Any]]) -> None:
        if not dead:
            return
        self._places.dead.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._places.dead / "rows.jsonl").open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(json.dumps(row) + "\n" for row in dead)


def _cursors(state: dict[str, Any]) -> dict[str, Cursor]:
    """How far each spool is read."""
    return {name: Cursor(*at) for name, at in state.get("spools", {}).items()}
