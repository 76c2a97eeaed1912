"""Sweeps of lists, by which changes are found whose rows do not tell when they changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "sweeps",
        sa.Column("feed", sa.String(64), primary_key=True),
        sa.Column("environment", sa.String(40), nullable=False, index=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("swept_at", sa.Float, nullable=False),
        sa.Column("leased_until", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float, nullable=False, index=True),
        sa.Column("by_values", sa.Boolean, nullable=False),
        sa.Column("state", sa.LargeBinary),
    )
    op.create_table(
        "sweep_changes",
        sa.Column("feed", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("changes", sa.LargeBinary, nullable=False),
    )
