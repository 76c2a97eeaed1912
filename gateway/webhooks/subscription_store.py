"""Webhooks of changes in the store: the list, the address, the keys, the cursor and all values of rows are encrypted.

The token of a caller is never stored: a subscription that needs it is the process's that has it in memory.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.config.settings import Settings
from gateway.errors import SecretUnreadable, SettingsError, StoreUnavailable
from gateway.identity.caller import Caller
from gateway.process.daemon_call import daemon_call
from gateway.store.opening import has_store, open_database, store_exists
from gateway.store.secret_key import open_sealer

from .errors import TooManyWebhooks, WebhooksUnavailable
from .records import (
    DeadLetter,
    NewSubscription,
    Pending,
    SigningKey,
    State,
    Subscription,
    Target,
    WebhookCounts,
)

if TYPE_CHECKING:  # they import SQLAlchemy and cryptography, which take 0.5 s
    from gateway.storage.sealing import Sealer
    from gateway.store.subscription_register import (
        LetterRow,
        SubscriptionRegister,
        SubscriptionRow,
    )

LISTED = 200
"""Dead letters of a subscription that are listed at most."""
KEY_BYTES = 32
_ID_BYTES = 16
_RETRY = 5.0
_T = TypeVar("_T")


class _Sealed(Struct, frozen=True, kw_only=True):
    """What is encrypted of a subscription and changes seldom."""

    target: Target
    keys: tuple[SigningKey, ...]
    caller: Caller
    is_personal: bool


class SubscriptionStore:
    """The webhooks of a deployment."""

    def __init__(self, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self.options = settings.webhooks
        self.now = now
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: tuple[SubscriptionRegister, Sealer] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there are none for sure, so that nobody needs to read the store."""
        has_hosts = bool(self.options.hosts or self.options.private_hosts)
        return not (has_hosts and store_exists(self._settings))

    def require(self) -> None:
        """Raise WebhooksUnavailable if no webhooks can be sent."""
        settings = self._settings
        if not (self.options.hosts or self.options.private_hosts):
            raise WebhooksUnavailable(
                "This deployment sends no webhooks of changes.",
                hint="Allow the hosts of their receivers: webhooks.hosts.",
            )
        if not has_store(settings) or (settings.secret_key is None and settings.data_dir is None):
            raise WebhooksUnavailable(
                "There is no store for webhooks, or no key by which they could be encrypted.",
                hint="Set store (D365_STORE), data_dir (D365_DATA_DIR) or secret_key (D365_SECRET_KEY).",
            )

    async def create(self, new: NewSubscription, owner: str | None) -> Subscription:
        """Store a subscription, whose owner runs it. Raises WebhooksUnavailable, TooManyWebhooks, StoreUnavailable."""
        self.require()
        now = self.now()
        subscription = Subscription(
            id=secrets.token_hex(_ID_BYTES),
            environment=new.environment,
            entity_set=new.entity_set,
            state="ACTIVE",
            creator=new.caller.log_id,
            target=new.target,
            keys=(SigningKey(key=secrets.token_bytes(KEY_BYTES)),),
            caller=lasting(new.caller),
            is_personal=new.is_personal,
            cursor=new.since,
            pending=None,
            error=None,
            attempts=0,
            failing_since=None,
            delivered=0,
            delivered_at=None,
            woken_at=0.0,
            created=now,
            updated=now,
        )
        most = self.options.per_caller

        def create() -> bool:
            register, sealer = self._open()
            return register.create(self._row(subscription, sealer, owner), most)

        if not await self._call(create):
            raise TooManyWebhooks(f"You have {most} webhooks.", hint="Remove one.")
        return subscription

    async def find(self, subscription: str) -> Subscription | None:
        """Return a subscription; None if there is none. Raises StoreUnavailable, SecretUnreadable."""

        def find() -> Subscription | None:
            register, sealer = self._open()
            row = register.find(subscription)
            return None if row is None else _subscription(row, sealer)

        self.require()
        return await self._call(find)

    async def list(self, environment: str | None, creator: str | None) -> Sequence[Subscription]:
        """Return the subscriptions of an environment and a creator (None: of all) that can be decrypted."""

        def find() -> Sequence[Subscription]:
            register, sealer = self._open()
            rows = register.list(environment, creator)
            return [one for row in rows if (one := _readable(row, sealer)) is not None]

        self.require()
        return await self._call(find)

    async def follows(self, environment: str) -> bool:
        """Return whether anybody is told of changes of an environment. Raises StoreUnavailable."""
        return not self.is_idle and await self._call(lambda: self._open()[0].follows(environment))

    async def claim(
        self, owner: str, running: Collection[str], most: int
    ) -> Sequence[Subscription]:
        """Return subscriptions that are due and no other process has; they are the owner's from now on."""

        def claim() -> Sequence[Subscription]:
            register, sealer = self._open()
            now = self.now()
            claimed: list[Subscription] = []
            for row in register.claim(owner, now, now + self.options.lease, running, most):
                subscription = _readable(row, sealer)
                if subscription is None:
                    # Else every process would claim it again and again.
                    error = _json(error_json(_unreadable()))
                    register.change(row.id, ("ACTIVE",), state="PAUSED", error=error, owner=None)
                else:
                    claimed.append(subscription)
            return claimed

        return await self._call(claim)

    async def renew(self, owner: str, subscriptions: Sequence[str]) -> frozenset[str]:
        """Extend leases; return those that are still the owner's."""
        until = self.now() + self.options.lease
        return await self._call(lambda: self._open()[0].renew(owner, subscriptions, until))

    async def release(self, owner: str) -> None:
        """Return the leases of a process that ends."""
        await self._call(lambda: self._open()[0].release(owner, self.now()))

    async def wake(self, environment: str, entity_sets: Collection[str], at: float) -> int:
        """Let those look for changes who are told of these sets; return how many there are."""
        if self.is_idle or not entity_sets:
            return 0
        return await self._call(lambda: self._open()[0].wake(environment, entity_sets, at))

    async def settle(
        self,
        subscription: Subscription,
        owner: str,
        *,
        due: float,
        keeps: bool,
        letter: DeadLetter | None = None,
    ) -> bool:
        """Note what became of a run that began at a time; return whether it was still the owner's.

        ``keeps``: the owner keeps the lease, as it alone has the token of the caller.
        """
        now = self.now()

        def settle() -> bool:
            register, sealer = self._open()
            values: dict[str, object] = {
                **_progress(subscription, sealer),
                "state": subscription.state,
                "due": due,
                "updated": now,
                "owner": owner if keeps else None,
                "leased_until": now + self.options.lease if keeps else now,
            }
            row = None if letter is None else _letter_row(letter, sealer)
            return register.settle(
                subscription.id, owner, values, woken_at=subscription.woken_at, now=now, letter=row
            )

        return await self._call(settle)

    async def change(
        self, subscription: Subscription, states: Collection[State], owner: str | None = None
    ) -> bool:
        """Store a subscription that its caller has changed, due at once; return whether it was in one of the states."""
        now = self.now()

        def change() -> bool:
            register, sealer = self._open()
            return register.change(
                subscription.id,
                states,
                **_progress(subscription, sealer),
                state=subscription.state,
                sealed=_sealed(subscription, sealer),
                owner=owner,
                leased_until=now if owner is None else now + self.options.lease,
                due=now,
                updated=now,
            )

        return await self._call(change)

    async def store_pending(self, subscription: Subscription, owner: str) -> bool:
        """Note which webhook is attempted, before it is sent; return whether it is still the owner's."""
        now = self.now()

        def store() -> bool:
            register, sealer = self._open()
            values: dict[str, object] = _progress(subscription, sealer)
            values["leased_until"] = now + self.options.lease
            del values["attempts"]
            return register.settle(
                subscription.id, owner, values, woken_at=subscription.woken_at, now=now
            )

        return await self._call(store)

    async def change_keys(self, subscription: Subscription) -> bool:
        """Store other keys of a subscription, and nothing else; return whether it is there."""

        def change() -> bool:
            register, sealer = self._open()
            every = ("ACTIVE", "PAUSED", "NEEDS_AUTH")
            return register.change(subscription.id, every, sealed=_sealed(subscription, sealer))

        return await self._call(change)

    async def remove(self, subscription: str) -> None:
        """Forget a subscription."""
        await self._call(lambda: self._open()[0].remove(subscription))

    async def letters(self, subscription: str) -> Sequence[DeadLetter]:
        """Return the oldest dead letters of a subscription."""

        def find() -> Sequence[DeadLetter]:
            register, sealer = self._open()
            return [_letter(row, sealer) for row in register.letters(subscription, LISTED)]

        return await self._call(find)

    async def letter(self, subscription: str, letter: str) -> DeadLetter | None:
        """Return a dead letter of a subscription; None if there is none."""

        def find() -> DeadLetter | None:
            register, sealer = self._open()
            row = register.letter(subscription, letter)
            return None if row is None else _letter(row, sealer)

        return await self._call(find)

    async def count_letters(self) -> Mapping[str, int]:
        """Return how many dead letters each subscription has."""
        return await self._call(lambda: self._open()[0].count_letters())  # noqa: PLW0108 - it opens the store

    async def count(self) -> WebhookCounts:
        """Return how many webhooks of a state, and dead letters, there are."""
        states, letters = await self._call(lambda: self._open()[0].count())  # noqa: PLW0108 - it opens the store
        return WebhookCounts(
            active=states.get("ACTIVE", 0),
            paused=states.get("PAUSED", 0),
            needs_auth=states.get("NEEDS_AUTH", 0),
            dead_letters=letters,
        )

    async def remove_letter(self, letter: str) -> bool:
        """Forget a dead letter; return whether it was there."""
        return await self._call(lambda: self._open()[0].remove_letter(letter))

    async def expire(self) -> None:
        """Forget the dead letters that are too old."""
        await self._call(lambda: self._open()[0].expire(self.now() - self.options.keep))

    async def close(self) -> None:
        """Close the connections."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await daemon_call(opened[0].close)

    async def _call(self, use: Callable[[], _T]) -> _T:
        """Return what blocking work returns. Raises StoreUnavailable, without the name of the store."""
        try:
            return await daemon_call(use)
        except (StoreUnavailable, SettingsError) as error:
            raise StoreUnavailable(
                "The store of webhooks cannot be used for now.",
                hint="Try again later.",
                detail=error.message,
                retry_after=_RETRY,
            ) from error

    def _open(self) -> tuple[SubscriptionRegister, Sealer]:
        with self._lock:
            if self._opened is None:
                from gateway.store.subscription_register import (  # noqa: PLC0415 - takes 0.4 s
                    SubscriptionRegister,
                )

                register = SubscriptionRegister(open_database(self._settings))
                self._opened = register, open_sealer(self._settings)
            return self._opened

    def _row(self, one: Subscription, sealer: Sealer, owner: str | None) -> SubscriptionRow:
        from gateway.store.subscription_register import SubscriptionRow  # noqa: PLC0415 - takes 0.4 s

        values: dict[str, Any] = {
            **_progress(one, sealer),
            "id": one.id,
            "environment": one.environment,
            "creator": one.creator,
            "entity_set": one.entity_set,
            "state": one.state,
            "sealed": _sealed(one, sealer),
            "woken_at": one.woken_at,
            "due": one.created,
            "owner": owner,
            "leased_until": one.created + (self.options.lease if owner is not None else 0.0),
            "created": one.created,
            "updated": one.updated,
        }
        return SubscriptionRow(**values)


def lasting(caller: Caller) -> Caller:
    """Return a caller without its token, and without its user, who is looked up at each run."""
    return replace(caller, assertion=None, user={})


def error_json(error: Any) -> Mapping[str, Any]:
    """Return an error as clients see it."""
    return {"message": error.message, "extensions": error.extensions()}


def _progress(one: Subscription, sealer: Sealer) -> dict[str, Any]:
    """Return the columns that a run changes."""
    place = None if one.cursor is None else sealer.seal(one.cursor.encode(), _context(one.id, "at"))
    pending = None
    if one.pending is not None:
        pending = sealer.seal(msgspec.json.encode(one.pending), _context(one.id, "pending"))
    return {
        "place": place,
        "pending": pending,
        "error": None if one.error is None else _json(one.error),
        "attempts": one.attempts,
        "failing_since": one.failing_since,
        "delivered": one.delivered,
        "delivered_at": one.delivered_at,
    }


def _sealed(one: Subscription, sealer: Sealer) -> bytes:
    sealed = _Sealed(
        target=one.target, keys=one.keys, caller=one.caller, is_personal=one.is_personal
    )
    return sealer.seal(msgspec.json.encode(sealed), _context(one.id, "target"))


def _subscription(row: SubscriptionRow, sealer: Sealer) -> Subscription:
    """Return a subscription as it is stored. Raises SecretUnreadable."""
    from gateway.storage.sealing import NotSealed  # noqa: PLC0415 - imports cryptography

    try:
        text = sealer.open(row.sealed, _context(row.id, "target"))
        sealed = msgspec.json.decode(text, type=_Sealed)
        cursor = pending = None
        if row.place is not None:
            cursor = sealer.open(row.place, _context(row.id, "at")).decode()
        if row.pending is not None:
            text = sealer.open(row.pending, _context(row.id, "pending"))
            pending = msgspec.json.decode(text, type=Pending)
    except NotSealed:
        raise _unreadable() from None
    return Subscription(
        id=row.id,
        environment=row.environment,
        entity_set=row.entity_set,
        state=msgspec.convert(row.state, State),
        creator=row.creator,
        target=sealed.target,
        keys=sealed.keys,
        caller=sealed.caller,
        is_personal=sealed.is_personal,
        cursor=cursor,
        pending=pending,
        error=None if row.error is None else msgspec.json.decode(row.error),
        attempts=row.attempts,
        failing_since=row.failing_since,
        delivered=row.delivered,
        delivered_at=row.delivered_at,
        woken_at=row.woken_at,
        created=row.created,
        updated=row.updated,
    )


def _readable(row: SubscriptionRow, sealer: Sealer) -> Subscription | None:
    try:
        return _subscription(row, sealer)
    except SecretUnreadable:
        return None


def _letter_row(letter: DeadLetter, sealer: Sealer) -> LetterRow:
    from gateway.store.subscription_register import LetterRow  # noqa: PLC0415 - takes 0.4 s

    return LetterRow(
        id=letter.id,
        subscription=letter.subscription,
        sealed=sealer.seal(letter.body, _context(letter.id, "letter")),
        error=letter.error,
        attempts=letter.attempts,
        created=letter.created,
        died=letter.died,
    )


def _letter(row: LetterRow, sealer: Sealer) -> DeadLetter:
    """Return a dead letter as it is stored. Raises SecretUnreadable."""
    from gateway.storage.sealing import NotSealed  # noqa: PLC0415 - imports cryptography

    try:
        body = sealer.open(row.sealed, _context(row.id, "letter"))
    except NotSealed:
        raise _unreadable() from None
    return DeadLetter(
        id=row.id,
        subscription=row.subscription,
        body=body,
        error=row.error,
        attempts=row.attempts,
        created=row.created,
        died=row.died,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _context(name: str, what: str) -> bytes:
    return f"webhooks|{name}|{what}".encode()


def _unreadable() -> SecretUnreadable:
    return SecretUnreadable(
        "A webhook cannot be decrypted.",
        hint="All replicas need the same secret_key, and secret_key_old after a change.",
    )
