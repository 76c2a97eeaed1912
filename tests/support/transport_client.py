"""Calls over a transport of httpx, as a client sends them."""

from __future__ import annotations

import ssl

import httpx
import pytest
import trustme

from gateway.odata.lazy_request import LazyRequest
from tests.support.sockets import PATIENCE, Connection

TINY = 0.05
"""Seconds that are soon over."""


async def ask(
    transport: httpx.AsyncBaseTransport,
    url: str,
    method: str = "GET",
    *,
    content: bytes | None = None,
    headers: dict[str, str] | None = None,
    connect: float = PATIENCE,
    read: float = PATIENCE,
) -> httpx.Response:
    """Send once, and read the whole body; reads are sent as the gateway's are."""
    timeout = httpx.Timeout(read, connect=connect, pool=None).as_dict()
    request = httpx.Request(
        method, url, headers=headers, content=content, extensions={"timeout": timeout}
    )
    if method == "GET" and content is None and "@" not in url:
        request = LazyRequest("GET", str(request.url), headers or {}, None, timeout)
    response = await transport.handle_async_request(request)
    try:
        await response.aread()
    finally:
        await response.aclose()
    return response


async def error(
    transport: httpx.AsyncBaseTransport,
    url: str,
    method: str = "GET",
    *,
    content: bytes | None = None,
    connect: float = PATIENCE,
    read: float = PATIENCE,
) -> type[Exception]:
    """Return the class of what is raised."""
    with pytest.raises(httpx.RequestError) as caught:
        await ask(transport, url, method, content=content, connect=connect, read=read)
    return caught.type


def identity(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return a server the certificate of these hosts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def hang(connection: Connection) -> None:
    """Take the connection and never answer."""
    await connection.until_closed()
