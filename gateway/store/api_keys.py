"""API keys, as requests are checked by them: from memory, and at most two seconds behind the store.

    d365_<id>_<secret>  ──parse_key──▶ id, secret ──find(id)──▶ ApiKey ──proves(secret)──▶ caller

All keys of a store fit into memory, so a request for an unknown id costs no query. One row with a revision number says
whether they have changed, and PostgreSQL announces changes besides. A store that fails does not stop requests: the keys
last read stay valid until they expire.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from msgspec import Struct
from pydantic import SecretStr

from gateway.config.settings import Settings
from gateway.errors import SettingsError, StoreLayoutMismatch, StoreUnavailable
from gateway.events import Observer, StoreFailed
from gateway.process.daemon_call import daemon_call

from .opening import has_store, open_database, require_driver

if TYPE_CHECKING:  # it imports SQLAlchemy, which takes 0.4 s
    from .key_register import KeyRegister

PREFIX = "d365"
REFRESH = 1.0
"""Seconds for which keys in memory are used without asking the store."""
PATIENCE = 0.5
"""Seconds for which a request waits for the store if keys are in memory."""
USES_EVERY = 60.0
"""Seconds between two writes of the times of last use."""
CLOSING = 3.0
"""Seconds that a store which hangs may hold up the end of a process."""

Listen: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]
"""Calls its argument for each change of the store, until it is cancelled."""


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key as it is stored. Times are seconds since the epoch."""

    id: str
    name: str
    digest: str
    """SHA-256 of the secret, in hexadecimal: a secret of 256 random bits needs no slow hash."""
    roles: tuple[str, ...]
    created: float
    expires_at: float | None = None
    last_used: float | None = None
    revoked: float | None = None
    environments: tuple[str, ...] = ()
    """Patterns of the environments that its callers may use; empty: all."""

    def is_valid(self, at: float | None = None) -> bool:
        """Return whether it is neither revoked nor expired."""
        now = time.time() if at is None else at
        return self.revoked is None and (self.expires_at is None or now < self.expires_at)

    def proves(self, secret: str) -> bool:
        """Return whether this is its secret, in a time that says nothing of it."""
        return secrets.compare_digest(digest_of(secret), self.digest)


class KeyText(NamedTuple):
    """The parts of a key in the form in which clients send it."""

    id: str
    secret: str


def parse_key(text: str) -> KeyText | None:
    """``d365_7f3a_s3cret`` → ``("7f3a", "s3cret")``; None if it has not the form of a key."""
    prefix, _, rest = text.partition("_")
    key_id, _, secret = rest.partition("_")
    return KeyText(key_id, secret) if prefix == PREFIX and key_id and secret else None


def digest_of(secret: str) -> str:
    """Return the digest by which a secret is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKeys:
    """The keys of a store, for the requests of one process."""

    def __init__(
        self, open_: Callable[[], KeyRegister], observe: Observer, listen: Listen | None = None
    ) -> None:
        """``open_`` is called in a thread, with the first use of the store; ``listen`` if it announces changes."""
        self._open = open_
        self._listen = listen
        self._listening: asyncio.Future[None] | None = None
        self._is_announced = False
        """Whether a change was announced since the last reading began."""
        self._opened: KeyRegister | None = None
        self._opening = threading.Lock()
        self._observe = observe
        self._keys: Mapping[str, ApiKey] | None = None
        self._revision: int | None = None
        self._read_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self._patient_until = 0.0
        """When requests stop to wait for the reading that runs."""
        self._uses: dict[str, float] = {}
        self._writing: asyncio.Task[None] | None = None
        self._failed = False

    async def start(self) -> None:
        """Read a store that announces changes, and listen to it. One that is away is read as soon as it is back.

        Raises SettingsError if it must be migrated first, or belongs to a newer version.
        """
        if self._listen is None:
            return
        try:
            await self._refresh()
        except StoreLayoutMismatch as error:
            raise SettingsError(error.message, hint=error.hint) from error
        except StoreUnavailable:
            pass  # which is reported
        self._listening = asyncio.ensure_future(self._listen(self._changed))

    async def find(self, key_id: str) -> ApiKey | None:
        """Return a key, which may be revoked or expired; None if there is none.

        Raises StoreUnavailable if the store has not been read since the start.
        """
        if time.monotonic() - self._read_at > REFRESH:
            await self._refresh()
        assert self._keys is not None
        return self._keys.get(key_id)

    def used(self, key_id: str) -> None:
        """Note that a key was used just now. Times are written together, once a minute and at the end."""
        self._uses[key_id] = time.time()
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write_later())

    async def close(self) -> None:
        """Write the times of last use, and wait for what is running."""
        for waiting in (self._writing, self._listening):
            if waiting is not None:
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting
        self._writing = self._listening = None
        self._is_announced = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                if self._refreshing is not None:
                    await asyncio.gather(self._refreshing, return_exceptions=True)
                await self._write_uses()
                if self._opened is not None:
                    await daemon_call(self._opened.close)

    def _register(self) -> KeyRegister:
        with self._opening:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _changed(self) -> None:
        # A reading that runs may have begun before the change: then another one follows.
        self._is_announced = True
        self._begin_reading()

    def _begin_reading(self) -> None:
        if self._refreshing is None:
            self._is_announced = False
            self._patient_until = asyncio.get_running_loop().time() + PATIENCE
            self._refreshing = asyncio.ensure_future(self._read())
            self._refreshing.add_done_callback(self._finished)

    async def _refresh(self) -> None:
        self._begin_reading()
        assert self._refreshing is not None
        # A request that is cancelled, or does not wait any longer, does not stop the reading for the others.
        reading = asyncio.shield(self._refreshing)
        if self._keys is None:
            await reading
            return
        with contextlib.suppress(TimeoutError):
            # Of the reading, not of each request: a store that hangs would hold up all of them.
            async with asyncio.timeout_at(self._patient_until):
                await reading

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._refreshing = None
        if not task.cancelled():
            task.exception()  # those who waited have it, if there were any
        if self._is_announced:
            self._begin_reading()

    async def _read(self) -> None:
        try:
            state = await daemon_call(lambda: self._register().changes_since(self._revision))
        except StoreUnavailable as error:
            self._report(error)
            if self._keys is None:
                raise
        else:
            self._failed = False
            if state is not None:
                self._revision, self._keys = state
        # Also after a failure: a store that is away is not asked by every request.
        self._read_at = time.monotonic()

    async def _write_later(self) -> None:
        await asyncio.sleep(USES_EVERY)
        self._writing = None
        await self._write_uses()

    async def _write_uses(self) -> None:
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await daemon_call(lambda: self._register().record_uses(uses))
        except StoreUnavailable as error:
            self._report(error)
            self._uses = {**uses, **self._uses}

    def _report(self, error: StoreUnavailable) -> None:
        """Emit an event for the first of several failures."""
        if not self._failed:
            self._observe(StoreFailed(reason=error.message))
        self._failed = True


def open_api_keys(settings: Settings, observe: Observer) -> ApiKeys | None:
    """Return the keys of the configured store; None if there is none. Nothing is read before ``start`` or ``find``.

    Raises SettingsError if its driver is not installed.
    """
    if not has_store(settings):
        return None
    require_driver(settings)
    listen = None
    if isinstance(settings.store, SecretStr):
        listen = partial(_listen, settings.store, observe)
    return ApiKeys(partial(open_register, settings), observe, listen)


async def require_layout(settings: Settings, observe: Observer) -> None:
    """Raise SettingsError if the store of API keys must be migrated first, before processes start that need it."""
    keys = open_api_keys(settings, observe) if settings.inbound.api_keys else None
    if keys is not None:
        try:
            await keys.start()
        finally:
            await keys.close()


async def _listen(address: SecretStr, observe: Observer, changed: Callable[[], None]) -> None:
    from .listening import listen  # noqa: PLC0415 - the driver is optional, and takes 0.2 s

    await listen(address, changed, observe)


def open_register(settings: Settings) -> KeyRegister:
    """Return the register of the configured store. Raises SettingsError if there is none."""
    database = open_database(settings)
    from .key_register import KeyRegister  # noqa: PLC0415 - importing SQLAlchemy takes 0.4 s

    return KeyRegister(database)
