"""API keys, as requests are checked by them: from memory, and at most two seconds behind the store.

    d365_<id>_<secret>  ──parse_key──▶ id, secret ──find(id)──▶ ApiKey ──proves(secret)──▶ caller

All keys of a store fit into memory, so a request for an unknown id costs no query. One row with a revision number says
whether they have changed. A store that fails does not stop requests: the keys last read stay valid until they expire.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from gateway.config.settings import Settings
from gateway.errors import SettingsError, StoreUnavailable
from gateway.events import Observer, StoreFailed

if TYPE_CHECKING:  # it imports SQLAlchemy, which takes 0.4 s
    from .key_register import KeyRegister

PREFIX = "d365"
FOLDER = "store"
FILE = "gateway.db"
REFRESH = 1.0
"""Seconds for which keys in memory are used without asking the store."""
PATIENCE = 0.5
"""Seconds for which a request waits for the store if keys are in memory."""
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

    def __init__(self, open_: Callable[[], KeyRegister], observe: Observer) -> None:
        """``open_`` is called in a thread, with the first use of the store."""
        self._open = open_
        self._opened: KeyRegister | None = None
        self._opening = threading.Lock()
        self._observe = observe
        self._keys: Mapping[str, ApiKey] | None = None
        self._revision: int | None = None
        self._read_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self._uses: dict[str, float] = {}
        self._writing: asyncio.Task[None] | None = None
        self._failed = False

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
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
        if self._refreshing is not None:
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await self._write_uses()
        if self._opened is not None:
            await asyncio.to_thread(self._opened.close)

    def _register(self) -> KeyRegister:
        with self._opening:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    async def _refresh(self) -> None:
        if self._refreshing is None:
            self._refreshing = asyncio.ensure_future(self._read())
            self._refreshing.add_done_callback(self._finished)
        # A request that is cancelled, or does not wait any longer, does not stop the reading for the others.
        reading = asyncio.shield(self._refreshing)
        if self._keys is None:
            await reading
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await reading

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._refreshing = None
        if not task.cancelled():
            task.exception()  # those who waited have it, if there were any

    async def _read(self) -> None:
        try:
            state = await asyncio.to_thread(lambda: self._register().changes_since(self._revision))
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
            await asyncio.to_thread(lambda: self._register().record_uses(uses))
        except StoreUnavailable as error:
            self._report(error)
            self._uses = {**uses, **self._uses}

    def _report(self, error: StoreUnavailable) -> None:
        """Emit an event for the first of several failures."""
        if not self._failed:
            self._observe(StoreFailed(reason=error.message))
        self._failed = True


def open_api_keys(settings: Settings, observe: Observer) -> ApiKeys | None:
    """Return the keys of the configured store; None if there is none. Nothing is read before the first ``find``."""
    if settings.store == "none" or settings.data_dir is None:
        return None
    return ApiKeys(partial(open_register, settings), observe)


def open_register(settings: Settings) -> KeyRegister:
    """Return the register of the configured store. Raises SettingsError if there is none."""
    if settings.store == "none":
        raise SettingsError(
            "There are no API keys: store is none.", hint="Set store = sqlite (D365_STORE)."
        )
    if settings.data_dir is None:
        raise SettingsError(
            "There is no folder for the store: data_dir is none.",
            hint="Set data_dir (D365_DATA_DIR) to a folder that outlives the process.",
        )
    from .database import Database  # noqa: PLC0415 - importing SQLAlchemy takes 0.4 s
    from .key_register import KeyRegister  # noqa: PLC0415 - likewise

    return KeyRegister(Database(settings.data_dir / FOLDER / FILE))
