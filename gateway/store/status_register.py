"""The register of what processes tell of environments: their state, and their calls in slots of time. It blocks.

Each process writes rows of its own, with the whole numbers of a slot, so that nothing is added twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from msgspec import structs

from gateway.config.environment_models import OWN

from .database import Database
from .status_rows import CallsRow, StatusRow, StatusRows
from .tables import ENVIRONMENT_CALLS, ENVIRONMENT_STATUS


class StatusRegister:
    """The status of environments in one database. All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(
        self,
        statuses: Sequence[StatusRow],
        calls: Sequence[CallsRow],
        dropped: Collection[tuple[str, str]] = (),
    ) -> None:
        """Store rows of one process in the place of its earlier ones.

        ``dropped``: environment and process of rows that are of an environment which was removed.
        """
        with self._database.writing() as connection:
            for environment, process in dropped:
                for table in (ENVIRONMENT_STATUS, ENVIRONMENT_CALLS):
                    row = table.c
                    own = (row.environment == environment, row.process == process)
                    connection.execute(table.delete().where(*own))
            for status in statuses:
                _put(connection, ENVIRONMENT_STATUS, structs.asdict(status))
            for counted in calls:
                _put(connection, ENVIRONMENT_CALLS, structs.asdict(counted))

    def read(self, environment: str, since: int) -> StatusRows:
        """Return the rows of an environment, with the calls from a slot on."""
        if not self._database.exists:
            return StatusRows()
        statuses, calls = ENVIRONMENT_STATUS.c, ENVIRONMENT_CALLS.c
        with self._database.reading() as connection:
            told = sa.select(ENVIRONMENT_STATUS).where(statuses.environment == environment)
            counted = sa.select(ENVIRONMENT_CALLS).where(
                calls.environment == environment, calls.slot >= since
            )
            return StatusRows(
                [StatusRow(**row) for row in connection.execute(told).mappings()],
                [CallsRow(**row) for row in connection.execute(counted).mappings()],
            )

    def states(self, updated: float) -> Mapping[str, int]:
        """Return how many environments are open or failed in a process that has written since then.

        That of the settings themselves is not counted.
        """
        if not self._database.exists:
            return {}
        row = ENVIRONMENT_STATUS.c
        chosen = sa.select(row.environment, row.state).distinct()
        chosen = chosen.where(row.updated >= updated, row.environment != OWN)
        with self._database.reading() as connection:
            return Counter(str(state) for _, state in connection.execute(chosen))

    def purge(self, updated: float, slot: int) -> None:
        """Remove rows that were written before a time, and calls of earlier slots."""
        if not self._database.exists:
            return
        with self._database.writing() as connection:
            old = ENVIRONMENT_STATUS.c.updated < updated
            connection.execute(ENVIRONMENT_STATUS.delete().where(old))
            connection.execute(ENVIRONMENT_CALLS.delete().where(ENVIRONMENT_CALLS.c.slot < slot))

    def close(self) -> None:
        """Close the connections."""
        self._database.close()


def _put(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> None:
    """Store a row in the place of the one with its key. No other process writes it."""
    keys = [column == values[column.name] for column in table.primary_key]
    if not connection.execute(table.update().where(*keys).values(values)).rowcount:
        connection.execute(table.insert().values(values))
