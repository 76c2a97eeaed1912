"""Follows the changes of the store for a process: one reading for all subjects, at most two seconds behind.

    revisions: api_keys 7, environments 3  ──changed?──▶ read of what has changed ──▶ applied in the event loop

Each subject has a revision number, which grows with each change; PostgreSQL announces changes besides. Subjects are
read when somebody needs them, and those that are watched also if nobody does. A store that fails changes nothing: what
was read last stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from msgspec import Struct
from pydantic import SecretStr

from gateway.config.settings import Settings
from gateway.errors import SettingsError, StoreLayoutMismatch, StoreUnavailable
from gateway.events import Observer, StoreFailed
from gateway.process.daemon_call import daemon_call

from .faults import reason_of
from .opening import has_store, open_database, require_driver

if TYPE_CHECKING:  # it takes 0.4 s
    import sqlalchemy as sa

    from .database import Database

REFRESH = 1.0
"""Seconds for which what was read is used without asking the store."""
PATIENCE = 0.5
"""Seconds for which a request waits for the store if it has been read before."""
CLOSING = 3.0
"""Seconds that a store which hangs may hold up the end of a process."""
_NO_STORE = -1
"""Revision of a file that was never written."""
_T = TypeVar("_T")

Listen: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]
"""Calls its argument for each change of the store, until it is cancelled."""


class Subject(Struct, Generic[_T], frozen=True, kw_only=True, eq=False):
    """What somebody follows."""

    name: str
    """Under which its changes are counted."""
    read: Callable[[sa.Connection, int | None], _T]
    """Reads what has changed since a revision, or everything; blocks, in a thread."""
    empty: _T
    """What is read of a store that was never written."""
    apply: Callable[[_T], None]
    """Called with what was read, in the event loop."""
    is_watched: bool = False
    """Whether it is also read while nobody needs it."""


class StorePoller:
    """The changes of one store, for one event loop."""

    def __init__(
        self, open_: Callable[[], Database], observe: Observer, listen: Listen | None = None
    ) -> None:
        """``open_`` is called in a thread, with the first use of the store; ``listen`` if it announces changes."""
        self._open = open_
        self._observe = observe
        self._listen = listen
        self._subjects: list[Subject[Any]] = []
        self._revisions: dict[str, int] = {}
        self._tasks: list[asyncio.Future[None]] = []
        self._is_announced = False
        """Whether a change was announced since the last reading began."""
        self._database: Database | None = None
        self._opening = threading.Lock()
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._patient_until = 0.0
        """When requests stop to wait for the reading that runs."""
        self._has_failed = False
        self.has_read = False
        """Whether the store was read since the start."""

    def follow(self, subject: Subject[Any]) -> None:
        """Read a subject with the others from now on."""
        self._subjects.append(subject)

    async def start(self) -> None:
        """Read a store that announces changes or is watched, and follow it. One that is away is read once it is back.

        Raises SettingsError if it must be migrated first, or belongs to a newer version.
        """
        is_watched = any(subject.is_watched for subject in self._subjects)
        if self._listen is None and not is_watched:
            return
        await self.require_layout()
        if self._listen is not None:
            self._tasks.append(asyncio.ensure_future(self._listen(self._changed)))
        if is_watched:
            self._tasks.append(asyncio.ensure_future(self._watch()))

    async def require_layout(self) -> None:
        """Read the store, or do without for now. Raises SettingsError, see ``start``."""
        try:
            await self._refresh()
        except StoreLayoutMismatch as error:
            raise SettingsError(error.message, hint=error.hint) from error
        except StoreUnavailable:
            pass  # which is reported

    async def refresh(self) -> None:
        """Read what has changed, unless that was just done. Raises StoreUnavailable if it was never read."""
        if time.monotonic() - self._read_at > REFRESH:
            await self._refresh()

    async def read_now(self) -> None:
        """Read what this process has changed just now, so that its next request sees it; for a while at most."""
        with contextlib.suppress(TimeoutError, StoreUnavailable):
            async with asyncio.timeout(PATIENCE):
                if self._reading is not None:  # it may have begun before the change
                    await asyncio.wait([self._reading])
                await asyncio.shield(self._begin_reading())

    async def call(self, use: Callable[[Database], _T]) -> _T:
        """Return what a function does with the database, in a thread. Raises StoreUnavailable, which is reported."""
        try:
            return await daemon_call(lambda: use(self._opened()))
        except StoreUnavailable as error:
            self._report(error)
            raise

    async def close(self) -> None:
        """Stop to follow, and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._is_announced = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                if self._reading is not None:
                    await asyncio.gather(self._reading, return_exceptions=True)
                if self._database is not None:
                    await daemon_call(self._database.close)

    def _opened(self) -> Database:
        with self._opening:
            if self._database is None:
                self._database = self._open()
            return self._database

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(REFRESH)
            self._begin_reading()

    def _changed(self) -> None:
        # A reading that runs may have begun before the change: then another one follows.
        self._is_announced = True
        self._begin_reading()

    def _begin_reading(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._is_announced = False
            self._patient_until = asyncio.get_running_loop().time() + PATIENCE
            self._reading = asyncio.ensure_future(self._read())
            self._reading.add_done_callback(self._finished)
        return self._reading

    async def _refresh(self) -> None:
        # A request that is cancelled, or does not wait any longer, does not stop the reading for the others.
        reading = asyncio.shield(self._begin_reading())
        if not self.has_read:
            await reading
            return
        with contextlib.suppress(TimeoutError):
            # Of the reading, not of each request: a store that hangs would hold up all of them.
            async with asyncio.timeout_at(self._patient_until):
                await reading

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._reading = None
        if not task.cancelled():
            task.exception()  # those who waited have it, if there were any
        if self._is_announced:
            self._begin_reading()

    async def _read(self) -> None:
        try:
            changes = await daemon_call(self._read_changes)
        except StoreUnavailable as error:
            self._report(error)
            if not self.has_read:
                raise
        else:
            self._has_failed, self.has_read = False, True
            for subject, revision, state in changes:
                self._revisions[subject.name] = revision
                subject.apply(state)
        # Also after a failure: a store that is away is not asked by every request.
        self._read_at = time.monotonic()

    def _read_changes(self) -> list[tuple[Subject[Any], int, Any]]:
        """Return the subjects that have changed. In one transaction, so that each revision is that of its state."""
        database = self._opened()
        if not database.exists:
            return list(self._unwritten(database))
        from .revisions import revisions_in  # noqa: PLC0415 - importing SQLAlchemy takes 0.4 s

        with database.reading() as connection:
            current = revisions_in(connection)
            if lacking := [s.name for s in self._subjects if s.name not in current]:
                raise StoreUnavailable(f"The store {database.name} lacks the subject {lacking[0]}.")
            return [
                (s, current[s.name], s.read(connection, self._revisions.get(s.name)))
                for s in self._subjects
                if current[s.name] != self._revisions.get(s.name)
            ]

    def _unwritten(self, database: Database) -> list[tuple[Subject[Any], int, Any]]:
        if any(revision != _NO_STORE for revision in self._revisions.values()):
            # A volume that is gone for a while must not take with it what it held.
            raise StoreUnavailable(f"The store {database.name} is missing.")
        return [(s, _NO_STORE, s.empty) for s in self._subjects if s.name not in self._revisions]

    def _report(self, error: StoreUnavailable) -> None:
        """Emit an event for the first of several failures."""
        if not self._has_failed:
            self._observe(StoreFailed(reason=reason_of(error)))
        self._has_failed = True


def open_poller(settings: Settings, observe: Observer) -> StorePoller | None:
    """Return what follows the configured store; None if there is none. Nothing is read before ``start`` or a use.

    Raises SettingsError if its driver is not installed.
    """
    if not has_store(settings):
        return None
    require_driver(settings)
    listen = None
    if isinstance(settings.store, SecretStr):
        listen = partial(_listen, settings.store, observe)
    return StorePoller(partial(open_database, settings), observe, listen)


async def _listen(address: SecretStr, observe: Observer, changed: Callable[[], None]) -> None:
    from .listening import listen  # noqa: PLC0415 - the driver is optional, and takes 0.2 s

    await listen(address, changed, observe)


async def require_layout(settings: Settings, observe: Observer) -> None:
    """Raise SettingsError if the store must be migrated first, before processes start that need it."""
    follows = settings.inbound.api_keys or settings.stored_environments
    poller = open_poller(settings, observe) if follows else None
    if poller is not None:
        try:
            await poller.require_layout()
        finally:
            await poller.close()
