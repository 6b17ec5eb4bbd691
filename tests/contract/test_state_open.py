"""Opening the state: from nothing, at once, over files of others, and without a word of a password."""

from __future__ import annotations

import sqlite3
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from postgres_server import PASSWORD, USER, PostgresServer
from state_parts import filled

from contracts.errors import Unusable
from contracts.settings import Settings
from controlplane.estate import Changes, Estate
from controlplane.state import State
from controlplane.state.database import secured
from controlplane.state.tables import TABLES
from controlplane.state.values import Unsettled

OLD = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE records (kind TEXT, name TEXT, document TEXT NOT NULL, PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def test_the_steps_lead_to_the_tables(state: State) -> None:
    """Alembic finds no difference between what its steps made and what the code speaks of."""
    with state._database.reading() as db:
        assert compare_metadata(MigrationContext.configure(db, opts={"compare_type": True}), TABLES) == []


def test_many_open_a_fresh_database_at_once(kept: Settings) -> None:
    """One of them makes the tables; all of them find them."""
    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda _: State.open(kept), range(6)))
    for state in opened:
        assert state.load() == Estate()
        state.close()


def test_a_database_of_a_newer_version_is_refused(state: State, kept: Settings) -> None:
    """It is not guessed at, and not touched."""
    with state._database.writing() as db:
        db.exec_driver_sql("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(Unusable, match="has schema 0999, made by a newer version"):
        State.open(kept)


def test_a_folder_of_before_the_first_release_is_refused(tmp_path: Path) -> None:
    """With what to do; the file stays as it is."""
    file = tmp_path / "state" / "portcullis.db"
    file.parent.mkdir(mode=0o700)
    old = sqlite3.connect(file)
    old.executescript(OLD)
    old.close()
    with pytest.raises(Unusable, match=r"portcullis\.db: .* move the folder away, start anew and apply your file again"):
        State.open(Settings(data=tmp_path))
    old = sqlite3.connect(file)
    assert [name for (name,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")] == ["meta", "records"]
    old.close()


def test_the_file_is_its_owners_only(tmp_path: Path) -> None:
    """0700 and 0600, for SQLite's companions too; a folder that others may enter is refused."""
    state = State.open(Settings(data=tmp_path))
    filled(state)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "state", *(tmp_path / "state").iterdir()]}
    assert modes.keys() >= {"portcullis.db", "portcullis.db-wal", "portcullis.db-shm"}
    assert {mode & 0o077 for mode in modes.values()} == {0}
    state.close()
    (tmp_path / "state").chmod(0o755)
    with pytest.raises(Unusable, match="chmod 700"):
        State.open(Settings(data=tmp_path))


def test_a_commit_is_on_disk(tmp_path: Path) -> None:
    """Write-ahead log, synced with every commit, in every connection."""
    state = State.open(Settings(data=tmp_path))
    for looking in (state._database.reading, state._database.writing):
        with looking() as db:
            assert (db.exec_driver_sql("PRAGMA journal_mode").scalar(), db.exec_driver_sql("PRAGMA synchronous").scalar()) == ("wal", 2)
    state.close()


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    """What is no database is refused by name."""
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "portcullis.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Unusable, match=r"portcullis\.db: can't be written: file is not a database"):
        State.open(Settings(data=tmp_path))


def test_who_can_not_get_in_is_told_where_and_not_with_what(postgres: PostgresServer, tmp_path: Path) -> None:
    """No server, no database, a wrong password: one sentence, without a password."""
    wrong = tmp_path / "pgpass"
    wrong.write_text(f"*:*:*:{USER}:{PASSWORD}-not\n")
    wrong.chmod(0o600)
    for address in (
        f"postgresql://{USER}@/x?host={tmp_path}",
        postgres.to("none"),
        postgres.to("postgres").replace(str(postgres.passfile), str(wrong)),
    ):
        with pytest.raises(Unusable, match=r"^PostgreSQL's database (x|none|postgres) on /") as error:
            State.open(Settings(data=tmp_path, state=address))
        assert PASSWORD not in str(error.value)
        assert "\n" not in str(error.value)
        assert error.value.__cause__ is None


def test_a_password_comes_from_the_environment(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PGPASSWORD, as with any program of PostgreSQL's."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    state = State.open(Settings(data=tmp_path, state=postgres.database().partition("&passfile")[0]))
    assert state.load() == Estate()
    state.close()


def test_without_its_driver_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an installation that is made for SQLite."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Unusable, match=r"\[postgres\]"):
        State.open(Settings(data=tmp_path, state=f"postgresql://{USER}@localhost/x"))


def test_a_server_that_was_restarted_is_found_again(postgres: PostgresServer, tmp_path: Path) -> None:
    """What was committed is there; while it is down a change is refused, and nothing of it is made."""
    state = State.open(Settings(data=tmp_path, state=postgres.database()))
    estate = filled(state)
    postgres.stop()
    with pytest.raises(Unusable, match="nothing was changed"):
        state.commit(estate, Changes(organisation="other"), [])
    postgres.start()
    assert state.load() == estate
    state.commit(estate, Changes(organisation="other"), [])
    assert state.load().organisation == "other"
    state.close()


def test_a_connection_lost_at_the_commit_is_told_as_unknown(postgres: PostgresServer, tmp_path: Path) -> None:
    """Neither as made nor as not made; here it was not, and the next step is one from the old revision."""
    address = postgres.database()
    state = State.open(Settings(data=tmp_path, state=address))
    estate = filled(state)

    def cut(db: sa.Connection) -> None:
        if db.get_isolation_level() == "READ COMMITTED":
            number = db.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with psycopg.connect(address) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [number])

    sa.event.listen(state._database.writer, "commit", cut)
    with pytest.raises(Unsettled, match="is not known"):
        state.commit(estate, Changes(organisation="other"), [])
    sa.event.remove(state._database.writer, "commit", cut)
    assert state.load() == estate
    state.commit(estate, Changes(organisation="third"), [])
    assert state.load() == replace(estate, revision=2, organisation="third")
    state.close()


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("postgresql://db.example/x", {"sslmode": "verify-full"}),
        ("postgresql://10.0.0.1/x", {"sslmode": "verify-full"}),
        ("postgresql://db.example/x?sslmode=require", {}),
        ("postgresql://localhost/x", {}),
        ("postgresql://127.0.0.1/x", {}),
        ("postgresql://[::1]/x", {}),
        ("postgresql:///x?host=/run/postgresql", {}),
        ("postgresql:///x?host=db.example", {"sslmode": "verify-full"}),
    ],
)
def test_on_another_machine_the_server_proves_its_name(address: str, found: dict[str, str]) -> None:
    """Unless the address says how; loopback and sockets need no proof."""
    assert secured(sa.make_url(address)) == found
