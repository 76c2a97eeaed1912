"""One attempt at a request: signed, sent, its whole answer read within limits of size and time.

``answer_timeout`` limits an answer from the moment its request is sent to its last byte, because ``read_timeout``
limits only the silence between two pieces: an answer that comes byte by byte would hold its connection for ever. The
time of a sign-in does not count; it has a limit of its own. A read whose operation ends sooner needs no timer: it is
cancelled with the operation.
"""

from __future__ import annotations

import asyncio
import re
import time
from codecs import BOM_UTF8
from collections.abc import Callable
from contextlib import aclosing
from typing import Self

import httpx

from gateway.config.settings import Settings
from gateway.events import Address, Observer, RequestSent
from gateway.process.time_limit import TimeLimit
from gateway.telemetry.request_context import TRACEPARENT, current_request, new_span_id

from .body_reader import BodyReader
from .decoding import Progress, read_along, read_body, suits_reader
from .lazy_request import LazyRequest
from .long_values import LONGEST, holds_file
from .response_check import Response
from .retry import remaining_time

ACTIVITY = "ms-dyn-aid"
"""Header in which F&O names its activity: the id under which its own log has the request."""
REQUEST_ID = "x-ms-client-request-id"
_SEGMENT = re.compile(r"[\w.$-]+")


def target_of(address: str, root: str) -> str:
    """``https://fo.example/data/CustomersV3(…)?$top=1`` → ``CustomersV3``; empty for what is not below the root."""
    if not root or not address.startswith(root):
        return ""
    segment = _SEGMENT.match(address, len(root))
    return "" if segment is None else segment[0]


def _propagate(request: LazyRequest) -> str | None:
    """Let a request continue the trace that it is for, if there is one; return its span, if that is recorded."""
    context = current_request()
    if context is None or not context.span_id:
        return None
    span = new_span_id()
    request.set_header(TRACEPARENT, context.traceparent(span))
    return span if context.is_sampled else None


class _Unlimited(TimeLimit):
    """Stands in for a limit if something else sets it."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def reschedule(self, at: float | None) -> None:
        """Do nothing."""


UNLIMITED = _Unlimited()


class AttemptSender:
    """Sends requests over one transport."""

    def __init__(
        self,
        settings: Settings,
        transport: httpx.AsyncBaseTransport,
        observe: Observer,
        root: str = "",
        dialect: str = "",
    ) -> None:
        """``root``: service root, with a slash at its end; ``dialect``: name of the service's, for events."""
        self._settings = settings
        self._transport = transport
        self._observe = observe
        self._root = root
        self.dialect = dialect

    async def send(
        self,
        request: LazyRequest,
        number: int,
        auth: httpx.Auth | None = None,
        progress: Progress | None = None,
        begins: Callable[[], None] | None = None,
        *,
        waited: float = 0.0,
        reader: BodyReader | None = None,
    ) -> Response:
        """Send a request once and return its answer.

        ``number`` counts its attempts, ``auth`` signs it, ``begins`` is called just before it leaves, ``waited`` are
        the seconds for which it has waited for its turn, ``reader`` reads a good answer while it arrives. Raises what
        the transport raises, httpx.ReadTimeout if the answer takes too long, TokenError, Unauthenticated,
        UpstreamMalformed if the answer is too long.
        """
        started = time.perf_counter()
        status = size = 0
        activity: str | None = None
        is_file = holds_file(request.sent_text, reader)
        longest = LONGEST if is_file else self._longest(request)
        span = _propagate(request)
        limit = self._limit(request, longest)
        try:
            with limit:
                answer = await self._answer(request, auth, limit, longest, begins)
                status = answer.status_code
                activity = answer.headers.get(ACTIVITY)
                if reader is None or not suits_reader(answer):
                    body = await read_body(answer, self._settings.max_upstream_bytes, progress)
                    size = len(body)
                else:
                    body = await read_along(answer, self._settings.max_upstream_bytes, reader)
                    size = reader.size
            # A byte order mark is no part of JSON (RFC 8259, 8.1), yet some services send one.
            return Response(status, answer.headers, body.removeprefix(BOM_UTF8), request.address)
        except TimeoutError as exc:
            if not limit.is_over:
                raise
            raise httpx.ReadTimeout(f"no whole answer within {longest:g} s") from exc
        finally:
            self._observe(
                RequestSent(
                    method=request.method,
                    url=Address(request.address),
                    status=status,
                    seconds=time.perf_counter()
                    - started
                    - (0.0 if reader is None else reader.apart)
                    - (0.0 if request.sent_text is None else request.sent_text.waited),
                    size=size,
                    attempt=number,
                    target=target_of(request.address, self._root),
                    dialect=self.dialect,
                    waited=waited,
                    activity=activity,
                    client_request_id=request.own_headers.get(REQUEST_ID),
                    span=span,
                    is_file=True if is_file else None,
                )
            )

    def _limit(self, request: LazyRequest, longest: float) -> TimeLimit:
        remaining = remaining_time() if request.method == "GET" else None
        return TimeLimit(None) if remaining is None or remaining > longest else UNLIMITED

    def _longest(self, request: LazyRequest) -> float:
        """Return the seconds for a whole answer; a request with a longer timeout for one piece gets that for all."""
        piece = request.extensions["timeout"].get("read") or 0.0
        return max(
            self._settings.answer_timeout, piece if piece > self._settings.read_timeout else 0.0
        )

    async def _answer(
        self,
        request: LazyRequest,
        auth: httpx.Auth | None,
        limit: TimeLimit,
        longest: float,
        begins: Callable[[], None] | None,
    ) -> httpx.Response:
        """Send with credentials, as often as they require it."""
        now = asyncio.get_running_loop().time
        send = self._transport.handle_async_request
        if auth is None:
            if begins is not None:
                begins()
            limit.reschedule(now() + longest)
            return await send(request)
        # What httpx.AsyncClient does with an Auth, except that the limit is off while it signs in.
        async with aclosing(auth.async_auth_flow(request)) as flow:
            signed = await anext(flow)
            while True:
                if begins is not None:
                    begins()
                limit.reschedule(now() + longest)
                answer = await send(signed)
                try:
                    limit.reschedule(None)
                    signed = await flow.asend(answer)
                except StopAsyncIteration:
                    limit.reschedule(now() + longest)
                    return answer
                except BaseException:
                    await answer.aclose()
                    raise
                await answer.aclose()
