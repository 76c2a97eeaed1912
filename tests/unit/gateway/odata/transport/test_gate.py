"""The one gate for errors of the network, and the sandbox over a socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import aiohttp
import httpx
import pytest
import trustme
import uvicorn

from gateway.config.settings import Settings
from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.events import Event, RequestSent
from gateway.odata.aiohttp_errors import RAISED, translate_error
from gateway.odata.client import ODataClient
from gateway.odata.query import Request
from gateway.odata.transport_errors import FAULTS
from gateway.runtime.assembly import open_client
from gateway.sandbox import create_sandbox
from tests.support.sockets import PATIENCE, Connection, answering, listening, ok
from tests.support.transport_client import identity

pytestmark = pytest.mark.anyio


def kinds(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.startswith("aiohttp"):
            yield from kinds(below)


def test_every_error_of_aiohttp_is_translated() -> None:
    """Built without its constructor: some want a request and a response."""
    for kind in kinds(aiohttp.ClientError):
        became = type(translate_error(kind.__new__(kind))) if not _is_described(kind) else None
        nearest = next(RAISED[base] for base in kind.__mro__ if base in RAISED)
        assert nearest in FAULTS, kind
        assert became in {None, nearest}


def _is_described(kind: type[Exception]) -> bool:
    """Return whether its text is made of what the constructor was given."""
    return kind.__str__ not in {Exception.__str__, OSError.__str__, BaseException.__str__}


def test_translated_errors_are_in_the_table_of_faults() -> None:
    assert set(RAISED.values()) <= set(FAULTS)
    assert type(translate_error(OSError("x"))) is httpx.ReadError
    assert type(translate_error(TimeoutError())) is httpx.WriteTimeout
    assert str(translate_error(TimeoutError())) == "TimeoutError"


async def test_retries_follow_the_translated_errors() -> None:
    """Broken twice for each attempt: aiohttp asks once more by itself."""
    events: list[Event] = []

    async def breaks(connection: Connection) -> None:
        if await connection.request() and len(server.requests) > 2:
            await connection.say(ok(b'{"value":[]}'))

    settings = {"retry_wait_max": 0, "retries": 1}
    async with listening(breaks) as server:
        made = Settings.model_validate({"url": server.url(), **settings})
        async with ODataClient(made, observe=events.append) as client:
            response = await client.send(Request("GET", "Sets", {}))

    assert response.status == 200
    assert [event.status for event in events if isinstance(event, RequestSent)] == [0, 200]


async def test_a_refused_certificate_has_a_hint(authority: trustme.CA) -> None:
    async with listening(answering(ok()), tls=identity(authority, "127.0.0.1")) as server:
        made = Settings(url=server.url(scheme="https"), auth="none", retries=0)
        async with ODataClient(made, observe=lambda _: None) as client:
            with pytest.raises(UpstreamUnavailable, match="cannot be reached") as caught:
                await client.send(Request("GET", "Sets", {}))

    assert "certificate" in str(caught.value.hint)
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value.detail)


# -- the sandbox over a socket


async def test_the_sandbox_answers_over_a_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(create_sandbox(), log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server._serve(sockets=[listener]))
        root = f"http://127.0.0.1:{listener.getsockname()[1]}/data"
        try:
            async with open_client(
                Settings(url=root, concurrency=4), observe=lambda _: None
            ) as client:
                answers = await asyncio.gather(
                    *(client.send(Request("GET", f"Currencies?$top={n}", {})) for n in range(1, 9))
                )
                with pytest.raises(GatewayError):
                    await client.send(Request("GET", "NoSuchSet", {}))
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, PATIENCE)

    assert [answer.status for answer in answers] == [200] * 8
    assert all(b"CurrencyCode" in answer.body for answer in answers)
