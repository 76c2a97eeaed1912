"""The audit log of a process: takes entries, and writes them in a thread.

    record(entry)              later, in order; a failure is an event and a ``gap`` in the chain
    await recorded(entry)      returns when the line is on its device; raises AuditUnavailable

Entries that wait at the same time are flushed together, so that fsync limits no throughput.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Sequence

from gateway.errors import AuditUnavailable
from gateway.events import AuditFailed, Observer

from .entries import Entry, encode_entry
from .writer import ChainWriter

MAX_WAITING = 10_000
"""Entries that may wait for a slow sink; more are lost."""
PATIENCE = 10.0
"""Seconds to wait until an entry is on its device."""
_BATCH = 500


class _Item:
    __slots__ = ("done", "entries")

    def __init__(
        self, entries: Sequence[bytes], done: Callable[[OSError | None], None] | None = None
    ) -> None:
        self.entries = entries
        self.done = done
        """Called in the thread when the lines are on their device, or with the error."""


class AuditLog:
    """Writes one chain. Its thread begins with the first entry."""

    def __init__(self, writer: ChainWriter, observe: Observer, *, required: bool = False) -> None:
        """``required``: writes that cannot be recorded are refused."""
        self.required = required
        self._writer = writer
        self._observe = observe
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._numbers = itertools.count(1)
        self._failed = False
        self._closed = False

    def number(self) -> int:
        """Return the number of a write, for its entries."""
        return next(self._numbers)

    def record(self, entry: Entry) -> None:
        """Write an entry soon. Never blocks or raises."""
        self._put(_Item([encode_entry(entry)]))

    async def recorded(self, entries: Iterable[Entry]) -> None:
        """Write entries, and return when they are on their device. Raises AuditUnavailable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def settle(error: OSError | None) -> None:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)

        def done(error: OSError | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, error)

        try:
            if not self._put(_Item([encode_entry(entry) for entry in entries], done)):
                raise OSError("too many entries wait for it")
            async with asyncio.timeout(PATIENCE):
                await future
        except (OSError, TimeoutError) as error:
            raise _unavailable(error) from error

    def recorded_now(self, entry: Entry) -> None:
        """Write an entry, and return when it is on its device. Blocks; raises AuditUnavailable."""
        results: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
        if not self._put(_Item([encode_entry(entry)], results.put)):
            raise _unavailable(OSError("it has ended"))
        try:
            error = results.get(timeout=PATIENCE)
        except queue.Empty:
            error = OSError("it takes too long")
        if error is not None:
            raise _unavailable(error)

    async def close(self) -> None:
        """Write what waits and the last line of the chain."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """Write what waits and the last line of the chain. Blocks."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._items.put(None)
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                self._report(OSError("it does not take its last lines"), self._items.qsize())
                return
        try:
            self._writer.end()
        except OSError as error:
            self._report(error, 0)

    def _put(self, item: _Item) -> bool:
        if self._closed or self._items.qsize() >= MAX_WAITING:
            self._report(OSError("it takes too long"), len(item.entries))
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
            self._thread.start()
        self._items.put(item)
        return True

    # In the thread

    def _run(self) -> None:
        while (first := self._items.get()) is not None:
            batch = [first, *self._waiting()]
            self._write([item for item in batch if item is not None])
            if batch[-1] is None:
                return

    def _waiting(self) -> Iterable[_Item | None]:
        for _ in range(_BATCH):
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                return
            yield item
            if item is None:
                return

    def _write(self, batch: list[_Item]) -> None:
        lost = self._writer.lost
        errors = [self._write_item(item) for item in batch]
        if any(item.done is not None for item in batch):
            try:
                self._writer.sync()
            except OSError as failure:
                errors = [error or failure for error in errors]
        first = next((error for error in errors if error is not None), None)
        if first is None:
            self._failed = False
        else:
            self._report(first, self._writer.lost - lost)
        for item, error in zip(batch, errors, strict=True):
            if item.done is not None:
                item.done(error)

    def _write_item(self, item: _Item) -> OSError | None:
        first: OSError | None = None
        for entry in item.entries:
            try:
                self._writer.write(entry)
            except OSError as error:
                self._writer.lost += 1
                first = first or error
        return first

    def _report(self, error: OSError, lost: int) -> None:
        """Emit an event for the first of several failures."""
        if not self._failed:
            self._observe(AuditFailed(reason=str(error), lost=lost))
        self._failed = True


def _unavailable(error: OSError) -> AuditUnavailable:
    return AuditUnavailable(
        "Nothing was sent: the audit log cannot be written, and audit.required is set.",
        hint="Try again later. The log of the gateway says why: audit_failed.",
        detail=str(error),
    )
