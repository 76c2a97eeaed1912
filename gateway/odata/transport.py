"""Connections to the upstream: aiohttp's, behind httpx's transport interface.

httpx's own transport (httpcore) takes 3 to 10 times the CPU of this one for each request, and more with more
connections. Ready-made adapters failed our tests: httpx-aiohttp reports a refused or broken connection as a timeout,
passes errors of malformed answers untranslated, keeps cookies and sends DELETE twice; pyreqwest's and pyqwest's
transports make one timeout of httpx's four, and pyreqwest's leaves the connection of a cancelled request open. So this
is a small adapter of our own; what aiohttp raises is translated by ``aiohttp_errors``, and nowhere else. Reads take a
shorter way to the same connections (``direct_reads``).

    one connection pool     as many connections as ``concurrency``; idle ones are closed after a minute
    TLS                     httpx's rules: certifi's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR
    proxies                 HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, with user and password in the address
    connect timeout         name, TCP, TLS and the proxy's tunnel together
    read timeout            between two pieces of the answer
    write timeout           together with the others and the body's size the limit for sending it: aiohttp has none
    a stale connection      GET and HEAD go over a new one at once, anything else ends with an error
    never                   redirects, cookies, netrc, decompression (``decoding`` does it), HTTP/2 (aiohttp has none)

https://docs.aiohttp.org/en/stable/client_advanced.html · https://www.python-httpx.org/advanced/transports/
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from io import BytesIO
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver
from aiohttp.connector import SocketFactoryType
from yarl import URL

from gateway.config.settings import Settings
from gateway.errors import SettingsError

from .aiohttp_errors import ERRORS, translate_error
from .direct_reads import Origin, head_of, read, split_address
from .lazy_request import LazyRequest
from .name_lookup import NameLookup

IDLE = 60.0
"""Seconds for which an unused connection is kept; load balancers in front of the service keep them for two minutes."""
LONGEST_HEADER = 65_536
"""Bytes of one header line: the address of a sign-in page can be long."""
LONG_BODY = 1_000_000
"""Bytes; a longer body is written in pieces."""
SLOWEST_UPLOAD = 100_000
"""Bytes a second at which a server must at least receive a request's body."""
MOST_ORIGINS = 16
"""Origins that are remembered: nearly all reads go to one."""
REPEATED = frozenset({"GET", "HEAD"})
"""Methods that aiohttp may send again if a connection breaks before the first byte of the answer."""


def make_transport(settings: Settings) -> httpx.AsyncBaseTransport:
    """Return the transport to a service on the network. Raises SettingsError for a proxy that cannot be used."""
    # Each lane with credentials of its own has a limit of its own.
    limits = 1 + len(settings.admission.credentials)
    return AiohttpTransport(
        connections=settings.concurrency * limits, proxies=environment_proxies()
    )


def environment_proxies() -> dict[str, str]:
    """Return the proxies of the environment by the scheme of the address: ``{"https": "http://proxy:3128"}``.

    Raises SettingsError for a proxy that cannot be used.
    """
    configured = getproxies()
    proxies = {}
    for scheme in ("http", "https"):
        proxy = configured.get(scheme) or configured.get("all")
        if not proxy:
            continue
        proxies[scheme] = proxy if "://" in proxy else f"http://{proxy}"
        if not proxies[scheme].startswith(("http://", "https://")):
            kind = proxy.partition("://")[0]
            raise SettingsError(
                f"The environment names a {kind} proxy, which cannot be used; accepted are http:// and https://.",
                hint="Check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY; NO_PROXY names hosts that need none.",
            )
    return proxies


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One connection pool, opened by the first request, in that request's event loop."""

    def __init__(
        self,
        *,
        connections: int,
        proxies: Mapping[str, str] | None = None,
        sockets: SocketFactoryType | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """``sockets`` makes the socket for an address, or refuses it. Tests replace the resolver of names."""
        self._connections = connections
        self._sockets = sockets
        self._resolver = resolver
        self._proxies = proxies or {}
        self._proxy_of: dict[tuple[str, str], str | None] = {}
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None
        self._origins: dict[str, Origin] = {}
        """By their addresses; of one session."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            if isinstance(request, LazyRequest) and request.method == "GET" and not self._proxies:
                read = await self._read(request)
                if read is not None:
                    return read
            response = await self._send(request)
        except ERRORS as exc:
            raise translate_error(exc) from exc
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_Body(response),
            request=request,
            extensions={"reason_phrase": (response.reason or "").encode("ascii", "replace")},
        )

    async def _read(self, request: LazyRequest) -> httpx.Response | None:
        """Send a read without aiohttp's client; None if it is not as nearly all are."""
        place = split_address(request.address)
        if request.is_initialized or request.body or place is None:
            return None
        session = self._session or self._open()
        origin = self._origins.get(place[0])
        if origin is None:
            tls = self._authorities() if place[0].startswith("https") else True
            origin = Origin(place[0], session, tls=tls)
            if len(self._origins) < MOST_ORIGINS:
                self._origins[place[0]] = origin
        head = head_of(request, place[1], origin)
        if head is None:
            return None
        timeout = request.extensions["timeout"]
        limits = _timeout(timeout.get("connect"), timeout.get("read"))
        return await read(session, origin, head, request, limits, LONGEST_HEADER)

    async def _send(self, request: httpx.Request) -> aiohttp.ClientResponse:
        session = self._session or self._open()
        url, headers, body = await _parts(request)
        timeout = request.extensions.get("timeout", {})
        proxy = self._proxy(url) if self._proxies else None
        sending = session.request(
            request.method,
            url,
            headers=headers,
            data=_payload(body) if body else None,
            allow_redirects=False,
            timeout=_timeout(timeout.get("connect"), timeout.get("read")),
            proxy=proxy,
            ssl=self._authorities() if "https" in {url.scheme, (proxy or "")[:5]} else True,
            middlewares=None if request.method in REPEATED else (_once,),
        )
        # One with a file has a limit of its own (``attempt``).
        if not body or isinstance(body, AsyncIterator):
            return await sending
        async with asyncio.timeout(_upload_limit(timeout, len(body))):
            return await sending

    async def aclose(self) -> None:
        session, self._session = self._session, None
        self._origins.clear()
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                keepalive_timeout=IDLE,
                socket_factory=self._sockets,
                resolver=self._resolver or NameLookup(),
            ),
            # Affinity cookies would pin all requests to one web server.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # Requests bring these; Accept-Encoding must name what ``decoding`` can undo.
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )
        return self._session

    def _authorities(self) -> ssl.SSLContext:
        """Return httpx's TLS context; made when it is needed, because it takes 50 ms and 5 MiB."""
        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        return self._tls

    def _proxy(self, url: URL) -> str | None:
        key = url.scheme, url.host or ""
        if key not in self._proxy_of:
            bypassed = proxy_bypass(key[1])
            self._proxy_of[key] = None if bypassed else self._proxies.get(url.scheme)
        return self._proxy_of[key]


class _Body(httpx.AsyncByteStream):
    """The body as it arrives; closing it early closes the connection."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = self._response.content.readany
        try:
            while piece := await read():
                yield piece
        except ERRORS as exc:
            raise translate_error(exc) from exc

    async def aclose(self) -> None:
        self._response.release()


async def _parts(
    request: httpx.Request,
) -> tuple[URL, Mapping[str, str] | list[tuple[str, str]], bytes | AsyncIterator[bytes]]:
    """Return address, headers and body; of a lazy request as they are, without initialising it."""
    if isinstance(request, LazyRequest) and not request.is_initialized:
        address = URL(request.address, encoded=True)
        return address, request.headers_as_sent, request.body_as_sent or b""
    headers = [(key.decode(), value.decode()) for key, value in request.headers.raw]
    url = URL(str(request.url), encoded=True)
    if isinstance(request, LazyRequest) and request.sent_text is not None:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        return url, headers, aiter(request.stream)
    return url, headers, await request.aread()


def _upload_limit(timeout: Mapping[str, float | None], size: int) -> float | None:
    """Return the seconds for sending a body and waiting for the answer's head; None if a timeout is off.

    aiohttp limits the reading only.
    """
    waits = [timeout.get(phase) for phase in ("connect", "write", "read")]
    known = [wait for wait in waits if wait is not None]
    return sum(known) + size / SLOWEST_UPLOAD if len(known) == len(waits) else None


def _payload(body: bytes | AsyncIterator[bytes]) -> bytes | BytesIO | AsyncIterator[bytes]:
    """Return a long body as a file, which aiohttp writes in pieces; of long bytes it warns."""
    return BytesIO(body) if isinstance(body, bytes) and len(body) > LONG_BODY else body


async def _once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Translate an error before aiohttp sees it: aiohttp repeats DELETE and PUT, but no write may be sent twice."""
    try:
        return await handler(request)
    except ERRORS as exc:
        raise translate_error(exc) from exc


@lru_cache(maxsize=64)
def _timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=connect, sock_connect=connect, sock_read=read)
