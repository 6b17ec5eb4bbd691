"""Two witnesses, one row an exchange: what the spool says and what Envoy's access log says are joined here.

The first witness is extproc (intents and rows in the spool), the second is Envoy (one log line an exchange). Rules:

1. A row and a line of the same exchange are one exchange; the row is written, the line adds nothing. They are the same
   if the line's `id` is the row's; a line without an id (extproc never answered) is matched by Envoy's own id.
2. A row with termination `gone` waits for its line, up to `GONE_GRACE`: only Envoy knows who went away. Where no line
   comes it was Envoy itself: the exchange crashed.
3. A line without a row is decided once the spool is read to a point later than the line's end plus a grace: 2 s; 60 s
   where the exchange has an open intent, so is under way; none where the writer is dead or has stopped.
4. An open intent whose writer died is a crashed exchange: at once if Envoy's line is there, else after `ORPHAN_GRACE`.
5. A row that comes after all this is late: its exchange has its row already. It is counted and dropped.

Time is an argument, in nanoseconds of the Unix epoch. What must survive a restart is in `to_json`; open intents are
found again in the segments, which are kept for as long as an intent in them is open.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from ingest.access_line import Line
from ingest.columns import Row
from ingest.endings import CRASHED, ENVOY_DIED, Ending, ending, with_credential

SECOND: Final = 1_000_000_000
GRACE: Final = 2 * SECOND
OPEN_GRACE: Final = 60 * SECOND
ORPHAN_GRACE: Final = 10 * SECOND
GONE_GRACE: Final = 15 * SECOND
REMEMBERED: Final = 100_000
"""Exchanges kept in mind after their row, for a line or a second copy that comes later. Beyond it ClickHouse is asked."""
WRITTEN_REMEMBERED: Final = 8_192
"""Rows of the second witness kept in the ledger, so that a late row of extproc is known for one after a restart."""


class Life(Enum):
    """What the writer of the spool is doing."""

    ALIVE = "alive"
    STOPPED = "stopped"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Writer:
    """A spool's present writer. `name`: the life of the process, as in the header of its segments."""

    name: str
    life: Life


@dataclass(frozen=True, slots=True)
class Writers:
    """The present writers of all spools. Whose an exchange was of which no record is known yet can't be told."""

    present: tuple[Writer, ...]

    @property
    def life(self) -> Life:
        """Alive as long as one of them is: a record may still come."""
        lives = [writer.life for writer in self.present]
        return next((life for life in (Life.ALIVE, Life.STOPPED) if life in lives), Life.DEAD)

    def of(self, writer: str) -> Life:
        """What became of `writer`: a former life is dead."""
        return next((each.life for each in self.present if each.name == writer), Life.DEAD)


@dataclass(slots=True)
class OpenIntent:
    """An exchange that may use a credential and has no row yet. `segment`, of the spool `spool`: where its record stands."""

    row: Mapping[str, Any]
    segment: int
    writer: str
    spool: str = ""
    orphan_since: int | None = None


@dataclass(slots=True)
class _Gone:
    row: Row
    since: int
    had_intent: bool


class Missing(Enum):
    """Why the second witness would write a row."""

    LINE = "line"
    ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that the second witness is about to write, if ClickHouse does not know the exchange already."""

    row: Row
    id: str
    envoy_id: str
    line: Line | None


@dataclass(frozen=True, slots=True)
class Known:
    """What ClickHouse knows of the names it was asked for: ids of any row, and Envoy's ids of rows that extproc wrote."""

    ids: frozenset[str] = frozenset()
    envoy_ids: frozenset[str] = frozenset()


class _Recent(OrderedDict[str, str]):
    """The last so many keys."""

    def __init__(self, most: int, pairs: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(pairs)
        self._most = most

    def note(self, key: str, value: str = "") -> None:
        if key in self:
            self.move_to_end(key)
        self[key] = value
        if len(self) > self._most:
            self.popitem(last=False)


class Story:
    """The state machine. Feed it records and lines in the order they are read; take `rows` and `candidates` out."""

    def __init__(self, plane: str = "extproc-0") -> None:
        self.rows: list[Row] = []
        self.open: dict[str, OpenIntent] = {}
        self.counts: Counter[str] = Counter()
        self._plane = plane
        self._pending: dict[str, Line] = {}  # by place in the log
        self._pending_names: dict[str, list[str]] = {}  # id or Envoy's id → places
        self._gone: dict[str, _Gone] = {}
        self._seen = _Recent(REMEMBERED)  # id of a row → Envoy's id
        self._unlined = _Recent(REMEMBERED)  # id of a row whose line has not come → Envoy's id
        self._unlined_names: dict[str, list[str]] = {}  # Envoy's id → ids of such rows
        self._written = _Recent(WRITTEN_REMEMBERED)  # id or Envoy's id of rows the second witness wrote

    # ── what is read ───────────────────────────────────────────────────────────

    def intent(self, row: Mapping[str, Any], segment: int, writer: str, spool: str = "") -> None:
        """An intent from the spool."""
        name = row["id"]
        if name in self._seen or name in self._written:
            return
        if name not in self.open:
            self.counts["intents"] += 1
        self.open[name] = OpenIntent(row, segment, writer, spool)

    def row(self, row: Row, now: int) -> None:
        """A finished exchange from the spool."""
        name, envoy_id = row["id"], row.get("envoy_id", "")
        had_intent = self.open.pop(name, None) is not None
        if name in self._seen:
            self.counts["duplicate"] += 1
            return
        self._seen.note(name, envoy_id)
        if name in self._written or (envoy_id and self._written.get(envoy_id) == "nameless"):
            self.counts["late"] += 1
            return
        self.counts["exchanges"] += 1
        line = self._take_pending(name) or self._take_pending(envoy_id, nameless=True)
        if row.get("termination") == "gone" and line is None:
            self._gone[name] = _Gone(row, now, had_intent)
        else:
            self.rows.append(_settled(row, line, had_intent=had_intent))
        if line is None:
            self._await_line(name, envoy_id)

    def line(self, line: Line) -> None:
        """A line of the access log."""
        self.counts["lines"] += 1
        name = self._unlined_name(line.id, line.envoy_id)
        if name is not None:
            self._forget_unlined(name)
            gone = self._gone.pop(name, None)
            if gone:
                self.rows.append(_settled(gone.row, line, had_intent=gone.had_intent))
        elif not line.id or line.id not in self._written:
            self._pending[line.at] = line
            for key in {line.id or line.envoy_id} - {""}:
                self._pending_names.setdefault(key, []).append(line.at)

    def echo(self, name: str, envoy_id: str) -> bool:
        """Whether a line with these ids adds nothing, its row being there already: the usual case. If so it is counted."""
        found = self._unlined_name(name, envoy_id)
        if found is None or found in self._gone:
            return False
        self._forget_unlined(found)
        self.counts["lines"] += 1
        return True

    def again(self, row: Row) -> None:
        """A row that an earlier life of ingest has read already: it closes its intent, and is known."""
        self.open.pop(row["id"], None)
        self._seen.note(row["id"], row.get("envoy_id", ""))

    # ── what time decides ──────────────────────────────────────────────────────

    def overdue(self, now: int, drained_at: int | None, writers: Writers) -> list[Candidate]:
        """Rows that the second witness is to write, given that all records up to `drained_at` have been read."""
        self._let_gone_go(now)
        if drained_at is None:
            return []
        lines = [candidate for line in list(self._pending.values()) if (candidate := self._judged(line, drained_at, writers))]
        named = {candidate.id for candidate in lines}
        return lines + [candidate for candidate in self._orphans(now, writers) if candidate.id not in named]

    def settle(self, candidates: Iterable[Candidate], known: Known) -> None:
        """Write the candidates, but for those that ClickHouse knows."""
        for candidate in candidates:
            self.open.pop(candidate.id, None)
            nameless = candidate.line is not None and not candidate.line.id
            if candidate.line:
                self._drop_pending(candidate.line)
            if candidate.envoy_id in known.envoy_ids if nameless else candidate.id in known.ids:
                continue
            row = self._with_fresh_id(candidate, known) if nameless else candidate.row
            self.counts["witnessed"] += 1
            self.counts["exchanges"] += 1
            self._written.note(row["id"])
            if nameless and candidate.envoy_id:
                self._written.note(candidate.envoy_id, "nameless")
            self.rows.append(row)

    @property
    def waiting(self) -> int:
        """Exchanges that have been read of and have no row yet, but for those under way."""
        return len(self._pending) + len(self._gone)

    # ── the ledger ─────────────────────────────────────────────────────────────

    def to_json(self, keyless_unlined: Iterable[str] = ()) -> dict[str, Any]:
        """What a restart needs. `keyless_unlined`: rows that ClickHouse will not know because they were aggregated."""
        held = [(name, self._unlined[name]) for name in keyless_unlined if name in self._unlined]
        return {
            "counts": dict(self.counts),
            "pending": [line.to_json() for line in self._pending.values()],
            "gone": [[gone.row, gone.since, gone.had_intent] for gone in self._gone.values()],
            "written": list(self._written.items()),
            "unlined": held,
        }

    @classmethod
    def from_json(cls, state: dict[str, Any], plane: str = "extproc-0") -> Story:
        """Take up where `to_json` left off."""
        story = cls(plane)
        story.counts.update(state.get("counts", {}))
        story._written = _Recent(WRITTEN_REMEMBERED, [(key, value) for key, value in state.get("written", [])])
        for row, since, had_intent in state.get("gone", []):
            story._gone[row["id"]] = _Gone(row, since, had_intent)
            story._seen.note(row["id"], row.get("envoy_id", ""))
            story._await_line(row["id"], row.get("envoy_id", ""))
        for name, envoy_id in state.get("unlined", []):
            story._await_line(name, envoy_id)
        for line in state.get("pending", []):
            story.counts["lines"] -= 1
            story.line(Line(**line))
        return story

    def awaits_line(self, name: str) -> bool:
        """Whether the row with this id has been read and its line has not."""
        return name in self._unlined

    # ── lines that wait for rows ───────────────────────────────────────────────

    def _take_pending(self, key: str, *, nameless: bool = False) -> Line | None:
        places = self._pending_names.get(key, ()) if key else ()
        line = next((self._pending[at] for at in places if not (nameless and self._pending[at].id)), None)
        if line:
            self._drop_pending(line)
        return line

    def _drop_pending(self, line: Line) -> None:
        if self._pending.pop(line.at, None) is None:
            return
        key = line.id or line.envoy_id
        if key:
            self._pending_names[key].remove(line.at)
            if not self._pending_names[key]:
                del self._pending_names[key]

    def _judged(self, line: Line, drained_at: int, writers: Writers) -> Candidate | None:
        intent = self.open.get(line.id)
        life = writers.of(intent.writer) if intent else writers.life
        grace = 0 if life is not Life.ALIVE else OPEN_GRACE if intent else GRACE
        if drained_at < line.end + grace:
            return None
        end = ending(line.flags, line.details, line.status)
        if intent:
            end = CRASHED if life is Life.DEAD else with_credential(end)
        row = self._witnessed(intent.row if intent else {"id": line.row_id}, line.known, end)
        return Candidate(row, row["id"], line.envoy_id, line)

    def _with_fresh_id(self, candidate: Candidate, known: Known) -> Row:
        """Envoy's id names the exchange, unless an app sent the same x-request-id before."""
        if candidate.line and (candidate.id in self._written or candidate.id in known.ids):
            return {**candidate.row, "id": replace(candidate.line, envoy_id="").row_id}
        return candidate.row

    # ── intents that wait for rows ─────────────────────────────────────────────

    def _orphans(self, now: int, writers: Writers) -> list[Candidate]:
        found = []
        for name, intent in self.open.items():
            if writers.of(intent.writer) is not Life.DEAD:
                intent.orphan_since = None
                continue
            intent.orphan_since = intent.orphan_since or now
            if now >= intent.orphan_since + ORPHAN_GRACE:
                found.append(Candidate(self._witnessed(intent.row, {}, CRASHED), name, "", None))
        return found

    def _witnessed(self, base: Mapping[str, Any], known: Row, end: Ending) -> Row:
        """A row of the second witness: the intent's columns, then the line's, but the intent's own time."""
        merged = {**base, **known, "time": base.get("time") or known["time"]}
        return {**merged, **end.columns, "plane": base.get("plane") or self._plane, "witness": "envoy", "count": 1}

    # ── rows that wait for lines ───────────────────────────────────────────────

    def _await_line(self, name: str, envoy_id: str) -> None:
        self._unlined.note(name, envoy_id)
        if envoy_id:
            self._unlined_names.setdefault(envoy_id, []).append(name)
            if len(self._unlined_names) > 2 * REMEMBERED:
                self._unlined_names = {key: names for key, names in self._unlined_names.items() if any(n in self._unlined for n in names)}

    def _unlined_name(self, name: str, envoy_id: str) -> str | None:
        """The row that waits for a line with these ids."""
        if name:
            return name if name in self._unlined else None
        return next((row for row in self._unlined_names.get(envoy_id, ()) if row in self._unlined), None)

    def _forget_unlined(self, name: str) -> None:
        """From now on this row waits for no line."""
        envoy_id = self._unlined.pop(name)
        names = self._unlined_names.get(envoy_id, [])
        if name in names:
            names.remove(name)
            if not names:
                del self._unlined_names[envoy_id]

    def _let_gone_go(self, now: int) -> None:
        for name in [name for name, gone in self._gone.items() if now >= gone.since + GONE_GRACE]:
            self.rows.append({**self._gone.pop(name).row, **ENVOY_DIED.columns})


def _settled(row: Row, line: Line | None, *, had_intent: bool) -> Row:
    """A row of extproc; where it does not know who went away, the line says."""
    if row.get("termination") != "gone" or line is None:
        return row
    end = ending(line.flags, line.details, line.status)
    end = with_credential(end) if had_intent else end
    told = {"envoy_flags": line.flags, "envoy_details": line.details[:200], "status": line.status}
    more = {name: row.get(name) or line.known.get(name, 0) for name in ("request_bytes", "response_bytes")}
    return {**row, **told, **more, **end.columns}
