"""Shortens addresses that are too long by leaving out ``$select``.

Without it the service sends every column, which is the cheaper way if most columns are selected anyway. If few of many
are, their names go into a part of a ``$batch`` instead (``read_batches``), if the service is known to answer one.
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
MAX_COLUMNS_RATIO = 2
"""All columns of an answer over the selected ones; from here on ``$select`` is worth a ``$batch``."""


class Columns(Struct, frozen=True):
    """How many columns of a row type are selected, and how many its entity types have."""

    selected: int
    all: int

    @property
    def are_most(self) -> bool:
        """Whether so many are selected that all of them cost little more."""
        return self.all <= MAX_COLUMNS_RATIO * self.selected


def columns_of(row_type: RowType) -> Columns:
    """Return the number of columns of a row, with those of the rows that ``$expand`` adds."""
    fields = row_type.level.info.fields.values()
    selected, total = len(row_type.attributes), sum(f.kind in _COLUMNS for f in fields)
    for inner in map(columns_of, row_type.expanded.values()):
        selected, total = selected + inner.selected, total + inner.all
    return Columns(selected, total)


def without_select(query: Query) -> Query:
    """Return the query for all columns, of expanded rows too."""
    expand = tuple(map(_without_select, query.expand))
    return structs.replace(query, select=(), expand=expand)


def _without_select(expand: Expand) -> Expand:
    inner = tuple(map(_without_select, expand.expand))
    return structs.replace(expand, select=(), expand=inner)


def without_long_select(
    query: Query, row_type: RowType, dialect: Dialect, limit: int
) -> tuple[Request, str] | None:
    """Return the request without ``$select``, and the reason; None if it does not fit, or a batch is cheaper.

    ``query`` is lowered; its address has more than ``limit`` characters.
    """
    columns = columns_of(row_type)
    if dialect.batches_reads and not columns.are_most:
        return None
    request = render(without_select(query), options=dialect.options)
    if len(request.url) > limit:
        return None
    return request, (
        f"no $select: the address would be too long, and {columns.selected} of"
        f" {columns.all} columns are selected"
    )


def with_room_for_keys(
    query: Query, row_types: Iterable[RowType], dialect: Dialect, limit: int
) -> Query:
    """Return the query of a key batch, without ``$select`` if that takes the room of the keys.

    It is left out only if most columns are selected anyway, or the service is not known to answer a ``$batch``.
    """
    length = len(render(structs.replace(query, where=None)).url)
    # Half of the address is left to the keys: with less, one batch becomes many requests.
    if length <= limit // 2 or not query.select:
        return query
    shorter = without_select(query)
    if len(render(structs.replace(shorter, where=None)).url) > limit // 2:
        return query
    are_most = all(columns_of(row_type).are_most for row_type in row_types)
    return shorter if are_most or not dialect.batches_reads else query


def chunk_limit(query: Query, dialect: Dialect, limit: int) -> int:
    """Return the characters that the address of a chunk of keys may have; it holds ``query`` (lowered) as well.

    If that leaves too little for keys, chunks may be longer than an address: they go into a ``$batch``, which is one
    request in the place of one for each few keys.
    """
    length = len(render(query, options=dialect.options).url)
    return limit if length <= limit // 2 else length + limit


def count_query(query: Query) -> Query:
    """Return the query for the number of rows."""
    resource = structs.replace(query.resource, count=True)
    # OData 4.0 Protocol, section 11.2.9: the other options do not change the number, and some services refuse them.
    return structs.replace(query, resource=resource, select=(), expand=(), order=())
