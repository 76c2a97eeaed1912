"""Routes of subscriptions, at the address of each API. The code that serves them is imported with the first one."""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.identity.caller import Caller
from gateway.request import GraphQLRequest
from gateway.runtime.generations import GenerationManager
from gateway.subscriptions.hub import Hub

from .endpoints import Endpoint
from .presence import environment_of
from .request_parameters import Headers


def subscription_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the route of an API's WebSockets, if subscriptions are enabled."""
    settings = endpoint.settings
    if not settings.subscriptions.enabled:
        return ()

    async def socket(websocket: WebSocket) -> None:
        from .websocket import SocketOptions, serve

        async def admit(headers: Headers) -> tuple[Caller, GenerationManager | None]:
            return await endpoint.admit(websocket.scope, headers)

        terms = SocketOptions(
            admit=admit,
            max_message=settings.max_body_bytes,
            origins=settings.cors_origins,
            waiting=endpoint.waiting,
            running=endpoint.running,
            hub=lambda: hub_of(websocket.scope),
            documents=endpoint.documents,
        )
        await serve(websocket, getattr(websocket.app.state, "subscriptions", None), terms)

    return [WebSocketRoute(endpoint.api, socket)]


def hub_of(scope: Scope) -> Hub | None:
    """Return the subscriptions of the environment that a request is in; None while that is not known."""
    environment = environment_of(scope)
    return None if environment is None else environment.subscriptions


async def stream_events(
    endpoint: Endpoint,
    live: GenerationManager,
    request: GraphQLRequest,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Answer a request with a stream of its results."""
    from gateway.subscriptions.streams import Streams

    from .event_stream import stream

    # A stream uses the current generation each time, so that it does not keep an old one alive.
    hub = hub_of(scope)
    assert hub is not None
    streams = Streams(live, hub)
    await stream(streams, request, scope, receive, send, lambda: endpoint.authenticate(scope))
