"""The first schema: records, the estate's one row, events on their way, kept answers, planes and what signs for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From nothing."""
    estate = op.create_table(
        "estate",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("peppers", sa.Text, nullable=False),
    )
    op.bulk_insert(estate, [{"id": 1, "revision": 0, "organisation": "", "peppers": "{}"}])
    op.create_table(
        "records",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("creator", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("place", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "answers",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "planes",
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
    op.create_table(
        "authority",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1", name="one_authority"), primary_key=True, autoincrement=False),
        sa.Column("certificate", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
    )
