"""What is governed, kept: SQLite's file under the data folder, one JSON document a record.

The seam for another database is the class State: `load` gives the whole estate, `replace` makes
another one of it in a single transaction. Secrets arrive here sealed or hashed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from contracts.errors import Unusable
from contracts.snapshot import DEFAULT_PROFILE, Snapshot, snapshot_of
from extproc.edge.vault_file import private_folder

KINDS: Final = ("providers", "credentials", "models", "environments", "profiles", "keys")
_FORMAT: Final = 1
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE records (kind TEXT, name TEXT, document TEXT NOT NULL, PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;
"""


def _nothing() -> Snapshot:
    return Snapshot(revision="0", profiles={DEFAULT_PROFILE.name: DEFAULT_PROFILE})


@dataclass(frozen=True, slots=True)
class Estate:
    """Everything that is governed: what data planes are told, and the teams with their projects."""

    snapshot: Snapshot = field(default_factory=_nothing)
    teams: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def revision(self) -> int:
        """Grows by one with every change."""
        return int(self.snapshot.revision)


class State:
    """The file, open. One process uses it at a time."""

    def __init__(self, data: Path) -> None:
        file = private_folder(data / "state") / "portcullis.db"
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        self._file = file
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=2)
        try:
            self._prepare()
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.Error):
                raise Unusable(f"{file}: can't be used: {error}") from None
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        if found == 0:
            with self._transaction():
                for statement in _SCHEMA.strip().splitlines():
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_FORMAT}")
        elif found != _FORMAT:
            raise Unusable(f"{self._file}: has format {found}, made by another version of Portcullis; this one reads {_FORMAT}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def load(self) -> Estate:
        """The estate as it was last replaced; the empty one on a fresh file."""
        try:
            meta = dict(self._db.execute("SELECT name, value FROM meta"))
            records: dict[str, dict[str, Any]] = {kind: {} for kind in (*KINDS, "teams")}
            for kind, name, document in self._db.execute("SELECT kind, name, document FROM records ORDER BY kind, name"):
                records[kind][name] = json.loads(document)
            teams = {name: tuple(projects) for name, projects in records.pop("teams").items()}
            if not meta:
                return Estate()
            document = {"revision": meta["revision"], "organisation": meta["organisation"], "pepper": meta["pepper"], **records}
            return Estate(snapshot_of(document), teams)
        except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
            raise Unusable(f"{self._file}: can't be read: {type(error).__name__}; restore it from your backup") from None

    def replace(self, old: Estate, new: Estate) -> None:
        """Make `new` of `old`, whole or not at all. Raises Unusable where the state is no longer `old`."""
        before, after = _rows(old), _rows(new)
        try:
            with self._transaction():
                row = self._db.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()
                if (row[0] if row else "0") != old.snapshot.revision:
                    raise Unusable("the state changed meanwhile; apply again")
                self._db.executemany("DELETE FROM records WHERE kind = ? AND name = ?", [key for key in before if key not in after])
                changed = [(*key, document) for key, document in after.items() if row is None or before.get(key) != document]
                self._db.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", changed)
                meta = {name: getattr(new.snapshot, name) for name in ("revision", "organisation", "pepper")}
                self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(meta.items()))
        except sqlite3.Error as error:
            raise Unusable(f"{self._file}: can't be written: {error}; nothing was changed") from None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _rows(estate: Estate) -> dict[tuple[str, str], str]:
    """Every record as (kind, name) → document."""
    found: dict[tuple[str, str], Any] = {("teams", name): projects for name, projects in estate.teams.items()}
    for kind in KINDS:
        found |= {(kind, name): asdict(record) for name, record in getattr(estate.snapshot, kind).items()}
    return {key: json.dumps(document, sort_keys=True) for key, document in found.items()}
