"""The tables, as the newest step of migrations/ leaves them (a test compares)."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

TABLES: Final = sa.MetaData()


def _text(name: str, **more: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, **more)


def _number(name: str, **more: Any) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, **more)


ESTATE: Final = sa.Table(
    "estate",
    TABLES,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    _number("revision"),
    _text("organisation"),
    _text("peppers"),
)
"""One row. Whoever changes anything changes this row first, so that writers, and the places of their events, are in one order."""

RECORDS: Final = sa.Table(
    "records",
    TABLES,
    _text("kind", primary_key=True),
    _text("name", primary_key=True),
    _number("version"),
    _text("origin"),
    _number("created"),
    _text("creator"),
    _text("document"),
)

EVENTS: Final = sa.Table(
    "events",
    TABLES,
    sa.Column("place", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
    _text("id", unique=True),
    _text("document"),
    sqlite_autoincrement=True,
)
"""Events that ingest has not stored yet; `place` grows in the order of commits."""

ANSWERS: Final = sa.Table(
    "answers",
    TABLES,
    _text("key", primary_key=True),
    _text("digest"),
    _text("sealed"),
    _number("time", index=True),
)

PLANES: Final = sa.Table(
    "planes",
    TABLES,
    _text("name", primary_key=True),
    _text("projects"),
    _text("token_hash"),
    _number("token_until"),
    sa.Column("enrolled", sa.BigInteger),
    _text("serial"),
    _text("sealed"),
    _number("created"),
    _text("creator"),
)

AUTHORITY: Final = sa.Table(
    "authority",
    TABLES,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_authority"), primary_key=True, autoincrement=False),
    _text("certificate"),
    _text("sealed"),
)
