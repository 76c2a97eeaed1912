"""Connections to environments that were added at run time: to their own origin, at public addresses, and nowhere else.

The host must be one that the settings allow now, also if they allowed others when it was added. Redirects are never
followed, by any transport. Behind a proxy the proxy resolves the name, and decides what it connects to.
"""

from __future__ import annotations

from urllib.request import proxy_bypass

import httpx

from gateway.config.environment_addresses import (
    environment_address,
    is_listed_loopback,
    origin_of,
)
from gateway.config.settings import Settings
from gateway.errors import SettingsError

from .lazy_request import LazyRequest
from .public_addresses import public_socket
from .transport import AiohttpTransport, environment_proxies
from .transport_errors import ForeignOrigin


def own_origin_transport(settings: Settings) -> httpx.AsyncBaseTransport:
    """Return the transport of an environment. Raises SettingsError if its address is not allowed."""
    allowed = settings.linking.allowed_hosts
    try:
        address = environment_address(settings.url or "", allowed)
    except ValueError as error:
        raise SettingsError(
            f"The address of the environment cannot be used: {error}.",
            hint="Correct the environment, or the setting linking.allowed_hosts.",
        ) from None
    return OwnOriginTransport(address, _network(settings, address))


def _network(settings: Settings, address: str) -> httpx.AsyncBaseTransport:
    if is_listed_loopback(address, settings.linking.allowed_hosts):
        return AiohttpTransport(connections=settings.concurrency)
    proxies = environment_proxies()
    if proxies and not proxy_bypass(address.split("/")[2]):
        return AiohttpTransport(connections=settings.concurrency, proxies=proxies)
    return AiohttpTransport(connections=settings.concurrency, sockets=public_socket)


class OwnOriginTransport(httpx.AsyncBaseTransport):
    """Refuses requests to any other origin."""

    def __init__(self, address: str, network: httpx.AsyncBaseTransport) -> None:
        self._own = f"{origin_of(address)}/"
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises ForeignOrigin."""
        is_lazy = isinstance(request, LazyRequest) and not request.is_initialized
        address = request.address if is_lazy else str(request.url)  # type: ignore[attr-defined]
        if not address.startswith(self._own):
            raise ForeignOrigin("not the origin of the environment")
        return await self._network.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._network.aclose()
