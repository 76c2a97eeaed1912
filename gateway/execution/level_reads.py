"""The usual query with key batches: one list, and whole lists or rows below it that are read by their parents' values.

    root page ──▶ keys ──▶ requests ──▶ rows by key ──▶ pages in slots ──▶ … the next level … ──▶ complete

``plan_runner`` does the same for every query. Here all that does not depend on rows is worked out once for a plan: how
the keys of a level are printed, what matches rows to them, what cuts their pages. A level that has no siblings takes no
task but those of its requests, and rows are decoded as their answer needs them. Whatever is not as usual (an error, a
next link, keys that are equal in another spelling, a single key, which has an address of its own) is left to
``plan_runner``, with the answers that have come: so nothing is sent twice, and what is wrong is worded in one place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct, structs

from gateway.errors import GatewayError
from gateway.odata.batch import MANY_CHUNKS
from gateway.odata.dialect import Dialect
from gateway.odata.key_filters import KeyRequests, by_column
from gateway.odata.lazy_request import LONGEST
from gateway.odata.query import Request, Resource
from gateway.odata.response_check import Response
from gateway.operations.completion_compiler import RootCompletion
from gateway.operations.pages import Page
from gateway.operations.prepared_operation import Prepared
from gateway.operations.row_types import RowType
from gateway.operations.shapes import TYPENAME
from gateway.planning.page_window import order_by
from gateway.planning.plan import ChildPlan, Key, ListRoot, ReadPlan, Via

from .addresses import chunk_limit, with_room_for_keys
from .answer_checks import have_distinct_keys, most_rows
from .child_loader import CHECKED_IN_DECODING, unique_rows
from .expanded_children import Place, placer
from .fast_path import Slicing, complete_page
from .fetcher import Fetcher
from .field_attribution import current_fields, set_fields
from .key_chunks import columns_of, types_of
from .key_matching import ManyIndex, OneIndex, are_distinct, referring_keys
from .page_cutter import Cutter, column_of, cut_pages, put_into
from .read_requests import without_cancelling
from .shared_reads import ReadContext
from .single_read import whole_page

Data = dict[str, Any]
Fields = tuple[str, ...]
_KEPT = 4
"""Requests of a level that are kept at most: some 8 KB."""
_AT_ONCE = 1_000
"""Rows of all levels that are completed without a break, and encoded with the rest of the answer: some 2 ms."""


class _NotUsual(Exception):
    """Something that only the whole way can read."""


class LevelReads:
    """How the only list of a prepared query is read with the levels below it; made once for each plan."""

    def __init__(
        self,
        prepared: Prepared,
        root: ListRoot,
        request: Request,
        dialect: Dialect,
        slicing: Slicing,
        max_url_length: int,
    ) -> None:
        plan, complete = root.plan, root.shape.complete
        assert isinstance(complete, RootCompletion)
        self.prepared = prepared
        self.plan = plan
        self.is_usual = True
        """False once its rows were not as usual: then it would only be tried in vain."""
        self._request = request
        self._fields = (root.shape.key,)
        self._expected = root.shape.rows
        self._slicing = slicing
        self._most = most_rows(self._request)
        self._complete = complete.of(texts=True)
        self._dialect = dialect
        self._max_url_length = max_url_length
        self._top: _Level | None = None
        """Made when there are rows: to find that there is a single one must be cheap."""

    async def data(self, reads: ReadContext) -> Data | None:
        """Return the data of the query; None if it must be read the whole way. Raises nothing but CancelledError."""
        reading = _Reading(reads.fetcher, learns=reads.may_learn)
        plan, window = self.plan, self.plan.window
        assert window is not None
        try:
            (answer,) = reading.begin([self._request], self._fields)
            page = await reading.page(self._request, answer, plan.row_type)
            whole = whole_page(page, plan, self._most)
            if whole is None:
                raise _NotUsual
            rows: list[Any] = whole.rows  # type: ignore[assignment] # no JSON text
            reading.expect(self._expected.learn, window.size, len(rows))
            await self._load(rows, reading)
            value = await self._completed(whole, rows, reading)
        except GatewayError:
            return None
        except Exception:
            # The whole way finds the same, and says what it is.
            self.is_usual = False
            return None
        reading.learn()
        return {key: "Query" if name == TYPENAME else value for key, name in self.prepared.order}

    async def _load(self, rows: list[Any], reading: _Reading) -> None:
        """Load what is below the rows. Raises GatewayError or _NotUsual."""
        if len(rows) == 1 and any(child.via is Via.KEYS for child in self.plan.children):
            raise _NotUsual
        top = self._top
        if top is None and rows:
            top = self._top = _Level(self.plan, self._fields, self._dialect, self._max_url_length)
        if top is not None and rows:
            top.place(rows, learns=reading.learns)
            await top.load(rows, reading)

    async def _completed(self, page: Page, rows: list[Any], reading: _Reading) -> Any:
        if reading.rows > _AT_ONCE:
            return await complete_page(page, self._complete, None, self._slicing)
        return self._complete.head(page, *self._complete.lists(page, rows, 0))


class _Reading:
    """One run."""

    __slots__ = ("_decoder", "_learned", "_pages", "_requests", "learns", "rows")

    def __init__(self, fetcher: Fetcher, *, learns: bool) -> None:
        self.learns = learns
        self.rows = 0
        """Rows of all levels so far."""
        self._requests = fetcher.requests
        self._decoder = fetcher.decoder
        self._pages = fetcher.pages
        self._learned: list[tuple[Callable[[int, float], None], int, float]] = []

    def begin(self, requests: Sequence[Request], fields: Fields) -> list[asyncio.Future[Response]]:
        """Send requests for these fields, and return their future answers."""
        if any(len(request.url) > LONGEST for request in requests):
            raise _NotUsual
        before = current_fields()
        set_fields(fields)
        answers = list(map(self._requests.start, requests))
        set_fields(before)
        return answers

    async def page(
        self, request: Request, answer: asyncio.Future[Response], row_type: RowType
    ) -> Any:
        """Return a page that is all of its list. Raises GatewayError or _NotUsual."""
        response = answer.result() if answer.done() else await without_cancelling(answer)
        page = await self._decoder.text_page(response, row_type)
        if page is None or page.next is not None:
            raise _NotUsual
        if len(page.value) > 1 and not have_distinct_keys(page.value, row_type):
            raise _NotUsual
        self.rows += len(page.value)
        self._pages.count(request, len(page.value))
        return page

    def expect(self, learn: Callable[[int, float], None], requested: int, came: float) -> None:
        """Note what later operations may expect: if this one is left to the whole way, that learns it."""
        if self.learns:
            self._learned.append((learn, requested, came))

    def learn(self) -> None:
        """Learn what was noted."""
        for learn, requested, came in self._learned:
            learn(requested, came)


class _Level:
    """The rows of a plan, and what is read below them."""

    def __init__(
        self, plan: ReadPlan, fields: Fields, dialect: Dialect, max_url_length: int
    ) -> None:
        self.plan = plan
        self._dialect = dialect
        self._places: dict[bool, Place] = {}
        self._below: list[_Child] = []
        for child in plan.children:
            own = tuple([f"{field}.{child.child.key}" for field in fields])
            below = _Level(child.plan, own, dialect, max_url_length)
            if child.via is Via.KEYS:
                self._below.append(_Keyed(plan, child, below, own, dialect, max_url_length))
            elif below._below:
                self._below.append(_Child(child, below))

    def place(self, rows: Sequence[Any], *, learns: bool) -> None:
        """Put what came inside rows into its slots, and turn their decimals into text."""
        place = self._places.get(learns)
        if place is None:
            place = placer(self.plan, self._dialect, texts=True, learns=learns)
            self._places[learns] = place
        place(rows)

    async def load(self, rows: list[Any], reading: _Reading) -> None:
        """Load everything below rows and put it into their slots. Raises GatewayError or _NotUsual."""
        if len(self._below) == 1:
            await self._below[0].load(rows, reading)
        elif self._below:
            loads = [child.load(rows, reading) for child in self._below]
            # All come to their end: the whole way must not begin beside them.
            for failed in await asyncio.gather(*loads, return_exceptions=True):
                if failed is not None:
                    raise failed


class _Child:
    """Rows below those of a plan, which came inside them; something is to be read below them."""

    def __init__(self, child: ChildPlan, below: _Level) -> None:
        self.child = child
        self.below = below
        self._get = column_of(child.child.slot)

    async def load(self, rows: list[Any], reading: _Reading) -> None:
        """Load what is below these rows. Raises GatewayError or _NotUsual."""
        values = self._get(rows)
        await self.load_below(values, unique_rows(values), reading)

    async def load_below(self, values: Sequence[Any], rows: list[Any], reading: _Reading) -> None:
        """Load what is below ``rows``, each of which is in some of the values that their parents have. Likewise."""
        child, window = self.child, self.child.plan.window
        if not child.plan.children:
            return
        # As in child_loader.
        come = len(rows) if window is not None else len(values) - values.count(None)
        most = 1 if window is None else window.size
        reading.expect(child.child.rows.learn, most, come / len(values))
        if rows:
            await self.below.load(rows, reading)


class _Keyed(_Child):
    """Rows that are read by the values of those of the plan."""

    def __init__(
        self,
        parent: ReadPlan,
        child: ChildPlan,
        below: _Level,
        fields: Fields,
        dialect: Dialect,
        max_url_length: int,
    ) -> None:
        super().__init__(child, below)
        plan, join = child.plan, child.join
        assert join is not None
        self._fields = fields
        self._dialect = dialect
        self._put = put_into(child.child.slot)
        self._columns = [column_of(parent.row_type.attribute(f)) for f in join.parent]
        company = dialect.company_property
        self._free = [i for i, f in enumerate(join.parent) if f.source != company]
        self._types = types_of(join.target)
        self._attributes = [plan.row_type.attribute(f) for f in join.target]
        self._join = join
        self._max_url_length = max_url_length
        self._printer: KeyRequests | None = None
        self._latest: _Printed | None = None
        self._cutter: Cutter | None = None
        self._empty: Any = None
        if plan.window is not None:
            self._cutter = Cutter(
                plan.window, plan.row_type, dialect, same=join.target, ordered=True
            )
            self._empty = self._cutter.page([])

    async def load(self, rows: list[Any], reading: _Reading) -> None:
        """Read the rows of these rows' keys, and load what is below them. Likewise."""
        columns = [column(rows) for column in self._columns]
        keys: list[Key] = list(zip(*columns, strict=True))
        named = list(dict.fromkeys(keys))
        if len(named) < len(keys):
            columns = by_column(named)
        referring = referring_keys(
            named, self._free, has_nulls=self._dialect.has_nulls, columns=columns
        )
        reading.expect(self.child.child.keys.learn, len(keys), len(referring))
        if len(referring) < len(named):
            columns = by_column(referring)
        found = await self._found(referring, columns, reading) if referring else []
        values = found
        if len(found) < len(keys):
            by_key = dict(zip(referring, found, strict=True))
            values = [by_key.get(key, self._empty) for key in keys]
        self._put(rows, values)
        if self._cutter is not None:
            below = [row for page in found for row in page.rows]
        else:
            below = [row for row in found if row is not None]
        await self.load_below(values, below, reading)

    async def _found(
        self, keys: list[Key], columns: list[list[Any]], reading: _Reading
    ) -> list[Any]:
        """Return the page or the row of each key. Likewise."""
        row_type = self.child.plan.row_type
        requests = self._requests_of(keys, columns)
        kind = OneIndex if self._cutter is None else ManyIndex
        index = kind(self._types, keys, case_insensitive=self._dialect.case_insensitive)
        rows: list[Any] = []
        for request, answer in zip(requests, reading.begin(requests, self._fields), strict=True):
            own = (await reading.page(request, answer, row_type)).value
            index.add(own, self._attributes)
            rows += own
        self.below.place(rows, learns=reading.learns)
        found = list(index.all().values())
        if self._cutter is None:
            return found
        reading.expect(self.child.child.lengths.learn, len(found), sum(map(len, found)))
        return await cut_pages(self._cutter, found)

    def _requests_of(self, keys: list[Key], columns: list[list[Any]]) -> list[Request]:
        """Return the requests for keys. Raises _NotUsual."""
        texts: list[str] | None = None
        # Keys of other types than text take the longer way.
        with suppress(TypeError):
            texts = ["\0".join(values) for values in columns]
        latest = self._latest
        if latest is not None and latest.texts == texts and latest.keys == len(keys):
            return latest.requests
        insensitive = self._dialect.case_insensitive
        if len(keys) < 2 or not are_distinct(
            self._types, keys, case_insensitive=insensitive, columns=columns
        ):
            raise _NotUsual
        if self._printer is None:
            self._printer = self._new_printer()
        chunks = self._printer.of(keys, columns)
        if chunks is None or len(chunks) > MANY_CHUNKS:
            raise _NotUsual
        requests = [request for request, _ in chunks]
        if texts is not None and len(requests) <= _KEPT:
            # Then no value has the separator in itself.
            is_clear = all(text.count("\0") == len(keys) - 1 for text in texts)
            self._latest = _Printed(texts, len(keys), requests) if is_clear else None
        return requests

    def _new_printer(self) -> KeyRequests:
        """Return what prints the requests, as key_batches does. Raises _NotUsual."""
        plan, dialect, longest = self.child.plan, self._dialect, self._max_url_length
        query, window = plan.query, plan.window
        if window is not None:
            query = structs.replace(query, order=order_by(window.order, backward=False))
        query = with_room_for_keys(query, [plan.row_type], dialect, longest)
        lowered = dialect.lower(query)
        if lowered.empty or lowered.residual is not None:
            raise _NotUsual
        limit = chunk_limit(lowered.query, dialect, longest)
        columns = columns_of(self._join.target)
        return KeyRequests(dialect, lowered.query, columns, limit=limit)


class _Printed(Struct, frozen=True):
    """The latest requests of a level: pages that come again mostly have the same rows."""

    texts: list[str]
    """The values of each part of the keys, joined: they take less memory than the keys."""
    keys: int
    requests: list[Request]


def has_levels(plan: ReadPlan) -> bool:
    """Return whether key batches below a plan's rows can be read level by level, and there are some."""
    return _are_usual(plan) and bool(_batches(plan))


def _are_usual(plan: ReadPlan) -> bool:
    """Return whether typed values without rules come, and all children inside them or by keys."""
    batches = [_batches_of(child) for child in plan.children]
    return (
        plan.row_type.typed
        and plan.row_type.redact is None
        # Batches of the same rows that go at the same time share their requests.
        and len(frozenset().union(*batches)) == sum(map(len, batches))
        and all(_is_usual(child) and _are_usual(child.plan) for child in plan.children)
    )


def _is_usual(child: ChildPlan) -> bool:
    if child.owners is not None or child.via is Via.PATH:
        return False
    if child.via is Via.EXPAND:
        return True
    window, join = child.plan.window, child.join
    if child.own_pages or join is None:
        return False
    if not CHECKED_IN_DECODING.issuperset([*types_of(join.parent), *types_of(join.target)]):
        return False
    # A single key has an address of its own.
    if child.child.keys.most < 2:
        return False
    return window is None or (
        window.keyset
        and window.null_order is None
        and not window.has_cursor
        and not window.count_only
    )


def _batches(plan: ReadPlan) -> frozenset[Resource]:
    """Return what is read by keys below a plan's rows."""
    return frozenset().union(*map(_batches_of, plan.children))


def _batches_of(child: ChildPlan) -> frozenset[Resource]:
    own = [child.plan.query.resource] if child.via is Via.KEYS else []
    return _batches(child.plan).union(own)
