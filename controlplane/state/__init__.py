"""What is governed, kept: in SQLite's file under the data folder, or in PostgreSQL, by the same statements.

A change is one transaction: the records that change, the revision, the admin events, the kept answer. Whoever changes an
estate that is no longer the stored one is told Stale, and nothing is written. Secrets arrive here sealed or hashed.

Every method blocks: call it from a thread (`asyncio.to_thread`). Any number of threads and processes may. Each raises Failed
with one sentence where the database does not do its part; a method that writes has then changed nothing, but for Unsettled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from contracts.events import AdminEvent
from contracts.settings import Settings
from controlplane.estate import Change, Changes, Estate
from controlplane.state import rows
from controlplane.state.database import Database, open_database
from controlplane.state.tables import ANSWERS, AUTHORITY, ESTATE, EVENTS, PLANES, RECORDS
from controlplane.state.values import ANSWERS_KEPT, Authority, Failed, KeptAnswer, Plane, Stale, Taken

_ONE_RECORD: Final = (RECORDS.c.kind == sa.bindparam("of_kind"), RECORDS.c.name == sa.bindparam("of_name"))
_OLD_RECORD: Final = (*_ONE_RECORD, RECORDS.c.version == sa.bindparam("of_version"))


class State:
    """An open state."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    @classmethod
    def open(cls, settings: Settings) -> State:
        """The state of the settings, its schema brought up to date."""
        return cls(open_database(settings))

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    # ── the estate ─────────────────────────────────────────────────────────────

    def load(self) -> Estate:
        """The estate as of the last commit; the empty one on a fresh database. 100,000 keys take about two seconds."""
        with self._sound(), self._database.reading() as db:
            return rows.estate_of(
                db.execute(sa.select(ESTATE)).one(), db.execute(sa.select(RECORDS).order_by(RECORDS.c.kind, RECORDS.c.name))
            )

    def commit(self, estate: Estate, changes: Changes, events: Sequence[AdminEvent], answer: KeptAnswer | None = None) -> None:
        """Make `estate` what `estate.after(changes)` is, and keep its events and the answer. Raises Stale.

        Where the stored estate moved on, the one who asked looks again for a kept answer before deciding anew.
        """
        head: dict[str, Any] = {"revision": estate.revision + 1}
        if changes.organisation is not None:
            head["organisation"] = changes.organisation
        if changes.peppers is not None:
            head["peppers"] = rows.peppers_text(changes.peppers)
        with self._database.writing() as db:
            # First of all: this row's lock is what puts writers in a line.
            if db.execute(sa.update(ESTATE).where(ESTATE.c.revision == estate.revision).values(head)).rowcount != 1:
                raise Stale
            self._write(db, changes.records)
            _tell(db, events)
            _keep(db, answer)

    def _write(self, db: sa.Connection, changes: Sequence[Change]) -> None:
        made = [rows.record_row(change, change.new) for change in changes if change.old is None and change.new is not None]
        changed = [
            {**_which(change), **rows.record_row(change, change.new)}
            for change in changes
            if change.old is not None and change.new is not None
        ]
        removed = [_which(change) for change in changes if change.new is None]
        found = 0
        if removed:
            found += db.execute(sa.delete(RECORDS).where(*_OLD_RECORD), removed).rowcount
        if changed:
            values: dict[str, Any] = {column.name: sa.bindparam(column.name) for column in RECORDS.columns}
            found += db.execute(sa.update(RECORDS).where(*_OLD_RECORD).values(values), changed).rowcount
        if made:
            db.execute(sa.insert(RECORDS), made)
        if found != len(removed) + len(changed):
            raise Failed(f"{self._database.place}: a record is not as the estate has it; restart control. Nothing was changed")

    # ── kept answers ───────────────────────────────────────────────────────────

    def answered(self, key: str) -> KeptAnswer | None:
        """What a call of that key was answered in the last 24 hours."""
        since = int(self._clock()) - ANSWERS_KEPT
        with self._database.reading() as db:
            found = db.execute(sa.select(ANSWERS).where(ANSWERS.c.key == key, ANSWERS.c.time > since)).one_or_none()
        return rows.answer_from(found) if found else None

    def keep_answer(self, answer: KeptAnswer) -> None:
        """Keep the answer of a call that has no change of its own to be kept with."""
        with self._database.writing() as db:
            _keep(db, answer)

    def answers(self) -> list[KeptAnswer]:
        """All that are kept, expired ones too."""
        with self._database.reading() as db:
            return [rows.answer_from(row) for row in db.execute(sa.select(ANSWERS).order_by(ANSWERS.c.key))]

    def reseal(self, moved: Mapping[str, str]) -> None:
        """Put what is kept beside the estate under new seals, by the old ones; what is gone or was sealed anew meanwhile stays so."""
        with self._database.writing() as db:
            for table in (ANSWERS, PLANES, AUTHORITY):
                (name,) = table.primary_key
                for row in db.execute(sa.select(name, table.c.sealed)).all():
                    if row.sealed in moved:
                        this = sa.and_(name == row[0], table.c.sealed == row.sealed)
                        db.execute(sa.update(table).where(this).values(sealed=moved[row.sealed]))

    def forget(self) -> None:
        """Let what was overwritten leave the disk: seals under a key that may be known to somebody."""
        self._database.forget()

    # ── events on their way ────────────────────────────────────────────────────

    def waiting_events(self, limit: int) -> list[AdminEvent]:
        """Events that were not delivered, in the order of their commits."""
        with self._sound(), self._database.reading() as db:
            return [rows.event_from(row) for row in db.execute(sa.select(EVENTS).order_by(EVENTS.c.place).limit(limit))]

    def waiting(self) -> int:
        """How many there are."""
        with self._database.reading() as db:
            return db.execute(sa.select(sa.func.count()).select_from(EVENTS)).scalar_one()

    def delivered(self, ids: Sequence[str]) -> None:
        """These are stored where they were to go; they are let go of here."""
        if ids:
            with self._database.writing() as db:
                db.execute(sa.delete(EVENTS).where(EVENTS.c.id.in_(ids)))

    # ── planes ─────────────────────────────────────────────────────────────────

    def planes(self) -> dict[str, Plane]:
        """All planes, by name."""
        with self._sound(), self._database.reading() as db:
            return {row.name: rows.plane_from(row) for row in db.execute(sa.select(PLANES).order_by(PLANES.c.name))}

    def plane(self, name: str) -> Plane | None:
        """One plane."""
        with self._sound(), self._database.reading() as db:
            found = db.execute(sa.select(PLANES).where(PLANES.c.name == name)).one_or_none()
            return rows.plane_from(found) if found else None

    def put_plane(self, plane: Plane, events: Sequence[AdminEvent], *, fresh: bool = False, answer: KeptAnswer | None = None) -> None:
        """Keep a plane as it is now, and the call's answer. Raises Taken where it is to be a `fresh` one and there is one of its name."""
        with self._telling(events) as db:
            gone = sa.delete(PLANES).where(PLANES.c.name == plane.name)
            if fresh and db.execute(sa.select(PLANES.c.name).where(PLANES.c.name == plane.name)).first():
                raise Taken(f"a plane {plane.name} is there already; remove it first, or choose another name")
            db.execute(gone)
            db.execute(sa.insert(PLANES), rows.plane_row(plane))
            _keep(db, answer)

    def enrol(self, name: str, token_hash: str, now: int, serial: str, sealed: str, events: Sequence[AdminEvent]) -> Plane | None:
        """Use a plane's one-time token. None, and no event: it is another one, was used, or has expired at `now` (s)."""
        usable = (PLANES.c.name == name, PLANES.c.token_hash == token_hash, PLANES.c.token_hash != "", PLANES.c.token_until > now)
        with self._sound(), self._telling(()) as db:
            taken = (
                sa.update(PLANES)
                .where(*usable, PLANES.c.enrolled.is_(None))
                .values(enrolled=now, serial=serial, sealed=sealed, token_hash="")
            )
            if db.execute(taken).rowcount != 1:
                return None
            _tell(db, events)
            return rows.plane_from(db.execute(sa.select(PLANES).where(PLANES.c.name == name)).one())

    def remove_plane(self, name: str, events: Sequence[AdminEvent]) -> bool:
        """Whether there was one. Where there was none, the events are not kept."""
        with self._telling(()) as db:
            there = db.execute(sa.delete(PLANES).where(PLANES.c.name == name)).rowcount == 1
            _tell(db, events if there else ())
            return there

    def authority(self) -> Authority | None:
        """What signs planes' certificates, once it was made."""
        with self._database.reading() as db:
            found = db.execute(sa.select(AUTHORITY)).one_or_none()
        return Authority(found.certificate, found.sealed) if found else None

    def keep_authority(self, authority: Authority) -> Authority:
        """Keep it unless there is one, and give the one that is kept."""
        with self._telling(()) as db:
            found = db.execute(sa.select(AUTHORITY)).one_or_none()
            if found:
                return Authority(found.certificate, found.sealed)
            db.execute(sa.insert(AUTHORITY).values(id=1, certificate=authority.certificate, sealed=authority.sealed))
            return authority

    @contextmanager
    def _telling(self, events: Sequence[AdminEvent]) -> Iterator[sa.Connection]:
        """A change of something beside the estate: in line with the estate's writers, so that events stay in order."""
        with self._database.writing() as db:
            db.execute(sa.update(ESTATE).values(revision=ESTATE.c.revision))
            yield db
            _tell(db, events)

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """What was read is what was written, or one sentence."""
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, sa.exc.NoResultFound) as error:
            why = f"can't be read: {type(error).__name__}; restore it from your backup"
            raise Failed(f"{self._database.place}: {why}") from None


def _which(change: Change) -> Mapping[str, Any]:
    """The record as the estate has it, by the names that the statements give."""
    return {"of_kind": change.kind, "of_name": change.name, "of_version": change.old.version if change.old else 0}


def _keep(db: sa.Connection, answer: KeptAnswer | None) -> None:
    if answer is not None:
        db.execute(sa.delete(ANSWERS).where(ANSWERS.c.time <= answer.time - ANSWERS_KEPT))
        db.execute(sa.insert(ANSWERS).values(key=answer.key, digest=answer.digest, sealed=answer.sealed, time=answer.time))


def _tell(db: sa.Connection, events: Sequence[AdminEvent]) -> None:
    if events:
        db.execute(sa.insert(EVENTS), [rows.event_row(event) for event in events])
