"""Fetches the rows of one query: lowers it, prints, sends, follows the pages, decodes.

    Query ──lower──▶ Lowered ──ReadRequests──▶ Response ──PageDecoder──▶ rows
                                    ▲                                      │
                                    └────── PageReader: next links ◀───────┘

A fetcher belongs to one operation, or to several that share their reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from msgspec import Struct, structs

from gateway.cache.operation_reads import OperationReads
from gateway.errors import GatewayError, UpstreamNotFound
from gateway.odata.dialect import Dialect
from gateway.odata.lazy_request import LONGEST
from gateway.odata.lower import Lowered
from gateway.odata.query import Expr, Query, Request
from gateway.odata.response_check import malformed_answer
from gateway.odata.upstream import ReadUpstream
from gateway.operations.row_types import RowType
from gateway.planning.plan import Derived

from .addresses import count_query
from .answer_checks import check_distinct
from .page_decoder import PageDecoder, decode_untyped
from .page_reader import PageReader, Rows
from .passing import passing_rows
from .read_requests import ReadRequests
from .trace import Trace

Follows: TypeAlias = Callable[[int, int], bool]


def follow_all(_number: int, _rows: int) -> bool:
    """Return True: all pages are read."""
    return True


class ReadLimits(Struct, frozen=True, kw_only=True):
    """What one operation may read; see the settings of the same names."""

    max_rows: int = 100_000
    """Rows of one list."""
    max_filtered_rows: int = 100_000
    """Rows that are read to be filtered in the gateway."""
    max_url_length: int = 2_000
    """Characters."""
    long_list_rows: int = 100
    """Rows of a key by which lists must be longer than their pages, so that each page is read by itself."""


class Fetcher:
    """Reads for one operation."""

    def __init__(
        self,
        upstream: ReadUpstream,
        dialect: Dialect,
        limits: ReadLimits | None = None,
        trace: Trace | None = None,
        sent: list[Request] | None = None,
        shared: OperationReads | None = None,
    ) -> None:
        """``sent``: the list to which its requests are appended, if several fetchers share one.

        ``shared``: what other operations have read or are reading.
        """
        limits = limits or ReadLimits()
        self.dialect = dialect
        self.long_list_rows = limits.long_list_rows
        self.requests = ReadRequests(
            upstream, dialect, limits.max_url_length, trace, [] if sent is None else sent, shared
        )
        self.decoder = PageDecoder()
        self.pages = PageReader(
            self.requests, self.decoder, limits.max_rows, limits.max_filtered_rows
        )

    async def rows(
        self,
        query: Query,
        row_type: RowType,
        *,
        raw: bool = False,
        is_answer: bool = False,
        most: int | None = None,
        derived: Derived | None = None,
    ) -> Rows:
        """Return the rows of a query: ``top`` of them if it has one, else all. Raises GatewayError.

        ``raw``, ``is_answer``: see ``PageReader.rows``, if nothing here must inspect them. ``most``: pages are followed
        until there are so many rows, for a query without ``top``. ``derived`` keeps the request for the next time.
        """
        lowered = self.dialect.lower(query)
        if lowered.empty:
            return Rows([], 0)
        request = self.requests.to_request(lowered, row_type)
        if lowered.residual is None:
            # That one was shortened, or is sent in a batch, is noted in a trace each time.
            is_usual = len(request.url) <= self.requests.max_url_length
            if derived is not None and is_usual and ("$select=" in request.url or not query.select):
                derived.request = request
            top = query.top if most is None else most
            return await self.rows_of_request(
                request, query, row_type, top, raw=raw, is_answer=is_answer
            )
        # The upstream can only be asked more widely, so its whole answer is filtered here.
        result = await self.pages.rows(request, row_type, to_filter=True)
        rows = passing_rows(result.rows, lowered.residual, row_type, self.dialect)
        start = query.skip or 0
        end = None if query.top is None else start + query.top
        return Rows(rows[start:end], len(rows))

    async def rows_of_request(
        self,
        request: Request,
        query: Query,
        row_type: RowType,
        top: int | None,
        *,
        raw: bool,
        is_answer: bool = False,
    ) -> Rows:
        """Return the rows of a query whose request is known. Raises GatewayError."""
        result = await self.pages.rows(request, row_type, top, raw=raw, is_answer=is_answer)
        # A function may return a row twice; a list of an entity set may not.
        if query.resource.call is None and isinstance(result.rows, list):
            check_distinct(result.rows, row_type)
        return result

    async def filtered_part(
        self, query: Query, row_type: RowType, residual: Expr
    ) -> tuple[list[Any], list[Any]]:
        """Return the rows of a lowered query with ``top``, and those of them that pass ``residual``.

        Raises BudgetExceeded if the operation has read more rows for its filters than it may.
        """
        request = self.requests.to_request(Lowered(query), row_type)
        rows = (await self.pages.rows(request, row_type, query.top, to_filter=True)).rows
        return rows, passing_rows(rows, residual, row_type, self.dialect)

    async def row(self, query: Query, row_type: RowType) -> Any:
        """Return the row of a keyed query, singleton, single-valued navigation or function; None if absent.

        404 means no row if OData says so (``is_row_absent``). 204 means none if the value may be null: of a navigation
        (OData 4.0 Protocol, section 11.2.6), a function (11.5.3) and a singleton; a row named by a key is never null.
        Raises GatewayError; UpstreamMalformed for an answer without a row.
        """
        lowered = self.dialect.lower(query)
        if lowered.empty or lowered.keyed_by_filter or lowered.residual is not None:
            rows = (await self.rows(query, row_type)).rows
            return rows[0] if rows else None
        request = self.requests.to_request(lowered, row_type)
        try:
            response = await self.requests.send(request)
        except UpstreamNotFound:
            return None
        resource = query.resource
        may_be_null = not resource.key or bool(resource.navigation or resource.call)
        if may_be_null and response.status == 204:
            return None
        if not response.body:
            raise malformed_answer(response, "one row was requested, but the answer is empty")
        self.pages.count(request, 1)
        row = self.decoder.row(response, row_type)
        if row is None and not may_be_null:
            raise malformed_answer(response, "one row was requested, but the answer is null")
        return row

    async def count(self, query: Query, row_type: RowType) -> int:
        """Return the number of rows of a query. Raises GatewayError."""
        lowered = self.dialect.lower(count_query(query))
        if lowered.empty:
            return 0
        if lowered.residual is not None:
            whole = structs.replace(query, top=None, count=False)
            return len((await self.rows(whole, row_type)).rows)
        response = await self.requests.send(self.requests.to_request(lowered))
        text = response.body.decode("utf-8-sig", "replace").strip()
        # 18 digits fit into Int64; longer text is no count, and may exceed what int() converts.
        if not text.isdecimal() or len(text) > 18:
            raise malformed_answer(
                response, "a count was requested, but the answer is something else"
            )
        return int(text)

    async def value(self, query: Query) -> object:
        """Return the plain value that a function answers with, None for 204. Raises GatewayError."""
        request = self.requests.to_request(self.dialect.lower(query))
        response = await self.requests.send(request)
        if response.status == 204:
            return None
        answer = decode_untyped(response)
        if not isinstance(answer, dict) or "value" not in answer:
            raise malformed_answer(
                response, "a plain value was requested, but the answer is something else"
            )
        return answer["value"]

    async def rows_of_each(
        self, requests: Sequence[Request], row_type: RowType, follows: Follows = follow_all
    ) -> list[Rows | BaseException]:
        """Return all rows of each request; the error of one that fails stands in its place.

        ``follows`` decides by the number of a request and the rows of its first page whether the others are read; else
        there are ``more``.
        They are sent side by side; the pages behind the first ones are requested when all first ones have come.
        """
        # All are under way before the first answer is awaited. One that is too long fails below, in its place.
        for request in requests:
            if len(request.url) <= LONGEST:
                self.requests.start(request)
        results: list[Rows | BaseException] = []
        longer: dict[int, Any] = {}
        for number, request in enumerate(requests):
            try:
                page = await self.pages.page(request, row_type)
                check_distinct(page.value, row_type)
            except GatewayError as error:
                results.append(error)
                continue
            is_longer = page.next is not None
            results.append(Rows(page.value, page.count, is_longer))
            if is_longer and follows(number, len(page.value)):
                longer[number] = page
            else:
                self.pages.count(request, len(page.value))
        if longer:
            rest = (
                self.pages.remaining_rows(requests[n], row_type, page) for n, page in longer.items()
            )
            whole = await asyncio.gather(*rest, return_exceptions=True)
            for number, rows in zip(longer, whole, strict=True):
                results[number] = rows
        return results

    async def close(self) -> None:
        """Cancel the requests that are still under way."""
        await self.requests.close()
