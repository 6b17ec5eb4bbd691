"""The real engine: schema, inserts once each, and what someone's SQL can and can't do."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from contracts.audit import COLUMNS, AuditRow
from ingest.clickhouse import Engine, EngineRefusedError, open_engine
from ingest.columns import by_column
from ingest.migrate import FOLDER, migrate, number_of
from ingest.query import LIMITS, Queries, QueryRefusedError
from ingest.sql_guard import check
from ingest.sql_shapes import ForbiddenSqlError


def _row(**fields: Any) -> dict[str, Any]:
    blank = orjson.loads(orjson.dumps(AuditRow(id=str(uuid.uuid4()), time=time.time_ns())))
    return {**blank, **fields}


@pytest.fixture
def engine(engine_folder: Path) -> Iterator[Engine]:
    """A session with the schema in place and no rows."""
    opened = open_engine("chdb", engine_folder)
    migrate(opened)
    opened.command("TRUNCATE TABLE audit.requests")
    yield opened
    opened.close()


@pytest.fixture
def queries(engine: Engine, engine_folder: Path) -> Iterator[Queries]:
    """Read-only sessions with a time limit of 1 s."""
    made = Queries(
        lambda: open_engine("chdb", engine_folder),
        in_session=True,
        limits={**LIMITS, "max_execution_time": 1, "max_memory_usage": 50_000_000},
    )
    yield made
    made.close()


def test_columns_of_the_table_are_those_of_the_contract(engine: Engine) -> None:
    """Names, order and types exactly."""
    described = [(row[0], row[1]) for row in engine.rows("DESCRIBE TABLE audit.requests")]

    assert described == [(name, meta["ch"]) for name, meta in COLUMNS.items()]
    assert len(described) >= 60


def test_migrations_are_applied_once(engine: Engine) -> None:
    """A second start finds nothing to do; numbers are unique."""
    assert migrate(engine) == []
    numbers = [number_of(path) for path in FOLDER.glob("*.sql")]
    assert sorted(numbers) == sorted(set(numbers))


def test_a_batch_offered_twice_is_stored_once(engine: Engine) -> None:
    """The token says that it is the same, also where it spans several partitions."""
    rows = [_row(environment="dev"), _row(environment="prod"), _row(environment="prod", time=1)]
    for _ in range(3):
        engine.insert(by_column(rows), "token-1")
    engine.insert(by_column([_row()]), "token-2")

    assert engine.rows("SELECT count() FROM audit.requests") == [(4,)]


def test_a_row_comes_back_as_it_was_written(engine: Engine) -> None:
    """Every type keeps its value."""
    row = _row(
        findings_prompt={"EMAIL_ADDRESS": 2},
        reasons=["a", "b"],
        stream=True,
        metadata={"k": "ü\n\0'"},
        cost_nanousd=(1 << 64) - 1,
        time=1_795_500_000_123_456_789,
    )
    engine.insert(by_column([row]), "token-3")

    read = orjson.loads(engine.json("SELECT * FROM audit.requests", {}))

    stored = dict(zip((column["name"] for column in read["meta"]), read["data"][0], strict=True))
    assert stored.pop("time") == "2026-11-24 06:00:00.123456789"
    assert int(stored.pop("cost_nanousd")) == (1 << 64) - 1
    assert {name: row[name] for name in stored} == stored


def test_values_the_engine_can_not_take_are_told_from_an_engine_that_is_down(engine: Engine) -> None:
    """So that a poison row is isolated and not tried for ever."""
    columns = by_column([_row()])
    columns[0] = ["not-a-uuid"]

    with pytest.raises(EngineRefusedError):
        engine.insert(columns, "token-4")


def test_known_names_are_found_by_id_and_extproc_rows_by_envoy_id(engine: Engine) -> None:
    """What the second witness asks before it writes."""
    ours, theirs = _row(envoy_id="e1"), _row(envoy_id="e2", witness="envoy")
    engine.insert(by_column([ours, theirs]), "token-5")

    known = engine.known([ours["id"], "e1", "e2", "nobody", ""], 0, time.time_ns())

    assert (known.ids >= {ours["id"]}, known.envoy_ids) == (True, {"e1"})


def test_a_question_is_answered_with_names_types_and_rows(queries: Queries) -> None:
    """SELECT, SHOW, DESCRIBE and EXPLAIN; a closing semicolon and comments are fine."""
    answer = queries.ask(
        "-- how many\nWITH 2 AS two SELECT two AS n, toUInt64(1) + 18446744073709551614 AS big, nan AS x, 'a;b' AS t /* ; */ ;"
    )

    assert (answer.columns, answer.types, answer.rows) == (
        ["n", "big", "x", "t"],
        ["UInt8", "UInt64", "Float64", "String"],
        [[2, (1 << 64) - 1, None, "a;b"]],
    )
    for sql in (
        "SHOW TABLES FROM audit",
        "DESCRIBE audit.requests",
        "EXPLAIN SELECT 1",
        "EXISTS audit.requests",
        "EXISTS TABLE requests",
        "DESC TABLE `audit`.`requests`",
        "SHOW COLUMNS FROM requests FROM audit LIKE 'te%'",
        "SHOW CREATE TABLE audit.requests",
        "SHOW TABLES LIKE 'req%' LIMIT 1",
        "WITH 1 AS url, 2 AS remote SELECT url, remote AS input, filesystemAvailable() > 0, '/' AS \"tokens/s\", EXISTS (SELECT 1)",
        "FROM numbers(2) SELECT number",
    ):
        assert queries.ask(sql).rows


def test_unqualified_names_mean_the_audit_database(queries: Queries) -> None:
    """`FROM requests` and `FROM audit.requests` are the same table."""
    assert queries.ask("SELECT count() FROM requests").rows == queries.ask("SELECT count() FROM audit.requests").rows


def test_rows_are_cut_at_the_limit_and_said_to_be(queries: Queries) -> None:
    """Nobody takes part of an answer for the whole."""
    assert queries.ask("SELECT number FROM numbers(10000)").truncated is False
    cut = queries.ask("SELECT number FROM numbers(1000000)")
    assert (len(cut.rows), cut.truncated) == (10_000, True)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "  -- nothing\n",
        "INSERT INTO audit.requests (team) VALUES ('x')",
        "ALTER TABLE audit.requests DELETE WHERE 1",
        "DROP TABLE audit.requests",
        "TRUNCATE TABLE audit.requests",
        "CREATE TABLE audit.x (a Int8) ENGINE = Memory",
        "SET readonly = 0",
        "SYSTEM FLUSH LOGS",
        "KILL QUERY WHERE 1",
        "BACKUP TABLE audit.requests TO File('/tmp/x')",
        "SELECT 1; SELECT 2",
        "SELECT 1;\n/* */ DROP TABLE audit.requests",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 1000",
        "SELECT 1 FORMAT CSV",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT file('/etc/hostname')",
        "SELECT `file`('/etc/hostname')",
        "SELECT \"file\"('/etc/hostname')",
        "SELECT `fi\\x6ce`('/etc/hostname')",
        "SELECT file /* x */ ('/etc/hostname')",
        "SELECT * APPLY(file) FROM (SELECT '/etc/hostname')",
        "SELECT 1 INTO OUTFILE '/tmp/portcullis-outfile'",
        "SELECT 1 INTO /**/ OUTFILE '/tmp/portcullis-outfile'",
        "SELECT * FROM url('http://127.0.0.1:1/x', 'CSV')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/x.csv', 'CSV')",
        "SELECT * FROM remote('127.0.0.1:1', system.one)",
        "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
        "SELECT * FROM executable('id', TSV, 'a String')",
        "SELECT * FROM python('x')",
        "SELECT aiGenerate('x')",
        "DESCRIBE TABLE url('file:///etc/hosts', 'TSVWithNames')",
        "DESCRIBE url('http://127.0.0.1:1/x', 'TSVWithNames')",
        "(DESCRIBE url('file:///etc/hosts', 'TSVWithNames'))",
        "DESC s3('http://127.0.0.1:1/bucket/x.csv', 'CSV')",
        "DESCRIBE remote('127.0.0.1:1', system.one)",
        "DESCRIBE mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
        "DESCRIBE (SELECT 1)",
        "DESCRIBE '/etc/hosts'",
        "DESCRIBE default.hosts",
        "EXISTS TABLE default.`/etc/hosts`",
        "EXISTS TABLE audit.`/etc/hosts`",
        "EXISTS DATABASE default",
        "EXISTS audit.default.`hosts`",
        "SHOW CREATE TABLE default.`/etc/hosts`",
        "SHOW TABLES FROM default",
        "SHOW TABLES IN `system`",
        "SHOW COLUMNS FROM requests FROM system",
        "SHOW COLUMNS FROM url('file:///etc/hosts', 'TSVWithNames')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT 'unclosed",
        "SELECT /* unclosed",
        "SELECT \x00",
        "SELECT nope",
        "SEL ECT",
    ],
)
def test_what_is_not_one_reading_statement_is_refused(queries: Queries, sql: str) -> None:
    """With 400 and a sentence; nothing is written, run or reached."""
    with pytest.raises(QueryRefusedError) as refused:
        queries.ask(sql)

    assert refused.value.status == 400
    assert refused.value.message
    assert not Path("/tmp/portcullis-outfile").exists()  # noqa: S108 - must not be there


@pytest.mark.parametrize(
    "name",
    [
        "file",
        "url",
        "URL",
        "`url`",
        "s3",
        "s3Cluster",
        "remote",
        "remoteSecure",
        "cluster",
        "clusterAllReplicas",
        "mysql",
        "postgresql",
        "mongodb",
        "redis",
        "hdfs",
        "azureBlobStorage",
        "gcs",
        "iceberg",
        "icebergS3",
        "icebergLocal",
        "deltaLake",
        "deltaLakeLocal",
        "hudi",
        "jdbc",
        "odbc",
        "executable",
        "input",
        "fileCluster",
        "urlCluster",
        "sqlite",
        "ytsaurus",
        "arrowFlight",
        "paimonLocal",
        "filesystem",
        "oss",
        "cosn",
        "bigquery",
        "arrowstream",
    ],
)
def test_table_functions_that_reach_out_are_refused_by_their_names(name: str) -> None:
    """Before the engine sees them, wherever they stand and whatever stands between the name and its parenthesis."""
    for before in ("SELECT * FROM ", "SELECT 1 FROM loop(", "EXPLAIN TABLE OVERRIDE "):
        with pytest.raises(ForbiddenSqlError, match="reaches beyond"):
            check(f"{before}{name} /* x */\n('x')")


@pytest.mark.parametrize("raw", [b'{"meta": []}\n{"meta": []}', b"a\tb\n", b"[1]", b'{"data": [["\xff"]]}', b'{"data": ' + b"[" * 100_000])
def test_an_answer_that_is_not_one_json_document_is_the_questions_fault(raw: bytes) -> None:
    """400 and a sentence: the database is there, so `try again` would be wrong."""

    class Odd(Engine):
        def json(self, sql: str, settings: dict[str, Any]) -> bytes:
            """The engine's answer is what is tested here."""
            del sql, settings
            return raw

        def use(self, database: str) -> None:
            """Nothing to use."""

    odd = Queries(lambda: Odd(None), in_session=False)  # type: ignore[arg-type] # no client is asked
    with pytest.raises(QueryRefusedError, match="JSON") as refused:
        odd.ask("SELECT name, value FROM system.server_settings")

    assert refused.value.status == 400
    odd.pool.shutdown()


def test_words_that_are_forbidden_as_names_are_fine_as_texts(queries: Queries) -> None:
    """A user agent may well contain them."""
    assert queries.ask("SELECT 'into outfile; file(1)' AS t").rows == [["into outfile; file(1)"]]


def test_a_query_without_end_is_stopped(queries: Queries) -> None:
    """408, and the session can be used again."""
    with pytest.raises(QueryRefusedError) as refused:
        queries.ask("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)")

    assert refused.value.status == 408
    assert queries.ask("SELECT 1").rows == [[1]]


def test_a_query_without_bounds_in_memory_is_stopped(queries: Queries) -> None:
    """400 with the engine's own words."""
    with pytest.raises(QueryRefusedError, match=r"(?i)memory limit") as refused:
        queries.ask("SELECT length(groupArray(number)) FROM numbers(100000000)")

    assert refused.value.status == 400


def test_reading_sessions_leave_the_writing_one_alone(engine: Engine, queries: Queries) -> None:
    """Read-only is the session's, not the engine's."""
    queries.ask("SELECT 1")

    engine.insert(by_column([_row()]), "token-6")

    assert queries.ask("SELECT count() FROM audit.requests").rows == [[1]]


def test_the_view_by_day_counts_exchanges(engine: Engine, queries: Queries) -> None:
    """An aggregated row counts for all it stands for."""
    engine.insert(by_column([_row(team="search", count=3), _row(team="search")]), "token-7")

    assert queries.ask("SELECT team, exchanges FROM audit.by_day").rows == [["search", 4]]
