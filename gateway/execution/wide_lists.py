"""Answers a long list while its pages arrive: rows are completed and written as they come, and none are kept.

    {"data":{"orders":{"nodes":[   ── rows ── rows ── rows ──   ],"pageInfo":{…}}}
    └─ frame, before the rows ─┘                                └─ frame, after ─┘

What is written is what the whole answer would be, byte by byte: by the same compiled functions, in the same slices.
Nothing is written before the first rows are complete, so whatever is wrong by then is for the usual way, which finds
the answers that were read (``ReadRequests``) and sends nothing again. Later a row whose values do not fit is completed
by graphql-core, as all of them would be. Anything else would make nothing of rows that are with the client: then the
list is broken off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any, Protocol, TypeAlias, overload

import msgspec
from msgspec import structs

from gateway.errors import GatewayError, UpstreamMalformed
from gateway.odata.query import Query, Request
from gateway.odata.response_check import malformed_answer
from gateway.operations.completion_compiler import LISTS, ConnectionCompletion, RootCompletion
from gateway.operations.pages import Page
from gateway.operations.prepared_operation import Prepared
from gateway.operations.raw_rows import RawPage, RawRows
from gateway.operations.row_types import RowType
from gateway.operations.shapes import TYPENAME, ConnectionShape
from gateway.planning.page_window import Window, keyset_cursors, keyset_page
from gateway.planning.plan import ListRoot, ReadPlan

from .answer_checks import SeenKeys, check_size
from .arriving_rows import ArrivingRows
from .connections import PageReading, page_reading
from .decimal_text import decode_with_texts
from .expanded_children import Place, is_raw, placer
from .fast_path import Slicing, encode, is_miss
from .fetcher import Fetcher
from .field_attribution import current_fields, set_fields
from .long_lists import count_of, split_list

WIDE = 50_000
"""Values above which a list is worth it: a thousand rows of 50 are some 2 MB, and are answered at once."""
FEW = 100
"""Rows up to which it never is: most requests are for few, and do not have their values counted."""
_KNOWN_FIRST = frozenset({TYPENAME, "totalCount"})
"""Fields of a connection that are known before its rows; the total only if the service sends it first."""


class AnswerStream(Protocol):
    """Sends an answer while it is made."""

    has_begun: bool
    """Whether anything of it has been written: it cannot become another answer any more."""
    size: int
    """Bytes that have been written."""
    more_fields: Callable[[], Sequence[tuple[bytes, bytes]]]
    """Returns header fields of the answer, when it begins."""

    def may_begin(self) -> bool:
        """Return whether it may be written in this way now."""
        ...

    async def write(self, piece: bytes) -> None:
        """Write some of it; waits if the client does not keep up."""
        ...


CompletePart: TypeAlias = Callable[
    [RawRows, int, Exception], Awaitable[tuple[bytes, Sequence[Any]]]
]
"""(rows that the compiled functions cannot complete, number of the first one, why) → their JSON, and the rows decoded.

Raises GatewayError if an error in them makes nothing of the whole list."""


class BrokenOff(UpstreamMalformed):
    """A list cannot be answered to its end, as an error in it takes the place of rows that were sent."""


def is_wide(prepared: Prepared, roots: Sequence[object]) -> bool:
    """Return whether all that a query selects is one list of many values, whose rows can go on as they come."""
    root = roots[0] if len(roots) == 1 else None
    if not isinstance(root, ListRoot) or root.plan.window is None:
        return False
    window, shape = root.plan.window, root.shape
    return (
        window.size > FEW
        and window.size * _values_of(root.plan) > WIDE
        and window.keyset
        and not (window.backward or window.count_only or root.together or prepared.needs_formats)
        and root.key is None
        and isinstance(shape.complete, RootCompletion)
        and isinstance(shape.below, ConnectionShape)
        and _fields_before_rows(shape.below) is not None
        and _has_no_lists(root.plan)
        and is_raw(root.plan)
    )


def list_key(root: ListRoot) -> str:
    """Return the response key of the one list of a connection."""
    assert isinstance(root.shape.below, ConnectionShape)
    return next(key for key, name, _ in root.shape.below.fields if name in LISTS)


def _values_of(plan: ReadPlan) -> int:
    return len(plan.level.values) + sum(_values_of(child.plan) for child in plan.children)


def _has_no_lists(plan: ReadPlan) -> bool:
    """Return whether there are no lists below the rows, whose pages may have to be read while the slot is held."""
    return all(c.plan.window is None and _has_no_lists(c.plan) for c in plan.children)


def _fields_before_rows(shape: ConnectionShape) -> frozenset[str] | None:
    """Return the fields before the one list of a connection; None if some are known at its end only."""
    names = [name for _, name, _ in shape.fields]
    places = [place for place, name in enumerate(names) if name in LISTS]
    first = frozenset(names[: places[0]]) if len(places) == 1 else None
    return first if first is not None and first <= _KNOWN_FIRST else None


class WideList:
    """The one list of a query, on its way to its client."""

    def __init__(
        self,
        prepared: Prepared,
        root: ListRoot,
        fetcher: Fetcher,
        slicing: Slicing,
        stream: AnswerStream,
        complete_part: CompletePart,
    ) -> None:
        """``root`` is one for which :func:`is_wide` is true."""
        plan, shape = root.plan, root.shape
        assert plan.window is not None
        assert isinstance(shape.complete, RootCompletion)
        assert isinstance(shape.below, ConnectionShape)
        self._prepared = prepared
        self._plan, self._key = plan, shape.key
        self._window: Window = plan.window
        self._fetcher = fetcher
        self._slicing = slicing
        self._stream = stream
        self._complete_part = complete_part
        self._complete: ConnectionCompletion = shape.complete.of(texts=True)
        self._place: Place = placer(plan, fetcher.dialect, texts=True)
        self._needs_total = "totalCount" in (_fields_before_rows(shape.below) or ())
        self._page = Page([], cursor=keyset_cursors(plan.window, plan.row_type))
        self._ends: list[Any]
        """The first and the last row that was written, as JSON text unless that does not fit its type."""
        self._forget()

    @property
    def uncounted(self) -> int:
        """Rows of a page that was not read to its end."""
        return self._read - self._counted

    async def rest(self) -> bytes | None:
        """Write the list as it comes, and return the rest of the ``data``; None if nothing was written.

        Raises GatewayError if the list cannot be had to its end.
        """
        reading = page_reading(self._plan.query, self._plan, self._fetcher.dialect)
        first = self._first_request(reading)
        if first is None:
            return None
        fields = current_fields()
        set_fields((self._key,))
        try:
            end = await self._pages(first, reading)
        finally:
            set_fields(fields)
        if end is None:
            return None
        self._keys.check()
        if end.total is None and self._window.needs.total:
            end.total = await count_of(self._fetcher, self._plan.query, self._plan.row_type)
        try:
            return self._frame(end)[1]
        except GatewayError:
            raise
        except Exception as error:
            if not is_miss(error):
                raise
            raise BrokenOff("The upstream sent a list whose end is malformed.") from error

    def _first_request(self, reading: PageReading) -> Request | None:
        """Return the request of the first page; None if the list is read in another way than page by page."""
        if reading.counts_apart or reading.is_filtered_here:
            return None
        fetcher, derived = self._fetcher, self._plan.derived
        if derived.request is not None and derived.page is reading:
            return derived.request
        query: Query = reading.query
        lowered = fetcher.dialect.lower(query)
        if lowered.empty or lowered.residual is not None or split_list(fetcher, query) is not None:
            return None
        return fetcher.requests.to_request(lowered, self._plan.row_type)

    async def _pages(self, request: Request, reading: PageReading) -> Page | None:
        """Read page after page, and return the end of the list; None if it is not answered in this way."""
        requests, pages = self._fetcher.requests, self._fetcher.pages
        total: int | None = None
        empty, top = 0, self._window.size if reading.fills else reading.query.top
        while True:
            before, is_first = self._read, not self._stream.has_begun
            reader = ArrivingRows(self._begin, self._take, at_once=not is_first)
            try:
                response = await requests.send(structs.replace(request, reader=reader))
            finally:
                reader.close()
            page = reader.page
            if page is None:
                if is_first:
                    return None
                page = await self._fetcher.decoder.raw_page(response)
                if page is None:
                    raise malformed_answer(response, "a page of a list was requested")
                requests.forget(request)
                await self._take(page.value)
            rows = self._read - before
            check_size(request, rows)
            pages.count(request, rows)
            self._counted = self._read
            total = page.count if total is None else total
            if page.next is None or (top is not None and self._read >= top):
                more = reading.fills and page.next is not None
                ends = _Ends(self._plan.row_type, self._ends, self._read)
                return keyset_page(ends, self._window, self._plan.row_type, total, more=more)
            empty = 0 if rows else empty + 1
            pages.check_limits(self._read, empty)
            request = requests.next_page(request, page.next)

    async def _begin(self, page: RawPage, rows: list[msgspec.Raw]) -> bool:
        """Write the first rows of a page; return False if the answer is not to begin with them."""
        if self._stream.has_begun:
            await self._take(rows)
            return True
        if not self._stream.may_begin() or (self._needs_total and page.count is None):
            return False
        self._page.total = page.count
        try:
            start, _ = self._frame(structs.replace(self._page, total=page.count or 0))
            texts = [self._text(part) for part in self._parts(rows)]
        except Exception:
            # What is wrong with them is said by the usual way, which can still answer otherwise.
            self._forget()
            return False
        await self._stream.write(b'{"data":%b%b' % (start, b",".join(texts)))
        return True

    def _forget(self) -> None:
        self._read = self._counted = self.written = 0
        self._ends = []
        self._keys = SeenKeys(self._plan.row_type)

    async def _take(self, rows: list[msgspec.Raw]) -> None:
        """Write more rows."""
        for part in self._parts(rows):
            start = self.written
            try:
                text = self._text(part)
            except Exception as error:
                text, decoded = await self._complete_part(part, start, error)
                self._note(decoded, decoded)
            await self._stream.write(b"," + text if start else text)
            # What has arrived already is read without waiting.
            await asyncio.sleep(0)

    def _parts(self, rows: list[msgspec.Raw]) -> Iterator[RawRows]:
        """Yield the rows of the window in slices: the one beyond it only shows that there are more."""
        self._read += len(rows)
        within = rows[: self._window.size - self.written]
        return RawRows(self._plan.row_type, within).slices(self._slicing.size)

    def _text(self, part: RawRows) -> bytes:
        """Return the JSON of rows without brackets. Raises what the compiled functions raise."""
        rows = decode_with_texts(part)
        self._place(rows)
        (items,) = self._complete.lists(self._page, rows, self.written)
        text = encode(items)[1:-1]
        self._note(part.raws, rows)
        return text

    def _note(self, ends: Sequence[Any], rows: Sequence[Any]) -> None:
        # A value that is no row has no key; completion says what it is.
        with suppress(AttributeError, TypeError):
            self._keys.add(rows)
        self.written += len(rows)
        first, last = (
            end.copy() if isinstance(end, msgspec.Raw) else end for end in (ends[0], ends[-1])
        )
        self._ends = [self._ends[0] if self._ends else first, last]

    def _frame(self, page: Page) -> tuple[bytes, bytes]:
        """Return the JSON of ``data`` before and after the rows of its list."""
        mark = encode(token_hex())
        value = self._complete.head(page, (msgspec.Raw(mark),))
        data: dict[str, Any] = {}
        for key, name in self._prepared.order:
            model = self._prepared.models.get(key)
            if name == TYPENAME:
                data[key] = "Query"
            elif model is None:
                data[key] = value
            else:
                data[key] = {
                    own: model.type_name if root == TYPENAME else value for own, root in model.order
                }
        before, _, after = encode(data).partition(mark)
        return before, after


class _Ends(RawRows):
    """The rows of a list of which the first and the last are there."""

    __slots__ = ("_length",)

    def __init__(self, row_type: RowType, ends: list[Any], length: int) -> None:
        super().__init__(row_type, ends)
        self._length = length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> RawRows: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return _Ends(self.row_type, self.raws, len(range(self._length)[index]))
        end = self.raws[0 if index == 0 else -1]
        return self.row_type.single.decode(end) if isinstance(end, msgspec.Raw) else end
