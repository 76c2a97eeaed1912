"""What the operations of one environment share: reads under way, cached answers, and what was written since."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from msgspec import Struct

from gateway.admission.work import Lane
from gateway.config.cache_models import CacheOptions
from gateway.errors import GatewayError
from gateway.odata.response_check import Response

from .answer_store import AnswerStore, Key, StoredAnswer
from .in_flight import InFlight


class Found(Struct, frozen=True):
    """An answer that another replica has read."""

    response: Response
    age: float
    """Seconds since it was read."""


class Elsewhere(Protocol):
    """Cached answers that several replicas share."""

    async def find(self, key: Key, sets: frozenset[str]) -> Found | object | None:
        """Return an answer with its age; else what ``store`` needs later, or None if nothing can be stored."""
        ...

    async def store(self, key: Key, before: Any, response: Response) -> None:
        """Store an answer that was read after ``find`` had returned ``before``."""
        ...

    def wrote(self, sets: Iterable[str] | None) -> None:
        """Note a write of these sets, of all if None."""
        ...

    async def close(self) -> None:
        """Finish what is under way."""
        ...


class EnvironmentAnswers:
    """The answers of one environment. Tests replace ``now``, a clock in seconds."""

    def __init__(
        self,
        environment: str,
        store: AnswerStore,
        options: CacheOptions,
        now: Callable[[], float] = time.monotonic,
        apart: frozenset[Lane] = frozenset(),
    ) -> None:
        """``apart``: lanes with credentials of their own, which may get other answers."""
        self.environment = environment
        self.options = options
        self.apart = apart
        self.in_flight = InFlight()
        self.cached: frozenset[str] = frozenset()
        """The sets whose answers are cached; none until the metadata are known."""
        self.elsewhere: Elsewhere | None = None
        """Where answers are shared with other replicas; None: nowhere."""
        self._store = store
        self._now = now
        self._writes: Counter[str] = Counter()
        """Writes by entity set, so that no read that began before one is cached."""
        self._all_writes = 0
        """Writes of which nobody knows the sets."""
        self._refreshing: dict[Key, asyncio.Task[None]] = {}

    @property
    def oldest(self) -> float:
        """Seconds up to which an answer is used while it is read anew."""
        return self.options.ttl + self.options.stale

    @property
    def oldest_in_need(self) -> float:
        """Seconds up to which an answer is used while the environment gives none."""
        return self.options.ttl + self.options.stale_if_error

    def age_of(self, stored: StoredAnswer) -> float:
        """Return the seconds since an answer was read."""
        return max(0.0, self._now() - stored.read_at)

    def get(self, key: Key) -> StoredAnswer | None:
        """Return a cached answer, whatever its age; None if there is none."""
        return self._store.get(key)

    async def read(
        self,
        key: Key,
        sets: frozenset[str],
        send: Callable[[], Awaitable[Response]],
        *,
        fresh: bool = False,
    ) -> StoredAnswer:
        """Return the answer to a request, and cache it unless one of its sets was written meanwhile.

        ``fresh``: it is sent, even if another replica has its answer.
        """
        writes, began, elsewhere = self._written(sets), self._now(), self.elsewhere
        before = None if elsewhere is None else await elsewhere.find(key, sets)
        places = frozenset((self.environment, name) for name in sets)
        if isinstance(before, Found) and not fresh and before.age <= self.options.ttl:
            answer = StoredAnswer(before.response, places, began - before.age, is_shared=True)
        else:
            answer = StoredAnswer(await send(), places, began)
        if answer.response.status == 200 and self._written(sets) == writes:
            self._store.put(key, answer)
            if elsewhere is not None and not isinstance(before, Found | None):
                await elsewhere.store(key, before, answer.response)
        return answer

    def refresh(
        self, key: Key, sets: frozenset[str], send: Callable[[], Awaitable[Response]]
    ) -> None:
        """Read an answer anew in the background, unless that is under way; the old one stays if it fails."""
        if key in self._refreshing:
            return
        task = asyncio.ensure_future(self._refresh(key, sets, send))
        self._refreshing[key] = task
        task.add_done_callback(lambda _: self._refreshing.pop(key, None))

    async def _refresh(
        self, key: Key, sets: frozenset[str], send: Callable[[], Awaitable[Response]]
    ) -> None:
        try:
            await self.read(key, sets, send)
        except GatewayError:
            # The next operation tries again; the error is an event of the client.
            return

    def wrote(self, sets: Iterable[str] | None) -> None:
        """Evict the answers with rows of these sets, before a write of them and after it; None: of all sets."""
        names = None if sets is None else tuple(sets)
        self.evict(names)
        if self.elsewhere is not None:
            self.elsewhere.wrote(names)

    def forget(self) -> None:
        """Evict everything: writes of other replicas may have been missed."""
        self.evict(None)

    def evict(self, sets: Iterable[str] | None) -> None:
        """Evict the answers with rows of these sets, of all if None, because they were written by anybody."""
        self.in_flight.seal()
        if sets is None:
            self._all_writes += 1
            self._store.evict_environment(self.environment)
            return
        names = set(sets)
        self._writes.update(names)
        self._store.evict((self.environment, name) for name in names)

    async def close(self) -> None:
        """Give up what is read in the background, and cache nothing."""
        tasks = tuple(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.elsewhere is not None:
            await self.elsewhere.close()
        self._store.evict_environment(self.environment)

    def _written(self, sets: frozenset[str]) -> int:
        return self._all_writes + sum(self._writes[name] for name in sets)
