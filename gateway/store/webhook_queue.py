"""The queue of webhooks: each is stored with the change that it tells of, and sent by one process at a time. It blocks.

enqueue ──▶ due ──claim──▶ sent by this process alone ──▶ settled: delivered, due again later, or given up
▲                         │ the process is killed
└──── the claim is over ──┘
"""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sa
from msgspec import Struct

from .database import Database
from .tables import WEBHOOKS

CLAIM = 60.0
"""Seconds for which a process alone sends a webhook; longer than an attempt takes."""
DAY = 86_400.0
_ID_BYTES = 16


class Webhook(Struct, frozen=True, kw_only=True):
    """A webhook that is due."""

    id: str
    event: str
    body: str
    created: float
    """Seconds since the epoch."""
    attempts: int
    """How often it was sent before."""


def enqueue(connection: sa.Connection, event: str, body: str, *, now: float | None = None) -> None:
    """Store a webhook in a transaction, together with the change that it tells of."""
    connection.execute(WEBHOOKS.insert().values(_values(event, body, now)))


def _values(event: str, body: str, now: float | None) -> dict[str, object]:
    created = time.time() if now is None else now
    return {
        "id": f"msg_{secrets.token_hex(_ID_BYTES)}",
        "event": event,
        "body": body,
        "created": created,
        "due": created,
        "attempts": 0,
    }


class WebhookQueue:
    """The webhooks of one database. All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_once(self, topic: str, event: str, body: str, *, now: float | None = None) -> bool:
        """Store a webhook, unless one of this topic was stored within a day; return whether it is new."""
        values = {**_values(event, body, now), "topic": topic}
        with self._database.writing() as connection:
            self._forget(connection, time.time() if now is None else now)
            known = sa.select(sa.literal(1)).where(WEBHOOKS.c.topic == topic)
            if connection.execute(known).first() is not None:
                return False
            try:
                # A part of the transaction: another process may be as fast.
                with connection.begin_nested():
                    connection.execute(WEBHOOKS.insert().values(values))
            except sa.exc.IntegrityError:
                return False
        return True

    def claim(self, now: float) -> Webhook | None:
        """Return a webhook that is due, which no other process sends for a minute; None if there is none."""
        if not self._database.exists or not self._is_due(now):
            return None
        free = sa.or_(WEBHOOKS.c.claimed_until.is_(None), WEBHOOKS.c.claimed_until <= now)
        due = sa.select(WEBHOOKS).where(WEBHOOKS.c.due <= now, free).order_by(WEBHOOKS.c.due)
        with self._database.writing() as connection:
            for row in connection.execute(due.limit(10)).mappings().all():
                claimed = WEBHOOKS.update().where(WEBHOOKS.c.id == row["id"], free)
                # Waits for another process that claims it, and changes nothing then.
                if connection.execute(claimed.values(claimed_until=now + CLAIM)).rowcount:
                    return Webhook(**{name: row[name] for name in Webhook.__struct_fields__})
        return None

    def settle(self, webhook: Webhook, due: float | None) -> None:
        """Note an attempt: it is due again at this time; None: never."""
        with self._database.writing() as connection:
            is_it = WEBHOOKS.c.id == webhook.id
            if due is None:
                # What is sent once a day is remembered for so long.
                connection.execute(WEBHOOKS.delete().where(is_it, WEBHOOKS.c.topic.is_(None)))
            changed = {"due": due, "attempts": webhook.attempts + 1, "claimed_until": None}
            connection.execute(WEBHOOKS.update().where(is_it).values(changed))

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _is_due(self, now: float) -> bool:
        """Return whether any may be due: most looks find none, and should lock nothing."""
        with self._database.reading() as connection:
            due = sa.select(sa.literal(1)).where(WEBHOOKS.c.due <= now).limit(1)
            return connection.execute(due).first() is not None

    @staticmethod
    def _forget(connection: sa.Connection, now: float) -> None:
        old = sa.and_(WEBHOOKS.c.due.is_(None), WEBHOOKS.c.created < now - DAY)
        connection.execute(WEBHOOKS.delete().where(old))
