"""What contract suites share: the databases that a state may be kept in, control processes, the audit's engine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer

from contracts.settings import Settings
from controlplane.state import State
from ingest.clickhouse import Engine, open_engine
from ingest.migrate import migrate
from tests.contract.control_parts import ControlPart, free_port


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of one's own."""
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings whose state is a fresh one, in either database."""
    if request.param == "sqlite":
        return Settings(data=tmp_path)
    return Settings(data=tmp_path, state=request.getfixturevalue("postgres").database())


@pytest.fixture
def state(kept: Settings) -> Iterator[State]:
    """That state, open."""
    opened = State.open(kept)
    yield opened
    opened.close()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlPart]:
    """A control process on a fresh folder."""
    part = ControlPart(tmp_path / "d", free_port())
    part.start()
    yield part
    part.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPart]:
    """A control process for tests that may share what is applied."""
    part = ControlPart(tmp_path_factory.mktemp("c") / "d", free_port())
    part.start()
    yield part
    part.stop()


@pytest.fixture(scope="module")
def engine_folder() -> Iterator[Path]:
    """One folder for the module: the engine takes one a process."""
    made = Path(tempfile.mkdtemp())
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def engine(engine_folder: Path) -> Iterator[Engine]:
    """The real engine with the schema in place, open all the while as a server would be."""
    opened = open_engine("chdb", engine_folder)
    migrate(opened)
    yield opened
    opened.close()
