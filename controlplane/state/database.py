"""The database behind the state, SQLite's file or a PostgreSQL server: opened, brought to the present schema, spoken of in sentences."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from contracts.errors import Unusable
from contracts.settings import Settings
from controlplane.estate.addresses import place_of
from controlplane.state.values import Failed, Unsettled
from extproc.edge.private_files import private_folder

MIGRATIONS: Final = Path(__file__).parent / "migrations"
PATIENCE: Final = 5
"""Seconds that one waits for a lock, or for a server to take a connection."""

_PRAGMAS: Final = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA secure_delete = ON")
"""What is deleted or overwritten is overwritten with zeros: a removed credential is gone, and not only unlinked."""
_OPTIONS: Final = f"-c lock_timeout={PATIENCE}s -c statement_timeout=60s -c idle_in_transaction_session_timeout=30s"
"""A control that vanishes in the middle of a change must not keep the others waiting."""
_OPENING: Final = 0x706F7274
"""Number of the lock under which PostgreSQL's schema is changed: any that nobody else takes."""


@dataclass(frozen=True, slots=True)
class Database:
    """`place` is what sentences call it, with no user and no password."""

    reader: sa.Engine
    writer: sa.Engine
    place: str

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A look at everything as of one moment. Raises Failed."""
        try:
            with self.reader.begin() as db:
                yield db
        except SQLAlchemyError as error:
            raise Failed(f"{self.place}: can't be read: {_reason(error)}") from None

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """All of it or nothing. Raises Failed (nothing was changed) and Unsettled."""
        done = False
        try:
            with self.writer.begin() as db:
                yield db
                done = True
        except SQLAlchemyError as error:
            if done:
                why = f"whether the change was made is not known: {_reason(error)}; look before you repeat it"
                raise Unsettled(f"{self.place}: {why}") from None
            raise Failed(f"{self.place}: can't be written: {_reason(error)}; nothing was changed") from None

    def forget(self) -> None:
        """Let what was overwritten leave SQLite's log too, unless somebody reads just now; PostgreSQL does so in its own time."""
        if self.writer.dialect.name != "sqlite":
            return
        try:
            connection = self.writer.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.close()
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise Failed(f"{self.place}: its log can't be cut: {error}") from None

    def close(self) -> None:
        """Let go of its connections."""
        self.writer.dispose()


def open_database(settings: Settings) -> Database:
    """The database of the setting `state`, with the present schema. Raises Unusable."""
    database = _sqlite(settings.data) if settings.state == "sqlite" else _postgresql(settings.state)
    try:
        _bring_up(database)
    except BaseException:
        database.close()
        raise
    return database


def _sqlite(data: Path) -> Database:
    file = private_folder(data / "state") / "portcullis.db"
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its companions the same mode
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(file)), hide_parameters=True, connect_args={"timeout": PATIENCE})
    sa.event.listen(engine, "connect", _settle_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return Database(engine, engine.execution_options(writing=True), str(file))


def _settle_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, and not at the first write
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(db: sa.Connection) -> None:
    """A writer takes its turn at once: it would otherwise be refused after it has read what it changes."""
    db.exec_driver_sql("BEGIN IMMEDIATE" if db.get_execution_options().get("writing") else "BEGIN")


def _postgresql(setting: str) -> Database:
    url = sa.make_url(setting).set(drivername="postgresql+psycopg")
    try:
        engine = sa.create_engine(
            url, hide_parameters=True, pool_pre_ping=True, connect_args={"connect_timeout": PATIENCE, "options": _OPTIONS, **secured(url)}
        )
    except ImportError:
        raise Unusable("state: psycopg is not installed. Install the extra [postgres], or use sqlite") from None
    return Database(
        engine.execution_options(isolation_level="REPEATABLE READ"),
        engine.execution_options(isolation_level="READ COMMITTED"),
        f"PostgreSQL's database {url.database} on {_host(url)}",
    )


def secured(url: sa.URL) -> dict[str, str]:
    """What a connection needs besides: to another machine the server proves its name, unless the address says otherwise."""
    host = _host(url)
    here = host.startswith("/") or place_of(host) == "loopback"
    return {} if here or "sslmode" in url.query else {"sslmode": "verify-full"}


def _host(url: sa.URL) -> str:
    """A name, an address, or the folder of a socket."""
    return url.host or str(url.query["host"])


# ── schema ─────────────────────────────────────────────────────────────────────


def _bring_up(database: Database) -> None:
    """Apply the steps that are missing, all or none; whoever opens at the same time waits."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    with database.writing() as db:
        if db.dialect.name == "postgresql":
            db.execute(sa.select(sa.func.pg_advisory_xact_lock(_OPENING)))
        elif db.exec_driver_sql("PRAGMA user_version").scalar():
            raise Unusable(
                f"{database.place}: was made by a version of Portcullis from before its first release; "
                "move the folder away, start anew and apply your file again"
            )
        found = MigrationContext.configure(db).get_current_revision()
        if found not in {None, *(step.revision for step in script.walk_revisions())}:
            raise Unusable(f"{database.place}: has schema {found}, made by a newer version of Portcullis; use that version, or a backup")
        if found != script.get_current_head():
            config.attributes["connection"] = db
            command.upgrade(config, "head")


def _reason(error: SQLAlchemyError) -> str:
    """What the database says, without the statement, its values, and the lines that may quote them."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return str(error.orig).strip().partition("\n")[0] or type(error.orig).__name__
    return type(error).__name__
