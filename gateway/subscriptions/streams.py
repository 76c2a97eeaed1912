"""A subscription from its request to its execution results, whatever carries them."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.assemble import Gateway
from gateway.errors import BadArgument, known
from gateway.events import ErrorRaised, SubscriptionEnded
from gateway.execute import Answer, GraphQLRequest
from gateway.live import Live

from .changes import Change, Kind
from .hub import Ended, Hub
from .operation import BATCH, Subscribed, payloads, subscribed
from .polling import Poll, told
from .watched import Watched, watched


@dataclass(frozen=True, slots=True)
class _Begun:
    """A subscription with what it watches."""

    of: Subscribed
    watched: Watched
    where: Mapping[str, Any]
    companies: tuple[str, ...] | None
    page: int


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
                begun = self._begin(gateway, request)
            feeding = self.hub.feed(self._key(begun), lambda: self._poll(begun))
            with feeding as feed:
                while True:
                    changes = await feed.take()
                    for start in range(0, len(changes), BATCH):
                        some = changes[start : start + BATCH]
                        for result in await self._told(begun, request, some):
                            yield result
        except Ended:
            raise
        except Exception as error:
            found = known(error)
            self.hub.observe(
                ErrorRaised(
                    code=found.code,
                    error_id=found.error_id,
                    message=found.message,
                    detail=found.detail,
                )
            )
            raise Ended([told(found)]) from error

    def _begin(self, gateway: Gateway, request: GraphQLRequest) -> _Begun:
        """Read the operation. Raises Ended, GatewayError."""
        checked = gateway.engine.checked(request)
        if isinstance(checked, Answer):
            raise Ended(checked.errors)
        assert checked.document.node is not None
        of = subscribed(
            gateway.schema.core,
            checked.document.node,
            checked.operation,
            checked.variables,
            request.variables,
        )
        found = watched(gateway.catalog, of.given["set"], self.hub.options.stamps)
        return _Begun(
            of,
            found,
            _where(found, of.given.get("where")),
            _companies(found, of.given.get("companies")) or request.companies,
            gateway.settings.max_page_size,
        )

    def _key(self, begun: _Begun) -> tuple[object, ...]:
        where = msgspec.json.encode(begun.where, order="deterministic")
        return (self.live, begun.watched, begun.companies, where)

    def _poll(self, begun: _Begun) -> Poll:
        options = self.hub.options
        return Poll(
            of=begun.watched,
            where=begun.where,
            companies=begun.companies,
            ask=self._look,
            page=begun.page,
            most=options.max_watched_rows,
            late=options.late,
            now=self.hub.clock.now,
            observe=self.hub.observe,
        )

    async def _told(
        self, begun: _Begun, request: GraphQLRequest, changes: Sequence[Change]
    ) -> list[bytes]:
        """Give the results of some changes, whose rows are read at once."""
        of = begun.of
        ids = [change.id for change in changes if change.kind is not Kind.DELETED]
        answer = None
        if of.query and ids:
            answer = await self.ask(
                GraphQLRequest(
                    query=of.query,
                    variables={**of.variables, of.ids: ids},
                    companies=begun.companies,
                    timeout=request.timeout,
                )
            )
        encoded = None if answer is None else answer.encode()
        return list(payloads(of, begun.watched.name, changes, encoded))


def _where(of: Watched, given: object) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise BadArgument(
            "where is not an object.", hint=f"It is what {of.name} takes as its argument where."
        )
    if of.where is None:
        raise BadArgument(f"{of.name} cannot be filtered.", hint="Leave where out.")
    return given


def _companies(of: Watched, given: Sequence[str] | None) -> tuple[str, ...] | None:
    if given and not of.has_company:
        raise BadArgument(f"Rows of {of.name} have no company.", hint="Leave companies out.")
    return tuple(given) if given else None
