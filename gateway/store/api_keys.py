"""API keys, as requests are checked by them: from memory, and at most two seconds behind the store.

    d365_<id>_<secret>  ──parse_key──▶ id, secret ──find(id)──▶ ApiKey ──proves(secret)──▶ caller

All keys of a store fit into memory, so a request for an unknown id costs no query; ``polling`` notices their changes. A
store that fails does not stop requests: the keys last read stay valid until they expire.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from gateway.config.settings import Settings
from gateway.errors import StoreUnavailable
from gateway.events import Observer

from . import polling
from .opening import open_database
from .polling import StorePoller, Subject, open_poller

if TYPE_CHECKING:  # SQLAlchemy takes 0.4 s
    import sqlalchemy as sa

    from .database import Database
    from .key_register import KeyRegister

PREFIX = "d365"
USES_EVERY = 60.0
"""Seconds between two writes of the times of last use."""


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

    def __init__(self, poller: StorePoller, *, owns: bool) -> None:
        """``owns``: the poller is theirs alone, and is started and closed with them."""
        self._poller = poller
        self._owns = owns
        self._keys: Mapping[str, ApiKey] = {}
        self._uses: dict[str, float] = {}
        self._writing: asyncio.Task[None] | None = None
        poller.follow(Subject(name="api_keys", read=_read, empty={}, apply=self._replace))

    async def start(self) -> None:
        """Read a store that announces changes, and listen to it. Raises SettingsError, see ``StorePoller.start``."""
        if self._owns:
            await self._poller.start()

    async def find(self, key_id: str) -> ApiKey | None:
        """Return a key, which may be revoked or expired; None if there is none.

        Raises StoreUnavailable if the store has not been read since the start.
        """
        await self._poller.refresh()
        return self._keys.get(key_id)

    def used(self, key_id: str) -> None:
        """Note that a key was used just now. Times are written together, once a minute and at the end."""
        self._uses[key_id] = time.time()
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write_later())

    async def close(self) -> None:
        """Write the times of last use."""
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
        self._writing = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(polling.CLOSING):
                await self._write_uses()
        if self._owns:
            await self._poller.close()

    def _replace(self, keys: Mapping[str, ApiKey]) -> None:
        self._keys = keys

    async def _write_later(self) -> None:
        await asyncio.sleep(USES_EVERY)
        self._writing = None
        await self._write_uses()

    async def _write_uses(self) -> None:
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self._poller.call(lambda database: register_of(database).record_uses(uses))
        except StoreUnavailable:
            self._uses = {**uses, **self._uses}


def open_api_keys(
    settings: Settings, observe: Observer, poller: StorePoller | None = None
) -> ApiKeys | None:
    """Return the keys of the configured store; None if there is none. Nothing is read before ``start`` or ``find``.

    ``poller`` is the one of the process, if it follows more of the store. Raises SettingsError if its driver is not
    installed.
    """
    if poller is not None:
        return ApiKeys(poller, owns=False)
    own = open_poller(settings, observe)
    return None if own is None else ApiKeys(own, owns=True)


def open_register(settings: Settings) -> KeyRegister:
    """Return the register of the configured store. Raises SettingsError if there is none."""
    return register_of(open_database(settings))


def register_of(database: Database) -> KeyRegister:
    """Return the register of a database."""
    from .key_register import KeyRegister  # noqa: PLC0415 - importing SQLAlchemy takes 0.4 s

    return KeyRegister(database)


def _read(connection: sa.Connection, _revision: int | None) -> Mapping[str, ApiKey]:
    from .key_register import keys_in  # noqa: PLC0415 - likewise

    return keys_in(connection)
