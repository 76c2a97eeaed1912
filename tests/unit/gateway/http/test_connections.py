"""Slow clients and too many clients, over raw sockets: the limits hold, and health is answered."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self

import pytest
import uvicorn

from gateway.cli.bounded_http import MAX_PIPELINED, BoundedProtocol
from gateway.cli.connections import ConnectionLimits, connections_of
from gateway.cli.serve import _config
from gateway.cli.server import GracefulServer
from gateway.config.settings import Settings
from gateway.events import ConnectionCut, Event
from gateway.http.graphql_endpoint import GraphQLEndpoint
from gateway.http.request_parameters import JSON
from gateway.http.responses import send_body
from gateway.http.waiting_bytes import WaitingBytes
from gateway.request import Answer
from tests.support.manual_clock import until
from tests.support.sockets import PATIENCE

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
LARGE = 8_000_000
"""Bytes of an answer that no buffer of the kernel takes."""
GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer ``/large`` with much, ``/held`` never, all else with its path."""
    if scope["path"] == "/held":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    body = b"x" * LARGE if scope["path"] == "/large" else scope["path"].encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(
    *, workers: int = 1, **limits: Any
) -> AsyncIterator[tuple[int, Any, list[Event]]]:
    """Serve with some limits: the port, the connections, and what the log says."""
    events: list[Event] = []
    chosen = ConnectionLimits(observe=events.append, **limits)
    config = uvicorn.Config(
        app,
        http=partial(BoundedProtocol, limits=chosen),  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        proxy_headers=False,
        workers=workers,
    )
    server = GracefulServer(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serve = asyncio.ensure_future(server._serve(sockets=[listener]))
    await until(lambda: server.started)
    try:
        yield listener.getsockname()[1], connections_of(server.server_state, chosen), events
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait_for(serve, PATIENCE)


class Clients:
    """Connections, all closed in the end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.wires: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for wire in self.wires:
            wire[1].transport.abort()

    async def ask(self, path: bytes = b"/x", headers: bytes = b"") -> asyncio.StreamReader:
        wire = socket.socket()
        if path == b"/large":
            # Little of an answer that is not taken hides in the kernel.
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        wire.setblocking(False)
        await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=wire, limit=65_536)
        self.wires.append((reader, writer))
        writer.write(GET[:-2] % path + headers + b"\r\n")
        return reader

    async def hold(self, times: int, headers: bytes = b"") -> None:
        for _ in range(times):
            await self.ask(b"/held", headers)


async def head(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readuntil(b"\r\n"), PATIENCE)


async def test_client_that_reads_nothing_is_disconnected() -> None:
    async with serving(send_timeout=0.4) as (port, connections, events), Clients(port) as clients:
        for _ in range(10):
            await clients.ask(b"/large")
        await until(lambda: len(connections) == 10)
        await until(lambda: not len(connections))

        assert events == [ConnectionCut(reason="the response was not read in time")] * 10


async def test_slow_client_gets_the_whole_answer() -> None:
    async with serving(send_timeout=0.4) as (port, _, events), Clients(port) as clients:
        reader = await clients.ask(b"/large")
        size = 0
        while size < LARGE:
            taken = await asyncio.wait_for(reader.read(200_000), PATIENCE)
            assert taken
            size += len(taken)
            if size % 7 == 0:
                await asyncio.sleep(0.01)

        assert events == []


async def test_idle_connection_is_not_closed() -> None:
    async with serving(send_timeout=0.2) as (port, connections, events), Clients(port) as clients:
        await clients.hold(1)
        await asyncio.sleep(0.6)

        assert (len(connections), events) == (1, [])


@pytest.mark.parametrize("workers", [1, 2])
async def test_connections_that_wait_are_accepted_together_unless_other_workers_may(
    workers: int,
) -> None:
    async with serving(workers=workers) as (port, connections, _):
        wires = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        turns = 0
        while len(connections) < len(wires):
            await asyncio.sleep(0)
            turns += 1
            assert turns < 1_000
        for wire in wires:
            wire.close()

        # libuv accepts one connection in each turn of the event loop.
        takes_turns = workers > 1 and type(asyncio.get_running_loop()).__module__ == "uvloop"
        assert turns >= len(wires) if takes_turns else turns < 12


@pytest.mark.parametrize("limits", [{"total": 3}, {"per_peer": 3}], ids=["in all", "per peer"])
async def test_too_many_connections_are_refused_but_for_health(
    limits: dict[str, int],
) -> None:
    async with serving(**limits) as (port, connections, events), Clients(port) as clients:
        await clients.hold(3)
        await until(lambda: len(connections) == 3)

        reader = await clients.ask()
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1\r\n" in answer
        (error,) = json.loads(answer.partition(b"\r\n\r\n")[2])["errors"]
        assert error["extensions"]["code"] == "TOO_MANY_CONNECTIONS"
        healthy = await asyncio.wait_for((await clients.ask(b"/healthz")).read(), PATIENCE)
        assert healthy.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in healthy
        assert events == [ConnectionCut(reason="too many connections")]

        clients.wires[0][1].transport.abort()
        await until(lambda: len(connections) < 3)
        assert (await head(await clients.ask())).startswith(b"HTTP/1.1 200")


async def test_far_too_many_connections_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.connections.EXCESS", 1)
    async with serving(total=1) as (port, connections, _), Clients(port) as clients:
        await clients.hold(1)
        await until(lambda: len(connections) == 1)
        silent = await asyncio.open_connection("127.0.0.1", port)
        clients.wires.append(silent)
        await until(lambda: len(connections) == 2)
        refused, writer = await asyncio.open_connection("127.0.0.1", port)
        clients.wires.append((refused, writer))

        assert (await head(refused)).startswith(b"HTTP/1.1 503")


async def test_idle_connections_take_no_place_of_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.connections.EXCESS", 2)
    monkeypatch.setattr("gateway.cli.bounded_http.EXCESS_SECONDS", 0.05)
    async with serving(total=1) as (port, connections, _), Clients(port) as clients:
        await clients.hold(1)
        for _ in range(2):
            clients.wires.append(await asyncio.open_connection("127.0.0.1", port))
        await until(lambda: len(connections) == 3)

        # One that serves a request stays; those that send nothing are closed.
        await until(lambda: len(connections) == 1)
        health = await asyncio.wait_for((await clients.ask(b"/healthz")).read(), PATIENCE)
        assert health.startswith(b"HTTP/1.1 200")


async def test_proxy_connections_count_for_their_clients() -> None:
    limits: dict[str, Any] = {"per_peer": 2, "trusted_proxies": ("127.0.0.0/8",)}
    async with serving(**limits) as (port, connections, _), Clients(port) as clients:
        await clients.hold(2, b"X-Forwarded-For: 203.0.113.7\r\n")
        await clients.hold(2, b"X-Forwarded-For: 203.0.113.8\r\n")
        await until(lambda: len(connections) == 4)

        first = await clients.ask(headers=b"X-Forwarded-For: 203.0.113.7\r\n")
        assert (await head(first)).startswith(b"HTTP/1.1 503")
        other = await clients.ask(headers=b"X-Forwarded-For: 203.0.113.9\r\n")
        assert (await head(other)).startswith(b"HTTP/1.1 200")
        health = await clients.ask(b"/healthz", b"X-Forwarded-For: 203.0.113.7\r\n")
        assert (await head(health)).startswith(b"HTTP/1.1 200")


async def test_too_many_pipelined_requests_end_the_connection() -> None:
    async with serving() as (port, _, _), Clients(port) as clients:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        clients.wires.append((reader, writer))
        writer.write((GET % b"/x") * (MAX_PIPELINED + 10))
        answers = await asyncio.wait_for(reader.read(), PATIENCE)

        assert answers.count(b"HTTP/1.1 200") == MAX_PIPELINED + 1
        assert answers.count(b"HTTP/1.1") == MAX_PIPELINED + 1


@pytest.mark.parametrize(("given", "seconds"), [({}, 75.0), ({"keep_alive": 300}, 300.0)])
async def test_keep_alive_outlasts_load_balancers(given: dict[str, Any], seconds: float) -> None:
    assert _config(app, Settings(**given)).timeout_keep_alive == seconds


class Engine:
    """Answers with many bytes."""

    def __init__(self, size: int, *, changed: bool = False) -> None:
        self.answer = Answer({"x": "y" * size}, changed=changed)

    async def execute(self, request: object) -> Answer:
        return Answer(self.answer.data, changed=self.answer.changed)

    def changes_data(self, request: object) -> bool:
        return self.answer.changed

    def subscribes(self, request: object) -> bool:
        return False


async def asked(
    door: GraphQLEndpoint, engine: Engine, taken: asyncio.Event
) -> list[dict[str, Any]]:
    """Ask a door; a client takes an answer once ``taken`` is set."""
    sent: list[dict[str, Any]] = []
    body = json.dumps({"query": "{ x }"}).encode()

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and message.get("more_body"):
            await taken.wait()

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(b"content-type", JSON.encode())],
    }
    await door.answer(scope, receive, send, engine)
    return sent


def door_of(most: int) -> GraphQLEndpoint:
    return GraphQLEndpoint(
        max_body=1_000, page=None, observe=lambda _: None, waiting=WaitingBytes(most)
    )


async def test_answers_above_max_waiting_bytes_are_503() -> None:
    door, taken = door_of(2_500_000), asyncio.Event()
    waiting = [asyncio.ensure_future(asked(door, Engine(1_000_000), taken)) for _ in range(2)]
    await until(lambda: door.waiting.held > 2_000_000)

    refused = await asked(door, Engine(1_000_000), taken)
    assert refused[0]["status"] == 503
    assert json.loads(refused[1]["body"])["errors"][0]["extensions"]["code"] == "OVERLOADED"
    assert (await asked(door, Engine(1_000), taken))[0]["status"] == 200

    taken.set()
    for sent in await asyncio.gather(*waiting):
        assert sent[0]["status"] == 200
        body = b"".join(m.get("body", b"") for m in sent[1:])
        assert json.loads(body) == {"data": {"x": "y" * 1_000_000}}
        assert dict(sent[0]["headers"])[b"content-length"] == b"%d" % len(body)
    assert door.waiting.held == 0


async def test_answer_to_a_write_is_always_sent() -> None:
    door, taken = door_of(1_000_000), asyncio.Event()
    waiting = asyncio.ensure_future(asked(door, Engine(2_000_000, changed=True), taken))
    await until(lambda: door.waiting.held > 2_000_000)

    refused = await asked(door, Engine(10), taken)
    assert refused[0]["status"] == 503
    assert (b"retry-after", b"5") in refused[0]["headers"]

    taken.set()
    assert (await waiting)[0]["status"] == 200


@pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 524_288, 524_289])
async def test_every_byte_of_a_sliced_body_is_sent_once(size: int) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    body = bytes(range(256)) * (size // 256 + 1)
    await send_body(send, 200, body[:size], ())

    assert b"".join(m["body"] for m in sent[1:]) == body[:size]
    assert [m.get("more_body", False) for m in sent[1:]] == [*[True] * (len(sent) - 2), False]
