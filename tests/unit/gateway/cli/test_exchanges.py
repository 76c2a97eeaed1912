"""Requests of one connection in this process: one message answers as ASGI's two do, and nothing else changes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import ref

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.cli.bounded_http import BoundedProtocol
from gateway.cli.uvicorn_parts import ServerState
from gateway.http.client_watch import ClientWatch
from gateway.http.exchange import WHOLE, Head, exchange_of, head_of
from gateway.http.request_parameters import headers_of
from tests.support.manual_clock import until

pytestmark = pytest.mark.anyio
App = Callable[[Scope, Receive, Send], Awaitable[None]]
POST = b"POST /a%20b?c HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
FIELDS = [(b"content-type", b"text/plain"), (b"X-Own", b"1"), (b"content-length", b"4")]


class Wire(asyncio.Transport):
    """What a connection sends."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.sent = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def taken_body(scope: Scope) -> bytes | None:
    exchange = exchange_of(scope)
    assert exchange is not None
    return exchange.take_body()


def connected(app: App, keep_alive: float = 5.0) -> tuple[BoundedProtocol, Wire]:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    config.timeout_keep_alive = keep_alive  # type: ignore[assignment] # float seconds work
    config.load()
    config.loaded_app = app
    state = ServerState()
    state.default_headers = [(b"date", b"today")]
    protocol, wire = BoundedProtocol(config=config, server_state=state, app_state={}), Wire()
    protocol.connection_made(wire)
    return protocol, wire


def answering(*, whole: bool, status: int, fields: list[tuple[bytes, bytes]]) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        start = {"type": "http.response.start", "status": status, "headers": fields}
        if whole:
            assert exchange_of(scope) is not None
            await send({**start, WHOLE: b"text"})
        else:
            await send(start)
            await send({"type": "http.response.body", "body": b"text"})

    return app


async def sent(request: bytes, *, whole: bool, status: int, fields: Any) -> tuple[bytes, bool]:
    protocol, wire = connected(answering(whole=whole, status=status, fields=fields))
    protocol.data_received(request)
    await until(lambda: not protocol.tasks)
    protocol.connection_lost(None)
    return wire.sent, wire.closed


@pytest.mark.parametrize(
    ("request_bytes", "status", "fields"),
    [
        (POST, 200, FIELDS),
        (POST, 503, FIELDS),
        (POST * 3, 200, FIELDS),
        (POST.replace(b"POST", b"HEAD"), 200, FIELDS),
        (POST.replace(b"Host", b"Connection: close\r\nHost"), 200, FIELDS),
        (POST, 200, [*FIELDS, (b"connection", b"close")]),
        (POST, 200, FIELDS[:2]),
        (POST, 200, [*FIELDS, (b"x", b"a\r\nb: c")]),
        (POST, 200, [*FIELDS, (b"x y", b"a")]),
    ],
    ids=[
        "200",
        "503",
        "pipelined",
        "head",
        "last",
        "closing",
        "no length",
        "bad value",
        "bad name",
    ],
)
async def test_one_message_sends_the_bytes_of_two(
    request_bytes: bytes, status: int, fields: Any
) -> None:
    by_parts = await sent(request_bytes, whole=False, status=status, fields=fields)
    whole = await sent(request_bytes, whole=True, status=status, fields=fields)

    assert whole == by_parts
    assert whole != (b"", False)


async def test_each_request_has_its_own_target_and_body() -> None:
    seen: list[tuple[object, ...]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = taken_body(scope)
        seen.append((scope["path"], scope["raw_path"], scope["query_string"], body))
        await send(
            {"type": "http.response.start", "status": 200, "headers": FIELDS, WHOLE: b"text"}
        )

    protocol, wire = connected(app)
    other = POST.replace(b"/a%20b?c", b"/d").replace(b"body", b"next")
    for number, request in enumerate((POST, POST, other, POST), 1):
        protocol.data_received(request)
        await until(lambda n=number: wire.sent.count(b"text/plain") == n)  # type: ignore[misc]

    first = ("/a b", b"/a%20b", b"c", b"body")
    assert seen == [first, first, ("/d", b"/d", b"", b"next"), first]


async def answered(protocol: BoundedProtocol, request: bytes) -> None:
    protocol.data_received(request)
    await until(lambda: not protocol.tasks)


async def test_what_has_ended_is_freed_without_the_garbage_collector() -> None:
    """Its pauses are the longest that clients see."""
    protocol, wire = connected(answering(whole=True, status=200, fields=FIELDS))
    gc.disable()
    try:
        await answered(protocol, POST)
        exchange, connection = ref(protocol.cycle), ref(protocol)
        await answered(protocol, POST)
        assert exchange() is None

        protocol.connection_lost(None)
        del protocol
        await asyncio.sleep(0)
        assert connection() is None
    finally:
        gc.enable()
    assert wire.sent.count(b"text/plain") == 2


async def test_a_head_is_read_once_while_it_comes_again() -> None:
    seen: list[Head] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(head_of(scope))
        assert headers_of(scope) is seen[-1].fields
        await send(
            {"type": "http.response.start", "status": 200, "headers": FIELDS, WHOLE: b"text"}
        )

    protocol, wire = connected(app)
    other = POST.replace(b"Host: x", b"Host: x\r\nAuthorization: b\r\nX-Request-Id: 7\r\nHost: y")
    for number, request in enumerate((POST, POST, other, POST), 1):
        protocol.data_received(request)
        await until(lambda n=number: wire.sent.count(b"text/plain") == n)  # type: ignore[misc]

    first, again, changed, last = seen
    assert first is again
    assert first.fields == last.fields == {"host": "x", "content-length": "4"}
    assert (changed.fields["authorization"], changed.request_id) == ("b", "7")
    assert (changed.fields["host"], changed.hosts) == ("x, y", [b"x", b"y"])


async def test_header_fields_that_were_replaced_are_read_anew() -> None:
    scope: Scope = {"headers": [(b"a", b"1")]}
    assert headers_of(scope) == {"a": "1"}

    scope["headers"] = [(b"a", b"2"), (b"a", b"3")]

    assert headers_of(scope) == {"a": "2, 3"}


async def test_a_body_that_still_arrives_is_not_taken() -> None:
    taken: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        taken.append(taken_body(scope))
        taken.append((await receive())["body"])
        await send(
            {"type": "http.response.start", "status": 200, "headers": FIELDS, WHOLE: b"text"}
        )

    protocol, wire = connected(app)
    protocol.data_received(POST[:-2])
    await until(lambda: bool(taken))
    protocol.data_received(POST[-2:])
    await until(lambda: wire.sent.endswith(b"text"))

    assert taken[0] is None


@pytest.mark.parametrize("must_end", [False, True], ids=["a read", "a write"])
async def test_a_client_that_leaves_ends_its_read_at_once(must_end: bool) -> None:
    ends: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        taken_body(scope)
        watch = ClientWatch(scope, receive, lambda: must_end)
        try:
            await asyncio.sleep(0.02)
            ends.append("done")
        except asyncio.CancelledError:
            ends.append("cancelled")
        finally:
            watch.stop()

    protocol, _ = connected(app)
    protocol.data_received(POST)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    await until(lambda: bool(ends))

    assert ends == ["done" if must_end else "cancelled"]


async def test_only_idle_connections_are_closed() -> None:
    going_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await going_on.wait()
        await send(
            {"type": "http.response.start", "status": 200, "headers": FIELDS, WHOLE: b"text"}
        )

    protocol, wire = connected(app, keep_alive=60)
    for number in (1, 2):
        going_on.clear()
        protocol.data_received(POST)
        protocol.timeout_keep_alive_handler()  # while the request runs
        assert protocol.timeout_keep_alive_task is None
        going_on.set()
        await until(lambda n=number: wire.sent.count(b"HTTP/1.1 200") == n)  # type: ignore[misc]
        protocol.timeout_keep_alive_handler()  # too early: it goes on for the rest
        assert protocol.timeout_keep_alive_task is not None
        assert not wire.closed

    protocol.timeout_keep_alive = 0
    protocol.timeout_keep_alive_handler()
    assert wire.closed
