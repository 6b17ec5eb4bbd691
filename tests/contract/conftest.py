"""What contract suites share: the databases that a state may be kept in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer

from contracts.settings import Settings
from controlplane.state import State


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
