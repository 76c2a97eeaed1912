"""GraphQL over server-sent events: one operation a request ("distinct connections mode" of graphql-sse).

    event: next           event: complete        : a comment now and then, so that proxies keep the connection
    data: {"data": …}     data:

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md. An invalid HTTP request is answered with an HTTP
error; an operation that cannot run has its errors as the stream's only result. The subscription ends when its client
disconnects.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.failures import failure_answer
from gateway.request import Answer, GraphQLRequest
from gateway.subscriptions.hub import FeedEnded
from gateway.subscriptions.streams import Streams

from .responses import send_body

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    # For nginx and proxies that follow it: do not buffer.
    (b"x-accel-buffering", b"no"),
    (b"vary", b"Accept, Accept-Encoding, X-D365-Company"),
)
_KEEP_ALIVE = b":\n\n"
_COMPLETE = b"event: complete\ndata:\n\n"


async def stream(
    streams: Streams, request: GraphQLRequest, scope: Scope, receive: Receive, send: Send
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
        await _stream_until_gone(streams, request, scope, receive, send)


async def _stream_until_gone(
    streams: Streams, request: GraphQLRequest, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send until the stream is complete or the client disconnects; a mutation goes on to its end."""
    hub = streams.hub
    sending = asyncio.create_task(_send_all(streams, request, send))
    others = [
        asyncio.create_task(_until_gone(receive)),
        asyncio.create_task(hub.until_stopped(scope)),
    ]
    try:
        await asyncio.wait((sending, others[0]), return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        with streams.live.serving() as gateway:
            must_end = gateway.engine.changes_data(request)
        if must_end and not sending.done():
            hub.finish_in_background(sending)
        else:
            others.append(sending)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_all(streams: Streams, request: GraphQLRequest, send: Send) -> None:
    quiet = streams.hub.options.heartbeat
    async with aclosing(_results(streams, request)) as results:
        # Not wait_for(): it would cancel the result that is being made at each heartbeat.
        coming = asyncio.ensure_future(anext(results, None))
        try:
            while True:
                done, _ = await asyncio.wait((coming,), timeout=quiet)
                if not done:
                    await _piece(send, _KEEP_ALIVE)
                    continue
                result = coming.result()
                if result is None:
                    break
                await _piece(send, b"event: next\ndata: %b\n\n" % result)
                coming = asyncio.ensure_future(anext(results, None))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
    await _piece(send, _COMPLETE, more=False)


async def _piece(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _results(streams: Streams, request: GraphQLRequest) -> AsyncGenerator[bytes, None]:
    """Yield the results of an operation of any kind; an unexpected error is the last of them."""
    try:
        async with aclosing(_each_result(streams, request)) as results:
            async for result in results:
                yield result
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
            if ended.errors:
                yield msgspec.json.encode({"errors": ended.errors})
