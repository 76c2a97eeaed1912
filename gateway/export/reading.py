"""Reads an export: a list, page after page, each an operation that the engine plans, prices, admits and completes.

So rules, masks, company scope, limits and the lane are those of any operation. The next page is read while the one
before is written and sent, and never more than that: a client that reads slowly slows the reads down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
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


class _PageInfo(Struct, rename="camel"):
    has_next_page: bool
    end_cursor: str | None = None


class _List(Struct, rename="camel"):
    nodes: msgspec.Raw
    page_info: _PageInfo


class _Data(Struct):
    rows: _List


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


def document_of(catalog: Catalog, root: RootField, selection: Selection, *, filters: bool) -> str:
    """Return the operation that reads a page. Raises BadArgument if ``filters``, and nothing can filter the list."""
    where, use = "", ""
    if filters:
        if not catalog.can_filter(root.csdl):
            raise BadArgument(f"where: nothing can filter {root.name}.")
        where, use = (
            f", $where: {catalog.name_of(TypeKind.WHERE, root.csdl)}",
            ", where: $where",
        )
    return (
        f"query {_NAME}($first: Int!, $after: String{where})"
        f" {{ rows: {root.name}(first: $first, after: $after{use})"
        f" {{ nodes {{ {selection.text} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    )


async def read_pages(read: Read, first: GraphQLRequest) -> AsyncGenerator[msgspec.Raw, None]:
    """Yield the rows of each page as a JSON array; the last page may be empty.

    Raises ExportFailed if a page has an error anywhere.
    """
    pending: asyncio.Future[Answer] | None = asyncio.ensure_future(read(first))
    last: str | None = None
    try:
        while pending is not None:
            rows = _rows_of(await pending)
            pending = None
            if rows.page_info.has_next_page:
                cursor = rows.page_info.end_cursor
                if cursor is None or cursor == last:
                    raise UpstreamMalformed("The upstream sent the same page twice.")
                last = cursor
                variables = {**first.variables, "after": cursor}
                pending = asyncio.ensure_future(read(structs.replace(first, variables=variables)))
            yield rows.nodes
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)


def _rows_of(answer: Answer) -> _List:
    # An error below a row would leave a null in its place.
    if answer.errors:
        raise ExportFailed(answer)
    return _decode(answer.encode()).data.rows
