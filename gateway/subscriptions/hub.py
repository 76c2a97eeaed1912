"""Who waits for which changes: one watch for all that wait for the same, alive as long as anybody does.

    Hub ── Watch (set, scope, filter) ── polls every interval ──▶ Feed, Feed, Feed …

A poll that fails is logged and tried again later and later, no sooner than the upstream asks for; after
``max_failures`` in a row, or where it cannot go well, the feeds end with its errors. So does a feed whose changes are
not taken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gateway.config.setting_models import SubscriptionOptions
from gateway.errors import BudgetExceeded, GatewayError
from gateway.events import ErrorRaised, Observer, WatchFailed
from gateway.failures import failure_answer
from gateway.odata.retry import Clock
from gateway.shutdown import STOPPING

from .polling import Poll, PollFailed, error_json
from .sharing import Batch

SLOWEST = 16
"""Intervals between two polls while they fail."""


class SubscriberTooSlow(GatewayError):
    """More changes wait for a subscriber than may."""

    code = "SUBSCRIBER_TOO_SLOW"


class FeedEnded(Exception):
    """A feed is over, with these errors; without any it is over as planned."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__()
        self.errors = errors


class Feed:
    """The changes for one subscriber: those of a poll at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Batch] = deque()
        self._size = 0
        self._more = asyncio.Event()
        self._end: FeedEnded | None = None

    def put(self, changes: Batch) -> None:
        """Hand over what a poll has found, all of it or, where too much waits, an end."""
        if self._size >= self._most:
            said = f"{self._size:,} changes wait for this subscriber, who takes none."
            hint = (
                "Take answers faster, or narrow where; then read the list again and subscribe anew."
            )
            self.end([error_json(SubscriberTooSlow(said, hint=hint))])
        elif self._end is None:
            self._waiting.append(changes)
            self._size += len(changes)
            self._more.set()

    def end(self, errors: list[dict[str, Any]]) -> None:
        """End the feed. What waits is dropped where there are errors."""
        if self._end is None:
            self._end = FeedEnded(errors)
            if errors:
                self._waiting.clear()
            self._more.set()

    async def take(self) -> Batch:
        """Wait for the changes of a poll. Raises Ended."""
        while not self._waiting:
            if self._end is not None:
                raise self._end
            self._more.clear()
            await self._more.wait()
        changes = self._waiting.popleft()
        self._size -= len(changes)
        return changes


class Watch:
    """One poll for all its feeds."""

    def __init__(
        self, poll: Poll, options: SubscriptionOptions, clock: Clock, observe: Observer
    ) -> None:
        self.feeds: set[Feed] = set()
        self._poll = poll
        self._options = options
        self._clock = clock
        self._observe = observe
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Poll as long as anybody waits; whatever ends that ends the feeds, so that nobody waits for ever."""
        try:
            await self._poll_on()
        except Exception as error:
            errors = failure_answer(error, self._observe).errors
            for feed in tuple(self.feeds):
                feed.end(errors)

    async def _poll_on(self) -> None:
        failures = 0
        while True:
            try:
                changes = await self._poll.changes()
            except PollFailed as failed:
                failures += 1
                if self._is_over(failed, failures):
                    for feed in tuple(self.feeds):
                        feed.end(failed.errors)
                    return
                await self._clock.sleep(max(self._pause(failures), failed.retry_after))
                continue
            failures = 0
            if changes:
                batch = Batch(changes)
                for feed in tuple(self.feeds):
                    feed.put(batch)
            await self._clock.sleep(self._pause(failures))

    def _is_over(self, failed: PollFailed, failures: int) -> bool:
        over = not failed.may_pass or failures > self._options.max_failures
        self._observe(WatchFailed(set=self._poll.of.name, reason=str(failed), over=over))
        if failed.detail is not None:
            facts = failed.errors[0]["extensions"]
            self._observe(
                ErrorRaised(
                    code=facts["code"],
                    error_id=facts["errorId"],
                    message=str(failed),
                    detail=failed.detail,
                )
            )
        return over

    def _pause(self, failures: int) -> float:
        """Return the seconds until the next poll, give or take a tenth."""
        jitter = 0.9 + 0.2 * self._clock.random()
        return float(self._options.interval * min(2**failures, SLOWEST) * jitter)


class Hub:
    """All watches of an application, its connections, and what must come to its end."""

    def __init__(
        self, options: SubscriptionOptions, observe: Observer, clock: Clock | None = None
    ) -> None:
        self.options = options
        self.observe = observe
        self.clock = clock or Clock()
        self.closing = asyncio.Event()
        """Set when the gateway stops."""
        self._watches: dict[Hashable, Watch] = {}
        self._connections = 0
        self._unfinished: set[asyncio.Task[None]] = set()

    @property
    def watches(self) -> int:
        """How many sets, scopes and filters are watched."""
        return len(self._watches)

    @contextmanager
    def feed(self, key: Hashable, poll: Callable[[], Poll]) -> Iterator[Feed]:
        """Return the changes that a poll finds; those who name the same key share it. Raises BudgetExceeded."""
        watch = self._watches.get(key)
        if watch is None or watch.task.done():
            watch = self._watches[key] = self._begin(poll)
        feed = Feed(self.options.max_pending)
        watch.feeds.add(feed)
        if self.closing.is_set():
            feed.end([])
        try:
            yield feed
        finally:
            watch.feeds.discard(feed)
            if not watch.feeds:
                watch.task.cancel()
                if self._watches.get(key) is watch:
                    del self._watches[key]

    def _begin(self, poll: Callable[[], Poll]) -> Watch:
        most = self.options.max_watches
        if len(self._watches) >= most:
            raise BudgetExceeded(
                f"{most:,} sets, scopes and filters are watched, which is the most.",
                hint="Subscribe to what others have subscribed to, or try again later.",
            )
        return Watch(poll(), self.options, self.clock, self.observe)

    @contextmanager
    def connection(self) -> Iterator[bool]:
        """Count a connection while it lasts; False where there are too many."""
        is_one = self._connections < self.options.max_connections and not self.closing.is_set()
        self._connections += is_one
        try:
            yield is_one
        finally:
            self._connections -= is_one

    def leave(self, task: asyncio.Task[None]) -> None:
        """Let a task come to its end, though nobody waits for it."""
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)

    def stop(self) -> None:
        """End all feeds as planned, now and from now on."""
        self.closing.set()
        for watch in self._watches.values():
            watch.task.cancel()
            for feed in watch.feeds:
                feed.end([])

    async def until_stopped(self, scope: Mapping[str, Any]) -> None:
        """Wait until the gateway stops, or the server that has accepted this connection."""
        waiting = [asyncio.create_task(self.closing.wait())]
        server: asyncio.Event | None = scope.get("state", {}).get(STOPPING)
        if server is not None:
            waiting.append(asyncio.create_task(server.wait()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        self.stop()

    async def close(self) -> None:
        """Stop, and wait for what must come to its end."""
        self.stop()
        tasks = (*(watch.task for watch in self._watches.values()), *self._unfinished)
        await asyncio.gather(*tasks, return_exceptions=True)
