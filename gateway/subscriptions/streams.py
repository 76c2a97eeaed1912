"""The execution results of a subscription, for event streams and WebSockets."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Hashable
from contextlib import aclosing
from functools import partial

from gateway.config.profiles import profile_in
from gateway.documents.refusal import OperationRefused
from gateway.events.streams import SubscriptionEnded
from gateway.failures import failure_answer
from gateway.planning.change_queries import ChangeQuery
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.generations import GenerationManager

from .following import FeedPoll, Following, follows, read_followed
from .hub import FeedEnded, Hub
from .operation import BATCH, payloads
from .polling import Poll, PollFailed
from .shared_polls import SharedPoll
from .sharing import Part, Reader
from .start import ActiveSubscription, start_following, start_subscription


class Streams:
    """The subscriptions of one API."""

    def __init__(self, live: GenerationManager, hub: Hub) -> None:
        self.live = live
        self.hub = hub

    async def _execute(self, request: GraphQLRequest) -> Answer:
        """Execute an operation of a poll, which is logged as a whole."""
        with self.live.serving() as gateway:
            return await gateway.engine.execute_unlogged(request)

    async def results(self, request: GraphQLRequest) -> AsyncGenerator[bytes, None]:
        """Yield the execution results of a subscription, as JSON. Raises FeedEnded at the end."""
        started, changes, reason = time.perf_counter(), 0, None
        try:
            async with aclosing(self._results(request)) as results:
                async for result in results:
                    changes += 1
                    yield result
        except FeedEnded as ended:
            reason = ended.errors[0]["message"] if ended.errors else None
            raise
        finally:
            seconds = time.perf_counter() - started
            self.hub.observe(SubscriptionEnded(seconds=seconds, changes=changes, reason=reason))

    async def _results(self, request: GraphQLRequest) -> AsyncGenerator[bytes, None]:
        try:
            # The subscription outlives this generation, and takes nothing of it but values.
            with self.live.serving() as gateway:
                operation = gateway.engine.read(request)
                following = start_following(gateway, operation) if follows(operation) else None
            if following is not None:
                async for result in self._followed(*following):
                    yield result
                return
            with self.live.serving() as gateway:
                subscription = start_subscription(gateway, operation, self.hub.options)
                gateway.engine.charge(self._poll(subscription).first_page())
            feeding = self.hub.feed(
                (self.live, *subscription.key), lambda: self._shared_poll(subscription)
            )
            with feeding as feed:
                reader = Reader(subscription, request.timeout)
                while True:
                    changes = await feed.take()
                    for start in range(0, len(changes), BATCH):
                        for result in await changes.results(reader, start, self._read):
                            yield result
        except FeedEnded:
            raise
        except OperationRefused as refused:
            raise FeedEnded(refused.errors) from refused
        except Exception as error:
            raise FeedEnded(failure_answer(error, self.hub.observe).errors) from error

    async def _followed(
        self, following: Following, query: ChangeQuery, key: tuple[Hashable, ...]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the answers of a feed: the first one, and all that bring something. Raises FeedEnded."""
        cursor: str | None = following.arguments.get("since")
        is_due, failures, clock = True, 0, self.hub.clock
        poll = partial(FeedPoll, query, following, self._execute)
        with self.hub.feed((self.live, *key), poll) as feed:
            while True:
                try:
                    answer = await self._execute(following.at(cursor))
                    followed = read_followed(following, answer.encode())
                except PollFailed as failed:
                    failures += 1
                    if not failed.may_pass or failures > self.hub.options.max_failures:
                        raise FeedEnded(failed.errors) from failed
                    await clock.sleep(max(self.hub.options.interval, failed.retry_after))
                    continue
                failures, cursor = 0, followed.cursor
                # Who was told that there is more learns that there was nothing more.
                if is_due or not followed.is_empty:
                    yield followed.result
                is_due = followed.has_more
                if not followed.has_more:
                    await feed.take()

    def _shared_poll(self, subscription: ActiveSubscription) -> Poll | SharedPoll:
        """Return the poll of a watch, which other replicas may share."""
        poll, gateway = self._poll(subscription), self.live.gateway
        settings = gateway.settings
        view = () if gateway.view is None else gateway.view.roles
        log = self.hub.log_of((profile_in(settings), view, *subscription.key))
        return poll if log is None else SharedPoll(poll, log, self.hub.options.interval)

    def _poll(self, subscription: ActiveSubscription) -> Poll:
        hub = self.hub

        def changed() -> None:
            sharing = self.live.gateway.engine.reads.sharing
            if sharing is not None:
                sharing.answers.wrote({subscription.change_query.entity_set})

        return subscription.poll(hub.options, self._execute, hub.clock.now, hub.observe, changed)

    async def _read(self, reader: Reader, part: Part) -> list[bytes]:
        """Return a reader's results for a part of the changes, whose rows are read together with other readers'."""
        subscription, encoded = reader.subscription, None
        if subscription.request.query and part.ids:
            with self.live.serving() as gateway:
                engine = gateway.engine
                answer = await engine.execute(part.request(reader), part.reads(engine))
            encoded = answer.encode()
        return list(payloads(subscription.request, subscription.name, part.changes, encoded))
