"""Runs migrations in the transaction of ``layout.upgrade``. Alembic executes this file; nothing imports it."""

from __future__ import annotations

from alembic import context

from gateway.store.layout import VERSION_TABLE
from gateway.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    version_table_schema=context.config.attributes["schema"],
)
with context.begin_transaction():
    context.run_migrations()
