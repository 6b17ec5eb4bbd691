"""ClickHouse through one client: its engine in process (`chdb`), or a server (`clickhouse://user:password@host:port`).

An Engine is one session, used by one thread at a time. Errors are sorted by what helps: a poison row (EngineRefusedError)
is taken apart, anything else (EngineDownError) is tried again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DataError, Error

from contracts.errors import PortcullisError, Unusable
from ingest.columns import NAMES, TYPES
from ingest.witness import Known

DATABASE: Final = "audit"
TABLE: Final = f"{DATABASE}.requests"
CONNECT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 30

_SHAPE: Final[dict[str, Any]] = {"column_names": list(NAMES), "column_type_names": list(TYPES)}
_CODE: Final = re.compile(r"Code: (\d+)")
_POISON: Final = frozenset({6, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 130, 131, 321, 349, 376, 407})
"""Error codes of ClickHouse that speak of a value, not of the server: parsing, conversion, ranges, sizes.
Source: src/Common/ErrorCodes.cpp."""


class EngineDownError(PortcullisError):
    """Not now: unreachable, overloaded, no space, no table. Try again."""


class EngineRefusedError(PortcullisError):
    """Never: the engine can't take these values."""


class QueryError(PortcullisError):
    """The engine's answer to someone's SQL. `code` is ClickHouse's, 0 if it gave none."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.message, self.code = message, code


class Engine:
    """One session."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def insert(self, columns: Sequence[Sequence[Any]], token: str) -> None:
        """Insert columns (in the order of NAMES) once for `token`. Raises EngineDownError, EngineRefusedError."""
        settings = {"insert_deduplication_token": token, "async_insert": 0, "max_partitions_per_insert_block": 0, "max_threads": 1}
        try:
            self._client.insert("requests", columns, database="audit", column_oriented=True, settings=settings, **_SHAPE)
        except Exception as error:
            raise _sorted_out(error) from error

    def insert_into(self, table: str, names: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert a few rows into another table of the database. Raises EngineDownError, EngineRefusedError."""
        shape: dict[str, Any] = {"column_names": list(names), "column_type_names": list(types)}
        try:
            self._client.insert(table, rows, database=DATABASE, settings={"async_insert": 0, "max_threads": 1}, **shape)
        except Exception as error:
            raise _sorted_out(error) from error

    def command(self, sql: str) -> None:
        """Run a statement of our own."""
        try:
            self._client.command(sql)
        except Exception as error:
            raise EngineDownError(_first_line(error)) from error

    def rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Ask a question of our own."""
        try:
            return [tuple(row) for row in self._client.query(sql, parameters=parameters).result_rows]
        except Exception as error:
            raise EngineDownError(_first_line(error)) from error

    def json(self, sql: str, settings: dict[str, Any]) -> bytes:
        """Run someone's SQL and give its JSONCompact. Raises QueryError, EngineDownError."""
        try:
            return bytes(self._client.raw_query(sql, settings=settings or None, fmt="JSONCompact"))
        except Error as error:
            found = _CODE.search(str(error))
            if found is None:
                raise EngineDownError(_first_line(error)) from error
            raise QueryError(_first_line(error), int(found[1])) from error
        except Exception as error:
            raise EngineDownError(_first_line(error)) from error

    def use(self, database: str) -> None:
        """Make unqualified names mean this database: chDB keeps it for the session, a server is told with each query."""
        self.command(f"USE {database}")
        self._client.database = database

    def settle(self, settings: dict[str, Any]) -> None:
        """Make settings those of the session, in order."""
        for name, value in settings.items():
            self._client.set_client_setting(name, value)

    def known(self, names: Iterable[str], since: int, until: int) -> Known:
        """Which of these name a row with a time in [since, until] (ns). Raises EngineDownError."""
        asked = sorted(set(names) - {""})
        if not asked:
            return Known()
        sql = (
            f"SELECT toString(id), if(witness = 'extproc', envoy_id, '') FROM {TABLE} "  # noqa: S608 - a constant
            "WHERE time >= fromUnixTimestamp64Nano({since:Int64}) AND time <= fromUnixTimestamp64Nano({until:Int64}) "
            "AND (toString(id) IN {names:Array(String)} OR envoy_id IN {names:Array(String)})"
        )
        found = self.rows(sql, {"since": since, "until": until, "names": asked})
        return Known(frozenset(row[0] for row in found), frozenset(row[1] for row in found) & set(asked))

    def close(self) -> None:
        """End the session."""
        self._client.close()


def open_engine(audit: str, folder: Path) -> Engine:
    """A new session. `audit` is the setting, `folder` where chDB keeps its files. Raises EngineDownError, Unusable."""
    try:
        return Engine(_client(audit, folder))
    except ImportError as error:
        raise Unusable("audit: chdb is not installed. Install the extra [embedded], or name a server: clickhouse://…") from error
    except Exception as error:
        raise EngineDownError(_first_line(error)) from error


def _client(audit: str, folder: Path) -> Client:
    if audit == "chdb":
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return clickhouse_connect.get_client(dsn=f"chdb://{folder}")
    return clickhouse_connect.get_client(
        dsn=audit, connect_timeout=CONNECT_SECONDS, send_receive_timeout=ANSWER_SECONDS, autogenerate_session_id=False
    )


def _sorted_out(error: Exception) -> PortcullisError:
    found = _CODE.search(str(error))
    poison = int(found[1]) in _POISON if found else isinstance(error, DataError | ValueError | TypeError | AttributeError | OverflowError)
    return EngineRefusedError(_first_line(error)) if poison else EngineDownError(_first_line(error))


def _first_line(error: Exception) -> str:
    """What an error says, without the addresses and stacks that may follow."""
    return str(error).strip().partition("\n")[0][:500] or type(error).__name__
