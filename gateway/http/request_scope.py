"""Gives every request an id and its place in a trace, and says when it has ended.

The id is the client's (``X-Request-Id``), else that of its trace (``traceparent``), else a new one. It is in the
answer's ``X-Request-Id``, in every log line, in the audit log, and in the span of a request that is traced.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.events import Observer
from gateway.events.requests import RequestServed
from gateway.telemetry.request_context import (
    REQUEST_ID,
    RequestContext,
    Sampling,
    in_request,
)

from .edge import HEALTH, route_of
from .exchange import WHOLE, head_of

HEADER = REQUEST_ID.encode()
_STREAM = b"text/event-stream"


def context_of(scope: Scope, sampling: Sampling) -> RequestContext:
    """Return the context of a request or a connection."""
    head = head_of(scope)
    return RequestContext(head.request_id, head.parent, sampling)


class RequestScopes:
    """What every request of an application passes."""

    def __init__(self, observe: Observer, sampling: Sampling, routes: Collection[str]) -> None:
        """``routes``: paths that are named in events; of others only the first part is."""
        self._observe = observe
        self._sampling = sampling
        self._routes = frozenset(routes)

    async def answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by an application."""
        if scope["path"] in HEALTH:
            await app(scope, receive, send)
            return
        context = context_of(scope, self._sampling)
        with in_request(context):
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            started = time.perf_counter()
            answer = _Answer(send, context.request_id)
            try:
                await app(scope, receive, answer)
            finally:
                self._observe(
                    RequestServed(
                        method=scope["method"],
                        route=self._route_of(scope),
                        status=answer.status,
                        seconds=time.perf_counter() - started,
                        is_stream=answer.is_stream,
                    )
                )

    def _route_of(self, scope: Scope) -> str:
        """Return a path that is one of few: others hold names that clients choose, or secrets."""
        route = route_of(scope)
        if route in self._routes:
            return route
        first = "/" + route[1:].partition("/")[0]
        return first if first in FIRST else "other"


FIRST = frozenset(
    {
        *("/graphql", "/graphiql", "/export", "/import", "/exports", "/files", "/jobs"),
        *("/link", "/scim", "/admin"),
    }
)
"""First parts of paths that are named."""


class _Answer:
    """Sends an answer, with the id of its request."""

    __slots__ = ("_id", "_send", "is_stream", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = (HEADER, request_id.encode())
        self.status = 0
        self.is_stream = False

    async def __call__(self, message: Message) -> None:
        """Send a message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"]
            if WHOLE in message:
                headers.append(self._id)
                await self._send(message)
                return
            for name, value in headers:
                if name == b"content-type":
                    self.is_stream = value.startswith(_STREAM)
                    break
            message = {**message, "headers": [*headers, self._id]}
        await self._send(message)
