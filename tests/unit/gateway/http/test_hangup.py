"""Clients that disconnect, over real sockets: their upstream requests are cancelled, and the log stays quiet."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import uvicorn

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.engine import Engine as RealEngine
from gateway.events import ClientLeft, ErrorRaised, Event, OperationServed, RequestRetried
from gateway.http.client_watch import LISTENING_AFTER
from gateway.http.graphql_endpoint import GraphQLEndpoint
from gateway.request import Answer, GraphQLRequest
from gateway.sandbox import create_sandbox
from tests.support.sockets import PATIENCE, Connection, Listening, listening, ok

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROWS = "{ customersV3(first: 1) { nodes { customerAccount } } }"
SEVERAL = f"{{ a: {ROWS[2:-2]} b: currencies(first: 1) {{ nodes {{ name }} }} }}"
LINES = "{ salesOrderHeadersV2(first: 2) { nodes { salesOrderLines(first: 2) { nodes { lineNumber } } } } }"
HEADERS = "{ salesOrderLines(first: 2) { nodes { salesOrderHeaderV2 { salesOrderName } } } }"
ROW = '{ customerV3(dataAreaId: "usmf", customerAccount: "US-001") { customerAccount } }'


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


@cache
def sandbox() -> httpx.ASGITransport:
    return httpx.ASGITransport(create_sandbox())


@dataclass
class Upstream:
    """The sandbox on a socket; what ``holds`` says yes to is never answered."""

    holds: Callable[[str], bool] = lambda _: False
    instead: bytes = b""
    """What is sent of an answer that never comes."""
    delay: float = 0.0
    held: list[Connection] = field(default_factory=list)
    _holding: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _sandbox: httpx.ASGITransport = field(default_factory=sandbox)

    async def serve(self, connection: Connection) -> None:
        while request := await connection.request():
            target = request.split(b" ", 2)[1].decode()
            if self.holds(target):
                self.held.append(connection)
                self._holding.put_nowait(target)
                await connection.say(self.instead)
                await connection.until_closed()
                return
            await connection.say(await self._answer(target))

    async def _answer(self, target: str) -> bytes:
        sent = httpx.Request("GET", f"http://sandbox.invalid{target}")
        await asyncio.sleep(self.delay)
        answer = await self._sandbox.handle_async_request(sent)
        media = answer.headers["content-type"]
        return ok(await answer.aread(), f"Content-Type: {media}")

    async def is_asked(self, times: int = 1) -> None:
        """Wait for so many requests that are not answered."""
        for _ in range(times):
            await asyncio.wait_for(self._holding.get(), PATIENCE)

    async def is_let_go(self) -> None:
        """Wait until every connection that waits for an answer is closed by the gateway."""
        for connection in self.held:
            await asyncio.wait_for(connection.ended.wait(), PATIENCE)


@dataclass
class Served:
    """The gateway on a port."""

    port: int
    events: list[Event] = field(default_factory=list)
    _new: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)

    def observe(self, event: Event) -> None:
        self.events.append(event)
        self._new.put_nowait(event)

    async def begin(self, query: str) -> asyncio.StreamWriter:
        """Send an operation over a connection of its own."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        body = json.dumps({"query": query}).encode()
        head = (
            "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        return writer

    async def until(self, kind: type[Event]) -> None:
        """Wait for an event of this kind."""
        while not isinstance(await asyncio.wait_for(self._new.get(), PATIENCE), kind):
            pass

    async def answer(self, query: str) -> object:
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            url = f"http://127.0.0.1:{self.port}/graphql"
            return (await http.post(url, json={"query": query})).json()


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@asynccontextmanager
async def gateway(
    said: Listening, *, concurrency: int = 4, expand: str = "auto"
) -> AsyncIterator[Served]:
    settings = Settings.model_validate(
        {
            "url": said.url(),
            "auth": "none",
            "dialect": "finops",
            "language": None,
            "cache_dir": None,
            "concurrency": concurrency,
            "expand": expand,
        }
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served = Served(listener.getsockname()[1])
        app = create_app(settings, observe=served.observe)
        config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        async with app.router.lifespan_context(app):
            served.events.clear()
            serving = asyncio.ensure_future(server._serve(sockets=[listener]))
            try:
                yield served
            finally:
                server.should_exit = True
                await asyncio.wait_for(serving, PATIENCE)


def file_of(task: asyncio.Task[Any]) -> str:
    coroutine: Any = task.get_coro()
    return str(coroutine.cr_code.co_filename)


def is_ours(file: str) -> bool:
    return Path(file).is_relative_to(Path(create_app.__code__.co_filename).parent) or (
        "aiodataloader" in file
    )


async def hang_up(writer: asyncio.StreamWriter, *, rudely: bool = False) -> None:
    if rudely:
        writer.transport.abort()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("query", "held", "waiting", "rudely"),
    [
        pytest.param(ROWS, "CustomersV3", 1, False, id="a list"),
        pytest.param(ROWS, "CustomersV3", 1, True, id="a list, connection reset"),
        pytest.param(SEVERAL, "/data/C", 2, False, id="two lists"),
        pytest.param(ROW, "CustomersV3", 1, False, id="a row by its key"),
        pytest.param(LINES, "/SalesOrderLines", 1, False, id="children by a key batch"),
        pytest.param(HEADERS, "/SalesOrderHeadersV2", 1, False, id="parents by a key batch"),
    ],
)
async def test_disconnect_cancels_upstream_requests(
    upstream: Upstream,
    caplog: pytest.LogCaptureFixture,
    query: str,
    held: str,
    waiting: int,
    rudely: bool,
) -> None:
    async with listening(upstream.serve) as said, gateway(said, expand="never") as served:
        upstream.holds = lambda target: held in target
        before = asyncio.all_tasks()

        writer = await served.begin(query)
        await upstream.is_asked(waiting)
        await hang_up(writer, rudely=rudely)
        await upstream.is_let_go()
        await served.until(ClientLeft)

        assert len(upstream.held) == waiting
        kinds = {type(event) for event in served.events}
        assert not kinds & {OperationServed, ErrorRaised, RequestRetried}
        upstream.holds = lambda _: False
        assert "data" in str(await served.answer(ROWS))
        gc.collect()
        assert {
            name for name in map(file_of, asyncio.all_tasks() - before) if is_ours(name)
        } == set()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_disconnect_cancels_a_half_read_answer(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.instead = b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"value": ['
    async with listening(upstream.serve) as said, gateway(said) as served:
        upstream.holds = lambda target: "CustomersV3" in target

        writer = await served.begin(ROWS)
        await upstream.is_asked()
        await hang_up(writer)
        await upstream.is_let_go()
        await served.until(ClientLeft)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_disconnect_frees_its_place_in_the_queue(
    upstream: Upstream,
) -> None:
    async with listening(upstream.serve) as said, gateway(said, concurrency=1) as served:
        upstream.holds = lambda target: "CustomersV3" in target
        first = await served.begin(ROWS)
        await upstream.is_asked()
        second = await served.begin(ROWS)
        third = asyncio.ensure_future(served.answer("{ currencies(first: 1) { totalCount } }"))

        await hang_up(second)
        await served.until(ClientLeft)
        await hang_up(first)

        assert "data" in str(await asyncio.wait_for(third, PATIENCE))
        assert len(upstream.held) == 1


async def test_no_retries_after_a_disconnect(upstream: Upstream) -> None:
    async with listening(upstream.serve) as said, gateway(said) as served:
        upstream.instead = ok(b"").replace(b"200 OK", b"503 Busy\r\nRetry-After: 20")
        upstream.holds = lambda target: "CustomersV3" in target

        writer = await served.begin(ROWS)
        await served.until(RequestRetried)
        await hang_up(writer)
        await served.until(ClientLeft)

        assert len(upstream.held) == 1


async def test_slow_operation_is_answered(upstream: Upstream) -> None:
    upstream.delay = 4 * LISTENING_AFTER
    async with listening(upstream.serve) as said, gateway(said) as served:
        assert "US-001" in str(await served.answer(ROW))
        assert [event for event in served.events if isinstance(event, ClientLeft)] == []


class Engine:
    """Answers when it is told to."""

    def __init__(self, *, changes_data: bool) -> None:
        self.goes_on = asyncio.Event()
        self.was_cancelled = False
        self._changes_data = changes_data

    def changes_data(self, _request: GraphQLRequest) -> bool:
        return self._changes_data

    async def execute(self, _request: GraphQLRequest) -> Answer:
        try:
            await self.goes_on.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return Answer({"done": True})


async def at_the_door(engine: Engine, *, gone: asyncio.Event, events: list[Event]) -> list[Any]:
    """Send a request to a door; the client hangs up when ``gone`` is set."""
    messages = iter([{"type": "http.request", "body": b'{"query": "q"}'}])
    sent: list[Any] = []

    async def receive() -> Any:
        if message := next(messages, None):
            return message
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"method": "POST", "headers": [(b"content-type", b"application/json")]}
    door = GraphQLEndpoint(max_body=1_000, page=None, observe=events.append)
    await door.answer(scope, receive, send, cast("RealEngine", engine))
    return sent


async def test_mutation_goes_on_after_a_disconnect() -> None:
    engine, gone, events = Engine(changes_data=True), asyncio.Event(), list[Event]()
    gone.set()
    answering = asyncio.ensure_future(at_the_door(engine, gone=gone, events=events))

    await asyncio.sleep(4 * LISTENING_AFTER)
    assert not answering.done()
    engine.goes_on.set()

    assert len(await answering) == 2
    assert (engine.was_cancelled, events) == (False, [])


async def test_disconnect_uncancels_the_task() -> None:
    engine, gone, events = Engine(changes_data=False), asyncio.Event(), list[Event]()
    gone.set()

    assert await at_the_door(engine, gone=gone, events=events) == []

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert engine.was_cancelled
    assert [type(event) for event in events] == [ClientLeft]


async def test_shutdown_is_not_a_disconnect() -> None:
    engine, events = Engine(changes_data=False), list[Event]()
    answering = asyncio.ensure_future(at_the_door(engine, gone=asyncio.Event(), events=events))
    await asyncio.sleep(2 * LISTENING_AFTER)

    answering.cancel()

    with pytest.raises(asyncio.CancelledError):
        await answering
    assert (engine.was_cancelled, events) == (True, [])
