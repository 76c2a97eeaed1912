"""``gateway.odata.client``: what is sent, what is retried, and what each bad answer becomes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.settings import Settings
from gateway.errors import (
    GatewayError,
    UnsupportedQuery,
    UpstreamMalformed,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.events import RequestRetried, RequestSent
from gateway.odata.client import ODataClient
from gateway.odata.query import Request
from gateway.odata.retry import LONGEST_WAIT, retry_after
from gateway.odata.transport_errors import FAULTS, ForeignOrigin, PrivateAddress, fault_of
from tests.support.scripted_upstream import NOW, rows, upstream
from tests.support.sockets import PATIENCE

pytestmark = pytest.mark.anyio
GET = Request("GET", "CustomersV3?$top=5&cross-company=true", {})


async def test_a_request_is_sent_below_the_root_as_rendered() -> None:
    fo = upstream(rows())
    url = "Sets(A='O%27%27N%2Feil')?$filter=A%20eq%20'b%2Bc'%20and%20B%20eq%20%C3%BC&$top=5"

    async with fo.client() as client:
        await client.send(Request("GET", url, {"OData-Version": "4.0"}))

    (sent,) = fo.requests
    assert sent.url.raw_path == b"/data/" + url.encode()
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["odata-version"] == "4.0"
    assert sent.headers["x-ms-client-request-id"]
    assert "authorization" not in sent.headers


async def test_an_answer_has_status_headers_body_and_address() -> None:
    fo = upstream(httpx.Response(200, json={"value": []}, headers={"MS-Dyn-Aid": "act-1"}))

    async with fo.client() as client:
        response = await client.send(GET)

    assert response.status == 200
    assert response.headers["ms-dyn-aid"] == response.headers["MS-DYN-AID"] == "act-1"
    assert response.body == b'{"value":[]}'
    assert response.url == "https://fo.example/data/CustomersV3?$top=5&cross-company=true"


async def test_events_of_attempts_hide_filter_values() -> None:
    fo = upstream(httpx.Response(503), rows())

    async with fo.client() as client:
        await client.send(Request("GET", "Sets?$filter=Name%20eq%20'Ann'", {}))

    shown = "https://fo.example/data/Sets?$filter=Name%20eq%20'…'"
    sent = [event for event in fo.events if isinstance(event, RequestSent)]
    assert [(e.status, e.attempt, str(e.url)) for e in sent] == [(503, 1, shown), (200, 2, shown)]
    assert RequestRetried(url=shown, reason="503", wait=0.5, attempt=1) in fo.events


async def test_cookies_are_not_kept() -> None:
    fo = upstream(
        httpx.Response(200, json={"value": []}, headers={"Set-Cookie": "ARR=web1; path=/"})
    )

    async with fo.client() as client:
        await client.send(GET)
        await client.send(GET)

    assert "cookie" not in fo.requests[1].headers


async def test_concurrency_limits_the_requests_under_way() -> None:
    under_way = most = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        return rows()

    settings = Settings(url="https://fo.example/data", concurrency=3)
    transport = httpx.MockTransport(answer)
    async with ODataClient(settings, transport=transport, observe=lambda _: None) as client:
        await asyncio.gather(*(client.send(GET) for _ in range(12)))

    assert most == 3


# -- retries


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_transient_status_is_retried_with_full_jitter(status: int) -> None:
    fo = upstream(*[httpx.Response(status)] * 3, rows())
    fo.chance = 0.5

    async with fo.client() as client:
        await client.send(GET)

    assert fo.waits == [0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("incomplete chunked read"),
        httpx.ConnectTimeout("slow"),
    ],
)
async def test_a_lost_connection_is_retried(error: Exception) -> None:
    fo = upstream(error, error, rows())

    async with fo.client() as client:
        await client.send(GET)

    assert len(fo.requests) == 3


async def test_retries_end_with_the_error_of_the_last_attempt() -> None:
    fo = upstream(httpx.ConnectError("refused"))

    async with fo.client(retries=2) as client:
        with pytest.raises(UpstreamUnavailable, match="cannot be reached") as caught:
            await client.send(GET)

    assert len(fo.requests) == 3
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert "refused" in str(caught.value.detail)


async def test_a_read_timeout_is_retried_once() -> None:
    fo = upstream(httpx.ReadTimeout("slow"))

    async with fo.client() as client:
        with pytest.raises(UpstreamTimeout):
            await client.send(GET)

    assert len(fo.requests) == 2


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ({"Retry-After": "7"}, 8.0),
        ({"Retry-After": "Mon, 12 Jan 1970 13:46:50 GMT"}, 11.0),
        ({"Retry-After": "soon"}, 30.0),
        ({}, 30.0),
    ],
)
async def test_a_429_waits_as_long_as_it_says_or_tens_of_seconds(
    header: dict[str, str], wait: float
) -> None:
    fo = upstream(httpx.Response(429, headers=header), rows())

    async with fo.client() as client:
        await client.send(GET)

    assert fo.waits == [wait]


async def test_waits_after_429_grow_up_to_retry_wait_max() -> None:
    fo = upstream(*[httpx.Response(429)] * 3, rows())
    fo.chance = 0.0

    async with fo.client(retry_wait_max=50) as client:
        await client.send(GET)

    assert fo.waits == [15.0, 25.0, 25.0]


async def test_a_429_with_too_long_a_wait_fails_at_once() -> None:
    fo = upstream(httpx.Response(429, headers={"Retry-After": "600"}))

    async with fo.client() as client:
        with pytest.raises(UpstreamThrottled) as caught:
            await client.send(GET)

    assert (fo.waits, caught.value.retry_after) == ([], 600.0)


async def test_a_post_is_sent_once() -> None:
    fo = upstream(httpx.Response(503))

    async with fo.client() as client:
        with pytest.raises(UpstreamUnavailable):
            await client.send(Request("POST", "Sets", {}, b"{}"))

    assert len(fo.requests) == 1


async def test_a_safe_post_is_retried_with_its_body() -> None:
    fo = upstream(httpx.Response(503), rows())

    async with fo.client() as client:
        await client.send(Request("POST", "$batch", {}, b"--b"), safe=True)

    assert [request.content for request in fo.requests] == [b"--b", b"--b"]


def test_retry_after_reads_seconds_and_dates_and_nothing_else() -> None:
    cases = {
        None: None,
        " 5 ": 5.0,
        "-1": None,
        "1.5": None,
        "later": None,
        "Mon, 12 Jan 1970 13:46:40 GMT": 0.0,
        "Mon, 12 Jan 1970 13:00:00 GMT": 0.0,
        "Mon, 12 Jan 1970 13:47:40 GMT": 60.0,
        "Mon, 99 Jan 1970 13:47:40 GMT": None,
        "Mon, 12 Jan 99999 13:47:40 GMT": None,
        "Fri, 31 Dec 9999 23:59:59 -2359": None,
        "Mon, 01 Jan 0001 00:00:00 +2359": None,
        "9" * 400: None,
        "٣": None,
        "31622400": 31_622_400.0,
    }

    assert {text: retry_after(text, NOW) for text in cases} == cases


@given(st.text() | st.from_regex(r"\A\w{3}, \d+ [A-Z][a-z]{2} \d{1,9} \d+:\d+:\d+ [+-]?\w+\Z"))
def test_any_retry_after_is_survived(text: str) -> None:
    found = retry_after(text, NOW)

    assert found is None or 0 <= found <= LONGEST_WAIT


# -- httpx's errors


def _kinds(kind: type[Exception]) -> Iterator[type[Exception]]:
    for below in kind.__subclasses__():
        if below.__module__.startswith("httpx"):
            yield below
            yield from _kinds(below)


def test_every_error_of_httpx_that_a_request_can_raise_is_mapped() -> None:
    groups = {httpx.TimeoutException, httpx.NetworkError, httpx.ProtocolError, httpx.TransportError}

    own = {PrivateAddress, ForeignOrigin}
    assert (set(_kinds(httpx.RequestError)) | own) - groups == set(FAULTS)


def test_an_error_of_a_subclass_counts_as_its_nearest_mapped_class() -> None:
    class Odd(httpx.ConnectError):
        pass

    assert fault_of(Odd("x")) is FAULTS[httpx.ConnectError]


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (httpx.DecodingError("bad gzip"), UpstreamMalformed),
        (httpx.ProxyError("407"), UpstreamUnavailable),
        (httpx.WriteTimeout("x"), UpstreamTimeout),
        (httpx.LocalProtocolError("x"), UpstreamUnavailable),
    ],
)
async def test_errors_of_httpx_become_gateway_errors(
    error: Exception, becomes: type[GatewayError]
) -> None:
    fo = upstream(error)

    async with fo.client(retries=0) as client:
        with pytest.raises(becomes) as caught:
            await client.send(GET)

    assert caught.value.__cause__ is error


async def test_an_address_too_long_for_http_is_the_callers_error() -> None:
    fo = upstream(rows())

    async with fo.client() as client:
        with pytest.raises(UnsupportedQuery, match="1,000,0"):
            await client.send(Request("GET", "Sets?$filter=" + "x" * 1_000_000, {}))

    assert fo.requests == []


# -- absolute addresses


async def test_credentials_go_to_the_services_own_origin_only() -> None:
    class Token(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
            request.headers["Authorization"] = "Bearer t"
            yield request

    fo = upstream(rows())
    async with fo.client(auth=Token()) as client:
        for url in (
            "https://fo.example/metadata/Labels",
            "https://FO.example:443/x",
            "https://fo.example:444/x",
            "http://fo.example/x",
            "https://other.example/data/x",
        ):
            await client.fetch(url, {})

    assert ["authorization" in r.headers for r in fo.requests] == [True, True, False, False, False]


async def test_progress_includes_the_total_if_known() -> None:
    reports: list[tuple[int, int | None]] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"<x"
        yield b"/>"

    fo = upstream(lambda _: httpx.Response(200, content=pieces(), headers={"content-length": "4"}))
    async with fo.client() as client:
        await client.fetch(
            "https://fo.example/x",
            {"Accept": "application/xml"},
            progress=lambda done, total: reports.append((done, total)),
            read_timeout=5,
        )

    assert reports == [(2, 4), (4, 4)]


def test_a_client_needs_a_root() -> None:
    with pytest.raises(ValueError, match="service root"):
        ODataClient(Settings())


# -- real sockets


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/data"


async def error_over_a_socket(handler: Handler, read_timeout: float = PATIENCE) -> GatewayError:
    async with listening(handler) as root:
        settings = Settings(url=root, retries=1, retry_wait_max=0, read_timeout=read_timeout)
        async with ODataClient(settings, observe=lambda _: None) as client:
            with pytest.raises(GatewayError) as caught:
                await client.send(GET)
    return caught.value


async def test_a_socket_that_hangs_is_a_timeout() -> None:
    hung = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        hung.set()

    assert type(await error_over_a_socket(hang, read_timeout=0.05)) is UpstreamTimeout
    await asyncio.wait_for(hung.wait(), PATIENCE)


async def test_a_connection_that_is_reset_is_unavailable() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    assert type(await error_over_a_socket(reset)) is UpstreamUnavailable


async def test_a_connection_broken_within_a_body_is_unavailable() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        await writer.drain()

    assert type(await error_over_a_socket(half)) is UpstreamUnavailable


async def test_something_that_does_not_speak_http_is_unavailable() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail ready\r\n")
        await writer.drain()

    assert type(await error_over_a_socket(babble)) is UpstreamUnavailable


async def test_a_closed_port_is_unavailable_with_a_hint() -> None:
    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError

    async with listening(nobody) as root:
        pass
    async with ODataClient(Settings(url=root, retries=0), observe=lambda _: None) as client:
        with pytest.raises(UpstreamUnavailable, match="cannot be reached") as caught:
            await client.send(GET)

    assert "D365_URL" in str(caught.value.hint)
