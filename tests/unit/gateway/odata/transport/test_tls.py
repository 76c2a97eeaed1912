"""Whose certificates are accepted."""

from __future__ import annotations

import ssl

import httpx
import pytest
import trustme

from tests.support.sockets import Connection, answering, closing, listening, ok
from tests.support.transport_client import ask, error, identity

pytestmark = pytest.mark.anyio


@pytest.mark.usefixtures("trusted")
async def test_authorities_of_ssl_cert_file_are_accepted(
    transport: httpx.AsyncBaseTransport, authority: trustme.CA
) -> None:
    async with listening(
        answering(ok(b"x" * 300_000)), tls=identity(authority, "localhost", "127.0.0.1")
    ) as server:
        for host in ("localhost", "127.0.0.1"):
            for _ in range(2):
                response = await ask(transport, server.url(host, "https"))
                assert len(response.content) == 300_000
        await transport.aclose()

    assert len(server.connections) == 2


@pytest.mark.usefixtures("trusted")
async def test_authorities_are_read_once_and_only_for_https(
    transport: httpx.AsyncBaseTransport,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[ssl.SSLContext] = []
    make = httpx.create_ssl_context

    def counted() -> ssl.SSLContext:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", counted)

    async with listening(answering(ok())) as server:
        await ask(transport, server.url())
    assert made == []

    async with listening(closing(ok()), tls=identity(authority, "localhost")) as server:
        for _ in range(2):
            await ask(transport, server.url("localhost", "https"))
    assert len(made) == 1


async def test_a_certificate_of_an_unknown_authority_is_refused(
    transport: httpx.AsyncBaseTransport, authority: trustme.CA
) -> None:
    async with listening(answering(ok()), tls=identity(authority, "127.0.0.1")) as server:
        assert await error(transport, server.url(scheme="https")) is httpx.ConnectError

    assert server.requests == []


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_of_another_host_is_refused(
    transport: httpx.AsyncBaseTransport, authority: trustme.CA
) -> None:
    async with listening(answering(ok()), tls=identity(authority, "other.example")) as server:
        assert await error(transport, server.url(scheme="https")) is httpx.ConnectError

    assert server.requests == []


async def test_a_server_without_tls_is_a_connect_error(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async def plain(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await connection.until_closed()

    async with listening(plain) as server:
        assert await error(transport, server.url(scheme="https")) is httpx.ConnectError
