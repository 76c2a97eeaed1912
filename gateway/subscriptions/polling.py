"""Polls an entity set: reads its rows page by page, and returns what has changed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from gateway.admission.work import Lane
from gateway.changes.stamps import format_stamp
from gateway.errors import BudgetExceeded, GatewayError, to_gateway_error
from gateway.events import Observer
from gateway.events.streams import SubscriptionPolled
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.planning.change_queries import WATCH, ChangeQuery
from gateway.request import Answer, GraphQLRequest
from schema.operators import WhereOperator

from .changes import ByEtag, ByStamp, Change, PolledRow, StampState

Execute: TypeAlias = Callable[[GraphQLRequest], Awaitable[Answer]]
"""Executes an operation in the current generation."""

TRANSIENT = frozenset(
    {
        *("UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "UPSTREAM_THROTTLED", "UPSTREAM_MALFORMED"),
        *("OVERLOADED", "OUT_OF_MEMORY"),
        *("UPSTREAM_REJECTED", "UPSTREAM_FORBIDDEN", "AUTH_TOKEN_FAILED"),
        *("DEADLINE_EXCEEDED", "INTERNAL_ERROR"),
    }
)
"""Codes of errors that the next poll may not have; errors in the subscription stay."""


class PollFailed(Exception):
    """A poll failed, with the ``errors`` of its operation."""

    def __init__(self, errors: list[dict[str, Any]], detail: str | None = None) -> None:
        super().__init__(errors[0]["message"])
        self.detail = detail
        """Details for the log only."""
        self.errors = [
            {k: v for k, v in e.items() if k in ("message", "extensions")} for e in errors
        ]
        facts = [error.get("extensions", {}) for error in errors]
        self.may_pass = all(fact.get("code") in TRANSIENT for fact in facts)
        self.retry_after: float = max(fact.get("retryAfter") or 0.0 for fact in facts)


def error_json(error: GatewayError) -> dict[str, Any]:
    """Return an error of the gateway as clients see it."""
    return {"message": error.message, "extensions": error.extensions()}


def poll_failure(error: GatewayError) -> PollFailed:
    """Return the failure of a poll because of an error of the gateway."""
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
    """Polls one entity set in one company scope with one filter, again and again."""

    query: ChangeQuery
    where: Mapping[str, Any]
    companies: tuple[str, ...] | None
    caller: Caller = ANONYMOUS
    """One of those who share it: they see the same."""
    ask: Execute
    page: int
    """Rows in a page."""
    most: int
    """Maximum rows of a poll."""
    late: float
    """Seconds by which changes may become visible late."""
    now: Callable[[], float]
    observe: Observer
    changed: Callable[[], None] = lambda: None
    """Called when a poll has found changes, before anybody reads the rows."""
    _by: ByEtag | ByStamp | None = None
    _requests: int = 0
    _read: int = 0

    async def changes(self) -> tuple[Change, ...]:
        """Return what has changed since the last good poll; nothing at the first. Raises PollFailed."""
        started = time.perf_counter()
        self._requests = self._read = 0
        try:
            if self.query.stamp is None:
                changes = await self._by_etag()
            else:
                changes = await self._by_stamp(self.query.stamp)
        except PollFailed:
            raise
        except Exception as error:
            raise poll_failure(to_gateway_error(error)) from error
        if changes:
            self.changed()
        self.observe(
            SubscriptionPolled(
                set=self.query.name,
                seconds=time.perf_counter() - started,
                requests=self._requests,
                rows=self._read,
                changes=len(changes),
            )
        )
        return changes

    def stamp_state(self) -> StampState | None:
        """Return where a poll by stamp continues; None for one by etag."""
        return self._by.state() if isinstance(self._by, ByStamp) else None

    def heard(self, changes: tuple[Change, ...], state: StampState | None) -> tuple[Change, ...]:
        """Take changes that another replica has found; return those that are new here."""
        if isinstance(self._by, ByStamp) and state is not None:
            return self._by.heard(changes, state)
        if isinstance(self._by, ByEtag) and state is None:
            return self._by.heard(changes)
        return ()

    def settle(self) -> None:
        """Continue as after a first poll just now, in which a row had just changed."""
        if self.query.stamp is not None:
            self._by = ByStamp(self.late, self._utc_now())

    def _utc_now(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    async def _by_etag(self) -> tuple[Change, ...]:
        rows = await self._rows(self.where)
        if not isinstance(self._by, ByEtag):
            self._by = ByEtag()
        return self._by.take(rows)

    async def _by_stamp(self, stamp: str) -> tuple[Change, ...]:
        if not isinstance(self._by, ByStamp):
            newest = (await self._page(self.query.newest, self.where, {"first": 1})).nodes
            # Set only after it succeeded: a failed first poll begins again.
            by = ByStamp(self.late)
            by.start(newest[0].changed if newest else None)
            await self._compare(by, stamp)
            self._by = by
            return ()
        return await self._compare(self._by, stamp)

    async def _compare(self, by: ByStamp, stamp: str) -> tuple[Change, ...]:
        now = self._utc_now()
        since = by.since(now)
        where = self.where
        if since is not None:
            where = {"and": [self.where, {stamp: {WhereOperator.GTE.value: format_stamp(since)}}]}
        return by.take(await self._rows(where), now)

    async def _rows(self, where: Mapping[str, Any]) -> list[PolledRow]:
        """Read all pages. Raises PollFailed, BudgetExceeded."""
        rows: list[PolledRow] = []
        after: str | None = None
        while True:
            page = await self._page(
                # One row more than allowed shows that there are too many.
                self.query.rows,
                where,
                {"first": min(self.page, self.most + 1), "after": after},
            )
            rows += page.nodes
            if len(rows) > self.most:
                raise BudgetExceeded(
                    f"Polling {self.query.name} would read more than {self.most:,} rows.",
                    hint="Narrow where or companies, or raise subscriptions.max_watched_rows.",
                )
            if not page.page_info.has_next_page:
                return rows
            after = page.page_info.end_cursor

    def first_page(self) -> GraphQLRequest:
        """Return the operation that reads the first page of a poll, whatever has changed."""
        return self._request(self.query.rows, self.where, {"first": min(self.page, self.most + 1)})

    def _request(
        self, query: str, where: Mapping[str, Any], paging: Mapping[str, Any]
    ) -> GraphQLRequest:
        return GraphQLRequest(
            query=query,
            variables=dict(paging) if self.query.where is None else {**paging, "where": where},
            operation_name=WATCH,
            companies=self.companies,
            caller=self.caller,
            fresh=True,
            lane=Lane.SUBSCRIPTION,
            is_charged=False,  # a poll is for all who share it
        )

    async def _page(self, query: str, where: Mapping[str, Any], paging: Mapping[str, Any]) -> _Page:
        answer = await self.ask(self._request(query, where, paging))
        self._requests += len(answer.requests)
        self._read += answer.rows
        polled = _read(answer.encode())
        if polled.errors or polled.data is None:
            raise PollFailed(polled.errors)
        return polled.data.rows
