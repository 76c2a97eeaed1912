"""Request → Response: one connection pool, bounded concurrency, retries for reads, answers checked.

    send(Request) ──pause──slot──▶ attempt ──▶ transport ──▶ Response ──check──▶ Response, or an error of ``errors``
                      ▲                             │
                      └──────wait─────── retry ◀────┘ 429, 502, 503, 504, lost connection, timeout (``retry``)

A transport of httpx is called directly: the rest of ``httpx.AsyncClient`` (redirects, cookies, logging) is unwanted and
costs 0.1 to 0.2 ms a request. What a transport raises is translated by ``transport_errors``. A body is read in pieces
(``attempt``, ``decoding``) and checked by ``response_check`` (status, content type, error object), but not parsed here.
Redirects are never followed and cookies never kept: a token travels to the service's own origin and nowhere else, and
no cookie pins us to one web server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from itertools import count
from types import TracebackType
from typing import Any, NoReturn, Protocol, Self, TypeAlias
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from msgspec import Struct, structs

from gateway.admission.admission import Admission, lanes_of
from gateway.admission.work import Lane, current_work
from gateway.audit.log import AuditLog
from gateway.config.profiles import is_stored
from gateway.config.settings import Settings
from gateway.dimensions.formats import EnvironmentFormats
from gateway.errors import (
    OutcomeUnknown,
    UnsupportedQuery,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.events import Observer, log_event, loggable
from gateway.idempotency.ledger import Ledger
from gateway.identity.caller import Caller
from gateway.process.lean_imports import without_trusted_authorities
from gateway.shutdown import Shutdown

from .addressed_requests import AddressedRequests
from .attempt import REQUEST_ID, AttemptSender
from .batch import busy_part, is_batch
from .body_reader import BodyReader
from .decoding import OFFERED, Progress
from .dialect import Dialect
from .dialects import dialect_for
from .lazy_request import LazyRequest, normalize_address
from .nextlink import origin
from .query import Request
from .response_check import (
    CALLER,
    GATEWAY,
    UNPROCESSED,
    Response,
    is_expected_json,
    raise_for_answer,
    shows_outcome,
    subject_of,
)
from .retry import Clock
from .sending import Exchange, RetryingSender
from .transport_errors import (
    UNREACHED,
    fault_of,
    is_certainly_unprocessed,
    retry_always,
    retry_never,
)
from .upstream import OutcomePart, SharedAnswers, whole_response

SAFE = frozenset({"GET", "HEAD"})
HEADERS: Mapping[str, str] = {
    "Accept": "*/*",
    "Accept-Encoding": OFFERED,
    "User-Agent": "d365-graphql-gateway",
}
"""Of every request that does not say otherwise."""


class CallerTokens(Protocol):
    """What signs requests with the identity of callers."""

    def auth(self, caller: Caller) -> httpx.Auth:
        """Return what signs a caller's requests."""
        ...

    def renew(self, caller: Caller) -> None:
        """Take the newest token of a caller for what runs already."""
        ...

    def close(self) -> None:
        """Give up what is under way."""
        ...


class CostBook(Protocol):
    """What the requests to a service cost, as those remember who price operations; it lives as long as the client."""

    def close(self) -> None:
        """Keep it for the next client."""
        ...


class ClosedWithClient(Protocol):
    """What lives as long as the client: others know what it is."""

    def close(self) -> None:
        """End what is under way."""
        ...


AdmissionOf: TypeAlias = Callable[[str, Callable[[], Admission[Response]]], Admission[Response]]
"""Returns the admission of a lane with credentials of its own (an empty name: of all others), or makes it."""


class _Way(Struct, frozen=True):
    """How requests are sent: with whose credentials, and after which others."""

    auth: httpx.Auth | None
    sender: RetryingSender


class ODataClient:
    """The client of one service, with one connection pool; an async context manager.

    ``root`` is the service root, by default ``settings.url``. ``transport`` is what tests and the sandbox replace.
    ``dialect`` is by default the one that setting or address show.
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
        self.formats = EnvironmentFormats()
        """The formats of the environment's display values."""
        self.audit: AuditLog | None = None
        """Where the writes that it sends are recorded: by those who know what they mean."""
        self.ledger: Ledger | None = None
        """The idempotency keys of its writes, likewise; None: there are none."""
        self.files: httpx.AsyncBaseTransport | None = None
        """The way to files beside the service, such as data packages; None: the network."""
        self.costs: CostBook | None = None
        self.sweeps: ClosedWithClient | None = None
        """The sweeps of its lists, by which changes are found."""
        address = root or settings.url
        if address is None:
            raise ValueError("a client needs a service root")
        self.root = address.rstrip("/")
        self._dialect = dialect or dialect_for(settings.dialect, self.root)
        self._settings = settings
        self.answers: SharedAnswers | None = None
        """What operations share of the answers; None: nothing."""
        self.callers: CallerTokens | None = None
        """The tokens of callers, whose identity operations then have."""
        self._identity: str | None = None
        """A digest of the caller whose identity requests have; None: the gateway's."""
        self._own = f"{normalize_address(self.root)}/"
        self._addressed = AddressedRequests(self._own, HEADERS)
        self._origin = origin(urlsplit(self.root))
        self._observe = observe
        self._clock = clock or Clock()
        self._transport = transport or _network(settings)
        self._admission_of: AdmissionOf | None = None
        self._own_way = _Way(auth, self._new_sender(""))
        self._lanes: Mapping[Lane, _Way] = {}
        self._timeout = _timeout(settings, settings.read_timeout)
        self._ids = _request_ids()
        self.unfinished: set[asyncio.Task[Any]] = set()
        """Mutations under way; the connections stay open until they have ended, even if nobody waits for them."""
        self.shutdown = Shutdown()
        self.shutdown.follow(self.unfinished)

    def inherit(self, shutdown: Shutdown, admission_of: AdmissionOf) -> None:
        """Take the shutdown of the process, and what may know the admissions. Call it before all else."""
        self.shutdown, self._admission_of = shutdown, admission_of
        self.shutdown.follow(self.unfinished)
        self._own_way = _Way(self._own_way.auth, self._new_sender(""))

    def for_dialect(self, dialect: Dialect) -> Self:
        """Return a client over the same connections that reads answers as this dialect's.

        The product is certain only when the metadata have been read, and a client has to fetch those.
        """
        bound = copy(self)
        bound._dialect = dialect  # noqa: SLF001 - of the same class
        for way in (self._own_way, *self._lanes.values()):
            way.sender.use_dialect(dialect.name)
        return bound

    def for_caller(self, caller: Caller) -> Self:
        """Return a client over the same connections whose requests have the identity of a caller.

        It never uses the gateway's own: requests of a caller without a token raise Unauthenticated.
        """
        assert self.callers is not None
        bound = copy(self)
        bound._own_way = _Way(self.callers.auth(caller), self._own_way.sender)  # noqa: SLF001 - of the same class
        bound._identity = caller.log_id  # noqa: SLF001 - likewise
        return bound

    def renew_caller(self, caller: Caller) -> None:
        """Take the newest token of a caller for what runs already, such as polls."""
        assert self.callers is not None
        self.callers.renew(caller)

    def use_credentials(self, lanes: Mapping[Lane, httpx.Auth]) -> None:
        """Send the requests of these lanes with credentials of their own, each with a limit of its own."""
        self._lanes = {
            lane: _Way(auth, self._new_sender(lane.name.lower())) for lane, auth in lanes.items()
        }

    def _new_sender(self, lane: str) -> RetryingSender:
        settings, clock = self._settings, self._clock
        attempts = AttemptSender(
            settings, self._transport, self._observe, self._own, self._dialect.name
        )

        def make() -> Admission[Response]:
            return Admission(lanes_of(settings), clock.now, clock.sleep)

        admission = make() if self._admission_of is None else self._admission_of(lane, make)
        return RetryingSender(settings, attempts, clock, self._observe, admission)

    @property
    def admission(self) -> Admission[Response]:
        """What admits the requests of the current task's work."""
        return self._way().sender.admission

    @property
    def admissions(self) -> Mapping[str, Admission[Response]]:
        """What admits requests: with the own credentials (an empty name), and with those of lanes, by name."""
        lanes = {lane.name.lower(): way.sender.admission for lane, way in self._lanes.items()}
        return {"": self._own_way.sender.admission, **lanes}

    def _way(self) -> _Way:
        """Return how requests of the current task's work are sent: a lane may have credentials of its own."""
        # The identity of a caller is the same in all lanes.
        if self._lanes and self._identity is None:
            return self._lanes.get(current_work().lane, self._own_way)
        return self._own_way

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
        """Wait for unfinished mutations, then close the connections."""
        try:
            while self.unfinished:
                if self.shutdown.is_abandoned:
                    for task in self.unfinished:
                        task.cancel()
                await asyncio.wait(tuple(self.unfinished))
        finally:
            self.shutdown.forget(self.unfinished)
            if self.answers is not None:
                await self.answers.close()
            if self.callers is not None:
                self.callers.close()
            if self.costs is not None:
                self.costs.close()
            if self.ledger is not None:
                self.ledger.close()
            if self.sweeps is not None:
                self.sweeps.close()
            await self._transport.aclose()

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        """Return the answer to a request relative to the root; see ``ReadUpstream.send``.

        A ``$batch`` of reads is repeated if one of its parts is answered with a status that allows it.
        """
        try:
            known = self._addressed.of(request)
        except httpx.InvalidURL as error:
            raise _too_long(self._own + request.url) from error
        headers = {**known.headers, REQUEST_ID: next(self._ids)}
        return await self._exchange(
            known.absolute,
            LazyRequest(request.method, known.address, headers, request.body, self._timeout),
            safe=request.method in SAFE if safe is None else safe,
            outcome_part=busy_part if is_batch(request) else whole_response,
            reader=request.reader,
        )

    async def fetch(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        progress: Progress | None = None,
        read_timeout: float | None = None,
    ) -> Response:
        """Return the answer to a GET of an absolute address: 2xx, or 304 for a conditional request.

        It takes no slot, as it reads metadata and not rows. Credentials are sent to the service's own origin only.
        ``read_timeout`` is the longest silence in seconds.
        Raises what ``send`` raises.
        """
        request = Request("GET", url, headers)
        return await self._exchange(
            request, self._lazy(request, read_timeout), safe=True, progress=progress, is_exempt=True
        )

    async def _exchange(
        self,
        request: Request,
        lazy: LazyRequest,
        *,
        safe: bool,
        progress: Progress | None = None,
        outcome_part: OutcomePart = whole_response,
        is_exempt: bool = False,
        reader: BodyReader | None = None,
    ) -> Response:
        """Return an answer of the kind that was requested, or raise."""
        way = self._way()
        exchange = Exchange(
            request=lazy,
            may_repeat=retry_always if safe else retry_never,
            auth=self._auth_for(lazy.address, way),
            is_exempt=is_exempt,
            identity=self._identity,
            progress=progress,
            outcome_part=outcome_part,
            reader=reader,
        )
        outcome = await way.sender.outcome(exchange)
        response = outcome.response
        if response is None:
            assert outcome.error is not None
            self._raise_translated(outcome.error, request)
        if not is_expected_json(request, response):
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
        lazy, way, text = self._lazy(sent), self._way(), request.sent_text
        lazy.sent_text = text
        exchange = Exchange(
            request=lazy,
            may_repeat=is_certainly_unprocessed if text is None else text.unless_begun,
            auth=self._auth_for(lazy.address, way),
            identity=self._identity,
            is_write=True,
            outcome_part=outcome_part,
            begins=begins,
            reader=request.reader,
        )
        try:
            outcome = await way.sender.outcome(exchange)
        except UpstreamMalformed as error:
            # The answer is longer than may be read, so it is unknown whether the write was done or refused.
            raise OutcomeUnknown(error.message, detail=error.detail) from error
        response, fault = outcome.response, outcome.error
        if response is not None:
            self._check_written(sent, outcome_part(response))
            return response
        assert fault is not None
        if isinstance(fault, UNREACHED):
            self._raise_translated(fault, sent)
        raise OutcomeUnknown(
            f"The upstream {fault_of(fault).description} while it wrote.",
            detail=f"{type(fault).__name__}: {fault}; {sent.method} {loggable(sent.url)}",
        ) from fault

    def _address_of(self, url: str) -> str:
        """Return the absolute address of a write; with a slash in front it is relative to the environment."""
        # The custom services of F&O stand beside ``/data``, at ``/api/services``.
        return self._dialect.environment_root(self.root) + url if url[0] == "/" else self._own + url

    def _raise_for(self, request: Request, response: Response) -> None:
        """Raise the error for an answer that is not of the kind that was requested."""
        subject, now = self._subject(request.url), self._clock.now()
        account = GATEWAY if self._identity is None else CALLER
        raise_for_answer(request, response, subject, now, self._dialect.errors, account)

    def _check_written(self, sent: Request, part: Response) -> None:
        """Raise if nothing was written, or if the answer does not show whether anything was."""
        # An error of the operation and not of the row: other values would change nothing.
        if part.status in UNPROCESSED:
            self._raise_for(sent, part)
        if not shows_outcome(part):
            raise OutcomeUnknown(
                f"The upstream's answer (status {part.status}) does not show whether it wrote.",
                detail=f"{part.status} {loggable(sent.url)}: {part.body[:2_000]!r}",
                upstream_status=part.status,
                upstream_request_id=part.request_id,
            )

    def _lazy(self, request: Request, read_timeout: float | None = None) -> LazyRequest:
        headers = {**HEADERS, REQUEST_ID: next(self._ids), **request.headers}
        timeout = self._timeout if read_timeout is None else _timeout(self._settings, read_timeout)
        try:
            return LazyRequest(
                request.method, normalize_address(request.url), headers, request.body, timeout
            )
        except httpx.InvalidURL as exc:
            raise _too_long(request.url) from exc

    def _subject(self, url: str) -> str:
        own = url.startswith(self._own)
        return subject_of(url[len(self._own) :] if own else urlsplit(url).path)

    def _is_own(self, url: str) -> bool:
        return url.startswith(self._own) or origin(urlsplit(url)) == self._origin

    def _auth_for(self, url: str, way: _Way) -> httpx.Auth | None:
        """Return the credentials for an address; None if it is not of the service's own origin."""
        # Next links are written by the upstream: a wrong one must not take the token elsewhere.
        return None if way.auth is None or not self._is_own(url) else way.auth

    def _raise_translated(self, exc: httpx.RequestError, request: Request) -> NoReturn:
        """Raise the gateway's error for one of httpx."""
        fault = fault_of(exc)
        hint = None
        if issubclass(fault.error, UpstreamUnavailable):
            hint = "Is D365_URL right, and can this machine reach it (name, proxy, certificate)?"
        elif issubclass(fault.error, UpstreamTimeout):
            hint = "Request fewer rows or fields, or raise read_timeout or connect_timeout."
        detail = f"{type(exc).__name__}: {exc}; {request.method} {loggable(request.url)}"
        raise fault.error(f"The upstream {fault.description}.", hint=hint, detail=detail) from exc


def _network(settings: Settings) -> httpx.AsyncBaseTransport:
    # Importing aiohttp takes 50 ms, and the embedded sandbox does not need it.
    with without_trusted_authorities():
        from .transport import make_transport  # noqa: PLC0415
    if is_stored(settings):
        from .own_origin import own_origin_transport  # noqa: PLC0415

        return own_origin_transport(settings)
    return make_transport(settings)


def _too_long(url: str) -> UnsupportedQuery:
    return UnsupportedQuery(
        f"The address of the request is too long: {len(url):,} characters.",
        hint="Shorten the filter, or split the operation.",
    )


def _timeout(settings: Settings, read: float) -> dict[str, float | None]:
    return httpx.Timeout(read, connect=settings.connect_timeout, pool=None).as_dict()


def _request_ids() -> Iterator[str]:
    """Yield ids in the form of UUIDs: a random prefix, then a counter."""
    # A uuid4 for each request would ask the system for random bytes each time.
    beginning = str(uuid4())[:-12]
    return (f"{beginning}{number:012x}" for number in count(1))
