"""Takes what environments report, and lets those who follow the sets poll at once: here, and in the other processes.

    report ──▶ entity sets ──▶ watches of this process poll, as soon as ``subscriptions.woken_interval`` allows
                           ├─▶ lists that are swept are due, as soon as ``changes.woken_interval`` allows
                           └─▶ the other replicas do the same: each is sent them at most once a second

Nothing of a report is data: what has changed is read by those who follow it, as they may see it. Many reports cause no
more requests than few.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from gateway.changes.sweep_book import SweepBook
from gateway.config.environment_models import OWN
from gateway.config.settings import Settings
from gateway.environments.open_environment import OpenEnvironment
from gateway.environments.opened import OpenEnvironments
from gateway.errors import EnvironmentUnavailable, RateLimited
from gateway.events import Observer
from gateway.events.hooks import HookReported
from gateway.export.selection import find_list
from gateway.metadata.entity_names import EntityNames

from .reports import Report
from .secrets import HookSecrets

SPREAD = 1.0
"""Seconds between two notices to other processes, of one environment."""
_MINUTE = 60.0

Spread: TypeAlias = Callable[[str, "Reported"], Awaitable[None]]
"""Tells others what an environment has reported."""


class Reported(Struct, frozen=True, kw_only=True):
    """What one process tells the others."""

    names: frozenset[str]
    """Names of lists or entity sets, whose rows may have changed."""
    entities: frozenset[str] = frozenset()
    """Names of data entities, if the process does not know their sets."""
    at: float
    """Seconds since the epoch."""


class Elsewhere(NamedTuple):
    """Those who follow environments and are not connected to this process."""

    spread: Spread
    follows: Callable[[str], Awaitable[bool]]
    """Tells whether any of them follows an environment, which is opened for them."""


@dataclass(slots=True, kw_only=True)
class _Reporter:
    """One environment that reports."""

    names: EntityNames = field(default_factory=EntityNames)
    minute: float = 0.0
    count: int = 0
    """Reports of this minute."""
    waiting: list[Reported] = field(default_factory=list)
    """What was not sent to the others yet."""
    spreading: asyncio.Task[None] | None = None


class Hooks:
    """The hooks of one process. Belongs to one event loop."""

    def __init__(
        self,
        settings: Settings,
        secrets: HookSecrets | None,
        observe: Observer,
        *,
        own: Callable[[], OpenEnvironment | None],
        others: OpenEnvironments | None,
        elsewhere: Elsewhere,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``own`` returns the environment of the settings; None: the gateway starts."""
        self._options = settings.hooks
        self._has_own = settings.default_environment
        self._secrets = secrets
        self._observe = observe
        self._own = own
        self._others = others
        self._elsewhere = elsewhere
        self._now = now
        self._reporters: dict[str, _Reporter] = {}
        self._hearing: set[asyncio.Task[None]] = set()

    async def accepts(self, name: str, secret: str) -> bool:
        """Return whether a secret is that of an environment. Raises StoreUnavailable."""
        if self._secrets is None:
            return False
        # In this order, so that an environment that does not exist takes no less time.
        is_valid = await self._secrets.accepts(name, secret)
        return is_valid and self._exists(name)

    def _exists(self, name: str) -> bool:
        if name == OWN:
            return self._has_own
        return self._others is not None and self._others.registry.find(name) is not None

    def count(self, name: str) -> None:
        """Count a report. Raises RateLimited."""
        reporter, now = self._reporter(name), self._now()
        if not 0 <= now - reporter.minute < _MINUTE:
            reporter.minute, reporter.count = now, 0
        reporter.count += 1
        if reporter.count > self._options.per_minute:
            raise RateLimited(
                "The environment reports too much.",
                hint="Setting: hooks.per_minute.",
                retry_after=max(1.0, reporter.minute + _MINUTE - now),
            )

    async def receive(self, name: str, report: Report, sets: Collection[str]) -> frozenset[str]:
        """Wake those who follow what a report is about, besides these sets; return the sets."""
        at = self._now()
        events = self._options.events
        named = {*sets, *(of for event in report.events for of in events.get(event, ()))}
        async with self._entered(name) as environment:
            if environment is None:
                reported = Reported(names=frozenset(named), entities=report.entities, at=at)
                woken, watches = frozenset[str](), 0
            else:
                woken = await self._sets_of(name, environment, named, report.entities)
                watches = _wake(environment, woken, at)
                reported = Reported(names=woken, at=at)
        if reported.names or reported.entities:
            self._spread(name, reported)
        self._observe(HookReported(environment=name, sets=tuple(sorted(woken)), watches=watches))
        return woken

    def hear(self, name: str, reported: Reported) -> None:
        """Wake those of this process who follow what an environment has reported to another one."""
        environment = self._open(name)
        if environment is not None:
            task = asyncio.create_task(self._heard(name, environment, reported))
            self._hearing.add(task)
            task.add_done_callback(self._hearing.discard)

    async def _heard(self, name: str, environment: OpenEnvironment, reported: Reported) -> None:
        _wake(
            environment,
            await self._sets_of(name, environment, reported.names, reported.entities),
            reported.at,
        )

    def logged(self, place: str, watch: str) -> None:
        """Let a watch read its log, to which another replica has added something. ``place``: ``-`` or a name."""
        environment = self._open(OWN if place == "-" else place)
        if environment is not None:
            environment.subscriptions.wake_shared(watch)

    async def close(self) -> None:
        """End what is under way, and close the connections."""
        spreading = (reporter.spreading for reporter in self._reporters.values())
        tasks = [*self._hearing, *(task for task in spreading if task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._secrets is not None:
            await self._secrets.close()

    async def _sets_of(
        self,
        name: str,
        environment: OpenEnvironment,
        named: Collection[str],
        entities: Collection[str],
    ) -> frozenset[str]:
        """Return the entity sets that an environment has of these names, and those of its data entities."""
        gateway = environment.live.gateway
        lists = (find_list(gateway.catalog, each) for each in named)
        sets = {root.entity_set.name for root in lists if root is not None and root.entity_set}
        if entities:
            names = self._reporter(name).names
            sets |= await names.sets_of(
                entities, gateway.client, gateway.dialect, gateway.metadata.digest
            )
        return frozenset(sets)

    @asynccontextmanager
    async def _entered(self, name: str) -> AsyncIterator[OpenEnvironment | None]:
        """Yield an environment if it is open, or if somebody needs that; None otherwise."""
        environment = self._open(name)
        declared = None if self._others is None else self._others.registry.find(name)
        if environment is not None or declared is None or not await self._elsewhere.follows(name):
            yield environment
            return
        assert self._others is not None
        try:
            lease = await self._others.lease(declared)
        except EnvironmentUnavailable:
            yield None
            return
        try:
            yield lease.environment
        finally:
            lease.release()

    def _open(self, name: str) -> OpenEnvironment | None:
        if name == OWN:
            return self._own() if self._has_own else None
        return None if self._others is None else self._others.find(name)

    def _reporter(self, name: str) -> _Reporter:
        return self._reporters.setdefault(name, _Reporter())

    def _spread(self, name: str, reported: Reported) -> None:
        """Tell the others soon, together with all that is reported until then."""
        reporter = self._reporter(name)
        reporter.waiting.append(reported)
        if reporter.spreading is None:
            reporter.spreading = asyncio.create_task(self._spread_all(name, reporter))

    async def _spread_all(self, name: str, reporter: _Reporter) -> None:
        try:
            while reporter.waiting:
                reported, reporter.waiting = _together(reporter.waiting), []
                await self._elsewhere.spread(name, reported)
                await asyncio.sleep(SPREAD)
        finally:
            reporter.spreading = None


def _wake(environment: OpenEnvironment, sets: Collection[str], at: float) -> int:
    """Wake those who follow sets; return how many watches that are."""
    sweeps = environment.live.gateway.client.sweeps
    if isinstance(sweeps, SweepBook):
        sweeps.wakes.note(sets, at)
    return environment.subscriptions.wake(sets)


def _together(waiting: Sequence[Reported]) -> Reported:
    return Reported(
        names=frozenset().union(*(reported.names for reported in waiting)),
        entities=frozenset().union(*(reported.entities for reported in waiting)),
        at=max(reported.at for reported in waiting),
    )
