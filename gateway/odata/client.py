"""Request → Response over httpx: one pooled client, bounded concurrency, retries for reads, answers classified.

    send(Request) ──pause──slot──▶ attempt ──▶ transport ──▶ Response ──check──▶ Response, or an error of the registry
                      ▲                             │
                      └──────wait─────── retry ◀────┘ 429, 502, 503, 504, lost connection, timeout (``retry``)

What a transport of httpx raises is translated in ``faults``, once. The transport is called directly: the rest of
``httpx.AsyncClient`` (redirects, cookies, logging) is what we do not want, at 0.1 to 0.2 ms a request. A body is read
in pieces (``attempt``, ``decoding``); it is judged by ``answers`` (status, content type, error envelope) but not
decoded here. Redirects are never followed and cookies never kept: a token travels to the service's own origin and
nowhere else, and no cookie pins us to one web server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from itertools import count
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from msgspec import structs

from gateway.config.settings import Settings
from gateway.errors import (
    OutcomeUnknown,
    UnsupportedQuery,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.events import Observer, log_event, loggable
from gateway.shutdown import Shutdown

from .attempt import Attempts
from .batch import busy_part, is_batch
from .decoding import OFFERED, Progress
from .dialect import Dialect
from .dialects import dialect_for
from .lazy_request import Call, as_sent
from .nextlink import origin
from .query import Request
from .response_check import Response, is_plainly_good, raise_for_answer, subject_of, tells_outcome
from .retry import Clock
from .sending import Exchanges, Sending
from .transport_errors import UNREACHED, always, fault_of, never, surely_unprocessed
from .upstream import OutcomePart, whole_response

SAFE = frozenset({"GET", "HEAD"})
HEADERS: Mapping[str, str] = {
    "Accept": "*/*",
    "Accept-Encoding": OFFERED,
    "User-Agent": "d365-graphql-gateway",
}


_REFUSED_AT_THE_DOOR = frozenset({401, 403, 429})


class ODataClient:
    """One service, asked over one connection pool; an async context manager.

    ``root`` is the service root, ``settings.url`` unless given. ``transport`` is the seam for tests and the sandbox.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        root: str | None = None,
        auth: httpx.Auth | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        observe: Observer = log_event,
        clock: Clock | None = None,
        dialect: Dialect | None = None,
    ) -> None:
        address = root or settings.url
        if address is None:
            raise ValueError("a client needs a service root")
        self.root = address.rstrip("/")
        self._dialect = dialect or dialect_for(settings.dialect, self.root)
        self._settings = settings
        self._auth = auth
        self._own = f"{as_sent(self.root)}/"
        self._origin = origin(urlsplit(self.root))
        self._observe = observe
        self._clock = clock or Clock()
        self._transport = transport or _network(settings)
        attempts = Attempts(settings, self._transport, self._auth_for, observe)
        self._exchanges = Exchanges(settings, attempts, self._clock, observe)
        self._timeout = _timeout(settings, settings.read_timeout)
        self._ids = _request_ids()
        self.unfinished: set[asyncio.Task[Any]] = set()
        """What must come to its end before the connections are closed: writes, whoever waits for them or not."""
        self.shutdown = Shutdown()

    def for_dialect(self, dialect: Dialect) -> Self:
        """Return a client over the same connections that reads answers as this dialect's.

        The product is certain only when the metadata have been read, and a client has to fetch those.
        """
        bound = copy(self)
        bound._dialect = dialect  # noqa: SLF001 - of the same class
        return bound

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for what is unfinished, then close the connections."""
        try:
            while self.unfinished:
                if self.shutdown.is_abandoned:
                    for task in self.unfinished:
                        task.cancel()
                await asyncio.wait(tuple(self.unfinished))
        finally:
            await self._transport.aclose()

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        """Send a request relative to the root and give an answer that is what was asked for.

        ``safe`` says whether sending it twice does no harm; not given: GET and HEAD are. A ``$batch`` of reads
        is repeated where one of its parts asks for that. Raises AuthError or UpstreamError.
        """
        headers = {"Accept": "application/json", **request.headers}
        sent = Request(request.method, self._own + request.url, headers, request.body)
        return await self._exchange(
            sent,
            safe=request.method in SAFE if safe is None else safe,
            outcome_part=busy_part if is_batch(request) else whole_response,
        )

    async def fetch(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        progress: Progress | None = None,
        read_timeout: float | None = None,
    ) -> Response:
        """GET an absolute address; credentials go with it to the service's own origin only. 304 is an answer too."""
        return await self._exchange(
            Request("GET", url, headers), safe=True, progress=progress, read_timeout=read_timeout
        )

    async def _exchange(
        self,
        request: Request,
        *,
        safe: bool,
        progress: Progress | None = None,
        read_timeout: float | None = None,
        outcome_part: OutcomePart = whole_response,
    ) -> Response:
        """Return an answer that is what was asked for, or raise."""
        sending = Sending(
            call=self._call(request, read_timeout),
            may_repeat=always if safe else never,
            progress=progress,
            outcome_part=outcome_part,
        )
        outcome = await self._exchanges.outcome(sending)
        response = outcome.response
        if response is None:
            assert outcome.fault is not None
            self._translate(outcome.fault, request)
        if not is_plainly_good(request, response):
            self._raise_for(request, response)
        return response

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Return the service's answer to a write, good or bad; see ``WriteUpstream.write``.

        It is sent again only if the service certainly did not process it: no connection came about, or the service was
        too busy (429). A URL that starts with a slash is relative to the environment, others to the service root.
        """
        sent = structs.replace(request, url=self._address_of(request.url))
        sending = Sending(
            call=self._call(sent),
            may_repeat=surely_unprocessed,
            is_write=True,
            outcome_part=outcome_part,
            begins=begins,
        )
        try:
            outcome = await self._exchanges.outcome(sending)
        except UpstreamMalformed as error:
            # An answer longer than may be read: the write has been done, or refused.
            raise OutcomeUnknown(error.message, detail=error.detail) from error
        response, fault = outcome.response, outcome.fault
        if response is not None:
            self._check_written(sent, outcome_part(response))
            return response
        assert fault is not None
        if isinstance(fault, UNREACHED):
            self._translate(fault, sent)
        raise OutcomeUnknown(
            f"The upstream {fault_of(fault).said} while it wrote.",
            detail=f"{type(fault).__name__}: {fault}; {sent.method} {loggable(sent.url)}",
        ) from fault

    def _address_of(self, url: str) -> str:
        """Return the absolute address of a write; with a slash in front it is relative to the environment."""
        return self._dialect.environment_root(self.root) + url if url[0] == "/" else self._own + url

    def _raise_for(self, request: Request, response: Response) -> None:
        """Raise the error for an answer that is not of the kind that was requested."""
        subject, now = self._subject(request.url), self._clock.now()
        raise_for_answer(request, response, subject, now, self._dialect.errors)

    def _check_written(self, sent: Request, told: Response) -> None:
        """Raise where nothing was written, or where the answer does not tell whether anything was."""
        if told.status in _REFUSED_AT_THE_DOOR:
            self._raise_for(sent, told)
        if not tells_outcome(told):
            raise OutcomeUnknown(
                f"The upstream's answer (status {told.status}) does not tell whether it wrote.",
                detail=f"{told.status} {loggable(sent.url)}: {told.body[:2_000]!r}",
                upstream_status=told.status,
                upstream_request_id=told.request_id,
            )

    def _call(self, request: Request, read_timeout: float | None = None) -> Call:
        headers = {**HEADERS, "x-ms-client-request-id": next(self._ids), **request.headers}
        timeout = self._timeout if read_timeout is None else _timeout(self._settings, read_timeout)
        try:
            return Call(request.method, as_sent(request.url), headers, request.body, timeout)
        except httpx.InvalidURL as exc:
            raise UnsupportedQuery(
                f"The request makes an address of {len(request.url):,} characters.",
                hint="Shorten the filter, or ask in several operations.",
            ) from exc

    def _subject(self, url: str) -> str:
        own = url.startswith(self._own)
        return subject_of(url[len(self._own) :] if own else urlsplit(url).path)

    def _is_own(self, url: str) -> bool:
        return url.startswith(self._own) or origin(urlsplit(url)) == self._origin

    def _auth_for(self, url: str) -> httpx.Auth | None:
        """Return the credentials that go to an address: the service's own origin only."""
        return None if self._auth is None or not self._is_own(url) else self._auth

    def _translate(self, exc: httpx.RequestError, request: Request) -> NoReturn:
        """Raise the registry's error for one of httpx."""
        fault = fault_of(exc)
        hint = None
        if issubclass(fault.error, UpstreamUnavailable):
            hint = "Is D365_URL right, and can this machine reach it (name, proxy, certificate)?"
        elif issubclass(fault.error, UpstreamTimeout):
            hint = "Ask for less at a time, or raise read_timeout or connect_timeout."
        detail = f"{type(exc).__name__}: {exc}; {request.method} {loggable(request.url)}"
        raise fault.error(f"The upstream {fault.said}.", hint=hint, detail=detail) from exc


def _network(settings: Settings) -> httpx.AsyncBaseTransport:
    # aiohttp takes 0.1 s to import, and the embedded sandbox needs none.
    from .transport import make_transport  # noqa: PLC0415

    return make_transport(settings)


def _timeout(settings: Settings, read: float) -> dict[str, float | None]:
    return httpx.Timeout(read, connect=settings.connect_timeout, pool=None).as_dict()


def _request_ids() -> Iterator[str]:
    """Return ids in the form of UUIDs: a random beginning, then numbers."""
    beginning = str(uuid4())[:-12]
    return (f"{beginning}{number:012x}" for number in count(1))
