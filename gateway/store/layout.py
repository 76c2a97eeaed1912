"""The layout of the store: which migrations a database has had, and how it gets the missing ones.

Each migration is a file of ``migrations/versions``, for both databases. Alembic, which runs them, takes 0.5 s to
import, so a database that has had all of them is recognized without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from msgspec import Struct

VERSIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
"""All migrations, in order. What was released stays as it is."""
VERSION_TABLE = "store_version"
EARLIER_TABLE = "store_layout"
"""What SQLite files had before there were migrations: one row with a number. They have the tables of the first one."""
EARLIER = "layout 1"
_FOLDER = Path(__file__).parent / "migrations"


class Layout(Struct, frozen=True):
    """The layout of a database: its last migration."""

    version: str | None
    """None of an empty database."""

    @property
    def state(self) -> Literal["current", "behind", "newer"]:
        """How it compares with what this version of the gateway reads and writes."""
        if self.version == VERSIONS[-1]:
            return "current"
        return "behind" if self.version in {None, EARLIER, *VERSIONS} else "newer"


def layout_of(connection: sa.Connection, schema: str | None = None) -> Layout:
    """Return the layout of a database. ``schema`` is that of PostgreSQL in which the tables are."""
    tables = sa.inspect(connection)
    if tables.has_table(VERSION_TABLE, schema=schema):
        table = sa.table(VERSION_TABLE, sa.column("version_num"), schema=schema)
        return Layout(connection.execute(sa.select(table.c.version_num)).scalar_one_or_none())
    if tables.has_table(EARLIER_TABLE, schema=schema):
        earlier = sa.table(EARLIER_TABLE, sa.column("version"), schema=schema)
        return Layout(f"layout {connection.execute(sa.select(earlier.c.version)).scalar_one()}")
    return Layout(None)


def upgrade(connection: sa.Connection, schema: str | None = None) -> None:
    """Run the missing migrations within the caller's transaction, which no other migration may run beside."""
    from alembic import command  # noqa: PLC0415 - takes 0.5 s
    from alembic.config import Config  # noqa: PLC0415 - likewise

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes.update(connection=connection, schema=schema)
    if sa.inspect(connection).has_table(EARLIER_TABLE, schema=schema):
        command.stamp(config, VERSIONS[0])
        connection.exec_driver_sql(f"DROP TABLE {EARLIER_TABLE}")  # of SQLite only
    command.upgrade(config, "head")
