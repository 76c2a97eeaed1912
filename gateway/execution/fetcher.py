"""One query → its rows: lower, render, send, follow the pages, decode.

Belongs to one operation: a request that is asked twice in it is sent once, and whether any page needed the
lenient decoder (``surprised``) is known at its end. All rows come or an error; nothing is cut silently.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct, structs

from gateway.errors import (
    BadArgument,
    BudgetExceeded,
    GatewayError,
    UpstreamMalformed,
    UpstreamNotFound,
    UpstreamTruncated,
)
from gateway.odata.dialect import Dialect
from gateway.odata.lazy_request import LONGEST
from gateway.odata.lower import Lowered
from gateway.odata.nextlink import next_request, skip_token_of
from gateway.odata.query import Expr, Query, Request
from gateway.odata.render import render
from gateway.odata.response_check import Response, malformed
from gateway.operations.row_types import RawPage, RawRows, RowType, raw_page, untyped

from .addresses import counting, shortened
from .answer_checks import check_distinct, check_size
from .passing import passing_rows
from .read_batches import ReadBatches, Sender, are_together, identity_of
from .trace import Trace
from .untyped_rows import Page, page_of, row_of

_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
LARGE = 512 * 1024
"""Bytes of JSON that are decoded without a break: some 5 ms."""
SLICE = LARGE // 4
"""Bytes of a large page that are: it may turn out that each value must be looked at."""
MAX_EMPTY_PAGES = 20
"""Empty pages in a row that are followed."""


class Rows(Struct):
    """Rows of a query, and how many there are in all where that was asked."""

    rows: Any
    """A list, or RawRows."""
    total: int | None = None
    more: bool = False
    """Whether a next link was left where reading stopped."""


@dataclass
class Fetcher:
    """Reads for one operation."""

    sender: Sender
    dialect: Dialect
    max_rows: int = 100_000
    max_url_length: int = 2_000
    """Characters of an address; what is longer is shortened, or goes into a ``$batch``."""
    surprised: bool = False
    """Whether some answer did not fit its types."""
    sent: list[Request] = field(default_factory=list)
    rows_read: int = 0
    trace: Trace | None = None
    """What takes notes of the requests, where somebody wants to know."""
    max_filtered_rows: int = 100_000
    """Rows that may be read to be filtered here."""
    filtered_rows: int = 0
    _batches: ReadBatches = field(init=False)
    _answers: dict[str, asyncio.Future[Response]] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)
    _since_turn: int = 0

    def __post_init__(self) -> None:
        self._batches = ReadBatches(self.sender, self.sent, self.trace)

    async def rows(
        self, query: Query, row_type: RowType, *, raw: bool = False, most: int | None = None
    ) -> Rows:
        """Return the rows of a query: ``top`` of them where it says so, else all. Raises GatewayError.

        ``raw``: they may stay JSON text, where nothing here must look into them. ``most``: pages are followed until
        there are so many rows, for a query without ``top``.
        """
        lowered = self.dialect.lower(query)
        if lowered.empty:
            return Rows([], 0)
        request = self.request(lowered, row_type)
        if lowered.residual is None:
            top = query.top if most is None else most
            found = await self._follow(request, row_type, top, raw=raw)
            if query.resource.call is None and isinstance(found.rows, list):
                check_distinct(found.rows, row_type)
            return found
        found = await self._follow(request, row_type, None, spend=True)
        kept = passing_rows(found.rows, lowered.residual, row_type, self.dialect)
        start = query.skip or 0
        end = None if query.top is None else start + query.top
        return Rows(kept[start:end], len(kept))

    async def part(
        self, query: Query, row_type: RowType, residual: Expr
    ) -> tuple[list[Any], list[Any]]:
        """Return the rows of a lowered query with ``top``, and those of them that pass ``residual``.

        Raises BudgetExceeded where the operation has read more rows for its filters than it may.
        """
        rows = (
            await self._follow(
                self.request(Lowered(query), row_type), row_type, query.top, spend=True
            )
        ).rows
        return rows, passing_rows(rows, residual, row_type, self.dialect)

    async def pages(
        self, request: Request, row_type: RowType
    ) -> AsyncIterator[tuple[Request, list[Any], int | None, str | None]]:
        """Yield page after page: its request, rows, total and next link."""
        seen: list[Any] = []
        empty = 0
        while True:
            response = await self.answer(self._checked(request))
            await self._give_turn(len(response.body))
            page = await self._page(response, row_type)
            self._count(request, len(page.value))
            yield request, page.value, page.count, page.next
            if page.next is None:
                return
            seen += page.value
            empty = 0 if page.value else empty + 1
            self._check_length(seen, empty)
            request = self._next(request, page.next)

    def skip_token(self, request: Request, link: str) -> str | None:
        """Return the skip token of a next link; None where the link is not the request with a token."""
        try:
            return skip_token_of(request, link, root=self.sender.root, keep=self.dialect.options)
        except UpstreamMalformed:
            return None  # an error where the link must be followed, and none where it need not be

    async def one(self, query: Query, row_type: RowType) -> Any:
        """Return the row of a keyed query, singleton, single-valued navigation or function; None where there is none.

        404 is no row where OData says so (``tells_absence``). 204 is none where the value may be null: of a navigation
        (OData 4.0 Protocol, section 11.2.6), a function (11.5.3) and a singleton; a row that a key names has no null.
        Raises GatewayError; UpstreamMalformed for an answer without a row.
        """
        lowered = self.dialect.lower(query)
        if lowered.empty or lowered.keyed_by_filter or lowered.residual is not None:
            rows = (await self.rows(query, row_type)).rows
            return rows[0] if rows else None
        request = self.request(lowered, row_type)
        try:
            response = await self.answer(request)
        except UpstreamNotFound:
            return None
        resource = query.resource
        may_be_null = not resource.key or bool(resource.navigation or resource.call)
        if may_be_null and response.status == 204:
            return None
        if not response.body:
            raise malformed(response, "one row was asked for, and nothing came")
        self._count(request, 1)
        found = self._decode(
            response, row_type.single.decode, row_type, lambda raw: row_of(response, raw, row_type)
        )
        if found is None:
            if may_be_null:
                return None
            raise malformed(response, "one row was asked for, and null came")
        if all(getattr(found, a) is None for a in row_type.attributes.values()):
            row_of(response, self._untyped(response), row_type)
        return found

    async def count(self, query: Query, row_type: RowType) -> int:
        """Return the number of rows of a query."""
        lowered = self.dialect.lower(counting(query))
        if lowered.empty:
            return 0
        if lowered.residual is not None:
            return len(
                (await self.rows(structs.replace(query, top=None, count=False), row_type)).rows
            )
        response = await self.answer(self.request(lowered))
        text = response.body.decode("utf-8-sig", "replace").strip()
        if not text.isdecimal() or len(text) > 18:
            raise malformed(response, "a number of rows was asked for, and something else came")
        return int(text)

    async def value(self, query: Query) -> object:
        """Return the plain answer of a function."""
        response = await self.answer(self.request(self.dialect.lower(query)))
        if response.status == 204:
            return None
        answer = self._untyped(response)
        if not isinstance(answer, dict) or "value" not in answer:
            raise malformed(response, "a plain value was asked for, and something else came")
        return answer["value"]

    async def each(
        self, requests: Sequence[Request], row_type: RowType
    ) -> list[Rows | BaseException]:
        """Return all rows of each of these printed requests; one that fails has its error in its place.

        They go out side by side; pages behind the first ones are asked for when those have come.
        """
        for request in requests:
            if len(request.url) <= LONGEST:
                self._start(request)
        found: list[Rows | BaseException] = []
        longer: dict[int, Any] = {}
        for number, request in enumerate(requests):
            try:
                response = await self.answer(self._checked(request))
                await self._give_turn(len(response.body))
                page = await self._page(response, row_type)
                check_distinct(page.value, row_type)
            except GatewayError as error:
                found.append(error)
                continue
            found.append(Rows(page.value, page.count))
            if page.next is None:
                self._count(request, len(page.value))
            else:
                longer[number] = page
        if longer:
            whole = await asyncio.gather(
                *(self._whole(requests[n], row_type, page) for n, page in longer.items()),
                return_exceptions=True,
            )
            for number, rows in zip(longer, whole, strict=True):
                found[number] = rows
        return found

    async def _whole(self, request: Request, row_type: RowType, page: Any) -> Rows:
        found = await self._follow(request, row_type, None, page)
        check_distinct(found.rows, row_type)
        return found

    def request(self, lowered: Lowered, row_type: RowType | None = None) -> Request:
        """Print a lowered query whose rows are of that type, without ``$select`` where it makes the address too long.

        Raises BadArgument for a filter that does not even fit into a ``$batch``.
        """
        request = render(lowered.query, options=self.dialect.options)
        if len(request.url) <= self.max_url_length:
            return request
        if row_type is not None:
            found = shortened(lowered.query, row_type, self.dialect, self.max_url_length)
            if found is not None:
                request, why = found
                self.note(request, why)
        return self._checked(request)

    def is_too_long(self, query: Query) -> bool:
        """Return whether the address of a query has more than ``max_url_length`` characters."""
        lowered = self.dialect.lower(query)
        request = render(lowered.query, options=self.dialect.options)
        return not lowered.empty and len(request.url) > self.max_url_length

    def note(self, request: Request, why: str) -> None:
        """Record for explain why a request is as it is."""
        if self.trace is not None:
            self.trace.note(request, why)

    def note_query(self, query: Query, row_type: RowType, why: str) -> None:
        """Record the same of the request that a query makes."""
        if self.trace is not None:
            self.trace.note(self.request(self.dialect.lower(query), row_type), why)

    def _checked(self, request: Request) -> Request:
        if len(request.url) > LONGEST:
            raise BadArgument(
                f"The filter makes a URL of {len(request.url):,} characters; the most is {LONGEST:,}.",
                hint="Use fewer or shorter values, or ask in several operations.",
            )
        return request

    async def answer(self, request: Request) -> Response:
        """Send a request, once an operation."""
        task = self._start(request)
        return task.result() if task.done() else await asyncio.shield(task)

    def _start(self, request: Request) -> asyncio.Future[Response]:
        identity = identity_of(request)
        found = self._answers.get(identity)
        if found is None:
            found = self._answers[identity] = self._sending(request)
        if self.trace is not None and not self._batches.is_waiting(request):
            self.trace.asked(request)
        return found

    def _sending(self, request: Request) -> asyncio.Future[Response]:
        why = self._why_batch(request)
        if why is not None:
            self.note(request, why)
            return self._batches.ask(request)
        self.sent.append(request)
        return asyncio.ensure_future(self.sender.send(request))

    def _why_batch(self, request: Request) -> str | None:
        """Return why a request cannot go out on its own; None where it can."""
        url = request.url
        if len(url) > self.max_url_length:
            return f"in a $batch: its address of {len(url):,} characters is too long"
        if are_together():
            return "in a $batch: lists that differ in a value of eq only share one"
        if not self.dialect.path_fits(url.partition("?")[0]):
            return "in a $batch: a segment of its path is too long for web servers"
        return None

    async def close(self) -> None:
        """Return up what is still under way."""
        under_way = [task for task in self._answers.values() if not _is_over(task)]
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.gather(*under_way, return_exceptions=True)
        await self._batches.close()

    # Pages

    async def continued(self, link: str, after: Request, row_type: RowType) -> list[Any]:
        """Return the rows behind a next link that stood inside an answer."""
        found: list[Any] = (await self._follow(self._next(after, link), row_type, None)).rows
        return found

    async def _follow(
        self,
        request: Request,
        row_type: RowType,
        top: int | None,
        page: Any = None,
        *,
        raw: bool = False,
        spend: bool = False,
    ) -> Rows:
        """Read page after page, from ``request`` on; ``page`` is its answer where that is there already."""
        rows: list[Any] = []
        total: int | None = None
        empty, first = 0, request
        while True:
            if page is None:
                response = await self.answer(request)
                await self._give_turn(len(response.body))
                page = self._raw_page(response) if raw else await self._page(response, row_type)
            if page is None:
                return await self._follow(first, row_type, top)
            rows.extend(page.value)
            check_size(request, len(page.value))
            total = page.count if total is None else total
            self._count(request, len(page.value))
            if spend:
                self._spend(len(page.value))
            if page.next is None or (top is not None and len(rows) >= top):
                more = page.next is not None
                return Rows(RawRows(row_type, rows) if raw else rows, total, more)
            empty = 0 if page.value else empty + 1
            self._check_length(rows, empty)
            request, page = self._next(request, page.next), None

    async def _give_turn(self, size: int) -> None:
        """Let others run before so many more bytes are read, where many were since the last time."""
        self._since_turn += size
        if self._since_turn > LARGE:
            self._since_turn = 0
            await asyncio.sleep(0)

    def _count(self, request: Request, rows: int) -> None:
        """Count the rows of an answer once, however often it is read."""
        identity = identity_of(request)
        if identity not in self._counted:
            self._counted.add(identity)
            self.rows_read += rows
            if self.trace is not None:
                self.trace.counted(request, rows)

    def _spend(self, rows: int) -> None:
        """Count rows that are read to be filtered here. Raises BudgetExceeded."""
        self.filtered_rows += rows
        if self.filtered_rows > self.max_filtered_rows:
            raise BudgetExceeded(
                f"The operation has read more than {self.max_filtered_rows:,} rows to filter them in the gateway:"
                " text that holds a star cannot be searched upstream.",
                hint="Add a filter that the upstream can answer, or raise D365_MAX_FILTERED_ROWS.",
            )

    def _next(self, request: Request, link: str) -> Request:
        return next_request(request, link, root=self.sender.root, keep=self.dialect.options)

    def _check_length(self, rows: list[Any], empty: int) -> None:
        if len(rows) >= self.max_rows:
            raise UpstreamTruncated(
                f"The list has more than the {self.max_rows:,} rows that one request may follow.",
                hint="Filter more narrowly, or raise D365_MAX_ROWS.",
            )
        if empty > MAX_EMPTY_PAGES:
            raise UpstreamMalformed(
                f"The upstream sent {empty} empty pages in a row, each with a link to a next one."
            )

    def _raw_page(self, response: Response) -> RawPage | None:
        """Read a page's frame; None where it is not as it should be."""
        try:
            return raw_page(response.body)
        except msgspec.ValidationError:
            return None
        except _NOT_JSON as error:
            raise malformed(response, "it is not JSON, or was cut off") from error

    async def _page(self, response: Response, row_type: RowType) -> Any:
        large = self._raw_page(response) if len(response.body) > LARGE else None
        if large is None:
            decode = row_type.page.decode
            return self._decode(
                response, decode, row_type, lambda raw: page_of(response, raw, row_type)
            )
        rows: list[Any] = []
        for some in RawRows(row_type, large.value).slices(SLICE):
            rows.extend(self._slice(response, some))
            await asyncio.sleep(0)
        return Page(rows, large.count, large.next)

    def _slice(self, response: Response, rows: RawRows) -> list[Any]:
        try:
            if rows.row_type.typed:
                return list(rows)
        except msgspec.ValidationError:
            pass
        except _NOT_JSON as error:
            raise malformed(response, "it is not JSON, or was cut off") from error
        self.surprised = True
        try:
            return list(rows.lenient())
        except _NOT_JSON as error:
            raise malformed(response, "it is not JSON, or was cut off") from error

    def _decode(
        self,
        response: Response,
        decode: Callable[[bytes], Any],
        row_type: RowType,
        build: Callable[[object], Any],
    ) -> Any:
        if row_type.typed:
            try:
                return decode(response.body)
            except msgspec.ValidationError:
                pass
            except _NOT_JSON as error:
                raise malformed(response, "it is not JSON, or was cut off") from error
        self.surprised = True
        return build(self._untyped(response))

    def _untyped(self, response: Response) -> object:
        try:
            return untyped(response.body)
        except _NOT_JSON as error:
            raise malformed(response, "it is not JSON, or was cut off") from error


def _is_over(task: asyncio.Future[Response]) -> bool:
    """Return whether a request has its answer; an error that nobody waited for counts as seen."""
    if task.done() and not task.cancelled():
        task.exception()
    return task.done()
