"""What someone's SQL may not be, beyond what `readonly=1` refuses.

Tried on chDB 26.9 with readonly=1: the *function* `file('/etc/passwd')` reads any file, `INTO OUTFILE` writes one,
`KILL QUERY` kills, several statements run one after the other, `DESCRIBE url(…)` reads a file or connects, and
``EXISTS default.`/path` `` looks for one. So a query is one statement that begins with a reading verb; some names may
not stand in it outside of strings, some not before a parenthesis; and what describes is held to plain names of the
audit database (`ingest.sql_shapes`). Names are looked for in tokens, not with regular expressions over the text; what
this small lexer can't read for sure is refused.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from ingest.sql_shapes import ForbiddenSqlError, Token, check_description

VERBS: Final = frozenset({"select", "with", "from", "show", "describe", "desc", "explain", "exists"})

FORBIDDEN: Final = frozenset({"file", "outfile", "eval", "python", "executable", "showcertificate", "catboostevaluate", "addresstoline"})
"""Reads or writes files, runs programs, or shows the server's own secrets. Names that begin with `ai` and are functions
of the AI family, which call out, are in `_AI`."""

_AI: Final = re.compile(r"ai(classify|embed|extract|filter|generate\w*|redact|similarity|translate)")

REACHING: Final = re.compile(
    r"""
      (?: arrow_?flight | arrowstream | azure\w* | bigquery | cassandra | cluster\w* | cosn | delta\w* | executable\w*
        | file\w* | gcs\w* | hdfs\w* | hive | hudi\w* | iceberg\w* | input | jdbc | kafka | mongo\w* | mysql | nats
        | odbc | oss | paimon\w* | postgres\w* | rabbitmq | redis | remote\w* | s3\w* | sqlite | url(?:cluster)?
        | ytsaurus )
    """,
    re.VERBOSE,
)
"""Table functions that open files or connections, where a parenthesis follows. Source: system.table_functions of chDB 26.9
and https://clickhouse.com/docs/sql-reference/table-functions; whole families, for those that come later."""

_HARMLESS: Final = frozenset({"filesystemavailable", "filesystemcapacity", "filesystemunreserved"})
"""Functions whose names only look like a family's."""

_TOKEN: Final = re.compile(
    r"""
      (?P<blank>\s+ | --[^\n]* | \#[!\ ][^\n]* | /\*.*?\*/)
    | (?P<text>'(?:[^'\\]|\\.|'')*')
    | (?P<quoted>`[^`\\]*` | "[^"\\]*")
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>[0-9][A-Za-z0-9_.]*)
    | (?P<end>;)
    | (?P<sign>[-+*/%=<>!.,:()\[\]{}?|&^~@])
    """,
    re.VERBOSE | re.DOTALL,
)


def check(sql: str) -> str:
    """The statement without a closing semicolon. Raises ForbiddenSqlError."""
    tokens: list[Token] = []
    at, stop = 0, len(sql)
    while at < len(sql):
        found = _TOKEN.match(sql, at)
        if found is None:
            raise ForbiddenSqlError(f"The SQL can't be read from character {at + 1} on. Quote names with ` or \", texts with '.")
        kind = found.lastgroup
        if stop < len(sql) and kind not in {"blank", "end"}:
            raise ForbiddenSqlError("One statement at a time: remove what follows the semicolon.")
        if kind == "end":
            stop = min(stop, at)
        elif kind and kind != "blank":
            tokens.append(Token(kind, found[0].strip('`"').lower() if kind in {"word", "quoted"} else found[0]))
        at = found.end()
    _check_names([token.text for token in tokens if token.is_name])
    _check_calls(tokens)
    check_description(tokens)
    return sql[:stop]


def _check_names(names: list[str]) -> None:
    if not names or names[0] not in VERBS:
        raise ForbiddenSqlError("Only reading is possible here. Begin with SELECT, WITH, SHOW, DESCRIBE, EXPLAIN or EXISTS.")
    for name in names:
        if name in FORBIDDEN or _AI.fullmatch(name):
            raise ForbiddenSqlError(
                f"`{name}` can't be used here: it reaches beyond the database. If it is meant as a text, put it in single quotes."
            )


def _check_calls(tokens: list[Token]) -> None:
    for token, following in pairwise(tokens):
        if token.is_name and following.text == "(" and REACHING.fullmatch(token.text) and token.text not in _HARMLESS:
            raise ForbiddenSqlError(f"`{token.text}(…)` can't be used here: it reaches beyond the database.")
