"""Addresses that are too long: what may be left out of one, and at what price.

The longest part of a read's address that can be left out is ``$select``: without it the service sends every column.
That is the cheaper way where most columns are wanted anyway. Where few of many are, their names go into the part of a
``$batch`` instead (``read_batches``), if the service is known to answer one.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, structs

from gateway.odata.dialect import Dialect
from gateway.odata.query import Expand, Query, Request
from gateway.odata.render import render
from gateway.operations.row_types import RowType
from schema.catalog.records import FieldKind

_COLUMNS = frozenset({FieldKind.VALUE, FieldKind.COMPLEX})
WORTH = 2
"""Times the wanted columns that an answer may hold before ``$select`` is worth a ``$batch``."""


class Columns(Struct, frozen=True):
    """How many columns of a row type are wanted, and how many its entity types have."""

    wanted: int
    all: int

    @property
    def are_most(self) -> bool:
        return self.all <= WORTH * self.wanted


def columns_of(row_type: RowType) -> Columns:
    """Count the columns of rows and of what ``$expand`` brings with them."""
    fields = row_type.level.info.fields.values()
    wanted, total = len(row_type.attributes), sum(f.kind in _COLUMNS for f in fields)
    for inner in map(columns_of, row_type.expanded.values()):
        wanted, total = wanted + inner.wanted, total + inner.all
    return Columns(wanted, total)


def without_select(query: Query) -> Query:
    """Return the query for every column, of expanded rows too."""
    expand = tuple(map(_without_select, query.expand))
    return structs.replace(query, select=(), expand=expand)


def _without_select(expand: Expand) -> Expand:
    inner = tuple(map(_without_select, expand.expand))
    return structs.replace(expand, select=(), expand=inner)


def shortened(
    query: Query, row_type: RowType, dialect: Dialect, limit: int
) -> tuple[Request, str] | None:
    """Return the request without ``$select``, and why; None where it would not fit, or a batch is cheaper.

    ``query`` is lowered; its address has more than ``limit`` characters.
    """
    columns = columns_of(row_type)
    if dialect.batches_reads and not columns.are_most:
        return None
    request = render(without_select(query), options=dialect.options)
    if len(request.url) > limit:
        return None
    return request, (
        f"no $select: the address would be too long, and {columns.wanted} of"
        f" {columns.all} columns are wanted"
    )


def narrowed(query: Query, row_types: Iterable[RowType], dialect: Dialect, limit: int) -> Query:
    """Return the query of a key batch, without ``$select`` where that takes the room of the keys.

    Left out only where most columns are wanted anyway, or where the service is not known to answer a ``$batch``.
    """
    selected = len(render(structs.replace(query, where=None)).url)
    if selected <= limit // 2 or not query.select:
        return query
    narrow = without_select(query)
    if len(render(structs.replace(narrow, where=None)).url) > limit // 2:
        return query
    are_most = all(columns_of(row_type).are_most for row_type in row_types)
    return narrow if are_most or not dialect.batches_reads else query


def room_for_keys(query: Query, dialect: Dialect, limit: int) -> int:
    """Return how long the address of a run of keys may be, which holds ``query`` (lowered) beside them.

    Where that leaves too little for keys, the runs are made longer than an address may be: they go into
    a ``$batch``, which is one request in the place of one for each few keys.
    """
    length = len(render(query, options=dialect.options).url)
    return limit if length <= limit // 2 else length + limit


def counting(query: Query) -> Query:
    """Return the query for the number of rows."""
    resource = structs.replace(query.resource, count=True)
    return structs.replace(query, resource=resource, select=(), expand=(), order=())
