"""Calls through the proxies that the environment names."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress

import httpx
import pytest
import trustme

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.odata.transport import make_transport
from tests.support.sockets import Connection, answering, closing, listening, ok
from tests.support.transport_client import ask, error, identity

pytestmark = pytest.mark.anyio


async def tunnel(connection: Connection) -> None:
    """A proxy that does CONNECT, to wherever it is told."""
    request = await connection.request()
    host, _, port = request.split(b" ", 2)[1].decode().rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    await connection.say(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()

    back = asyncio.ensure_future(copy(reader, connection.writer))
    try:
        await copy(connection.reader, writer)
    finally:
        back.cancel()
        writer.close()


async def through(monkeypatch: pytest.MonkeyPatch, **variables: str) -> httpx.AsyncBaseTransport:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return make_transport(Settings(concurrency=2))


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_proxy_gets_the_whole_address(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    async with listening(answering(ok())) as proxy:
        address = f"http://me:p%40w@127.0.0.1:{proxy.port}"
        transport = await through(monkeypatch, **{variable: address})
        response = await ask(transport, "http://fo.example/data/Sets?$top=5")
        await transport.aclose()

    assert response.status_code == 200
    assert proxy.requests[0].startswith(b"GET http://fo.example/data/Sets?$top=5 HTTP/1.1\r\n")
    wanted = b"Proxy-Authorization: Basic " + base64.b64encode(b"me:p@w")
    assert wanted in proxy.requests[0]


@pytest.mark.usefixtures("trusted")
async def test_https_uses_a_tunnel_that_stays_open(
    monkeypatch: pytest.MonkeyPatch, authority: trustme.CA
) -> None:
    async with (
        listening(answering(ok(b"[1]")), tls=identity(authority, "localhost")) as server,
        listening(tunnel) as proxy,
    ):
        transport = await through(
            monkeypatch, HTTPS_PROXY=f"me:pw@127.0.0.1:{proxy.port}", HTTP_PROXY="http://[::1]:1"
        )
        url = server.url("localhost", "https")
        bodies = [
            (await ask(transport, url, headers={"Authorization": "Bearer t"})).content
            for _ in range(2)
        ]
        await transport.aclose()

    assert bodies == [b"[1]", b"[1]"]
    (asked,) = proxy.requests
    assert asked.startswith(f"CONNECT localhost:{server.port} HTTP/1.1\r\n".encode())
    assert b"Bearer" not in asked
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me:pw") in asked
    assert all(b"Proxy-Authorization" not in request for request in server.requests)


async def test_no_proxy_names_hosts_reached_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(answering(ok())) as proxy, listening(answering(ok())) as server:
        transport = await through(
            monkeypatch,
            HTTP_PROXY=f"http://127.0.0.1:{proxy.port}",
            NO_PROXY="127.0.0.1,.inner.example",
        )
        await ask(transport, server.url())
        await ask(transport, "http://a.inner.example.org/x")
        await transport.aclose()

    assert len(server.requests) == 1
    assert len(proxy.requests) == 1


async def test_a_proxy_that_refuses_the_tunnel_is_a_proxy_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"

    async with listening(closing(refused)) as proxy:
        transport = await through(monkeypatch, HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}")
        assert await error(transport, "https://fo.example/data") is httpx.ProxyError
        await transport.aclose()


async def test_an_absent_proxy_is_a_proxy_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(answering(ok())) as proxy:
        pass
    transport = await through(monkeypatch, HTTP_PROXY=f"http://127.0.0.1:{proxy.port}")

    assert await error(transport, "http://fo.example/data") is httpx.ProxyError
    await transport.aclose()


def test_a_proxy_of_another_kind_prevents_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:pw@127.0.0.1:1080")

    with pytest.raises(SettingsError, match="a socks5 proxy") as caught:
        make_transport(Settings())

    assert "pw" not in str(caught.value)
