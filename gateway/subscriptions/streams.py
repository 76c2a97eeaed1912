"""A subscription from its request to its execution results, whatever carries them."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

from gateway.assemble import Gateway
from gateway.events import SubscriptionEnded
from gateway.execute import Answer, GraphQLRequest
from gateway.failures import failure
from gateway.live import Live

from .begun import Begun, begun
from .changes import Change, Kind
from .hub import Ended, Hub
from .operation import BATCH, payloads
from .polling import Poll


class Streams:
    """The subscriptions of one API."""

    def __init__(self, live: Live, hub: Hub) -> None:
        self.live = live
        self.hub = hub

    async def ask(self, request: GraphQLRequest) -> Answer:
        """Answer an operation by the generation that serves at the moment."""
        with self.live.serving() as gateway:
            return await gateway.engine.execute(request)

    async def _look(self, request: GraphQLRequest) -> Answer:
        """Answer one of the operations of a poll, which is logged as a whole."""
        with self.live.serving() as gateway:
            return await gateway.engine.unlogged(request)

    async def results(self, request: GraphQLRequest) -> AsyncGenerator[bytes, None]:
        """Give the execution results of a subscription, as JSON. Raises Ended at the end."""
        started, changes, reason = time.perf_counter(), 0, None
        try:
            async with aclosing(self._results(request)) as results:
                async for result in results:
                    changes += 1
                    yield result
        except Ended as ended:
            reason = ended.errors[0]["message"] if ended.errors else None
            raise
        finally:
            seconds = time.perf_counter() - started
            self.hub.observe(SubscriptionEnded(seconds=seconds, changes=changes, reason=reason))

    async def _results(self, request: GraphQLRequest) -> AsyncGenerator[bytes, None]:
        try:
            with self.live.serving() as gateway:
                of = self._begin(gateway, request)
            feeding = self.hub.feed((self.live, *of.key), lambda: self._poll(of))
            with feeding as feed:
                while True:
                    changes = await feed.take()
                    for start in range(0, len(changes), BATCH):
                        reading = partial(self._told, of, request, changes[start : start + BATCH])
                        key = (start, request.timeout, *of.reading)
                        for result in await changes.shared(key, reading):
                            yield result
        except Ended:
            raise
        except Exception as error:
            raise Ended(failure(error, self.hub.observe).errors) from error

    def _begin(self, gateway: Gateway, request: GraphQLRequest) -> Begun:
        """Read the operation. Raises Ended, GatewayError."""
        checked = gateway.engine.checked(request)
        if isinstance(checked, Answer):
            raise Ended(checked.errors)
        return begun(gateway, checked, request, self.hub.options)

    def _poll(self, of: Begun) -> Poll:
        hub = self.hub
        return of.poll(hub.options, self._look, hub.clock.now, hub.observe)

    async def _told(
        self, begun: Begun, request: GraphQLRequest, changes: Sequence[Change]
    ) -> list[bytes]:
        """Return the results of some changes, whose rows are read at once."""
        ids = [change.id for change in changes if change.kind is not Kind.DELETED]
        answer = None
        if begun.of.query and ids:
            answer = await self.ask(begun.rows(ids, request.timeout))
        encoded = None if answer is None else answer.encode()
        return list(payloads(begun.of, begun.watched.name, changes, encoded))
