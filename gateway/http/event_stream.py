"""GraphQL over server-sent events: one operation a request ("distinct connections mode" of graphql-sse).

    event: next           event: complete        : a comment now and then, so that proxies keep the connection
    data: {"data": …}     data:                  retry: 850   at the end, if the gateway stops: subscribe again

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md. An invalid HTTP request is answered with an HTTP
error; an operation that cannot run has its errors as the stream's only result. The subscription ends when its client
disconnects, or its credentials end.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.errors import Unauthenticated
from gateway.failures import failure_answer
from gateway.identity.caller import ANONYMOUS
from gateway.request import Answer, GraphQLRequest
from gateway.subscriptions.hub import FeedEnded
from gateway.subscriptions.polling import error_json
from gateway.subscriptions.streams import Streams

from .caller_watch import until_refused
from .client_watch import until_gone
from .responses import send_body

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    # For nginx and proxies that follow it: do not buffer.
    (b"x-accel-buffering", b"no"),
    (b"vary", b"Accept, Accept-Encoding, X-D365-Company, X-D365-Environment"),
)
_KEEP_ALIVE = b":\n\n"
_COMPLETE = b"event: complete\ndata:\n\n"
_RETRY_BETWEEN = (200, 2_000)
"""Milliseconds after which a client is to subscribe again; by chance, so that not all of them come at once."""


class _GatewayStops(Exception):
    """The subscription is not complete; it ends here because the gateway stops."""


Verify: TypeAlias = Callable[[], Awaitable[object]]
"""Raises HttpError if the credentials of a request are not accepted any more."""


async def stream(
    streams: Streams,
    request: GraphQLRequest,
    scope: Scope,
    receive: Receive,
    send: Send,
    verify: Verify,
) -> None:
    """Answer a request with a stream of its results."""
    with streams.hub.connection() as is_admitted:
        if not is_admitted:
            fields = ((b"content-type", b"text/plain"), (b"retry-after", b"5"))
            await send_body(send, 503, b"Too many connections", fields)
            return
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        await _stream_until_gone(streams, request, scope, receive, send, verify)


async def _stream_until_gone(
    streams: Streams,
    request: GraphQLRequest,
    scope: Scope,
    receive: Receive,
    send: Send,
    verify: Verify,
) -> None:
    """Send until the stream is complete, its client disconnects or its credentials end; a mutation goes on."""
    hub = streams.hub
    sending = asyncio.create_task(_send_all(streams, request, send))
    stopping = asyncio.create_task(hub.until_stopped(scope))
    others: list[asyncio.Task[Any]] = [asyncio.create_task(until_gone(receive)), stopping]
    with streams.live.serving() as gateway:
        subscribes = gateway.engine.subscribes(request)
    refusal = _refusal(request, verify) if subscribes else None
    try:
        # Other operations have their result first.
        ends = [sending, others[0], *([stopping] if subscribes else ())]
        if refusal is not None:
            ends.append(refusal)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
        elif subscribes and stopping.done():
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await _piece(send, _retry(), more=False)
        elif refusal is not None and refusal.done():
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await _send_refusal(send, refusal.result())
    finally:
        if refusal is not None:
            others.append(refusal)
        with streams.live.serving() as gateway:
            must_end = gateway.engine.changes_data(request)
        if must_end and not sending.done():
            hub.finish_in_background(sending)
        else:
            others.append(sending)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _retry() -> bytes:
    # Not complete: clients that read that would not subscribe again.
    return b"retry: %d\n\n" % random.randint(*_RETRY_BETWEEN)  # noqa: S311 - no secret


def _refusal(request: GraphQLRequest, verify: Verify) -> asyncio.Task[str] | None:
    """Return a task that ends when the credentials of a subscription do; None if it has none."""
    if request.caller is ANONYMOUS:
        return None
    return asyncio.create_task(until_refused(lambda: request.caller, verify))


async def _send_refusal(send: Send, reason: str) -> None:
    error = error_json(Unauthenticated(reason, hint="Subscribe again with a new token."))
    await _piece(send, b"event: next\ndata: %b\n\n" % msgspec.json.encode({"errors": [error]}))
    await _piece(send, _COMPLETE, more=False)


async def _send_all(streams: Streams, request: GraphQLRequest, send: Send) -> None:
    quiet, last = streams.hub.options.heartbeat, _COMPLETE
    async with aclosing(_results(streams, request)) as results:
        # Not wait_for(): it would cancel the result that is being made at each heartbeat.
        coming = asyncio.ensure_future(anext(results, None))
        try:
            while True:
                done, _ = await asyncio.wait((coming,), timeout=quiet)
                if not done:
                    await _piece(send, _KEEP_ALIVE)
                    continue
                try:
                    result = coming.result()
                except _GatewayStops:
                    last = _retry()
                    break
                if result is None:
                    break
                await _piece(send, b"event: next\ndata: %b\n\n" % result)
                coming = asyncio.ensure_future(anext(results, None))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
    await _piece(send, last, more=False)


async def _piece(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _results(streams: Streams, request: GraphQLRequest) -> AsyncGenerator[bytes, None]:
    """Yield the results of an operation of any kind; an unexpected error is the last of them."""
    try:
        async with aclosing(_each_result(streams, request)) as results:
            async for result in results:
                yield result
    except _GatewayStops:
        raise
    except Exception as error:
        yield failure_answer(error, streams.hub.observe).encode()


async def _each_result(streams: Streams, request: GraphQLRequest) -> AsyncGenerator[bytes, None]:
    # The answer is sent outside of the block, so that a slow client keeps no old generation alive.
    answer: Answer | None = None
    with streams.live.serving() as gateway:
        if not gateway.engine.subscribes(request):
            answer = await gateway.engine.execute(request)
    if answer is not None:
        yield answer.encode()
        return
    async with aclosing(streams.results(request)) as results:
        try:
            async for result in results:
                yield result
        except FeedEnded as ended:
            if not ended.errors:
                raise _GatewayStops from ended
            yield msgspec.json.encode({"errors": ended.errors})
