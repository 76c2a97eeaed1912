"""Records how the metadata of environments change, and what that means for clients.

    reload ──▶ old and new schema ─┐
    opening ─▶ other document than ├──▶ entry begun ──▶ compared in a thread ──▶ entry finished
               the store's newest ─┘    by one process only

Requests and reloads wait for none of it. A comparison that is cut off by the end of the process stays without changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Protocol

import msgspec

from gateway.config.environment_models import OWN
from gateway.config.profiles import environment_in
from gateway.events import Observer
from gateway.events.metadata import MetadataDrifted
from gateway.logs import logging_environment
from gateway.process.daemon_call import daemon_call
from gateway.runtime.assembly import Gateway
from gateway.store.status_rows import DriftEntry
from schema.types.build import ODataSchema

from .comparison import (
    OperationsOf,
    SchemaDrift,
    compare_schemas,
    registered_operations,
    schema_of_snapshot,
    schema_to_compare,
)
from .failures import Failures

CLOSING = 2.0
"""Seconds for which the end of a process waits for a store, or for a comparison."""


class DriftLog(Protocol):
    """Where the changes of environments are. Its methods block, and raise StoreUnavailable."""

    def begin(
        self, environment: str, before: str | None, after: str, at: float, seen: float
    ) -> DriftEntry | None:
        """Return the new entry of a change; None if it is none, or is known."""
        ...

    def finish(self, entry: DriftEntry, changes: str) -> None:
        """Store the changes of an entry."""
        ...

    def entries(self, environment: str, since: float) -> Sequence[DriftEntry]:
        """Return the changes of an environment since a time, the newest first."""
        ...


class DriftRecorder:
    """Records the changes of all environments of this process. Belongs to one event loop."""

    def __init__(
        self,
        log: DriftLog,
        failures: Failures,
        observe: Observer,
        *,
        operations: OperationsOf = registered_operations,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._failures = failures
        self._observe = observe
        self.operations = operations
        """Which operations clients use, by which a change is judged."""
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()
        self._comparing = asyncio.Lock()

    def opened(self, gateway: Gateway) -> None:
        """Record that an environment serves a document, if the store knows another one last."""
        info = gateway.metadata.info
        # A copy from a cache may be older than what another process has seen meanwhile.
        seen = self._now() if info is None else info.fetched_at
        self._start(gateway, None, seen)

    def changed(self, old: Gateway, new: Gateway) -> None:
        """Record that an environment serves another document. Call it before ``old`` is retired."""
        if old.metadata.digest != new.metadata.digest:
            self._start(new, old, self._now())

    async def close(self) -> None:
        """Wait a moment for what is under way, and give up what takes longer."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def idle(self) -> None:
        """Wait until all that was recorded so far is stored."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, new: Gateway, old: Gateway | None, seen: float) -> None:
        earlier = None if old is None else schema_to_compare(old)
        before = None if old is None else old.metadata.digest
        work = self._record(new, schema_to_compare(new), before, earlier, seen)
        with self._named(new):
            task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    def _named(gateway: Gateway) -> AbstractContextManager[object]:
        return logging_environment(environment_in(gateway.settings))

    async def _record(
        self,
        gateway: Gateway,
        new: ODataSchema,
        before: str | None,
        old: ODataSchema | None,
        seen: float,
    ) -> None:
        settings, after = gateway.settings, gateway.metadata.digest
        del gateway  # it may be retired while this runs
        name = environment_in(settings) or OWN
        with self._failures.reported():
            entry = await daemon_call(
                partial(self._log.begin, name, before, after, self._now(), seen)
            )
            if entry is None or entry.before is None:
                return
            async with self._comparing:
                if entry.before != before:
                    # Not the document that this process served before, if it served one.
                    old = await daemon_call(partial(schema_of_snapshot, settings, entry.before))
                if old is None:
                    return
                operations = self.operations(settings)
                drift = await daemon_call(partial(compare_schemas, old, new, operations))
            text = msgspec.json.encode(drift).decode()
            await daemon_call(partial(self._log.finish, entry, text))
            self._observe(
                MetadataDrifted(
                    breaking=drift.breaking,
                    dangerous=drift.dangerous,
                    safe=drift.safe,
                    operations=len(drift.operations),
                )
            )


class MemoryDrift:
    """The changes that this process has seen, if there is no store."""

    MOST = 200
    """Entries of all environments."""

    def __init__(self) -> None:
        self._entries: list[DriftEntry] = []

    def begin(
        self, environment: str, before: str | None, after: str, at: float, seen: float
    ) -> DriftEntry | None:
        """Return the new entry of a change."""
        del seen
        if before is None:
            return None
        entry = DriftEntry(
            id=str(len(self._entries)),
            environment=environment,
            at=at,
            before=before,
            after=after,
        )
        self._entries = [*self._entries[-self.MOST :], entry]
        return entry

    def finish(self, entry: DriftEntry, changes: str) -> None:
        """Store the changes of an entry."""
        finished = msgspec.structs.replace(entry, changes=changes)
        self._entries = [finished if e is entry else e for e in self._entries]

    def entries(self, environment: str, since: float) -> Sequence[DriftEntry]:
        """Return the changes of an environment since a time, the newest first."""
        chosen = [e for e in self._entries if e.environment == environment and e.at >= since]
        return chosen[::-1]


def decoded(entry: DriftEntry) -> SchemaDrift | None:
    """Return what a change means for clients; None if that is not known."""
    if entry.changes is None:
        return None
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(entry.changes, type=SchemaDrift)
    return None
