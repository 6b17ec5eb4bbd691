"""What DESCRIBE, EXISTS and SHOW may ask about: plain names of the audit database, and nothing that is called.

`readonly=1` does not hold these back: ClickHouse infers the structure of a table function, and looks for a table, by
opening the file or the connection that it names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

AUDIT: Final = "audit"

_DESCRIBING: Final = frozenset({"describe", "desc", "exists", "show"})
_OF_A_TABLE: Final = frozenset({"columns", "fields", "index", "indexes", "indices", "keys"})
"""`SHOW COLUMNS FROM table FROM database`; all other forms of SHOW name the database alone."""
_PATTERNS: Final = frozenset({"like", "ilike"})
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")


class ForbiddenSqlError(ValueError):
    """The SQL is not one reading statement. The text says what to change."""


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: word, quoted, text, number or sign. `text`: a name is in lower case and without its quotes."""

    kind: str
    text: str

    @property
    def is_name(self) -> bool:
        """Whether it may name something."""
        return self.kind in {"word", "quoted"}


def check_description(tokens: list[Token]) -> None:
    """Nothing to say about other statements. Raises ForbiddenSqlError."""
    verb = next((token.text for token in tokens if token.is_name), "")
    if verb not in _DESCRIBING:
        return
    for before, token in zip([Token("", ""), *tokens], tokens, strict=False):
        if not _plain(before, token):
            raise ForbiddenSqlError(
                f"{verb.upper()} takes only plain names of the database {AUDIT}, like {AUDIT}.requests: `{token.text}` can't stand in it."
            )
    for database in _databases(tokens, is_show=verb == "show"):
        if database != AUDIT:
            raise ForbiddenSqlError(f"{verb.upper()} knows only the database {AUDIT}: `{database}` can't stand in it.")


def _plain(before: Token, token: Token) -> bool:
    if token.is_name:
        return _PLAIN.fullmatch(token.text) is not None
    if token.kind == "text":
        return before.kind == "word" and before.text in _PATTERNS
    return token.kind == "number" or token.text == "."


def _databases(tokens: list[Token], *, is_show: bool) -> list[str]:
    """Every name that stands where a database does: before a dot, after DATABASE, after FROM or IN."""
    texts = [token.text for token in tokens]
    dotted = [texts[at - 1] if at else "" for at, text in enumerate(texts) if text == "."]
    named = [after for text, after in pairwise(texts) if text == "database"]
    sources = [at for at, text in enumerate(texts[:-1]) if is_show and text in {"from", "in"}]
    if sources and _OF_A_TABLE & set(texts[: sources[0]]):
        sources = sources[1:]
    return dotted + named + [texts[at + 1] for at in sources]
