"""The register of webhooks of changes: who is told of which list, how far that has come, and what was not taken.

    ACTIVE ──due──▶ leased by one process ──▶ settled: due again        PAUSED ──resume──▶ ACTIVE
       ▲               │ killed: its lease ends, and another process takes it
       └──renew── NEEDS_AUTH

It blocks. Only the owner of a lease settles a subscription: one that has lost it learns so by that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa
from msgspec import Struct

from .database import Database
from .tables import DEAD_LETTERS, SUBSCRIPTIONS

ACTIVE, PAUSED, NEEDS_AUTH = "ACTIVE", "PAUSED", "NEEDS_AUTH"


class SubscriptionRow(Struct, frozen=True, kw_only=True):
    """A subscription as it is stored; see ``tables.SUBSCRIPTIONS``. Times are seconds since the epoch."""

    id: str
    environment: str
    creator: str
    entity_set: str
    state: str
    sealed: bytes
    place: bytes | None
    pending: bytes | None
    error: str | None
    attempts: int
    failing_since: float | None
    delivered: int
    delivered_at: float | None
    woken_at: float
    due: float
    owner: str | None
    leased_until: float
    created: float
    updated: float


class LetterRow(Struct, frozen=True, kw_only=True):
    """A dead letter as it is stored; see ``tables.DEAD_LETTERS``."""

    id: str
    subscription: str
    sealed: bytes
    error: str
    attempts: int
    created: float
    died: float


class SubscriptionRegister:
    """The subscriptions of one database. All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, row: SubscriptionRow, most: int) -> bool:
        """Store a subscription, unless its creator has so many; return whether it is stored."""
        with self._database.writing() as connection:
            self._database.lock(connection, "webhook_subscriptions")
            own = SUBSCRIPTIONS.c.creator == row.creator
            count = sa.select(sa.func.count()).select_from(SUBSCRIPTIONS).where(own)
            if connection.execute(count).scalar_one() >= most:
                return False
            connection.execute(SUBSCRIPTIONS.insert().values(_values(row)))
        return True

    def find(self, subscription: str) -> SubscriptionRow | None:
        """Return a subscription; None if there is none."""
        rows = self._rows(SUBSCRIPTIONS.c.id == subscription)
        return rows[0] if rows else None

    def list(self, environment: str | None, creator: str | None) -> Sequence[SubscriptionRow]:
        """Return the subscriptions of an environment (None: of all) and a creator (None: of all), the newest first."""
        columns = ((SUBSCRIPTIONS.c.environment, environment), (SUBSCRIPTIONS.c.creator, creator))
        bounds = [column == value for column, value in columns if value is not None]
        return self._rows(sa.and_(sa.true(), *bounds))

    def follows(self, environment: str) -> bool:
        """Return whether anybody is told of changes of an environment."""
        active = sa.and_(
            SUBSCRIPTIONS.c.environment == environment, SUBSCRIPTIONS.c.state == ACTIVE
        )
        return bool(self._rows(active, most=1))

    def claim(
        self, owner: str, now: float, until: float, running: Collection[str], most: int
    ) -> Sequence[SubscriptionRow]:
        """Return subscriptions that are due and not another process's, which are the owner's from now on."""
        free = sa.or_(SUBSCRIPTIONS.c.leased_until <= now, SUBSCRIPTIONS.c.owner == owner)
        due = sa.and_(
            SUBSCRIPTIONS.c.state == ACTIVE,
            SUBSCRIPTIONS.c.due <= now,
            SUBSCRIPTIONS.c.id.not_in(tuple(running)),
            free,
        )
        # Most times there is none, and nothing should be locked.
        if most <= 0 or not self._rows(due, most=1):
            return ()
        claimed: list[SubscriptionRow] = []
        # Due again when the lease ends: whatever happens to its owner, it is not claimed again and again.
        taken = {"owner": owner, "leased_until": until, "due": until}
        with self._database.writing() as connection:
            oldest = sa.select(SUBSCRIPTIONS).where(due).order_by(SUBSCRIPTIONS.c.due).limit(most)
            for row in connection.execute(oldest).mappings().all():
                mine = SUBSCRIPTIONS.update().where(SUBSCRIPTIONS.c.id == row["id"], due)
                # Waits for another process that claims it, and changes nothing then.
                if connection.execute(mine.values(taken)).rowcount:
                    claimed.append(SubscriptionRow(**{**row, **taken}))
        return claimed

    def renew(self, owner: str, subscriptions: Iterable[str], until: float) -> frozenset[str]:
        """Extend the leases of an owner; return the subscriptions that are still its own."""
        own = sa.and_(
            SUBSCRIPTIONS.c.owner == owner,
            SUBSCRIPTIONS.c.id.in_(tuple(subscriptions)),
            SUBSCRIPTIONS.c.state == ACTIVE,
        )
        with self._database.writing() as connection:
            connection.execute(SUBSCRIPTIONS.update().where(own).values(leased_until=until))
            return frozenset(connection.execute(sa.select(SUBSCRIPTIONS.c.id).where(own)).scalars())

    def release(self, owner: str, now: float) -> None:
        """Return all leases of an owner, whose process ends."""
        own = SUBSCRIPTIONS.c.owner == owner
        # A claimed one was due again when its lease ends.
        with self._database.writing() as connection:
            released = SUBSCRIPTIONS.update().where(own)
            connection.execute(released.values(owner=None, leased_until=now, due=now))

    def wake(self, environment: str, entity_sets: Collection[str], now: float) -> int:
        """Let those look for changes who are told of these sets; return how many there are.

        Whose receiver fails is woken by nothing but the end of the pause.
        """
        if not self._database.exists:
            return 0
        of = sa.and_(
            SUBSCRIPTIONS.c.environment == environment,
            SUBSCRIPTIONS.c.entity_set.in_(tuple(entity_sets)),
            SUBSCRIPTIONS.c.state == ACTIVE,
        )
        if not self._rows(of, most=1):
            return 0
        due = sa.case((SUBSCRIPTIONS.c.attempts == 0, now), else_=SUBSCRIPTIONS.c.due)
        with self._database.writing() as connection:
            woken = SUBSCRIPTIONS.update().where(of).values(woken_at=now, due=due)
            return int(connection.execute(woken).rowcount)

    def settle(
        self,
        subscription: str,
        owner: str,
        values: dict[str, object],
        *,
        woken_at: float,
        now: float,
        letter: LetterRow | None = None,
    ) -> bool:
        """Note what became of a run; return whether it is still the owner's.

        One that was woken since (``woken_at`` was another one then) is due at once, unless it has failed.
        """
        own = sa.and_(SUBSCRIPTIONS.c.id == subscription, SUBSCRIPTIONS.c.owner == owner)
        if values.get("attempts") == 0 and "due" in values:
            woken = (SUBSCRIPTIONS.c.woken_at != woken_at, now)
            values = {**values, "due": sa.case(woken, else_=values["due"])}
        with self._database.writing() as connection:
            is_own = connection.execute(SUBSCRIPTIONS.update().where(own).values(values)).rowcount
            if is_own and letter is not None:
                connection.execute(DEAD_LETTERS.insert().values(_values(letter)))
            return bool(is_own)

    def change(self, subscription: str, states: Collection[str], **values: object) -> bool:
        """Change a subscription in one of some states; return whether it was in one."""
        of_state = sa.and_(
            SUBSCRIPTIONS.c.id == subscription, SUBSCRIPTIONS.c.state.in_(tuple(states))
        )
        with self._database.writing() as connection:
            changed = connection.execute(SUBSCRIPTIONS.update().where(of_state).values(values))
            return bool(changed.rowcount)

    def remove(self, subscription: str) -> None:
        """Forget a subscription and its dead letters."""
        with self._database.writing() as connection:
            connection.execute(SUBSCRIPTIONS.delete().where(SUBSCRIPTIONS.c.id == subscription))
            letters = DEAD_LETTERS.c.subscription == subscription
            connection.execute(DEAD_LETTERS.delete().where(letters))

    def letters(self, subscription: str, most: int) -> Sequence[LetterRow]:
        """Return the oldest dead letters of a subscription."""
        own = DEAD_LETTERS.c.subscription == subscription
        oldest = sa.select(DEAD_LETTERS).where(own).order_by(DEAD_LETTERS.c.created).limit(most)
        return self._letters(oldest)

    def letter(self, subscription: str, letter: str) -> LetterRow | None:
        """Return a dead letter of a subscription; None if there is none."""
        is_it = sa.and_(DEAD_LETTERS.c.subscription == subscription, DEAD_LETTERS.c.id == letter)
        rows = self._letters(sa.select(DEAD_LETTERS).where(is_it))
        return rows[0] if rows else None

    def count_letters(self) -> dict[str, int]:
        """Return how many dead letters each subscription has."""
        if not self._database.exists:
            return {}
        number = sa.func.count().label("number")
        counted = sa.select(DEAD_LETTERS.c.subscription, number).group_by(
            DEAD_LETTERS.c.subscription
        )
        with self._database.reading() as connection:
            return {row.subscription: row.number for row in connection.execute(counted)}

    def count(self) -> tuple[dict[str, int], int]:
        """Return how many subscriptions each state has, and how many dead letters there are."""
        if not self._database.exists:
            return {}, 0
        number = sa.func.count().label("number")
        states = sa.select(SUBSCRIPTIONS.c.state, number).group_by(SUBSCRIPTIONS.c.state)
        letters = sa.select(sa.func.count()).select_from(DEAD_LETTERS)
        with self._database.reading() as connection:
            counted = {row.state: row.number for row in connection.execute(states)}
            return counted, connection.execute(letters).scalar_one()

    def remove_letter(self, letter: str) -> bool:
        """Forget a dead letter; return whether it was there."""
        with self._database.writing() as connection:
            removed = DEAD_LETTERS.delete().where(DEAD_LETTERS.c.id == letter)
            return bool(connection.execute(removed).rowcount)

    def expire(self, before: float) -> None:
        """Forget the dead letters that are older."""
        old = DEAD_LETTERS.c.died < before
        if self._letters(sa.select(DEAD_LETTERS).where(old).limit(1)):
            with self._database.writing() as connection:
                connection.execute(DEAD_LETTERS.delete().where(old))

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _rows(
        self, condition: sa.ColumnElement[bool], *, most: int = 1_000
    ) -> Sequence[SubscriptionRow]:
        if not self._database.exists:
            return ()
        newest = sa.select(SUBSCRIPTIONS).where(condition)
        newest = newest.order_by(SUBSCRIPTIONS.c.created.desc()).limit(most)
        with self._database.reading() as connection:
            return tuple(SubscriptionRow(**row) for row in connection.execute(newest).mappings())

    def _letters(self, query: sa.Select[tuple[object, ...]]) -> Sequence[LetterRow]:
        if not self._database.exists:
            return ()
        with self._database.reading() as connection:
            return tuple(LetterRow(**row) for row in connection.execute(query).mappings())


def remove_subscriptions(connection: sa.Connection, environment: str) -> None:
    """Remove the subscriptions of an environment in a transaction, with their dead letters."""
    of = sa.select(SUBSCRIPTIONS.c.id).where(SUBSCRIPTIONS.c.environment == environment)
    connection.execute(DEAD_LETTERS.delete().where(DEAD_LETTERS.c.subscription.in_(of)))
    connection.execute(SUBSCRIPTIONS.delete().where(SUBSCRIPTIONS.c.environment == environment))


def _values(row: Struct) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__struct_fields__}
