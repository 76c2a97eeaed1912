"""Connects subscribers and polls: one watch for all subscribers to the same, for as long as there are any.

    Hub ── Watch (set, scope, filter) ── polls every interval ──▶ Feed, Feed, Feed …

A poll that fails is logged and tried again after longer and longer pauses, at least the upstream's ``Retry-After``.
After ``max_failures`` in a row, or if it cannot succeed, the feeds end with its errors. A feed also ends if its
subscriber does not take its changes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gateway.config.setting_models import SubscriptionOptions
from gateway.errors import BudgetExceeded, GatewayError
from gateway.events import ErrorRaised, Observer
from gateway.events.streams import WatchFailed
from gateway.failures import failure_answer
from gateway.odata.retry import Clock
from gateway.shutdown import STOPPING

from .following import FeedPoll
from .polling import Poll, PollFailed, error_json
from .shared_polls import SharedPoll, WatchLog
from .sharing import Batch

SLOWEST = 16
"""Maximum intervals between two polls that fail."""


class SubscriberTooSlow(GatewayError):
    """More changes wait for a subscriber than max_pending allows."""

    code = "SUBSCRIBER_TOO_SLOW"


class FeedEnded(Exception):
    """A feed has ended, with errors or, without any, as planned."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__()
        self.errors = errors


class Feed:
    """The changes for one subscriber, in batches of one poll."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Batch] = deque()
        self._size = 0
        self._more = asyncio.Event()
        self._end: FeedEnded | None = None

    def put(self, changes: Batch) -> None:
        """Add the changes of a poll; end the feed if too many wait already."""
        if self._size >= self._most:
            message = f"{self._size:,} changes wait for this subscriber, which does not read them."
            hint = "Read results faster, or narrow where; then read the list again and resubscribe."
            self.end([error_json(SubscriberTooSlow(message, hint=hint))])
        elif self._end is None:
            self._waiting.append(changes)
            self._size += len(changes)
            self._more.set()

    def end(self, errors: list[dict[str, Any]]) -> None:
        """End the feed, with errors at once, else after the changes that wait."""
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
    """Runs one poll for all its feeds."""

    def __init__(
        self,
        poll: Poll | SharedPoll | FeedPoll,
        options: SubscriptionOptions,
        clock: Clock,
        observe: Observer,
    ) -> None:
        self.feeds: set[Feed] = set()
        self._poll = poll
        self._options = options
        self._clock = clock
        self._observe = observe
        self._woken = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    @property
    def entity_set(self) -> str:
        """What it watches."""
        return self._poll.query.entity_set

    @property
    def shared_name(self) -> str | None:
        """Under which other replicas watch the same; None: each for itself."""
        return self._poll.name if isinstance(self._poll, SharedPoll) else None

    def wake(self) -> None:
        """Poll as soon as that may be."""
        self._woken.set()

    def end(self) -> None:
        """Poll no longer."""
        self.task.cancel()
        if isinstance(self._poll, SharedPoll):
            self._poll.close()

    async def _run(self) -> None:
        """Poll until cancelled. An unexpected error ends the feeds, so that no subscriber waits for ever."""
        try:
            await self._poll_repeatedly()
        except Exception as error:
            errors = failure_answer(error, self._observe).errors
            for feed in tuple(self.feeds):
                feed.end(errors)

    async def _poll_repeatedly(self) -> None:
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
            await self._rest(self._pause(failures))

    async def _rest(self, pause: float) -> None:
        """Wait until the next poll is due, or until this watch is woken."""
        began = self._clock.now()
        resting = asyncio.ensure_future(self._clock.sleep(pause))
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait((resting, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_due = resting.done()
            resting.cancel()
            woken.cancel()
        if not is_due:
            # However many events there are: the upstream is not polled more often.
            least = min(pause, self._options.woken_interval)
            rested = max(0.0, self._clock.now() - began)
            if rested < least:
                await self._clock.sleep(least - rested)
        self._woken.clear()

    def _is_over(self, failed: PollFailed, failures: int) -> bool:
        over = not failed.may_pass or failures > self._options.max_failures
        self._observe(WatchFailed(set=self._poll.query.name, reason=str(failed), over=over))
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
        """Return the seconds until the next poll, with ±10 % of jitter."""
        # Jitter, so that watches that began together do not poll together for ever.
        jitter = 0.9 + 0.2 * self._clock.random()
        return float(self._options.interval * min(2**failures, SLOWEST) * jitter)


class Hub:
    """The watches, connections and unfinished tasks of an application."""

    def __init__(
        self, options: SubscriptionOptions, observe: Observer, clock: Clock | None = None
    ) -> None:
        self.options = options
        self.observe = observe
        self.clock = clock or Clock()
        self.closing = asyncio.Event()
        """Set when the gateway stops."""
        self.log_of: Callable[[tuple[Hashable, ...]], WatchLog | None] = lambda _: None
        """Returns what the replicas share that watch the same; None: they share nothing."""
        self._watches: dict[Hashable, Watch] = {}
        self._connections = 0
        self._unfinished: set[asyncio.Task[None]] = set()

    @property
    def watches(self) -> int:
        """The number of watches: different sets, scopes and filters."""
        return len(self._watches)

    def wake(self, entity_sets: Collection[str]) -> int:
        """Poll these sets as soon as that may be; return how many watches do."""
        watches = [watch for watch in self._watches.values() if watch.entity_set in entity_sets]
        for watch in watches:
            watch.wake()
        return len(watches)

    def wake_shared(self, name: str) -> None:
        """Read the log of a watch that replicas share."""
        for watch in self._watches.values():
            if watch.shared_name == name:
                watch.wake()

    @property
    def connections(self) -> int:
        """The number of open WebSockets and event streams."""
        return self._connections

    @contextmanager
    def feed(
        self, key: Hashable, poll: Callable[[], Poll | SharedPoll | FeedPoll]
    ) -> Iterator[Feed]:
        """Return the changes that a poll finds; subscribers with the same key share the poll. Raises BudgetExceeded."""
        watch = self._watches.get(key)
        # A watch that has ended stays until its last feed is closed.
        if watch is None or watch.task.done():
            watch = self._watches[key] = self._begin(poll)
        feed = Feed(self.options.max_pending)
        watch.feeds.add(feed)
        if self.closing.is_set():  # subscribed during the shutdown
            feed.end([])
        try:
            yield feed
        finally:
            watch.feeds.discard(feed)
            if not watch.feeds:
                watch.end()
                if self._watches.get(key) is watch:
                    del self._watches[key]

    def _begin(self, poll: Callable[[], Poll | SharedPoll | FeedPoll]) -> Watch:
        most = self.options.max_watches
        if len(self._watches) >= most:
            raise BudgetExceeded(
                f"{most:,} sets, scopes and filters are watched, which is the maximum.",
                hint="Try again later, or raise subscriptions.max_watches.",
            )
        return Watch(poll(), self.options, self.clock, self.observe)

    @contextmanager
    def connection(self) -> Iterator[bool]:
        """Count a connection while it lasts; False if there are too many."""
        is_admitted = self._connections < self.options.max_connections and not self.closing.is_set()
        self._connections += is_admitted
        try:
            yield is_admitted
        finally:
            self._connections -= is_admitted

    def finish_in_background(self, task: asyncio.Task[None]) -> None:
        """Let a task finish, though nothing awaits it."""
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)

    def stop(self) -> None:
        """End all feeds as planned, now and from now on."""
        self.closing.set()
        for watch in self._watches.values():
            watch.end()
            for feed in watch.feeds:
                feed.end([])

    async def until_stopped(self, scope: Mapping[str, Any]) -> None:
        """Wait until the gateway stops, or the server of this connection does."""
        waiting = [asyncio.create_task(self.closing.wait())]
        server: asyncio.Event | None = scope.get("state", {}).get(STOPPING)
        if server is not None:
            waiting.append(asyncio.create_task(server.wait()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def close(self) -> None:
        """Stop, and wait for unfinished tasks."""
        self.stop()
        tasks = (*(watch.task for watch in self._watches.values()), *self._unfinished)
        await asyncio.gather(*tasks, return_exceptions=True)
