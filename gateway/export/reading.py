"""Reads an export: a list, page after page, each an operation that the engine plans, prices, admits and completes.

So rules, masks, company scope, limits and the lane are those of any operation. The next page is read while the one
before is written and sent, and never more than that: a client that reads slowly slows the reads down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import msgspec
from graphql import GraphQLError, parse_const_value, value_from_ast_untyped
from msgspec import Struct, structs

from gateway.errors import BadArgument, UpstreamMalformed
from gateway.request import Answer, GraphQLRequest
from schema.catalog import Catalog
from schema.catalog.records import RootField, TypeKind

from .selection import Selection

Read: TypeAlias = Callable[[GraphQLRequest], Awaitable[Answer]]
"""Answers an operation; raises nothing but CancelledError."""
_NAME = "Export"
_MAX_TOKENS = 10_000


class ExportFailed(Exception):
    """An export ends early. Its rows so far are not all rows of the list."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("The export failed.")
        self.answer = answer
        """With the errors for the client."""


class PageInfo(Struct, rename="camel"):
    """What a page says of its place in the list."""

    has_next_page: bool = False
    end_cursor: str | None = None
    start_cursor: str | None = None


class Rows(Struct, rename="camel"):
    """The rows of a page as a JSON array."""

    page_info: PageInfo
    nodes: msgspec.Raw = msgspec.Raw(b"[]")


class _Data(Struct):
    rows: Rows


class _Body(Struct):
    data: _Data


_decode = msgspec.json.Decoder(_Body).decode


def read_where(text: str) -> Any:
    """Return a filter that is written in JSON or as a GraphQL value. Raises BadArgument."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return value_from_ast_untyped(
            parse_const_value(text, no_location=True, max_tokens=_MAX_TOKENS)
        )
    except (GraphQLError, RecursionError) as error:
        raise BadArgument(
            "where is neither JSON nor a value of GraphQL.",
            hint='For example: where={dataAreaId:{eq:"usmf"}}',
        ) from error


class Documents(Struct, frozen=True):
    """The operations of an export."""

    page: str
    """Reads a page of the list."""
    bounded_page: str
    """Reads a page of a part, which ends before a cursor."""
    place: str
    """Reads the cursor of one row."""
    count: str
    """Counts the rows."""


def documents_of(
    catalog: Catalog, root: RootField, selection: Selection, *, filters: bool
) -> Documents:
    """Return the operations. Raises BadArgument if ``filters``, and nothing can filter the list."""
    where, use = "", ""
    if filters:
        if not catalog.can_filter(root.csdl):
            raise BadArgument(f"where: nothing can filter {root.name}.")
        where, use = (
            f", $where: {catalog.name_of(TypeKind.WHERE, root.csdl)}",
            ", where: $where",
        )
    head = f"query {_NAME}($first: Int!, $after: String"
    rows = f"rows: {root.name}(first: $first, after: $after"
    nodes = f"nodes {{ {selection.text} }}"
    return Documents(
        page=f"{head}{where}) {{ {rows}{use})"
        f" {{ {nodes} pageInfo {{ hasNextPage endCursor }} }} }}",
        bounded_page=f"{head}, $before: String{where}) {{ {rows}, before: $before{use})"
        f" {{ {nodes} pageInfo {{ hasNextPage startCursor endCursor }} }} }}",
        place=f"{head}{where}) {{ {rows}{use}) {{ pageInfo {{ startCursor }} }} }}",
        count=f"query {_NAME}{f'({where[2:]})' if filters else ''}"
        f" {{ rows: {root.name}{'(where: $where)' if filters else ''} {{ totalCount }} }}",
    )


async def read_pages(read: Read, first: GraphQLRequest) -> AsyncGenerator[msgspec.Raw, None]:
    """Yield the rows of each page as a JSON array; the last page may be empty.

    Raises ExportFailed if a page has an error anywhere.
    """
    async with aclosing(read_rows(read, first)) as pages:
        async for rows in pages:
            yield rows.nodes


def has_next(rows: Rows) -> bool:
    """Return whether a page says that there is another one."""
    return rows.page_info.has_next_page


async def read_rows(
    read: Read, first: GraphQLRequest, goes_on: Callable[[Rows], bool] = has_next
) -> AsyncGenerator[Rows, None]:
    """Yield pages; ``goes_on`` decides after which of them another one is read. Raises as ``read_pages``."""
    pending: asyncio.Future[Answer] | None = asyncio.ensure_future(read(first))
    last: str | None = None
    try:
        while pending is not None:
            rows = rows_of(await pending)
            pending = None
            if goes_on(rows):
                cursor = rows.page_info.end_cursor
                if cursor is None or cursor == last:
                    raise UpstreamMalformed("The upstream sent the same page twice.")
                last = cursor
                variables = {**first.variables, "after": cursor}
                pending = asyncio.ensure_future(read(structs.replace(first, variables=variables)))
            yield rows
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)


def rows_of(answer: Answer) -> Rows:
    """Return the rows of an answer. Raises ExportFailed if it has an error anywhere."""
    # An error below a row would leave a null in its place.
    if answer.errors:
        raise ExportFailed(answer)
    return _decode(answer.encode()).data.rows
