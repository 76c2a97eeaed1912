"""Where sweeps are kept: in the store for all processes of a deployment, encrypted; without one, in this process.

All methods of a register block, so they run in threads. A list is swept by one process at a time, and by one task of
it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from gateway.config.profiles import environment_in
from gateway.config.settings import Settings
from gateway.errors import SettingsError, StoreUnavailable
from gateway.store.opening import has_store, open_database
from gateway.store.secret_key import open_sealer
from gateway.store.sweep_rows import SweepHead, SweepResult

from .memory_sweeps import MemorySweeps
from .sweeps import State, SweepLog, pack_log, pack_state, unpack_log, unpack_state
from .wakes import Wakes

if TYPE_CHECKING:  # they import SQLAlchemy and cryptography, which take 0.5 s
    from gateway.storage.sealing import Sealer

LEASE = 300.0
"""Seconds after which a process that sweeps was killed."""
DAY = 86_400.0
T = TypeVar("T")


class Register(Protocol):
    """See ``gateway.store.sweep_register``."""

    def head(self, feed: str, environment: str, now: float, most: int) -> SweepHead:
        """Return the last sweep of a list."""
        ...

    def lease(self, feed: str, now: float, until: float) -> bool:
        """Return whether this process may sweep a list."""
        ...

    def release(self, feed: str) -> None:
        """Let another process sweep a list."""
        ...

    def state(self, feed: str) -> bytes | None:
        """Return the state of a list."""
        ...

    def finish(self, feed: str, result: SweepResult, oldest: float) -> None:
        """Store a sweep."""
        ...

    def changes(self, feed: str, after: int, upto: int) -> Sequence[tuple[int, bytes]]:
        """Return what sweeps have found."""
        ...

    def expire(self, before: float) -> None:
        """Remove the lists that nobody follows."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class SweepBook:
    """The sweeps of one environment."""

    def __init__(self, settings: Settings, memory: MemorySweeps | None = None) -> None:
        """``memory``: of an earlier book of the environment, if there is no store."""
        self.wakes = Wakes()
        self._settings = settings
        self._memory = memory or MemorySweeps()
        self._options = settings.changes
        self._environment = (environment_in(settings) or "")[:40]
        self._lock = threading.Lock()
        self._opened: tuple[Register, Sealer | None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._expired_at = 0.0

    async def head(self, feed: str, now: float) -> SweepHead:
        """Return the last sweep of a list. Raises StoreUnavailable."""
        most = self._options.max_swept_lists

        def find(register: Register, _: Sealer | None) -> SweepHead:
            if now - self._expired_at > DAY / 24:
                register.expire(now - self._options.sweeps_kept)
                self._expired_at = now
            return register.head(feed, self._environment, now, most)

        return await self._in_thread(find)

    async def state(self, feed: str) -> State | None:
        """Return the state of a list as of its last sweep; None if it is not known. Raises StoreUnavailable."""

        def find(register: Register, sealer: Sealer | None) -> State | None:
            sealed = register.state(feed)
            content = None if sealed is None else _opened(sealed, feed, sealer)
            return None if content is None else unpack_state(content)

        return await self._in_thread(find)

    async def finish(
        self,
        feed: str,
        number: int,
        at: float,
        state: State,
        log: SweepLog | None,
        *,
        by_values: bool,
    ) -> None:
        """Store a sweep; without ``log`` what was found before counts no more. Raises StoreUnavailable."""

        def store(register: Register, sealer: Sealer | None) -> None:
            register.finish(
                feed,
                SweepResult(
                    number=number,
                    at=at,
                    by_values=by_values,
                    state=_sealed(pack_state(state), feed, sealer),
                    changes=None if log is None else _sealed(pack_log(log), feed, sealer),
                ),
                at - self._options.sweeps_kept,
            )

        await self._in_thread(store)

    async def logs(self, feed: str, after: int, upto: int) -> list[tuple[int, SweepLog]]:
        """Return what the sweeps after one have found, up to another. Raises StoreUnavailable."""

        def find(register: Register, sealer: Sealer | None) -> list[tuple[int, SweepLog]]:
            stored = register.changes(feed, after, upto)
            opened = ((number, _opened(sealed, feed, sealer)) for number, sealed in stored)
            return [(number, unpack_log(content)) for number, content in opened if content]

        return await self._in_thread(find)

    async def sweep(self, feed: str, now: float, sweep: Callable[[], Awaitable[None]]) -> None:
        """Sweep a list, unless another process does; wait for a sweep of this process that is under way.

        A caller that leaves does not end it: the sweep is for all. Raises what ``sweep`` raises, and StoreUnavailable.
        """
        task = self._running.get(feed)
        if task is None:
            task = self._running[feed] = asyncio.create_task(self._sweep(feed, now, sweep))
            task.add_done_callback(lambda done: self._ended(feed, done))
        await asyncio.shield(task)

    def close(self) -> None:
        """End what is under way, and close the connections."""
        for task in tuple(self._running.values()):
            task.cancel()
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].close()

    def _ended(self, feed: str, task: asyncio.Task[None]) -> None:
        self._running.pop(feed, None)
        if not task.cancelled():
            task.exception()  # else asyncio would log one that nobody awaits any more

    async def _sweep(self, feed: str, now: float, sweep: Callable[[], Awaitable[None]]) -> None:
        until = now + LEASE
        if not await self._in_thread(lambda register, _: register.lease(feed, now, until)):
            return
        try:
            await sweep()
        finally:
            # After the end of the book the lease ends by itself.
            if self._opened is not None:
                await asyncio.shield(self._in_thread(lambda register, _: register.release(feed)))

    async def _in_thread(self, work: Callable[[Register, Sealer | None], T]) -> T:
        """Return what blocking work returns. Raises StoreUnavailable."""
        try:
            return await asyncio.to_thread(lambda: work(*self._open()))
        except SettingsError as error:
            raise StoreUnavailable(
                "The store of sweeps cannot be used.", detail=error.message
            ) from error

    def _open(self) -> tuple[Register, Sealer | None]:
        with self._lock:
            if self._opened is None:
                self._opened = self._new()
            return self._opened

    def _new(self) -> tuple[Register, Sealer | None]:
        if not has_store(self._settings):
            return self._memory, None
        from gateway.store.sweep_register import SweepRegister  # noqa: PLC0415 - takes 0.4 s

        return SweepRegister(open_database(self._settings)), open_sealer(self._settings)


def _sealed(content: bytes, feed: str, sealer: Sealer | None) -> bytes:
    return content if sealer is None else sealer.seal(content, f"sweeps|{feed}".encode())


def _opened(content: bytes, feed: str, sealer: Sealer | None) -> bytes | None:
    """Return what was sealed; None if that was with another secret_key: then the list is swept anew."""
    if sealer is None:
        return content
    from gateway.storage.sealing import NotSealed  # noqa: PLC0415 - imports cryptography

    try:
        return sealer.open(content, f"sweeps|{feed}".encode())
    except NotSealed:
        return None
