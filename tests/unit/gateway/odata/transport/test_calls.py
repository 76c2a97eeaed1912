"""``gateway.odata.transport`` over real sockets: what is sent, what is read, and by which names hosts are found."""

from __future__ import annotations

import asyncio
import gzip
import socket
from pathlib import Path

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.odata.client import ODataClient
from gateway.odata.lazy_request import LazyRequest, normalize_address
from gateway.odata.query import Request
from tests.support.sockets import PATIENCE, Connection, answering, closing, listening, ok
from tests.support.transport_client import ask, error

pytestmark = pytest.mark.anyio

# -- what is sent, what is read


async def test_address_headers_and_body_are_sent_unchanged(
    transport: httpx.AsyncBaseTransport,
) -> None:
    raw = "Sets(A='O%27%27N%2Feil')?$filter=A%20eq%20'b%2Bc'%20and%20B%20eq%20%C3%BC&$top=5"

    async with listening(answering(ok())) as server:
        await ask(
            transport,
            f"{server.url()}/{raw}#part",
            "POST",
            content=b'{"A": 1}',
            headers={"OData-Version": "4.0", "Authorization": "Bearer t", "Accept": "x/y"},
        )

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    sent = dict(header.lower().split(": ", 1) for header in headers)
    assert line == f"POST /data/{raw} HTTP/1.1"
    assert body == b'{"A": 1}'
    assert len(sent) == len(headers)
    assert sent == {
        "host": f"127.0.0.1:{server.port}",
        "odata-version": "4.0",
        "authorization": "bearer t",
        "accept": "x/y",
        "content-length": "8",
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("body", [None, b'{"A": 1}'])
async def test_lazy_and_initialized_requests_are_sent_alike(
    transport: httpx.AsyncBaseTransport, method: str, body: bytes | None
) -> None:
    given = {"Accept": "x/y", "If-Match": "*", "Content-Type": "application/json"}
    sent = []

    async with listening(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as server:
        for look in (False, True):
            address = normalize_address(f"{server.url()}/Sets(A='O%27')?$filter=A%20eq%20'%2B'")
            call = LazyRequest(method, address, given, body, {})
            call.set_header("Authorization", "Bearer t")
            assert not look or call.headers
            await (await transport.handle_async_request(call)).aclose()
            head, _, content = server.requests[-1].partition(b"\r\n\r\n")
            line, *headers = head.split(b"\r\n")
            sent.append((line, sorted(header.lower() for header in headers), content))

    assert sent[0] == sent[1]


async def test_status_reason_headers_and_body_come_back(
    transport: httpx.AsyncBaseTransport,
) -> None:
    answer = b"HTTP/1.1 429 Slow Down\r\nRetry-After: 3\r\nVia: a\r\nVia: b\r\nContent-Length: 2\r\n\r\n{}"

    async with listening(answering(answer)) as server:
        response = await ask(transport, server.url())

    assert (response.status_code, response.reason_phrase) == (429, "Slow Down")
    assert response.headers["retry-after"] == "3"
    assert response.headers.get_list("via") == ["a", "b"]
    assert response.content == b"{}"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n3;x=y\r\n   \r\n0\r\n\r\n",
            b"{}   ",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 9\r\n\r\n", b""),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok(b"[1]"), b"[1]"),
        (ok(b"", "X-Long: " + "x" * 20_000), b""),
    ],
    ids=["chunked", "204", "304", "early hints", "long header"],
)
async def test_any_framing_is_read_and_the_connection_reused(
    transport: httpx.AsyncBaseTransport, answer: bytes, body: bytes
) -> None:
    async with listening(answering(answer)) as server:
        bodies = [(await ask(transport, server.url())).content for _ in range(2)]

    assert bodies == [body, body]
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    "answer",
    [ok(b"{}", "Connection: close"), b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1.0 200 OK\r\n\r\n{}"],
    ids=["Connection: close", "to the end", "HTTP/1.0"],
)
async def test_a_connection_that_the_server_ends_is_not_reused(
    transport: httpx.AsyncBaseTransport, answer: bytes
) -> None:
    async with listening(closing(answer)) as server:
        bodies = [(await ask(transport, server.url())).content for _ in range(2)]

    assert bodies == [b"{}", b"{}"]
    assert len(server.connections) == 2


async def test_a_half_closed_connection_is_read_to_the_end(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async def half(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\n{")
        await connection.say(b"}")
        connection.writer.write_eof()
        await connection.until_closed()

    async with listening(half) as server:
        response = await ask(transport, server.url())
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)

    assert response.content == b"{}"


async def test_gzip_is_decoded_and_other_codings_not_offered() -> None:
    packed = gzip.compress(b'{"value":[]}')

    async with (
        listening(answering(ok(packed, "Content-Encoding: gzip"))) as server,
        ODataClient(Settings(url=server.url()), observe=lambda _: None) as client,
    ):
        response = await client.send(Request("GET", "Sets", {}))

    assert response.body == b'{"value":[]}'
    (asked,) = [x for x in server.requests[0].split(b"\r\n") if x.startswith(b"Accept-Encoding")]
    wanted = {name.strip() for name in asked.decode().partition(":")[2].split(",")}
    assert wanted <= set(httpx._decoders.SUPPORTED_DECODERS)
    assert "gzip" in wanted


async def test_broken_gzip_is_a_decoding_error(transport: httpx.AsyncBaseTransport) -> None:
    async with listening(answering(ok(b"no gzip", "Content-Encoding: gzip"))) as server:
        assert await error(transport, server.url()) is httpx.DecodingError


async def test_cookies_redirects_and_netrc_are_ignored(
    transport: httpx.AsyncBaseTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    away = (
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: ARR=web1; path=/\r\n"
        b"Content-Length: 0\r\n\r\n"
    )

    async with listening(answering(away)) as server:
        statuses = [(await ask(transport, server.url())).status_code for _ in range(2)]

    assert statuses == [302, 302]
    assert all(b"/elsewhere" not in request for request in server.requests)
    assert all(b"cookie" not in request.lower() for request in server.requests)
    assert all(b"authorization" not in request.lower() for request in server.requests)


async def test_a_line_break_in_a_header_is_not_sent(transport: httpx.AsyncBaseTransport) -> None:
    async with listening(answering(ok())) as server:
        with pytest.raises(httpx.LocalProtocolError):
            await ask(transport, server.url(), headers={"X": "a\r\nY: b"})

    assert server.requests == []


async def test_other_schemes_than_http_are_unsupported(
    transport: httpx.AsyncBaseTransport,
) -> None:
    assert await error(transport, "ftp://127.0.0.1/x") is httpx.UnsupportedProtocol


# -- hosts


async def test_a_host_name_is_resolved(transport: httpx.AsyncBaseTransport) -> None:
    async with listening(answering(ok())) as server:
        response = await ask(transport, server.url("localhost"))

    assert response.status_code == 200
    assert f"Host: localhost:{server.port}".encode() in server.requests[0]


async def test_an_unknown_host_is_a_connect_error(
    transport: httpx.AsyncBaseTransport,
) -> None:
    assert await error(transport, "http://no-such-host.invalid/data") is httpx.ConnectError


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_ipv6_addresses_are_used(transport: httpx.AsyncBaseTransport) -> None:
    try:
        async with listening(answering(ok()), host="::1") as server:
            response = await ask(transport, server.url("[::1]"))
    except OSError:
        pytest.skip("no IPv6 loopback here")

    assert response.status_code == 200
    assert f"Host: [::1]:{server.port}".encode() in server.requests[0]


async def test_a_closed_port_is_a_connect_error(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async with listening(answering(ok())) as server:
        url = server.url()

    assert await error(transport, url) is httpx.ConnectError
