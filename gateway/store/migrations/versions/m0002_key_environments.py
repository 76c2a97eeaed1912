"""The environments of API keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; keys that exist are for all environments."""
    column = sa.Column("environments", sa.Text, nullable=False, server_default="[]")
    # Unlike CREATE TABLE, ALTER TABLE does not follow the schema of the connection.
    op.add_column("api_keys", column, schema=op.get_context().version_table_schema)
