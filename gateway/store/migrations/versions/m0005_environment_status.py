"""How environments do, and how their metadata changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "environment_status",
        sa.Column("environment", sa.String(40), primary_key=True),
        sa.Column("process", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_table(
        "environment_calls",
        sa.Column("environment", sa.String(40), primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True),
        sa.Column("process", sa.String(32), primary_key=True),
        sa.Column("counts", sa.Text, nullable=False),
    )
    op.create_table(
        "environment_drift",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("environment", sa.String(40), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("before", sa.String(64)),
        sa.Column("after", sa.String(64), nullable=False),
        sa.Column("changes", sa.Text),
    )
    op.create_index(
        "environment_drift_at",
        "environment_drift",
        ["environment", "at"],
        schema=op.get_context().version_table_schema,
    )
