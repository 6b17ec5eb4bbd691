"""The tables, as the newest step of migrations/ leaves them (a test compares)."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

TABLES: Final = sa.MetaData()

ESTATE: Final = sa.Table(
    "estate",
    TABLES,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("peppers", sa.Text, nullable=False),
)
"""One row. Whoever changes anything changes this row first, so that writers, and the places of their events, are in one order."""

RECORDS: Final = sa.Table(
    "records",
    TABLES,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("creator", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)

EVENTS: Final = sa.Table(
    "events",
    TABLES,
    sa.Column("place", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("document", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Events that ingest has not stored yet; `place` grows in the order of commits."""

ANSWERS: Final = sa.Table(
    "answers",
    TABLES,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False, index=True),
)

PLANES: Final = sa.Table(
    "planes",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("projects", sa.Text, nullable=False),
    sa.Column("token_hash", sa.Text, nullable=False),
    sa.Column("token_until", sa.BigInteger, nullable=False),
    sa.Column("enrolled", sa.BigInteger),
    sa.Column("serial", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("creator", sa.Text, nullable=False),
)

AUTHORITY: Final = sa.Table(
    "authority",
    TABLES,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_authority"), primary_key=True, autoincrement=False),
    sa.Column("certificate", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
)
