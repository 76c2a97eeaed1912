"""Prices a plan: how many requests, pages, rows and seconds of the upstream it takes. Pure; nothing is sent.

    roots ──▶ lists, calls: by their windows          key batches of one turn ──▶ united, cut by the address' length
                 └─▶ rows ──▶ relations: with their parents (free), key batches, one list for each parent

The arguments have their real values by now, so a variable cannot hide a fan-out. What no plan can know (how many rows
pass a filter, how many rows a parent has) is expected as operations of the same structure have brought it
(``operations.expectations``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, inf
from typing import assert_never

from msgspec import Struct, field, structs

from gateway.dimensions.formats import FORMATS, PARAMETERS, EnvironmentFormats
from gateway.odata.batch import FEW_CHUNKS, LONGER, MANY_CHUNKS, MAX_READS
from gateway.odata.dialect import Dialect
from gateway.odata.key_filters import long_list
from gateway.odata.query import Query
from gateway.planning.page_window import Window, ends_on_upstream_page, order_by, with_window
from gateway.planning.plan import (
    AggregateRoot,
    BoundRoot,
    CallRoot,
    ChildPlan,
    FailedRoot,
    KeysRoot,
    ListRoot,
    ReadPlan,
    Via,
)
from gateway.planning.uniting import pins_key
from schema.catalog.records import Field

from .gate import Price
from .known_price import KnownPrice, known_price, most_rows
from .learned import BATCHED, Kind, SecondsOf
from .request_lengths import can_match, chunks_of_keys, runs_of_list

LIST_ROWS = 10
"""Rows of a list whose length nothing tells: a related list that comes whole, the result of a function."""
BATCH_PARTS = 20
"""Reads that share a ``$batch`` at most."""
_PAGE = 1_000
"""Rows of a page of a service whose limit is not known."""
_SHORT = 200
"""Characters of an address for each key, with which it certainly fits."""
_VALUE = 8
"""Characters of a key's value that is not known yet."""


class Pricing(Struct, frozen=True, kw_only=True):
    """What prices depend on besides the plan."""

    dialect: Dialect
    max_url_length: int
    """Characters of an address."""
    seconds: SecondsOf
    formats: EnvironmentFormats = field(default_factory=EnvironmentFormats)
    """Those of display values, which cost nothing while they are there."""


class Tally:
    """Adds up a price."""

    __slots__ = ("_seconds", "pages", "requests", "rows", "seconds")

    def __init__(self, seconds: SecondsOf) -> None:
        self._seconds = seconds
        self.requests = self.pages = self.rows = self.seconds = 0.0

    def add(
        self,
        resource: str,
        kind: Kind,
        requests: float,
        rows: float = 0.0,
        parts: float | None = None,
    ) -> None:
        """Add requests of a kind, with all the rows that they return; each is a ``$batch`` if there are ``parts``."""
        self.requests += requests
        self.rows += rows
        if parts is None:
            self.seconds += requests * self._seconds(resource, kind)
        else:
            self.seconds += parts * self._seconds(resource, BATCHED.get(kind, kind))
        if kind == "page":
            self.pages += requests

    def price(self) -> Price:
        """Return the price so far."""
        return Price(requests=self.requests, pages=self.pages, rows=self.rows, seconds=self.seconds)


def price_roots(
    roots: Sequence[BoundRoot], pricing: Pricing, *, needs_formats: bool = False
) -> Price:
    """Return the price of the plan of a query's root fields; ``needs_formats``: it divides display values."""
    # The usual case, on the hot path: a plan that has come before.
    if (
        len(roots) == 1
        and not needs_formats
        and type(root := roots[0]) is ListRoot
        and root.plan.derived.price is not None
    ):
        known: KnownPrice = root.plan.derived.price
        if known.query is root.plan.query:
            return known.price(root, pricing.seconds)
    tally = Tally(pricing.seconds)
    price_into(tally, roots, pricing)
    if needs_formats:
        price_formats(tally, pricing)
    price = tally.price()
    if len(roots) == 1 and not needs_formats and type(root := roots[0]) is ListRoot:
        root.plan.derived.price = known_price(root, price)
    return price


def price_formats(tally: Tally, pricing: Pricing) -> None:
    """Add the price of reading the formats of the environment, if they are not there."""
    if not pricing.formats.is_fresh:
        for name in (FORMATS, PARAMETERS):
            tally.add(name, "page", 1, 1)


def price_into(tally: Tally, roots: Sequence[BoundRoot], pricing: Pricing) -> None:
    """Add the price of root fields to what has been tallied."""
    reads = _Reads(tally, pricing)
    if len(roots) == 1 and type(root := roots[0]) is ListRoot:
        # The usual case, on the hot path.
        reads.root_list(root)
    else:
        reads.roots(roots)


def price_children(plan: ReadPlan, rows: float, pricing: Pricing, tally: Tally) -> None:
    """Add the price of what is below so many rows that are there already."""
    _Reads(tally, pricing).below(plan, rows)


def price_by_key(
    plan: ReadPlan, rows: float, pricing: Pricing, tally: Tally, *, shared: bool = False
) -> None:
    """Add the price of so many rows by key, with what is below them; ``shared``: their reads share batches."""
    _Reads(tally, pricing).load([_Batch(plan, plan.level.info.key, rows, shared=shared)])


class _Batch(Struct):
    """Rows of one plan for so many keys."""

    plan: ReadPlan
    columns: tuple[Field, ...]
    keys: float
    many: bool = False
    values: int | None = None
    """Characters of all values, if these are known."""
    each: float = 1
    """Rows that are expected for each key."""
    own_pages: bool = False
    """Whether the page of each key is a read of its own."""
    length: float = LIST_ROWS
    """Rows of the whole list of each key, as far as that is known."""
    shared: bool = False
    """Whether its requests share batches."""

    def is_like(self, other: _Batch) -> bool:
        """Return whether the two are sent as one (see ``key_batches.BatchRequest.template``)."""
        one, two = self.plan, other.plan
        return (
            one.query.resource == two.query.resource
            and self.many == other.many
            and [f.source for f in self.columns] == [f.source for f in other.columns]
            and one.query.where == two.query.where
            and one.query.expand == two.query.expand
            and _position(one.window) == _position(two.window)
        )


def _position(window: Window | None) -> object:
    if window is None:
        return None
    order = order_by(window.order, backward=False)
    return order, None if not window.keyset else (window.after, window.before)


class _Reads:
    """Prices the reads of one operation."""

    __slots__ = ("_lists", "_most_chunks", "_pricing", "_tally")

    def __init__(self, tally: Tally, pricing: Pricing) -> None:
        self._tally = tally
        self._pricing = pricing
        self._most_chunks = MANY_CHUNKS
        self._lists: list[ReadPlan] = []
        """Root lists so far: equal ones are one request."""

    def roots(self, roots: Iterable[BoundRoot]) -> None:
        """Price root fields, which run side by side."""
        batches: list[_Batch] = []
        parts: list[ListRoot] = []
        for root in roots:
            match root:
                case ListRoot() if root.key is not None:
                    batches.append(_batch(root.plan, (root.key,), many=True))
                case ListRoot() if root.together:
                    parts.append(root)
                case ListRoot():
                    self.root_list(root)
                case KeysRoot():
                    batches.extend(_batches_of(root))
                case AggregateRoot() | CallRoot():
                    self._alone(root)
                case FailedRoot():
                    pass
                case _:
                    assert_never(root)
        if batches:
            self.load(batches)
        if parts:
            self._together(parts)

    def _together(self, roots: Sequence[ListRoot]) -> None:
        """Price lists that share a ``$batch``; they come at once, so what is below them is read at once, too."""
        rows = [self._rows(root) for root in roots]
        name, requests = roots[0].plan.query.resource.name, ceil(len(roots) / BATCH_PARTS)
        self._tally.add(name, "page", requests, sum(rows), parts=len(roots))
        below: list[_Batch] = []
        for root, number in zip(roots, rows, strict=True):
            if root.plan.children and number:
                self._children(root.plan, number, below)
        if below:
            self.load(below)

    def root_list(self, root: ListRoot) -> None:
        """Price a list, or a singleton, with what is below its rows."""
        if root.key is not None:
            self.load([_batch(root.plan, (root.key,), many=True)])
            return
        plan, rows = root.plan, self._rows(root)
        if not any(_is_same_list(plan, other) for other in self._lists):
            self._list(plan, 1.0, rows)
        self._lists.append(plan)
        if plan.children:
            self.below(plan, rows)

    def _call(self, root: CallRoot) -> None:
        resource, rows = root.query.resource, LIST_ROWS if root.many else 1
        name = resource.name if resource.call is None else resource.call.name
        # The address of a function with its parameters looks like that of a row.
        self._tally.add(name, "key", 1, rows if root.plan is not None else 0)
        if root.plan is not None and root.plan.children:
            self.below(root.plan, rows)

    def _alone(self, root: AggregateRoot | CallRoot) -> None:
        """Price what shares no request with other root fields."""
        if isinstance(root, AggregateRoot):
            self._aggregate(root)
        else:
            self._call(root)

    def _aggregate(self, root: AggregateRoot) -> None:
        """Price an aggregate: one request if the service computes it, else all pages of the list."""
        query, aggregation = root.plan.query, root.aggregation
        name = query.resource.name
        if query.where is not None and not can_match(query, self._pricing.dialect):
            return
        if aggregation.counts_only:
            self._tally.add(name, "count", 1)
        elif aggregation.apply is not None:
            self._tally.add(name, "page", 1, LIST_ROWS)
        else:
            rows = root.shape.rows.of(aggregation.max_rows)
            limit = self._pricing.dialect.page_limit or _PAGE
            self._tally.add(name, "page", max(1, ceil(rows / limit)), rows)

    def _rows(self, root: ListRoot) -> float:
        """Return the rows that a root list, or a singleton, is expected to have."""
        rows, query = root.shape.rows.of(most_rows(root.plan)), root.plan.query
        if rows > 1 and query.where is not None:
            info, dialect = root.plan.level.info, self._pricing.dialect
            return 1 if pins_key(info, query.where, dialect) else rows
        return rows

    def _list(self, plan: ReadPlan, times: float, rows: float) -> None:
        """Price a list that is read so many times, once for each parent; it has so many rows each time."""
        window, query, add = plan.window, plan.query, self._tally.add
        name = plan.entity_set or query.resource.name
        if window is None:
            add(name, "page", times, times)
            return
        runs = 1 if query.where is None else self._runs(query, window)
        if not runs or (window.count_only and not window.needs.total):
            return
        if window.count_only:
            add(name, "count", runs * times)
            return
        add(name, "page", self._pages(window) * runs * times, rows * times)
        counts_apart = window.has_cursor if window.keyset else window.backward
        is_needed = window.needs.total or not window.keyset
        if counts_apart and is_needed and (window.keyset or window.before is None):
            add(name, "count", runs * times)

    def _runs(self, query: Query, window: Window) -> int:
        """Return the requests for a filtered list; 0 if no row can pass the filter."""
        dialect = self._pricing.dialect
        if not can_match(query, dialect):
            return 0
        filtered = long_list(query.where)
        if filtered is None:
            return 1
        if window.count_only:
            sent = structs.replace(query, select=(), expand=())
        elif window.keyset:
            sent = with_window(query, window, dialect)
        else:
            return 1
        return runs_of_list(sent, filtered, dialect, self._pricing.max_url_length)

    def _pages(self, window: Window) -> int:
        limit = self._pricing.dialect.page_limit
        if limit is None or window.size < limit:
            return 1
        more = window.one_more and not ends_on_upstream_page(window, self._pricing.dialect)
        return ceil((window.size + more) / limit)

    def below(self, plan: ReadPlan, rows: float) -> None:
        """Price what is below so many rows of a plan."""
        if rows and plan.children:
            batches: list[_Batch] = []
            self._children(plan, rows, batches)
            if batches:
                self.load(batches)

    def _children(self, plan: ReadPlan, rows: float, batches: list[_Batch]) -> None:
        """Price the relations of so many rows; key batches are only collected, because some are sent as one."""
        for child in plan.children:
            below, window = child.plan, child.plan.window
            match child.via:
                case Via.EXPAND:
                    each = _rows_of_parent(child)
                    is_whole = window is not None and not child.paged
                    self._tally.rows += rows * (_length(child) if is_whole else each)
                    if below.children and each:
                        self._children(below, rows * each, batches)
                case Via.KEYS:
                    assert child.join is not None
                    keys, each = child.child.keys.of(rows), _rows_of_parent(child)
                    # No row was seen to refer to one.
                    if not keys:
                        continue
                    many = window is not None
                    own = child.own_pages and keys > 1
                    batch = _Batch(below, child.join.target, keys, many, each=each, own_pages=own)
                    batch.length = _length(child)
                    batches.append(batch)
                case Via.PATH:
                    each = _rows_of_parent(child)
                    self._list(below, rows, each)
                    self.below(below, rows * each)
                case _:
                    assert_never(child.via)

    def _own_pages(self, batches: Sequence[_Batch]) -> None:
        """Price the pages of parents that are read one by one: all of one turn share ``$batch`` requests."""
        requests = ceil(sum(batch.keys for batch in batches) / BATCH_PARTS)
        for batch in batches:
            plan, rows = batch.plan, batch.keys * batch.each
            is_count = plan.window is not None and plan.window.count_only
            name = plan.entity_set or plan.query.resource.name
            self._tally.add(name, "count" if is_count else "page", requests, rows, parts=batch.keys)
            requests = 0
            self.below(plan, rows)

    def load(self, batches: list[_Batch]) -> None:
        """Price the key batches of one turn; those like each other are sent as one."""
        own_pages = [batch for batch in batches if batch.own_pages]
        if own_pages:
            self._own_pages(own_pages)
            batches = [batch for batch in batches if not batch.own_pages]
        groups: list[list[_Batch]] = []
        for batch in batches:
            group = next((g for g in groups if g[0].is_like(batch)), None)
            if group is None:
                groups.append([batch])
            else:
                group.append(batch)
        for group in groups:
            self._load_group(group)
            below: list[_Batch] = []
            for batch in group:
                if batch.plan.children:
                    self._children(batch.plan, batch.keys * batch.each, below)
            if below:
                self.load(below)

    def _load_group(self, group: Sequence[_Batch]) -> None:
        first, keys = group[0], sum(batch.keys for batch in group)
        name, window = first.plan.entity_set or first.plan.query.resource.name, first.plan.window
        if keys == 1 and first.many:
            for batch in group:
                self._list(batch.plan, 1, batch.each)
            return
        if keys <= 1:
            is_key = first.columns == first.plan.level.info.key and first.plan.query.where is None
            self._tally.add(name, "key" if is_key else "page", len(group), keys)
            return
        is_short = keys * _SHORT <= self._pricing.max_url_length
        requests = 1.0 if is_short else self._chunks(group, keys)
        shared = first.shared
        if requests > self._most_chunks and self._pricing.dialect.batches_reads:
            self._most_chunks = FEW_CHUNKS
            requests, shared = self._chunks(group, keys, LONGER), True
        rows = sum(batch.keys * _rows_of_key(batch) for batch in group)
        limit = self._pricing.dialect.page_limit
        if limit is not None and rows > limit:
            requests = max(requests, ceil(rows / limit))
        if shared:
            self._tally.add(name, "page", ceil(requests / MAX_READS), rows, parts=requests)
        else:
            self._tally.add(name, "page", requests, rows)
        # Lists between cursors hold the rows of the page only, so those to be counted are read once more.
        if window is not None and window.keyset and window.has_cursor and window.needs.total:
            self._tally.add(name, "page", requests, rows)

    def _chunks(self, group: Sequence[_Batch], keys: float, longer: int = 1) -> int:
        """Return the requests for so many keys, whose addresses are so many times as long."""
        first, pricing = group[0], self._pricing
        query, window = first.plan.query, first.plan.window
        if window is not None:
            query = structs.replace(query, order=order_by(window.order, backward=False))
        values = sum(
            batch.keys * _VALUE if batch.values is None else batch.values for batch in group
        )
        limit = longer * pricing.max_url_length
        return chunks_of_keys(query, first.columns, keys, values, pricing.dialect, limit)


def _rows_of_parent(child: ChildPlan) -> float:
    """Return the rows of its page, or of a relation to one row, that a parent is expected to have."""
    most, rows = most_rows(child.plan), child.child.rows
    return min(_length(child), most) if rows.most == inf else rows.of(most)


def _length(child: ChildPlan) -> float:
    """Return how long the related list of a parent is as a whole, if nothing is known as long as most are."""
    return child.child.lengths.average or LIST_ROWS


def _rows_of_key(batch: _Batch) -> float:
    """Return the rows that come for a key: a whole list, out of which its page is cut."""
    return batch.length if batch.many else 1


def _is_same_list(one: ReadPlan, other: ReadPlan) -> bool:
    """Return whether two lists have equal requests, of which one is sent."""
    if one.query.resource.name != other.query.resource.name or one.query != other.query:
        return False
    return one.window is other.window or _page(one.window) == _page(other.window)


def _page(window: Window | None) -> object:
    """Return what of a window is part of its request."""
    if window is None:
        return None
    names = ("size", "backward", "one_more", "order", "count_only", "after", "before")
    return [getattr(window, name) for name in names], window.needs.total


def _batches_of(root: KeysRoot) -> list[_Batch]:
    """Return the key batches of rows that are picked by key, one for each plan."""
    by_plan: dict[int, tuple[ReadPlan, dict[tuple[object, ...], None]]] = {}
    for item in root.items:
        if item is not None:
            by_plan.setdefault(id(item[0]), (item[0], {}))[1][item[1]] = None
    return [_batch(plan, tuple(keys)) for plan, keys in by_plan.values()]


def _batch(plan: ReadPlan, keys: Sequence[Sequence[object]], *, many: bool = False) -> _Batch:
    values = sum(len(str(value)) for key in keys for value in key) if len(keys) > 1 else None
    return _Batch(plan, plan.level.info.key, len(keys), many, values)
