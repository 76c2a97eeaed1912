"""The ledger of idempotency keys: in the store, for all processes of a deployment, encrypted.

What follows https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/: the same key with the same
input gets the first answer, with another input it is refused, and so is one whose first request still runs. A run that
was killed leaves its key behind: nobody knows what it has written, and nothing repeats it for a day, unless natural
keys tell what is there.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gateway.config.profiles import environment_in, tag_in
from gateway.config.settings import Settings
from gateway.errors import (
    GatewayError,
    IdempotencyInProgress,
    IdempotencyMismatch,
    OutcomeUnknown,
    SecretUnreadable,
    SettingsError,
    StoreUnavailable,
    UnsupportedQuery,
)
from gateway.events import Observer
from gateway.events.idempotency import IdempotencyKeyStuck
from gateway.store.faults import for_clients
from gateway.store.opening import has_store, open_database, store_exists
from gateway.store.secret_key import open_sealer

if TYPE_CHECKING:  # they import SQLAlchemy and cryptography, which take 0.5 s
    from gateway.storage.sealing import Sealer
    from gateway.store.idempotency_register import IdempotencyRegister, KeyEntry

LEASE = 60.0
"""Seconds after which a run that does not renew its lease was killed."""
_RENEWAL = 20.0
_RETRY = 1.0
_RETRY_STORE = 5.0
_RUN_BYTES = 16

T = TypeVar("T")


class Runs:
    """Runs that hold keys, and end together. Their leases are renewed until then."""

    def __init__(self, ledger: Ledger, entries: Sequence[KeyEntry]) -> None:
        self._ledger = ledger
        self._entries = entries
        self._renewal = asyncio.ensure_future(self._renew())

    async def settle(self, answers: Sequence[bytes | None]) -> None:
        """Store the answer of each run; None frees its key: nothing was written.

        If the store fails, the keys stay behind as those of killed runs.
        """
        self._renewal.cancel()
        await self._ledger.settle(self._entries, answers)

    def abandon(self) -> None:
        """Leave the keys behind: it is not known what was written."""
        self._renewal.cancel()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEWAL)
            with suppress(StoreUnavailable):  # tried again before the leases end
                await self._ledger.renew(self._entries)


class Run:
    """A run that holds a key. Its lease is renewed until it ends."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self.abandon = runs.abandon

    async def finish(self, answer: bytes) -> None:
        """Store the answer. If the store fails, the key stays behind as that of a killed run."""
        await self._runs.settle([answer])

    async def release(self) -> None:
        """Free the key: nothing was written. If the store fails, it stays behind likewise."""
        await self._runs.settle([None])


class Ledger:
    """The keys of one environment."""

    def __init__(
        self, settings: Settings, observe: Observer, *, now: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._observe = observe
        self._now = now
        self._lock = threading.Lock()
        self._opened: tuple[IdempotencyRegister, Sealer] | None = None
        self._has_existed = has_store(settings) and store_exists(settings)

    async def begin(
        self, caller: str, key: str, digest: str, *, repeatable: bool = False
    ) -> Run | bytes:
        """Return a new run, or the answer of the first one.

        ``digest`` is of the input; one that is ``repeatable`` takes the place of a run that was killed. Raises
        UnsupportedQuery without a store, IdempotencyMismatch, IdempotencyInProgress,
        OutcomeUnknown if the first run was killed, SecretUnreadable, and StoreUnavailable.
        """
        (begun,), runs = await self.begin_all(caller, [(key, digest)], repeatable=repeatable)
        if isinstance(begun, GatewayError):
            raise begun
        return Run(runs) if begun is None else begun

    async def begin_all(
        self, caller: str, keys: Sequence[tuple[str, str]], *, repeatable: bool = False
    ) -> tuple[list[bytes | GatewayError | None], Runs]:
        """Return what there is of each key and digest of its input; None if it runs from now on.

        That is an answer, or an error that ``begin`` raises for a key. Also returns the runs of those that run, in
        their order. Raises UnsupportedQuery without a store, and StoreUnavailable.
        """
        self._require_store()
        names = [(self._id_of(caller, key), digest) for key, digest in keys]
        begun = await self._in_thread(lambda: self._begin(names, repeatable=repeatable))
        from gateway.store.idempotency_register import KeyEntry  # noqa: PLC0415 - takes 0.4 s

        runs = Runs(self, [entry for entry in begun if isinstance(entry, KeyEntry)])
        return [None if isinstance(e, KeyEntry) else e for e in begun], runs

    async def renew(self, entries: Sequence[KeyEntry]) -> None:
        """Extend the leases of runs. Raises StoreUnavailable."""
        until = self._now() + LEASE
        if entries:
            await self._in_thread(lambda: self._open()[0].renew(entries, until))

    async def settle(self, entries: Sequence[KeyEntry], answers: Sequence[bytes | None]) -> None:
        """Store the answers of runs, and remove the entries of those without; a failure is an event."""

        def store() -> None:
            register, sealer = self._open()
            pairs = list(zip(entries, answers, strict=True))
            finished = [(e, sealer.seal(a, _context(e))) for e, a in pairs if a is not None]
            register.settle(finished, [e for e, a in pairs if a is None])

        if entries:
            await self._reported(store)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].close()

    def _require_store(self) -> None:
        """Raise UnsupportedQuery if keys could not be stored, so that repeated mutations would run again."""
        if not has_store(self._settings):
            raise UnsupportedQuery(
                "Nothing was sent: there is no store for idempotency keys.",
                hint="Set store (D365_STORE) and data_dir, or send no Idempotency-Key.",
            )
        if self._settings.secret_key is None and self._settings.data_dir is None:
            raise UnsupportedQuery(
                "Nothing was sent: there is no key by which answers could be encrypted.",
                hint="Set secret_key (D365_SECRET_KEY), or send no Idempotency-Key.",
            )

    def _id_of(self, caller: str, key: str) -> str:
        """Return the id of a key: the same key of others is another one."""
        scope = (environment_in(self._settings), tag_in(self._settings), caller, key)
        return hashlib.sha256(msgspec.json.encode(scope)).hexdigest()

    def _begin(
        self, names: Sequence[tuple[str, str]], *, repeatable: bool
    ) -> list[KeyEntry | bytes | GatewayError]:
        """Return for each id and digest the entry of a new run, the answer of the first one, or why there is none."""
        from gateway.store.idempotency_register import DAY, KeyEntry  # noqa: PLC0415 - takes 0.4 s

        register, sealer = self._open()
        now = self._now()
        own = [
            KeyEntry(
                id=entry_id,
                digest=digest,
                run=secrets.token_hex(_RUN_BYTES),
                leased_until=now + LEASE,
                expires_at=now + DAY,
            )
            for entry_id, digest in names
        ]
        stored = register.begin(own, now)
        self._has_existed = True
        pairs = zip(own, stored, strict=True)
        return [
            e
            if e.run == found.run
            or (repeatable and _was_killed(found, e, now) and register.take_over(found, e))
            else _of_first(found, e, sealer, now)
            for e, found in pairs
        ]

    def _open(self) -> tuple[IdempotencyRegister, Sealer]:
        """Return the register and what encrypts. Raises StoreUnavailable."""
        # A SQLite file that is gone may be on a volume that is away: in an empty one the keys would be free again.
        if self._has_existed and not store_exists(self._settings):
            raise StoreUnavailable("The store is missing.", hint="Is its volume mounted?")
        with self._lock:
            if self._opened is None:
                database = open_database(self._settings)
                from gateway.store.idempotency_register import (  # noqa: PLC0415 - takes 0.4 s
                    IdempotencyRegister,
                )

                self._opened = IdempotencyRegister(database), open_sealer(self._settings)
            return self._opened

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Return what blocking work returns. Raises StoreUnavailable, without the name of the store."""
        try:
            return await asyncio.to_thread(work)
        except (StoreUnavailable, SettingsError) as error:
            raise for_clients(
                error,
                "Nothing was sent: idempotency keys cannot be stored",
                hint="Send it again later, with the same key.",
                retry_after=_RETRY_STORE,
            ) from error

    async def _reported(self, work: Callable[[], None]) -> None:
        try:
            await self._in_thread(work)
        except StoreUnavailable as error:
            self._observe(IdempotencyKeyStuck(reason=error.detail or error.message))


def _was_killed(stored: KeyEntry, own: KeyEntry, now: float) -> bool:
    """Return whether the first run with a key and the same input ended without an answer."""
    is_running = stored.sealed is None and stored.digest == own.digest
    return is_running and stored.leased_until <= now


def _of_first(stored: KeyEntry, own: KeyEntry, sealer: Sealer, now: float) -> bytes | GatewayError:
    """Return the answer of the first run with a key, or why there is none."""
    if stored.digest != own.digest:
        return IdempotencyMismatch(
            "Nothing was sent: this idempotency key was used for another mutation, or with other values.",
            hint="Use a new key for each mutation, and the same one only to repeat it.",
        )
    if stored.sealed is not None:
        try:
            return _opened(stored, sealer)
        except SecretUnreadable as error:
            return error
    if stored.leased_until > now:
        return IdempotencyInProgress(
            "The first request with this idempotency key is still running.",
            hint="Send it again later, with the same key.",
            retry_after=_RETRY,
        )
    return OutcomeUnknown(
        "The first request with this idempotency key ended without an answer: it may have written.",
        hint="Check what it has written. If it is nothing, send it with another key.",
    )


def _opened(entry: KeyEntry, sealer: Sealer) -> bytes:
    """Return the decrypted answer of an entry. Raises SecretUnreadable."""
    from gateway.storage.sealing import NotSealed  # noqa: PLC0415 - imports cryptography

    assert entry.sealed is not None
    try:
        return sealer.open(entry.sealed, _context(entry))
    except NotSealed:
        raise SecretUnreadable(
            "This mutation was run before, but its answer cannot be decrypted.",
            hint="Check what it has written. All replicas need the same secret_key, and secret_key_old after a change.",
        ) from None


def _context(entry: KeyEntry) -> bytes:
    return f"idempotency_keys|{entry.id}".encode()
