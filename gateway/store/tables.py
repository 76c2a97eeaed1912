"""The tables of the store. Portable SQL: the same statements run on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()
API_KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("roles", sa.Text, nullable=False),
    # seconds since the epoch
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Column("last_used", sa.Float),
    sa.Column("revoked", sa.Float),
    sa.Column("environments", sa.Text, nullable=False, server_default="[]"),
)
REVISIONS = sa.Table(
    "revisions",
    METADATA,
    sa.Column("subject", sa.String(32), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)
"""Subject (``api_keys``) → a number that grows with each change, by which other processes notice it."""
