"""What must not grow: requests with rows, memory with time. Over operations as clients send them."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import FunctionType

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.http.client_watch import LISTENING_AFTER
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from tests.bench.workload import Service, alias_query, answer, document, engine_over, nested_query
from tests.support.cases import engine, requests_of
from tests.support.observers import raise_defects
from tests.support.soak import bounded
from tests.support.sockets import Connection, Listening, listening, ok

pytestmark = pytest.mark.anyio

WIDE = 60_000
"""A URL limit beyond which nothing is split, to count what is planned."""


# With rows


@pytest.mark.parametrize("expand", ["auto", "never"])
@pytest.mark.parametrize(
    "fields",
    [
        "customersV3(first: %d) { nodes { organizationName } }",
        "customersV3(first: %d) { totalCount nodes { customerGroup { description } } }",
        "salesOrderHeadersV2(first: %d) { nodes { salesOrderLines { nodes { lineNumber } } } }",
        "salesOrderHeadersV2(first: %d) { nodes { salesOrderLines(first: 2) { totalCount } } }",
        "purchaseOrderHeadersV2(first: %d) { nodes { vendorV2 { vendorOrganizationName } } }",
        "customersV3(first: %d) { nodes { salesOrders { nodes { salesOrderLines { nodes { lineNumber } } } } } }",
    ],
    ids=["flat", "count and to-one", "to-many", "paged to-many", "known to-one", "three levels"],
)
async def test_requests_do_not_grow_with_rows(sandboxed: Gateway, fields: str, expand: str) -> None:
    read = engine(sandboxed, expand=expand, max_url_length=WIDE)
    sent: dict[int, list[str]] = {}
    rows: list[int] = []
    for first in (10, 100):
        result = await read.execute(GraphQLRequest(query=f"{{ {fields % first} }}"))
        assert not result.errors
        sent[first] = requests_of(result)
        rows.append(result.rows)

    assert rows[0] < rows[1]
    assert len(sent[10]) == len(sent[100]), sent


@pytest.mark.parametrize("expand", [True, False], ids=["expanded", "key batches"])
async def test_a_single_row_costs_as_many_requests_as_many(expand: bool) -> None:
    read = engine_over(Service(), expand=expand)
    counts = []
    for rows in (1, 10):
        result = await read.execute(GraphQLRequest(query=nested_query(rows=rows)))
        assert not result.errors
        counts.append(len(result.requests))

    assert counts == ([1, 1] if expand else [3, 3])


# With time: over the whole application, as uvicorn calls it


class TracedRequest:
    """The application, asked without a network."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self.statuses: Counter[int] = Counter()

    async def __call__(self, query: str, **variables: object) -> bytes:
        body = msgspec.json.encode({"query": query, "variables": variables})
        text: list[bytes] = []
        incoming = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, object]:
            if incoming:
                return incoming.pop()
            await asyncio.Event().wait()  # the client stays
            raise AssertionError

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                self.statuses[message["status"]] += 1  # type: ignore[index]
            else:
                text.append(message.get("body", b""))  # type: ignore[arg-type]

        headers = [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json"),
        ]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "query_string": b"",
            "root_path": "",
            "headers": headers,
        }
        await self._app({**scope, "app": self._app}, receive, send)  # type: ignore[arg-type]
        return b"".join(text)


def replayed(request: httpx.Request) -> httpx.Response:
    if not request.url.path.startswith("/data/"):
        return httpx.Response(404)  # it has no custom services
    target = request.url.raw_path.decode().partition("/data/")[2]
    if target.startswith("$metadata"):
        return httpx.Response(200, content=document().encode())
    if "Broken" in target:
        return httpx.Response(500)
    headers = {"content-type": "application/json"}
    return httpx.Response(200, headers=headers, content=answer(target))


@asynccontextmanager
async def application(
    url: str = "http://bench.invalid/data", **values: object
) -> AsyncIterator[TracedRequest]:
    """The application over the rows of the benchmarks; a transport stands in for the network if nothing listens."""
    settings = Settings.model_validate(
        {
            "url": url,
            "auth": "none",
            "cache_dir": None,
            "retries": 0,
            "log_level": "error",
            **values,
        }
    )
    transport = httpx.MockTransport(replayed) if "invalid" in url else None
    app = create_app(settings, transport=transport, observe=raise_defects)
    async with app.router.lifespan_context(app):
        yield TracedRequest(app)


FILTERED = """query ($v: String!, $more: Boolean!) {
  orders(first: 2, where: { orderName: { gt: $v } }) {
    nodes { orderNumber total @include(if: $more) customer { name } }
  }
}"""


async def good(ask: TracedRequest, number: int) -> None:
    assert b'"errors"' not in await ask(nested_query(rows=3))
    assert b'"errors"' not in await ask(FILTERED, v=f"v{number % 7}", more=number % 2 == 0)
    assert b'"errors"' not in await ask(alias_query(3))


async def refused(ask: TracedRequest, number: int) -> None:
    assert b'"errors"' in await ask("{ orders { nodes { orderNumbr } } }")
    assert b'"errors"' in await ask(FILTERED, v=number, more=True)
    assert b'"errors"' in await ask("{ orders(first: 2")


async def failed(ask: TracedRequest, number: int) -> None:
    broken = 'orders(first: 1, where: { orderName: { eq: "Broken" } }) { nodes { orderNumber } }'
    assert b'"errors"' in await ask(f"{{ {broken} }}")
    assert b'"errors"' in await ask(
        f"{{ {broken} customers(first: {number % 3}) {{ nodes {{ name }} }} }}"
    )


async def cancelled(ask: TracedRequest, number: int) -> None:
    task = asyncio.ensure_future(ask(nested_query(rows=3)))
    for _ in range(number % 5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


KINDS = [good, refused, failed, cancelled]
Kind = Callable[[TracedRequest, int], Awaitable[None]]


def remaining() -> Counter[str]:
    """Count the objects of our own classes, and the functions and classes that were made."""
    result: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        module = str(kind.__module__)
        if module.startswith(("gateway", "schema")) or kind in (FunctionType, type):
            result[f"{module}.{kind.__qualname__}"] += 1
    return result


async def rounds(ask: TracedRequest, kind: Kind, numbers: range) -> None:
    """Ask again and again, then until the loop has forgotten the timers of requests that are over."""
    for number in numbers:
        await kind(ask, number)
    await asyncio.sleep(2 * LISTENING_AFTER)
    await forget_cancelled_timers()
    gc.collect()


async def forget_cancelled_timers() -> None:
    """asyncio removes cancelled timers, with the contexts of their requests, as soon as there are a hundred."""
    loop = asyncio.get_running_loop()
    for _ in range(101):
        loop.call_later(3_600, gc.collect).cancel()
    await asyncio.sleep(0)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
async def test_requests_keep_no_object(kind: Kind) -> None:
    async with application() as ask:
        await rounds(ask, kind, range(bounded(35, 70)))
        before = remaining()
        await rounds(ask, kind, range(bounded(140, 350)))
        grown = remaining() - before

    # What the last request left in a cycle or a cache of one.
    assert max(grown.values(), default=0) <= 3, grown


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
async def test_memory_does_not_grow_with_requests(kind: Kind) -> None:
    async with application() as ask:
        await rounds(ask, kind, range(350))
        before = sys.getallocatedblocks()
        await rounds(ask, kind, range(210))
        grown = sys.getallocatedblocks() - before

    # A single block kept of each round would be as many; a request makes some hundred, and a row twenty.
    assert grown < 210


@pytest.mark.parametrize("kind", KINDS)
async def test_no_task_outlives_its_request(kind: Kind) -> None:
    async with application() as ask:
        before = asyncio.all_tasks()
        await asyncio.gather(*(kind(ask, number) for number in range(20)))
        for _ in range(20):
            await asyncio.sleep(0)

        assert asyncio.all_tasks() <= before


async def literal(ask: TracedRequest, number: int) -> None:
    where = f'where: {{ orderName: {{ eq: "{number}" }} }}'
    assert b'"errors"' not in await ask(f"{{ orders(first: 1, {where}) {{ nodes {{ total }} }} }}")


@pytest.mark.heavy
async def test_documents_that_differ_do_not_pile_up() -> None:
    """A client that writes values into its texts is served from caches with an end."""
    async with application() as ask:
        await rounds(ask, literal, range(1_050))
        before = remaining()
        await rounds(ask, literal, range(1_050, 1_300))
        grown = remaining() - before

    assert max(grown.values(), default=0) <= 3, grown


# Connections


async def respond(connection: Connection) -> None:
    while head := await connection.request():
        target = head.split(b" ", 2)[1].decode().removeprefix("/data/")
        if target.startswith("$metadata"):
            await connection.say(ok(document().encode()))
            continue
        if target.startswith("/"):  # it has no custom services
            await connection.say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            continue
        await asyncio.sleep(0.002)
        await connection.say(ok(answer(target), "Content-Type: application/json"))


async def test_connections_are_bounded_by_the_setting_and_reused() -> None:
    async with listening(respond) as server, application(server.url(), concurrency=4) as ask:
        for wave in range(3):
            await asyncio.gather(*(good(ask, number + wave) for number in range(20)))
            assert 1 <= opened(server) <= 4

        # Equal reads at the same time are sent once.
        assert len(server.requests) > 3 * 10
        assert set(ask.statuses) == {200}


async def test_files_are_closed_with_the_application() -> None:
    gc.collect()  # what other tests have left open
    async with listening(respond) as server:
        before = files()
        async with application(server.url()) as ask:
            await asyncio.gather(*(good(ask, number) for number in range(10)))
            assert files() > before
        for connection in server.connections:
            connection.writer.close()
            await connection.writer.wait_closed()

        assert files() == before


def opened(server: Listening) -> int:
    return len(server.connections)


def files() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))
