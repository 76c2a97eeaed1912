"""The page of the Python client is a program that runs: gql against a gateway, over connections that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError

from tests.support.pages import blocks

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def program(endpoint: str) -> Any:
    """What the page defines."""
    names: dict[str, Any] = {}
    exec("\n".join(block.text for block in blocks("python", of="clients/python")), names)
    names["URL"] = endpoint
    return SimpleNamespace(names=names, **names)


@pytest.fixture
async def erp(program: Any) -> AsyncIterator[Any]:
    async with program.connect() as session:
        yield session


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What befalls the next requests: a response in the place of the gateway's, or the loss of its answer."""
    faults: list[Any] = []
    send = httpx.AsyncHTTPTransport.handle_async_request

    async def faulty(self: httpx.AsyncHTTPTransport, request: httpx.Request, /) -> httpx.Response:
        fault = faults.pop(0) if faults else None
        if isinstance(fault, httpx.Response):
            return fault
        response = await send(self, request)
        if fault is not None:
            await response.aclose()
            raise fault
        return response

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", faulty)
    return faults


def busy(status: int) -> httpx.Response:
    return httpx.Response(status, headers={"Retry-After": "0.01"})


def lost() -> httpx.ReadError:
    return httpx.ReadError("")


@asynccontextmanager
async def breakable(endpoint: str) -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """Yield an address whose connections lead to another one, and their ends, by which they are broken."""
    target = urlsplit(endpoint)
    ends: list[asyncio.StreamWriter] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, upwards = await asyncio.open_connection(target.hostname, target.port)
        ends.append(writer)
        await asyncio.gather(pipe(reader, upwards), pipe(upstream, writer), return_exceptions=True)

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield target._replace(netloc=f"127.0.0.1:{port}").geturl(), ends
        for end in ends:
            end.transport.abort()


async def test_rows_come_from_all_pages(program: Any, erp: Any) -> None:
    rows = [row async for row in program.customers(erp, "10")]

    assert len({row["customerAccount"] for row in rows}) == len(rows) > 10


async def test_a_query_is_sent_again(program: Any, erp: Any, faults: list[Any]) -> None:
    faults += [busy(503), busy(429), lost()]

    rows = [row async for row in program.customers(erp, "10")]

    assert len(rows) > 10
    assert faults == []


async def test_a_mutation_with_a_key_runs_once(program: Any, erp: Any, faults: list[Any]) -> None:
    faults += [lost(), busy(409)]

    assert await program.set_credit(erp, "US-007", "10", "py-1") == []
    assert await program.set_credit(erp, "US-007", "10", "py-1") == []
    with pytest.raises(TransportQueryError) as caught:
        await program.set_credit(erp, "US-007", "11", "py-1")
    assert caught.value.errors
    assert caught.value.errors[0]["extensions"]["code"] == "IDEMPOTENCY_MISMATCH"


async def test_a_mutation_without_a_key_is_not_repeated(
    program: Any, erp: Any, faults: list[Any]
) -> None:
    faults.append(lost())
    variables = {"account": "US-007", "limit": "10"}
    request = program.GraphQLRequest(program.SET_CREDIT, variable_values=variables)

    with pytest.raises(TransportConnectionFailed):
        await erp.execute(request)


async def test_a_refusal_is_an_answer(program: Any, erp: Any) -> None:
    assert await program.set_credit(erp, "NOBODY", "10") == ["NOT_FOUND"]


async def test_changes_go_on_after_a_broken_connection(
    program: Any, erp: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with breakable(endpoint) as (url, ends):
        monkeypatch.setitem(program.names, "URL", url)
        changes = program.changes("now")
        began = await anext(changes)
        ends.pop().transport.abort()
        await program.set_credit(erp, "US-008", "12.50")
        changed = await anext(changes)
        await changes.aclose()

    assert began["upserts"] == []
    assert [row["node"]["customerAccount"] for row in changed["upserts"]] == ["US-008"]


async def test_a_refused_subscription_ends(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = program.CHANGES.replace("CustomersV3", "Nothing")
    monkeypatch.setitem(program.names, "CHANGES", broken)

    with pytest.raises(TransportQueryError):
        await anext(program.changes(None))
