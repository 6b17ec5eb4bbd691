"""What someone's SQL may not be, beyond what `readonly=1` refuses.

Tried on chDB 26.9 with readonly=1: the *function* `file('/etc/passwd')` reads any file, `INTO OUTFILE` writes one,
`KILL QUERY` kills, and several statements run one after the other. So a query is one statement that begins with a
reading verb, and some names may not stand in it outside of strings. Names are looked for in tokens, not with regular
expressions over the text; what this small lexer can't read for sure is refused.
"""

from __future__ import annotations

import re
from typing import Final

VERBS: Final = frozenset({"select", "with", "from", "show", "describe", "desc", "explain", "exists"})

FORBIDDEN: Final = frozenset({"file", "outfile", "eval", "python", "executable", "showcertificate", "catboostevaluate", "addresstoline"})
"""Reads or writes files, runs programs, or shows the server's own secrets. Names that begin with `ai` and are functions
of the AI family, which call out, are in `_AI`."""

_AI: Final = re.compile(r"ai(classify|embed|extract|filter|generate\w*|redact|similarity|translate)")

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


class ForbiddenSqlError(ValueError):
    """The SQL is not one reading statement. The text says what to change."""


def check(sql: str) -> str:
    """The statement without a closing semicolon. Raises ForbiddenSqlError."""
    names: list[str] = []
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
        elif kind in {"word", "quoted"}:
            names.append(found[0].strip('`"').lower())
        at = found.end()
    _check_names(names)
    return sql[:stop]


def _check_names(names: list[str]) -> None:
    if not names or names[0] not in VERBS:
        raise ForbiddenSqlError("Only reading is possible here. Begin with SELECT, WITH, SHOW, DESCRIBE, EXPLAIN or EXISTS.")
    for name in names:
        if name in FORBIDDEN or _AI.fullmatch(name):
            raise ForbiddenSqlError(
                f"`{name}` can't be used here: it reaches beyond the database. If it is meant as a text, put it in single quotes."
            )
