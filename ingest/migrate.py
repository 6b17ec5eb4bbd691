"""Brings the database to the present schema: numbered SQL files, each applied once, in order.

A file holds statements separated by a line `;`. Which were applied is kept in `audit.migrations`. A file that was
applied is never edited: a change is a new file.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final

from ingest.clickhouse import Engine

log = logging.getLogger(__name__)

FOLDER: Final = Path(__file__).parent / "migrations"
_BOOK: Final = (
    "CREATE DATABASE IF NOT EXISTS audit",
    """CREATE TABLE IF NOT EXISTS audit.migrations (number UInt32, name String, time DateTime DEFAULT now())
    ENGINE = MergeTree ORDER BY number""",
)
_END: Final = re.compile(r"^;\s*$", re.MULTILINE)


def migrate(engine: Engine, folder: Path = FOLDER) -> list[str]:
    """Apply what is missing and give the names of it. Raises EngineDownError; what was begun is begun again next time."""
    for statement in _BOOK:
        engine.command(statement)
    applied = {number for (number,) in engine.rows("SELECT number FROM audit.migrations")}
    missing = [path for path in sorted(folder.glob("*.sql")) if number_of(path) not in applied]
    for path in missing:
        for statement in statements(path.read_text()):
            engine.command(statement)
        engine.command(f"INSERT INTO audit.migrations (number, name) VALUES ({number_of(path)}, '{path.stem}')")  # noqa: S608 - our own file names
        log.info("audit: applied %s", path.name)
    return [path.stem for path in missing]


def number_of(path: Path) -> int:
    """`0001_requests.sql` is number 1."""
    return int(path.stem.partition("_")[0])


def statements(text: str) -> list[str]:
    """Statements of a file, comments left in."""
    return [part.strip() for part in _END.split(text) if part.strip()]
