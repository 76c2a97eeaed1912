"""Reads an export: a list, page after page, each an operation that the engine plans, prices, admits and completes.

    page 1   requested ─────▶ completed, written
    page 2                  ▲ requested ─────▶ completed, written
                            └ as soon as the last row of page 1 is there, and page 0 is written

So rules, masks, company scope, limits and the lane are those of any operation. One page is read ahead, and never more
than that: a client that reads slowly slows the reads down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
from graphql import GraphQLError, parse_const_value, value_from_ast_untyped
from msgspec import Struct, structs

from gateway.errors import BadArgument, UpstreamMalformed
from gateway.request import Answer, Collect, GraphQLRequest, PageEnd

from .pages import Rows
from .selection import Selection

Read: TypeAlias = Callable[[GraphQLRequest], Awaitable[Answer]]
"""Answers an operation; raises nothing but CancelledError."""
_NAME = "Export"
_MAX_TOKENS = 10_000
_TURNS = 8
"""Turns of the event loop in which a request for the next page is planned and sent."""


class ExportFailed(Exception):
    """An export ends early. Its rows so far are not all rows of the list."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("The export failed.")
        self.answer = answer
        """With the errors for the client."""


class _Model(Struct):
    rows: Rows


class _Data(Struct):
    rows: Rows | None = None
    model: _Model | None = None
    """What is below the root field of a unified model."""


class _Body(Struct):
    data: _Data


_decode = msgspec.json.Decoder(_Body).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


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
    name: str, selection: Selection, *, where_type: str | None = None, model: str = ""
) -> Documents:
    """Return the operations that read a list; ``where_type``: that of its filter, None: it has none.

    ``model``: the root field of the unified model below which the list is.
    """
    where, use = "", ""
    if where_type is not None:
        where, use = f", $where: {where_type}", ", where: $where"
    begin, end = (f"{{ model: {model} {{", "} }") if model else ("{", "}")
    head = f"query {_NAME}($first: Int!, $after: String"
    rows = f"rows: {name}(first: $first, after: $after"
    nodes = f"nodes {{ {selection.text} }}"
    return Documents(
        page=f"{head}{where}) {begin} {rows}{use})"
        f" {{ {nodes} pageInfo {{ hasNextPage endCursor }} }} {end}",
        bounded_page=f"{head}, $before: String{where}) {begin} {rows}, before: $before{use})"
        f" {{ {nodes} pageInfo {{ hasNextPage startCursor endCursor }} }} {end}",
        place=f"{head}{where}) {begin} {rows}{use}) {{ pageInfo {{ startCursor }} }} {end}",
        count=f"query {_NAME}{f'({where[2:]})' if where else ''}"
        f" {begin} rows: {name}{'(where: $where)' if where else ''} {{ totalCount }} {end}",
    )


def has_next(end: PageEnd) -> bool:
    """Return whether a page says that there is another one."""
    return end.has_next


async def read_rows(
    read: Read,
    first: GraphQLRequest,
    goes_on: Callable[[PageEnd], bool] = has_next,
    collect: Collect | None = None,
) -> AsyncGenerator[Rows, None]:
    """Yield pages; the last one may be empty.

    ``goes_on`` decides after which of them another one is read, and is called once for each. ``collect`` is that of the
    writer to which they go. Raises ExportFailed if a page has an error anywhere.
    """
    pages = _Pages(read, first, goes_on, collect)
    try:
        while (rows := await pages.next()) is not None:
            yield rows
    finally:
        await pages.close()


class _Page:
    """A page that is being read."""

    def __init__(self, pages: _Pages, request: GraphQLRequest) -> None:
        self.collect = pages.collect
        self.end: PageEnd | None = None
        self._pages = pages
        self.answer = asyncio.ensure_future(pages.read(structs.replace(request, sink=self)))

    async def loaded(self, end: PageEnd) -> None:
        """Read the next page, if it is this one that is awaited."""
        self.end = end
        self._pages.read_ahead()
        # The request is sent before this page is completed, which takes the processor.
        for _ in range(_TURNS):
            await asyncio.sleep(0)


class _Pages:
    """Reads one page after the other."""

    def __init__(
        self,
        read: Read,
        first: GraphQLRequest,
        goes_on: Callable[[PageEnd], bool],
        collect: Collect | None,
    ) -> None:
        self.read = read
        self.collect = collect
        self._first = first
        self._goes_on = goes_on
        self._cursor: str | None = None
        self._page: _Page | None = _Page(self, first)
        """The next page to be returned."""
        self._is_awaited = False
        self._is_followed = False
        """Whether it was decided what comes after that page."""
        self._ahead: _Page | None = None
        """What comes after it."""

    async def next(self) -> Rows | None:
        """Return a page, None after the last one; those before are written. Raises ExportFailed, UpstreamMalformed."""
        page = self._page
        if page is None:
            return None
        self._is_awaited = True
        self.read_ahead()
        rows = rows_of(await page.answer)
        if page.end is None:
            info, nodes = rows.page_info, _decode_list(rows.nodes)
            page.end = PageEnd(len(nodes), info.has_next_page, info.end_cursor)
        self.read_ahead()
        self._page, self._ahead = self._ahead, None
        self._is_awaited = self._is_followed = False
        return rows

    def read_ahead(self) -> None:
        """Begin the page after the one that is awaited, once it is known how that ends. Raises UpstreamMalformed."""
        page = self._page
        if not self._is_awaited or self._is_followed or page is None or page.end is None:
            return
        self._is_followed = True
        if not self._goes_on(page.end):
            return
        cursor = page.end.cursor
        if cursor is None or cursor == self._cursor:
            raise UpstreamMalformed("The upstream sent the same page twice.")
        self._cursor = cursor
        variables = {**self._first.variables, "after": cursor}
        self._ahead = _Page(self, structs.replace(self._first, variables=variables))

    async def close(self) -> None:
        """Cancel what is being read."""
        answers = [page.answer for page in (self._page, self._ahead) if page is not None]
        for answer in answers:
            answer.cancel()
        await asyncio.gather(*answers, return_exceptions=True)


def rows_of(answer: Answer) -> Rows:
    """Return the rows of an answer. Raises ExportFailed if it has an error anywhere."""
    # An error below a row would leave a null in its place.
    if answer.errors:
        raise ExportFailed(answer)
    data = _decode(answer.encode()).data
    rows = data.rows if data.model is None else data.model.rows
    if rows is None:
        raise UpstreamMalformed("The answer has no list.")
    return structs.replace(rows, slices=answer.slices)
