"""The tables of the store, and the versions of their layout. Portable SQL: only ``database`` knows SQLite."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

METADATA = sa.MetaData()
LAYOUT = sa.Table("store_layout", METADATA, sa.Column("version", sa.Integer, nullable=False))
"""One row: how many of ``STEPS`` were applied."""
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
)
REVISIONS = sa.Table(
    "revisions",
    METADATA,
    sa.Column("subject", sa.String(32), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)
"""Subject (``api_keys``) → a number that grows with each change, by which other processes notice it."""


def _create_api_keys(connection: sa.Connection) -> None:
    METADATA.create_all(connection, tables=[API_KEYS, REVISIONS])
    connection.execute(REVISIONS.insert().values(subject=API_KEYS.name, number=0))


STEPS: tuple[Callable[[sa.Connection], None], ...] = (_create_api_keys,)
"""Each makes the next version of the layout. Steps that were released stay as they are."""


def layout_version(connection: sa.Connection) -> int:
    """Return the version of the layout; 0 of an empty database."""
    if not sa.inspect(connection).has_table(LAYOUT.name):
        return 0
    return int(connection.execute(sa.select(LAYOUT.c.version)).scalar_one())


def upgrade(connection: sa.Connection) -> None:
    """Bring the layout to the version of this program, within the caller's transaction."""
    version = layout_version(connection)
    if version >= len(STEPS):
        return
    if version == 0:
        METADATA.create_all(connection, tables=[LAYOUT])
        connection.execute(LAYOUT.insert().values(version=0))
    for step in STEPS[version:]:
        step(connection)
    connection.execute(LAYOUT.update().values(version=len(STEPS)))
