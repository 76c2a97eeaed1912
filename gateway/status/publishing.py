"""Writes the status of this process to the store, in the background: every ten seconds what has changed.

A store that fails stops nothing: what was not written is written the next time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from msgspec import Struct

from gateway.process.daemon_call import daemon_call
from gateway.store.status_rows import CallsRow, StatusRow

from .counters import Counters
from .failures import Failures
from .process_status import ProcessStatus
from .records import DAY, KEPT, SLOT
from .status_store import StatusStore

EVERY = 10.0
"""Seconds between two writings."""
HEARTBEAT = 60.0
"""Seconds after which an open environment is written even if nothing happens in it."""
CLOSING = 3.0
"""Seconds that a store which hangs may hold up the end of a process."""
_PURGE = 3_600.0
"""Seconds between two removals of what is old."""


class _Written(Struct, frozen=True):
    """What of an environment is in the store."""

    counters: Counters
    """Those of another environment, if one of the same name was removed."""
    changes: int
    slot: int
    at: float


class StatusPublisher:
    """Writes one process's status. Belongs to one event loop."""

    def __init__(
        self,
        status: ProcessStatus,
        store: StatusStore,
        failures: Failures,
        *,
        every: float = EVERY,
    ) -> None:
        self._status = status
        self._store = store
        self._failures = failures
        self._every = every
        self._written: dict[str, _Written] = {}
        self._purged = float("-inf")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write until the end of the block, and once more at its end."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSING):
                    await self.write()
                    await daemon_call(self._store.close)

    async def write(self) -> None:
        """Write what has changed since the last time."""
        now, slot = self._status.now(), self._status.current_slot()
        statuses: list[StatusRow] = []
        calls: list[CallsRow] = []
        writing: dict[str, _Written] = {}
        dropped = self._status.dropped()
        for name, counters in self._status.items():
            before = self._written.get(name)
            if before is not None and before.counters is not counters:
                before = None
            is_due = counters.facts.state == "open" and (
                before is None or now >= before.at + HEARTBEAT
            )
            if before is not None and before.changes == counters.changes and not is_due:
                continue
            row = self._status.status_row(name)
            assert row is not None
            statuses.append(row)
            # The slot that was written last may have grown before the next one began.
            calls += self._status.calls_rows(name, 0 if before is None else before.slot)
            writing[name] = _Written(counters, counters.changes, slot, now)
        if not statuses and not dropped:
            return
        own = [(name, self._status.process) for name in dropped]
        if await self._call(partial(self._store.write, statuses, calls, own)):
            self._status.has_dropped(dropped)
            for name in dropped:
                self._written.pop(name, None)
            self._written.update(writing)

    async def purge(self) -> None:
        """Forget what is old, here and in the store."""
        now = self._status.now()
        if now < self._purged + _PURGE:
            return
        self._purged = now
        self._status.forget()
        old = now - DAY
        await self._call(partial(self._store.purge, old, int(old // SLOT), now - KEPT))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.write()
            await self.purge()

    async def _call(self, function: partial[None]) -> bool:
        """Call the store, and return whether that worked."""
        with self._failures.reported():
            await daemon_call(function)
            return True
        return False
