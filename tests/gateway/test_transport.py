"""``gateway.odata.transport`` over real sockets: what a network can do to a call, and what httpx's errors say of it."""

from __future__ import annotations

import asyncio
import base64
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import httpx
import pytest
import trustme
import uvicorn

from gateway.assemble import open_client
from gateway.errors import GatewayError, SettingsError, UpstreamMalformed, UpstreamUnavailable
from gateway.events import Event, RequestSent
from gateway.odata.call import Call, as_sent
from gateway.odata.client import FAULTS, ODataClient
from gateway.odata.query import Request
from gateway.odata.retry import Failure
from gateway.odata.transport import RAISED, make_transport, translated
from gateway.sandbox import create_sandbox
from gateway.settings import Settings
from tests.support.sockets import PATIENCE, Connection, answering, closing, listening, ok

pytestmark = pytest.mark.anyio
TINY = 0.05


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@pytest.fixture
async def transport() -> AsyncIterator[httpx.AsyncBaseTransport]:
    made = make_transport(Settings(concurrency=2))
    yield made
    await made.aclose()


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
    """Send once, and read the whole body."""
    timeout = httpx.Timeout(read, connect=connect, pool=None).as_dict()
    request = httpx.Request(
        method, url, headers=headers, content=content, extensions={"timeout": timeout}
    )
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
    """Give the class of what is raised."""
    with pytest.raises(httpx.RequestError) as caught:
        await ask(transport, url, method, content=content, connect=connect, read=read)
    return caught.type


# -- what is sent, what is read


async def test_address_headers_and_body_go_out_as_they_were_given(
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
async def test_a_call_that_nobody_looked_at_goes_out_like_one_that_was(
    transport: httpx.AsyncBaseTransport, method: str, body: bytes | None
) -> None:
    given = {"Accept": "x/y", "If-Match": "*", "Content-Type": "application/json"}
    sent = []

    async with listening(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as server:
        for look in (False, True):
            address = as_sent(f"{server.url()}/Sets(A='O%27')?$filter=A%20eq%20'%2B'")
            call = Call(method, address, given, body, {})
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
async def test_a_body_of_any_framing_is_read_and_its_connection_used_again(
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
async def test_a_connection_that_the_server_ends_is_not_used_again(
    transport: httpx.AsyncBaseTransport, answer: bytes
) -> None:
    async with listening(closing(answer)) as server:
        bodies = [(await ask(transport, server.url())).content for _ in range(2)]

    assert bodies == [b"{}", b"{}"]
    assert len(server.connections) == 2


async def test_a_server_that_closes_its_half_is_answered_to_the_end(
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


async def test_gzip_is_decoded_by_httpx_and_what_it_cannot_decode_is_not_asked_for() -> None:
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


async def test_cookies_are_not_kept_redirects_not_followed_and_netrc_not_read(
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


async def test_an_address_that_is_not_of_the_web_is_unsupported(
    transport: httpx.AsyncBaseTransport,
) -> None:
    assert await error(transport, "ftp://127.0.0.1/x") is httpx.UnsupportedProtocol


# -- hosts


async def test_a_name_is_looked_up(transport: httpx.AsyncBaseTransport) -> None:
    async with listening(answering(ok())) as server:
        response = await ask(transport, server.url("localhost"))

    assert response.status_code == 200
    assert f"Host: localhost:{server.port}".encode() in server.requests[0]


async def test_a_name_that_does_not_exist_is_a_connect_error(
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


async def test_a_port_where_nobody_listens_is_a_connect_error(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async with listening(answering(ok())) as server:
        url = server.url()

    assert await error(transport, url) is httpx.ConnectError


# -- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the authority known, as an operator does."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def identity(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_of_an_authority_that_ssl_cert_file_names_is_accepted(
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
async def test_authorities_are_read_once_and_only_where_they_count(
    transport: httpx.AsyncBaseTransport,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[ssl.SSLContext] = []
    make = httpx.create_ssl_context
    monkeypatch.setattr(httpx, "create_ssl_context", lambda: made.append(make()) or made[-1])

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


# -- proxies


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
async def test_a_proxy_of_the_environment_is_asked_for_the_whole_address(
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
async def test_https_goes_through_a_tunnel_that_is_kept(
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


async def test_no_proxy_names_hosts_that_are_asked_directly(
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


async def test_a_proxy_that_is_not_there_is_a_proxy_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(answering(ok())) as proxy:
        pass
    transport = await through(monkeypatch, HTTP_PROXY=f"http://127.0.0.1:{proxy.port}")

    assert await error(transport, "http://fo.example/data") is httpx.ProxyError
    await transport.aclose()


def test_a_proxy_of_another_kind_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:pw@127.0.0.1:1080")

    with pytest.raises(SettingsError, match="a socks5 proxy") as caught:
        make_transport(Settings())

    assert "pw" not in str(caught.value)


# -- timeouts


async def hang(connection: Connection) -> None:
    await connection.until_closed()


async def test_a_server_that_does_not_shake_hands_is_a_connect_timeout(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async with listening(hang) as server:
        assert await error(transport, server.url(scheme="https"), connect=TINY) is (
            httpx.ConnectTimeout
        )
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", ok(b"xy")[:-1]])
async def test_a_server_that_stops_talking_is_a_read_timeout(
    transport: httpx.AsyncBaseTransport, said: bytes
) -> None:
    async def stop(connection: Connection) -> None:
        await connection.request()
        await connection.say(said)
        await connection.until_closed()

    async with listening(stop) as server:
        assert await error(transport, server.url(), read=TINY) is httpx.ReadTimeout
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)


async def test_the_read_timeout_is_between_two_pieces_and_not_for_the_whole(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async def slowly(connection: Connection) -> None:
        await connection.request()
        await connection.say(ok(b"x" * 10)[:-10])
        for _ in range(10):
            await asyncio.sleep(TINY)
            await connection.say(b"x")
        await connection.until_closed()

    async with listening(slowly) as server:
        response = await ask(transport, server.url(), read=8 * TINY)

    assert response.content == b"x" * 10


async def test_a_long_body_arrives_whole(transport: httpx.AsyncBaseTransport) -> None:
    body = b"x" * 3_000_000
    async with listening(answering(ok())) as server:
        await ask(transport, server.url(), "POST", content=body)

    assert server.requests[0].endswith(b"\r\n\r\n" + body)


async def test_a_server_that_does_not_take_the_request_is_a_timeout(
    transport: httpx.AsyncBaseTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = asyncio.Event()

    async def deaf(connection: Connection) -> None:
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined] # asyncio's own
        await gone.wait()

    async with listening(deaf) as server:
        body = b"x" * 20_000_000
        monkeypatch.setattr("gateway.odata.transport.SLOWEST_UPLOAD", 1e9)
        call = error(transport, server.url(), "POST", content=body, connect=TINY, read=TINY)
        failed = await asyncio.wait_for(call, PATIENCE)
        gone.set()

    assert failed is httpx.WriteTimeout
    assert FAULTS[failed].failure is Failure.SLOW


# -- connections that go away


async def once(connection: Connection) -> None:
    """Answer one request of each connection, read a second one, and close instead of answering."""
    if await connection.request():
        await connection.say(ok(b""))
        await connection.request()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_read_over_a_stale_connection_goes_over_a_new_one(
    transport: httpx.AsyncBaseTransport, method: str
) -> None:
    async with listening(once) as server:
        await ask(transport, server.url())
        response = await ask(transport, server.url(), method)

    assert response.status_code == 200
    assert (len(server.connections), len(server.requests)) == (2, 3)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_a_write_over_a_stale_connection_is_sent_once(
    transport: httpx.AsyncBaseTransport, method: str
) -> None:
    async with listening(once) as server:
        await ask(transport, server.url())
        failed = await error(transport, server.url(), method, content=b"{}")

    assert FAULTS[failed].failure is Failure.TRANSIENT
    assert (len(server.connections), len(server.requests)) == (1, 2)


async def test_a_connection_that_was_closed_while_idle_is_not_used(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async with listening(closing(ok())) as server:
        await ask(transport, server.url())
        await asyncio.wait_for(server.connections[0].writer.wait_closed(), PATIENCE)
        await asyncio.sleep(TINY)
        response = await ask(transport, server.url(), "POST", content=b"{}")

    assert response.status_code == 200
    assert len(server.connections) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a length\r\n{\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"220 mail ready\r\n",
        b"",
    ],
    ids=[
        "length",
        "in a chunk",
        "chunks",
        "chunk size",
        "head",
        "bad length",
        "no HTTP",
        "nothing",
    ],
)
async def test_an_answer_that_breaks_off_or_is_not_http_is_a_protocol_error(
    transport: httpx.AsyncBaseTransport, answer: bytes
) -> None:
    async with listening(closing(answer)) as server:
        assert await error(transport, server.url()) is httpx.RemoteProtocolError


async def test_a_reset_connection_is_transient(transport: httpx.AsyncBaseTransport) -> None:
    async def reset(connection: Connection) -> None:
        await connection.request()
        connection.writer.transport.abort()

    async with listening(reset) as server:
        assert FAULTS[await error(transport, server.url())].failure is Failure.TRANSIENT


# -- cancelling, bounds, closing


@pytest.mark.parametrize("said", [b"", ok(b"xy")[:-1]], ids=["before the answer", "in the body"])
async def test_a_cancelled_call_closes_its_connection_and_frees_its_place(said: bytes) -> None:
    asked = asyncio.Event()

    async def first_hangs(connection: Connection) -> None:
        await connection.request()
        if len(server.connections) > 1:
            await connection.say(ok())
        else:
            await connection.say(said)
            asked.set()
        await connection.until_closed()

    transport = make_transport(Settings(concurrency=1))
    async with listening(first_hangs) as server:
        call = asyncio.ensure_future(ask(transport, server.url()))
        await asyncio.wait_for(asked.wait(), PATIENCE)
        await asyncio.sleep(TINY)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)
        response = await asyncio.wait_for(ask(transport, server.url()), PATIENCE)
        await transport.aclose()

    assert response.status_code == 200


async def test_a_call_that_is_cancelled_while_connecting_leaves_nothing_open() -> None:
    transport = make_transport(Settings(concurrency=1))
    async with listening(hang) as server:
        call = asyncio.ensure_future(ask(transport, server.url(scheme="https")))
        await asyncio.wait_for(server.accepted.wait(), PATIENCE)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)
        await transport.aclose()


async def test_no_more_connections_are_opened_than_the_settings_allow() -> None:
    transport = make_transport(Settings(concurrency=3))
    async with listening(answering(ok())) as server:
        await asyncio.gather(*(ask(transport, server.url()) for _ in range(20)))
        await transport.aclose()

    assert len(server.requests) == 20
    assert len(server.connections) <= 3


async def test_a_large_answer_comes_in_pieces(transport: httpx.AsyncBaseTransport) -> None:
    size = 20_000_000
    async with listening(answering(ok(b"x" * size))) as server:
        timeout = httpx.Timeout(PATIENCE).as_dict()
        request = httpx.Request("GET", server.url(), extensions={"timeout": timeout})
        response = await transport.handle_async_request(request)
        sizes = [len(piece) async for piece in response.aiter_raw()]
        await response.aclose()

    assert sum(sizes) == size
    assert max(sizes) < 2_000_000


async def test_an_answer_over_the_bound_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless(connection: Connection) -> None:
        nonlocal sent
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while not connection.writer.is_closing():
            await connection.say(b" " * 100_000)
            sent += 100_000

    async with (
        listening(endless) as server,
        ODataClient(
            Settings(url=server.url(), max_upstream_bytes=1_000_000), observe=lambda _: None
        ) as client,
    ):
        with pytest.raises(UpstreamMalformed, match="larger than 1,000,000 bytes"):
            await asyncio.wait_for(client.send(Request("GET", "Sets", {})), PATIENCE)
        assert not client._transport._session.connector._acquired  # type: ignore[attr-defined]

    assert sent < 50_000_000


async def test_closing_closes_idle_connections_and_the_next_call_opens_new_ones(
    transport: httpx.AsyncBaseTransport,
) -> None:
    async with listening(answering(ok())) as server:
        await ask(transport, server.url())
        await transport.aclose()
        await asyncio.wait_for(server.connections[0].ended.wait(), PATIENCE)
        await ask(transport, server.url())
        await transport.aclose()

    assert len(server.connections) == 2


# -- the one gate


def kinds(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.startswith("aiohttp"):
            yield from kinds(below)


def test_every_error_of_aiohttp_ends_at_the_gate() -> None:
    """Built without its constructor: some want a request and a response."""
    for kind in kinds(aiohttp.ClientError):
        became = type(translated(kind.__new__(kind))) if not _is_described(kind) else None
        nearest = next(RAISED[base] for base in kind.__mro__ if base in RAISED)
        assert nearest in FAULTS, kind
        assert became in {None, nearest}


def _is_described(kind: type[Exception]) -> bool:
    """Whether its text is made of what the constructor was given."""
    return kind.__str__ not in {Exception.__str__, OSError.__str__, BaseException.__str__}


def test_what_is_translated_to_is_in_the_table_of_faults() -> None:
    assert set(RAISED.values()) <= set(FAULTS)
    assert type(translated(OSError("x"))) is httpx.ReadError
    assert type(translated(TimeoutError())) is httpx.WriteTimeout
    assert str(translated(TimeoutError())) == "TimeoutError"


async def test_the_clients_own_retries_stand_on_the_translated_errors() -> None:
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
