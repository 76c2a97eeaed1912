"""Hooks, at which events come in, and webhooks, by which changes go out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "hooks",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("environment", sa.String(40), nullable=False, index=True),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
    )
    op.create_table(
        "webhook_subscriptions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("environment", sa.String(40), nullable=False, index=True),
        sa.Column("creator", sa.String(64), nullable=False, index=True),
        sa.Column("entity_set", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("place", sa.LargeBinary),
        sa.Column("pending", sa.LargeBinary),
        sa.Column("error", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.Float),
        sa.Column("delivered", sa.BigInteger, nullable=False),
        sa.Column("delivered_at", sa.Float),
        sa.Column("woken_at", sa.Float, nullable=False),
        sa.Column("due", sa.Float, nullable=False, index=True),
        sa.Column("owner", sa.String(32)),
        sa.Column("leased_until", sa.Float, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("subscription", sa.String(32), nullable=False, index=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("died", sa.Float, nullable=False, index=True),
    )
    # A table without types does not follow the schema of the connection.
    schema = op.get_context().version_table_schema
    revisions: sa.TableClause = sa.table(
        "revisions", sa.column("subject"), sa.column("number"), schema=schema
    )
    op.bulk_insert(revisions, [{"subject": "hooks", "number": 0}])
