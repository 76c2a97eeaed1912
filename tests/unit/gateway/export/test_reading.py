"""Pages of an export: what is read ahead, and that completed rows make the same files as their JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest

from gateway.admission.work import Lane
from gateway.errors import UpstreamMalformed
from gateway.export.pages import Rows
from gateway.export.reading import read_rows
from gateway.export.request import prepare, read_export
from gateway.export.sources import find_source
from gateway.request import Answer, Collect, GraphQLRequest, PageEnd
from gateway.runtime.assembly import Gateway

pytestmark = pytest.mark.anyio
FIRST = GraphQLRequest(query="page", variables={"first": 2})


class Service:
    """Pages whose cursors are their numbers; each is loaded, and completed, when the test says so."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.requested: list[int] = []
        self.cancelled: list[int] = []
        self.is_loaded = [asyncio.Event() for _ in range(pages)]
        self.is_complete = [asyncio.Event() for _ in range(pages)]

    async def read(self, request: GraphQLRequest) -> Answer:
        number = int(request.variables.get("after", 0))
        self.requested.append(number)
        try:
            await self.is_loaded[number].wait()
            assert request.sink is not None
            more = number + 1 < self.pages
            await request.sink.loaded(PageEnd(2, more, str(number + 1)))
            await self.is_complete[number].wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        info = {"hasNextPage": more, "startCursor": "", "endCursor": str(number + 1)}
        return Answer({"rows": {"nodes": [number], "pageInfo": info}})

    def let(self, *numbers: int) -> None:
        for number in numbers:
            self.is_loaded[number].set()
            self.is_complete[number].set()


async def settle() -> None:
    """Let tasks go on until they all wait."""
    for _ in range(40):
        await asyncio.sleep(0)


async def test_the_next_page_is_requested_once_one_is_loaded() -> None:
    service = Service(3)
    async with aclosing(read_rows(service.read, FIRST)) as pages:
        first = asyncio.ensure_future(anext(pages))
        await settle()
        assert service.requested == [0]
        service.is_loaded[0].set()
        await settle()
        assert service.requested == [0, 1]
        assert not first.done()
        service.is_complete[0].set()
        assert bytes((await first).nodes) == b"[0]"


async def test_no_more_than_one_page_is_read_ahead() -> None:
    service = Service(4)
    service.let(0, 1, 2, 3)
    async with aclosing(read_rows(service.read, FIRST)) as pages:
        for number in range(4):
            await anext(pages)
            await settle()  # this page is being written
            assert service.requested == list(range(min(number + 2, 4)))
        with pytest.raises(StopAsyncIteration):
            await anext(pages)


async def test_an_export_that_ends_early_cancels_its_reads() -> None:
    service = Service(3)
    service.is_loaded[0].set()
    async with aclosing(read_rows(service.read, FIRST)) as pages:
        first = asyncio.ensure_future(anext(pages))
        await settle()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    await settle()

    assert (service.requested, sorted(service.cancelled)) == ([0, 1], [0, 1])


async def test_each_page_is_asked_once_whether_it_is_the_last() -> None:
    service, ends = Service(3), list[PageEnd]()
    service.let(0, 1, 2)

    def goes_on(end: PageEnd) -> bool:
        ends.append(end)
        return len(ends) < 2

    async with aclosing(read_rows(service.read, FIRST, goes_on)) as pages:
        assert [bytes(rows.nodes) async for rows in pages] == [b"[0]", b"[1]"]
    assert ends == [PageEnd(2, True, "1"), PageEnd(2, True, "2")]


@pytest.mark.parametrize("notes", [False, True], ids=["in its answer", "while it runs"])
async def test_a_page_that_comes_twice_is_an_error(notes: bool) -> None:
    async def read(request: GraphQLRequest) -> Answer:
        if notes and request.sink is not None:
            await request.sink.loaded(PageEnd(1, True, "same"))
        info = {"hasNextPage": True, "endCursor": "same"}
        return Answer({"rows": {"nodes": [1], "pageInfo": info}})

    async with aclosing(read_rows(read, FIRST)) as pages:
        await anext(pages)
        with pytest.raises(UpstreamMalformed):
            await anext(pages)


async def written(
    gateway: Gateway, name: str, parameters: dict[str, str], *, collects: bool
) -> tuple[bytes, Sequence[Rows]]:
    """Return the file of an export, and its pages."""
    source = find_source(gateway.schema, name)
    assert source is not None
    export = prepare(gateway, source, read_export(parameters))
    writer = export.writer()
    collect: Collect | None = writer.collect if collects else None
    first = export.first(GraphQLRequest(query=""))
    assert first.lane is Lane.EXPORT
    variables: dict[str, Any] = {**first.variables, "first": 100}
    request = GraphQLRequest(query=first.query, variables=variables)
    pieces, pages = [writer.begin()], []
    try:
        reading = read_rows(gateway.engine.execute_unlogged, request, collect=collect)
        async with aclosing(reading):
            async for page in reading:
                pages.append(page)
                pieces += writer.page(page)
        pieces.append(writer.end())
    finally:
        writer.close()
    return b"".join(pieces), pages


SELECTED: list[tuple[str, dict[str, str]]] = [
    ("CustomersV3", {}),
    ("CustomersV3", {"fields": "customerAccount customerGroup{description} creditLimit"}),
    (
        "SalesOrderLines",
        {"fields": "id lineAmount lineNumber", "where": '{dataAreaId:{eq:"usmf"}}'},
    ),
    ("ReleasedProductsV2", {"where": '{dataAreaId:{eq:"usmf"}}'}),
    (
        "accounting.purchaseOrders",
        {
            "fields": "number status supplier: vendor{name} totalAmount"
            " lines{itemNumber quantity} raw{purchaseOrderName}"
        },
    ),
]


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet", "arrow"])
@pytest.mark.parametrize(("name", "parameters"), SELECTED)
async def test_completed_rows_make_the_file_of_their_json(
    sandboxed: Gateway, name: str, parameters: dict[str, str], form: str
) -> None:
    options = {**parameters, "format": form}
    file, pages = await written(sandboxed, name, options, collects=True)
    from_json, _ = await written(sandboxed, name, options, collects=False)

    assert file == from_json
    assert len(pages) > 1
    assert all(page.slices is not None for page in pages)
