"""One poll: all rows that a watched set has to show now, page by page, and what has changed among them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from gateway.errors import BudgetExceeded, GatewayError, to_gateway_error
from gateway.events import Observer, SubscriptionPolled
from gateway.planning.change_queries import WATCH, ChangeQuery
from gateway.request import Answer, GraphQLRequest
from schema.operators import WhereOperator

from .changes import ByEtag, ByStamp, Change, PolledRow, format_stamp

Execute: TypeAlias = Callable[[GraphQLRequest], Awaitable[Answer]]
"""Answers an operation by the generation that serves at the moment."""

PASSING = frozenset(
    {
        *("UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "UPSTREAM_THROTTLED", "UPSTREAM_MALFORMED"),
        *("UPSTREAM_REJECTED", "UPSTREAM_FORBIDDEN", "AUTH_TOKEN_FAILED"),
        *("DEADLINE_EXCEEDED", "INTERNAL_ERROR"),
    }
)
"""Codes of what may go well the next time; what a client asked for amiss does not."""


class PollFailed(Exception):
    """A poll found nothing out. ``errors`` are those of its operation."""

    def __init__(self, errors: list[dict[str, Any]], detail: str | None = None) -> None:
        super().__init__(errors[0]["message"])
        self.detail = detail
        """What clients are not told of a defect."""
        self.errors = [
            {k: v for k, v in e.items() if k in ("message", "extensions")} for e in errors
        ]
        facts = [error.get("extensions", {}) for error in errors]
        self.may_pass = all(fact.get("code") in PASSING for fact in facts)
        self.retry_after: float = max(fact.get("retryAfter") or 0.0 for fact in facts)


def error_json(error: GatewayError) -> dict[str, Any]:
    """Return an error of our own as clients are told it."""
    return {"message": error.message, "extensions": error.extensions()}


def poll_failure(error: GatewayError) -> PollFailed:
    """Return it as the failure of a poll."""
    return PollFailed([error_json(error)], error.detail)


class _PageInfo(msgspec.Struct, rename="camel"):
    has_next_page: bool = False
    end_cursor: str | None = None


class _Page(msgspec.Struct, rename="camel"):
    nodes: list[PolledRow]
    page_info: _PageInfo = msgspec.field(default_factory=_PageInfo)


class _Data(msgspec.Struct):
    rows: _Page


class _Polled(msgspec.Struct):
    data: _Data | None = None
    errors: list[dict[str, Any]] = []


_read = msgspec.json.Decoder(_Polled).decode


class Poll(Struct, kw_only=True):
    """Polls one set in one scope with one filter, time after time."""

    of: ChangeQuery
    where: Mapping[str, Any]
    companies: tuple[str, ...] | None
    ask: Execute
    page: int
    """Rows of a page."""
    most: int
    """Rows of a poll."""
    late: float
    now: Callable[[], float]
    observe: Observer
    _by: ByEtag | ByStamp | None = None
    _requests: int = 0
    _read: int = 0

    async def changes(self) -> tuple[Change, ...]:
        """Return what has changed since the last good poll; nothing at the first. Raises PollFailed."""
        started = time.perf_counter()
        self._requests = self._read = 0
        try:
            if self.of.stamp is None:
                found = await self._by_etag()
            else:
                found = await self._by_stamp(self.of.stamp)
        except PollFailed:
            raise
        except Exception as error:
            raise poll_failure(to_gateway_error(error)) from error
        self.observe(
            SubscriptionPolled(
                set=self.of.name,
                seconds=time.perf_counter() - started,
                requests=self._requests,
                rows=self._read,
                changes=len(found),
            )
        )
        return found

    def settle(self) -> None:
        """Go on as after a first look just now, which has seen a row that was changed just now."""
        if self.of.stamp is not None:
            self._by = ByStamp(self.late, self._moment())

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    async def _by_etag(self) -> tuple[Change, ...]:
        rows = await self._rows(self.where)
        if not isinstance(self._by, ByEtag):
            self._by = ByEtag()
        return self._by.take(rows)

    async def _by_stamp(self, stamp: str) -> tuple[Change, ...]:
        if not isinstance(self._by, ByStamp):
            newest = (await self._page(self.of.newest, self.where, {"first": 1})).nodes
            made = ByStamp(self.late)
            made.start(newest[0].changed if newest else None)
            await self._taken(made, stamp)
            self._by = made
            return ()
        return await self._taken(self._by, stamp)

    async def _taken(self, by: ByStamp, stamp: str) -> tuple[Change, ...]:
        now = self._moment()
        since = by.since(now)
        where = self.where
        if since is not None:
            where = {"and": [self.where, {stamp: {WhereOperator.GTE.value: format_stamp(since)}}]}
        return by.take(await self._rows(where), now)

    async def _rows(self, where: Mapping[str, Any]) -> list[PolledRow]:
        """Read all pages. Raises PollFailed, BudgetExceeded."""
        found: list[PolledRow] = []
        after: str | None = None
        while True:
            page = await self._page(
                self.of.rows, where, {"first": min(self.page, self.most + 1), "after": after}
            )
            found += page.nodes
            if len(found) > self.most:
                raise BudgetExceeded(
                    f"More than {self.most:,} rows of {self.of.name} would be read at each look.",
                    hint="Narrow where or companies; the limit is subscriptions.max_watched_rows.",
                )
            if not page.page_info.has_next_page:
                return found
            after = page.page_info.end_cursor

    async def _page(self, query: str, where: Mapping[str, Any], paging: Mapping[str, Any]) -> _Page:
        variables = dict(paging) if self.of.where is None else {**paging, "where": where}
        answer = await self.ask(
            GraphQLRequest(
                query=query,
                variables=variables,
                operation_name=WATCH,
                companies=self.companies,
            )
        )
        self._requests += len(answer.requests)
        self._read += answer.rows
        polled = _read(answer.encode())
        if polled.errors or polled.data is None:
            raise PollFailed(polled.errors)
        return polled.data.rows
