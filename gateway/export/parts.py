"""Parts of an export: where they begin, and how one is read. Each row is in one part, whatever is added or deleted.

    place of row 49,999, of the next one, …      one small request a part: rows are skipped from the last place
    part 1 │ part 2 │ part 3 │ …                 each begins with the row of a place, and ends before the next place

The name of a part holds the cursors of both ends: ``START.END``. So whoever has it can read the part, in any process.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
from msgspec import Struct, structs

from gateway.errors import BadArgument, InvalidCursor, UnsupportedQuery
from gateway.operations.cursors import shifted
from gateway.request import GraphQLRequest, PageEnd

from .reading import ExportFailed, Read, has_next, rows_of
from .request import Export
from .serving import ReadyExport

MAX_PARTS = 1000
"""Parts that one request may look for."""
_INDIVISIBLE = frozenset({InvalidCursor.code, UnsupportedQuery.code})
"""Codes of lists whose rows cannot be skipped."""
_NAME = re.compile(r"([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]*)")


class Indivisible(Exception):
    """The rows of the list cannot be skipped."""


class ListPart(Struct, frozen=True):
    """A part of a list, between the cursors of two rows."""

    start: str | None = None
    """Its first row; None: the first row of the list."""
    end: str | None = None
    """The first row behind it; None: it ends with the list."""

    @property
    def name(self) -> str:
        """Its name in addresses."""
        return f"{self.start or ''}.{self.end or ''}"


class _Count(Struct, rename="camel"):
    total_count: int | None


class _Model(Struct):
    rows: _Count


class _Data(Struct):
    rows: _Count | None = None
    model: _Model | None = None


class _Body(Struct):
    data: _Data


_count = msgspec.json.Decoder(_Body).decode


def parse_part(name: str) -> ListPart:
    """Return the part with a name. Raises BadArgument."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise BadArgument("part is none that describe=parts has named.")
    return ListPart(match[1] or None, match[2] or None)


def whole_pages(rows: int, page: int) -> int:
    """Return about so many rows, one less than whole pages: so no request is needed to see the end of a part."""
    return max(rows // page, 1) * page - 1 or 1


async def next_place(
    ready: ReadyExport, first: GraphQLRequest, place: str | None, rows: int
) -> str | None:
    """Return the cursor of the row so many rows behind a place (None: behind the start); None if the list ends before.

    Raises Indivisible, ExportFailed.
    """
    variables = {**first.variables, "first": 1, "after": shifted(place, rows)}
    query = ready.export.documents.place
    try:
        page = rows_of(await ready.read(structs.replace(first, query=query, variables=variables)))
    except ExportFailed as failed:
        raise _indivisible(failed) from failed
    return page.page_info.start_cursor


async def find_parts(ready: ReadyExport, first: GraphQLRequest, rows: int) -> list[ListPart]:
    """Return the parts of a list with about so many rows each; one if its rows cannot be skipped.

    Raises BadArgument if there are too many, ExportFailed.
    """
    rows = whole_pages(rows, first.variables["first"])
    places: list[str] = []
    try:
        while place := await next_place(ready, first, places[-1] if places else None, rows):
            # Of a service that ignores $skip.
            if place in places:
                return [ListPart()]
            places.append(place)
            if len(places) == MAX_PARTS:
                raise BadArgument(
                    f"There are more than {MAX_PARTS} parts.", hint="Use larger ones."
                )
    except Indivisible:
        return [ListPart()]
    return [
        ListPart(start, end) for start, end in zip([None, *places], [*places, None], strict=True)
    ]


async def count_rows(read: Read, export: Export, first: GraphQLRequest) -> int | None:
    """Return how many rows the list has; None if the service cannot count them. Raises ExportFailed."""
    answer = await read(structs.replace(first, query=export.documents.count))
    if answer.errors:
        failed = ExportFailed(answer)
        if isinstance(_indivisible(failed), Indivisible):
            return None
        raise failed
    data = _count(answer.encode()).data
    rows = data.rows if data.model is None else data.model.rows
    return None if rows is None else rows.total_count


def part_reads(
    export: Export, first: GraphQLRequest, part: ListPart
) -> tuple[GraphQLRequest, Callable[[PageEnd], bool]]:
    """Return the request for the first page of a part, and what decides after which page another one is read."""
    variables = dict(first.variables)
    if part.start is not None:
        variables["after"] = shifted(part.start)
    if part.end is not None:
        variables["before"] = part.end
    page: int = variables["first"]
    # More rows may follow before the end of a part if its page has as many as it may.
    request = structs.replace(first, query=export.documents.bounded_page, variables=variables)
    return request, has_next if part.end is None else lambda end: end.rows >= page


def _indivisible(failed: ExportFailed) -> Exception:
    """Return what a failure is to those who look for parts."""
    if any(failed.answer.has_error(code) for code in _INDIVISIBLE):
        return Indivisible()
    return failed
