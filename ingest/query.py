"""Someone's SQL, read-only and within limits of time, memory and rows."""

from __future__ import annotations

import json
import logging
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson

from contracts.errors import PortcullisError
from ingest.clickhouse import DATABASE, TABLE, Engine, EngineDownError, QueryError
from ingest.columns import Row
from ingest.sql_guard import check
from ingest.sql_shapes import ForbiddenSqlError

log = logging.getLogger(__name__)

MOST_ROWS: Final = 10_000
MOST_SECONDS: Final = 10
MOST_MEMORY: Final = 1 << 30
READERS: Final = 2
LIMITS: Final[dict[str, Any]] = {
    "max_execution_time": MOST_SECONDS,
    "timeout_overflow_mode": "throw",
    "max_memory_usage": MOST_MEMORY,
    "max_threads": 2,
    "limit": MOST_ROWS + 1,
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
    "readonly": 1,  # last: nothing can be set after it
}

_TIMEOUTS: Final = frozenset({159, 160, 209})
_UNREADABLE: Final = "The database's answer can't be read as one JSON document. Ask for fewer columns, or wrap them, as in hex(…)."


class QueryRefusedError(PortcullisError):
    """`status`: 400 the SQL, 408 too long, 503 the database. The text is for the one who asked."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message, self.status = message, status


@dataclass(frozen=True, slots=True)
class Answer:
    """`types` are ClickHouse's. `truncated`: there are more rows than MOST_ROWS."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    truncated: bool


class Queries:
    """A few read-only sessions, each used by one thread at a time. Blocking: call from threads of `pool`."""

    def __init__(self, opened: Callable[[], Engine], *, in_session: bool, limits: dict[str, Any] | None = None) -> None:
        """`in_session`: the limits are made the session's (chDB); else they go with each query (a server)."""
        self.pool = ThreadPoolExecutor(READERS, "query")
        self._opened, self._in_session, self._limits = opened, in_session, limits or LIMITS
        self._free: queue.SimpleQueue[Engine | None] = queue.SimpleQueue()
        for _ in range(READERS):
            self._free.put(None)

    def ask(self, sql: str) -> Answer:
        """Run one reading statement. Raises QueryRefusedError."""
        try:
            statement = check(sql)
            with self.session() as engine:
                return _answer(engine.json(statement, {} if self._in_session else self._limits))
        except ForbiddenSqlError as error:
            raise QueryRefusedError(str(error), 400) from error
        except QueryError as error:
            raise _explained(error) from error
        except EngineDownError as error:
            raise QueryRefusedError(f"The audit database does not answer: {error}", 503) from error

    def last(self, number: int) -> list[Row]:
        """The last rows by their time, oldest first, as the spool has them. Raises QueryRefusedError."""
        answer = self.ask(f"SELECT * REPLACE (toUnixTimestamp64Nano(time) AS time) FROM {TABLE} ORDER BY requests.time DESC LIMIT {number}")  # noqa: S608 - a number
        return [dict(zip(answer.columns, row, strict=True)) for row in reversed(answer.rows)]

    def close(self) -> None:
        """End the sessions, after the queries that run."""
        self.pool.shutdown(wait=True, cancel_futures=True)
        while not self._free.empty():
            engine = self._free.get()
            if engine:
                engine.close()

    @contextmanager
    def session(self) -> Iterator[Engine]:
        """A read-only session of one's own for a while; waits for one that is free."""
        engine = self._free.get()
        try:
            if engine is None:
                engine = self._opened()
                engine.use(DATABASE)
                if self._in_session:
                    engine.settle(self._limits)
            yield engine
        finally:
            self._free.put(engine)


def _explained(error: QueryError) -> QueryRefusedError:
    if error.code in _TIMEOUTS:
        return QueryRefusedError(f"The query ran longer than {MOST_SECONDS} s and was stopped. Narrow it, for example by time.", 408)
    return QueryRefusedError(error.message, 400)


def _answer(raw: bytes) -> Answer:
    read = _loads(raw)
    meta = read.get("meta", [])
    rows = read.get("data", [])
    return Answer([column["name"] for column in meta], [column["type"] for column in meta], rows[:MOST_ROWS], len(rows) > MOST_ROWS)


def _loads(raw: bytes) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        read = orjson.loads(raw)
    except ValueError:  # whole numbers beyond 64 bits
        read = _loads_slowly(raw)
    if not isinstance(read, dict):
        raise QueryRefusedError(_UNREADABLE, 400)
    return read


def _loads_slowly(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise QueryRefusedError(_UNREADABLE, 400) from error
