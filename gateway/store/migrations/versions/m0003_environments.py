"""Environments, the keys of their secrets, and their secrets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "environments",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(40), nullable=False, unique=True),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("reloads", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, index=True),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("linked", sa.Text),
    )
    op.create_table(
        "data_keys",
        sa.Column("environment", sa.String(32), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("wrapped_by", sa.String(400), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_table(
        "environment_secrets",
        sa.Column("environment", sa.String(32), primary_key=True),
        sa.Column("option", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    # A table without types does not follow the schema of the connection.
    schema = op.get_context().version_table_schema
    revisions: sa.TableClause = sa.table(
        "revisions", sa.column("subject"), sa.column("number"), schema=schema
    )
    op.bulk_insert(revisions, [{"subject": "environments", "number": 0}])
