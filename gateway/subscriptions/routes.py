"""Where WebSockets are served: at the address of each API."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from gateway.endpoints import Endpoint

from .streams import Streams
from .websocket import Terms, serve


def subscription_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Give the route of an API's WebSockets, where the settings want subscriptions."""
    settings = endpoint.settings
    if not settings.subscriptions.enabled:
        return ()
    terms = Terms(max_message=settings.max_body_bytes, origins=settings.cors_origins)

    async def socket(websocket: WebSocket) -> None:
        live = await endpoint.live(websocket.app)
        streams = None if live is None else Streams(live, websocket.app.state.subscriptions)
        await serve(websocket, streams, terms)

    return [WebSocketRoute(endpoint.api, socket)]
