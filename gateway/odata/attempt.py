"""One attempt at a request: signed, sent, its whole answer read within bounds of size and time.

``answer_timeout`` bounds an answer from the moment its request is sent to its last byte, because ``read_timeout``
bounds the silence between two pieces only: an answer that comes byte by byte would hold its connection for ever. The
time of a sign-in does not count; it has a bound of its own. A read whose operation ends sooner needs no timer: it is
given up with the operation.
"""

from __future__ import annotations

import asyncio
import time
from codecs import BOM_UTF8
from collections.abc import Callable
from contextlib import aclosing
from typing import Self

import httpx

from gateway.config.settings import Settings
from gateway.events import Address, Observer, RequestSent

from .decoding import Progress, read_body
from .lazy_request import Call
from .response_check import Response
from .retry import remaining_time


class _Unlimited:
    """Stands in for ``asyncio.timeout`` where something else sets the limit: 3 µs less a request."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave everything to the caller."""

    def reschedule(self, when: float | None) -> None:
        """Do nothing."""

    def expired(self) -> bool:
        """Return False."""
        return False


UNLIMITED = _Unlimited()


class Attempts:
    """Sends calls over one transport, with the credentials that belong to their addresses."""

    def __init__(
        self,
        settings: Settings,
        transport: httpx.AsyncBaseTransport,
        auth: Callable[[str], httpx.Auth | None],
        observe: Observer,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._auth = auth
        self._observe = observe

    async def once(
        self,
        call: Call,
        number: int,
        progress: Progress | None = None,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Send a call and return its answer. ``begins`` is called when it leaves.

        Raises what the transport raises, httpx.ReadTimeout where the answer takes too long, TokenError,
        UpstreamMalformed where it is too long.
        """
        started = time.perf_counter()
        status = size = 0
        longest = self._longest(call)
        try:
            async with self._limit(call, longest) as limit:
                answer = await self._answer(call, limit, longest, begins)
                status = answer.status_code
                body = await read_body(answer, self._settings.max_upstream_bytes, progress)
            size = len(body)
            # A byte order mark is no part of JSON (RFC 8259, 8.1), yet some services send one.
            return Response(status, answer.headers, body.removeprefix(BOM_UTF8), call.address)
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise httpx.ReadTimeout(f"no whole answer within {longest:g} s") from exc
        finally:
            self._observe(
                RequestSent(
                    method=call.method,
                    url=Address(call.address),
                    status=status,
                    seconds=time.perf_counter() - started,
                    size=size,
                    attempt=number,
                )
            )

    def _limit(self, call: Call, longest: float) -> asyncio.Timeout | _Unlimited:
        left = remaining_time() if call.method == "GET" else None
        return asyncio.timeout(None) if left is None or left > longest else UNLIMITED

    def _longest(self, call: Call) -> float:
        """Return the seconds for a whole answer; who waits longer for a single piece waits longer for all."""
        piece = call.extensions["timeout"].get("read") or 0.0
        return max(
            self._settings.answer_timeout, piece if piece > self._settings.read_timeout else 0.0
        )

    async def _answer(
        self,
        call: Call,
        limit: asyncio.Timeout | _Unlimited,
        longest: float,
        begins: Callable[[], None] | None,
    ) -> httpx.Response:
        """Send with the credentials that belong to the address, as often as they want it."""
        now = asyncio.get_running_loop().time
        send = self._transport.handle_async_request
        auth = self._auth(call.address)
        if auth is None:
            if begins is not None:
                begins()
            limit.reschedule(now() + longest)
            return await send(call)
        async with aclosing(auth.async_auth_flow(call)) as flow:
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
