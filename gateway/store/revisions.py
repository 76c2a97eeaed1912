"""Numbers that grow with each change of a subject, by which other processes notice it."""

from __future__ import annotations

import sqlalchemy as sa

from .database import Database
from .tables import REVISIONS


def revisions_in(connection: sa.Connection) -> dict[str, int]:
    """Return the current number of each subject."""
    rows = connection.execute(sa.select(REVISIONS.c.subject, REVISIONS.c.number))
    return {row.subject: row.number for row in rows}


def count_change(database: Database, connection: sa.Connection, subject: str) -> int:
    """Count a change and return its number. Others who change the subject wait until the transaction ends."""
    is_subject = REVISIONS.c.subject == subject
    number = REVISIONS.c.number + 1
    connection.execute(REVISIONS.update().where(is_subject).values(number=number))
    database.announce(connection, subject)
    current = sa.select(REVISIONS.c.number).where(is_subject)
    return int(connection.execute(current).scalar_one())
