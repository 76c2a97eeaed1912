"""Sends one webhook: signed as Standard Webhooks say, once, within a time. Who sends it decides about the next attempt.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

Where callers choose the address, it must be of a host that the settings allow, and the connection goes to an address on
the internet: a name that led elsewhere by now is not connected to. Redirects are followed nowhere.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.request import proxy_bypass

import httpx

from gateway.config.webhook_addresses import is_private_host

GONE = 410
"""Of a receiver that wants no more of them."""
LONGEST = 15.0
"""Seconds in which the receiver must answer, if nobody says otherwise."""


def signature(key: bytes, webhook: str, at: int, body: bytes) -> str:
    """Return the signature of an attempt at a time: ``v1,`` and the HMAC-SHA256 in Base64."""
    signed = f"{webhook}.{at}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def headers_of(keys: Sequence[bytes], webhook: str, at: int, body: bytes) -> Mapping[str, str]:
    """Return the header fields of an attempt; with several keys, while one takes the place of another."""
    return {
        "content-type": "application/json",
        "user-agent": "d365-graphql-gateway",
        "webhook-id": webhook,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(signature(key, webhook, at, body) for key in keys),
    }


async def attempt(
    http: httpx.AsyncClient,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    longest: float = LONGEST,
) -> str | None:
    """Send a webhook; return why it was not taken, None if it was."""
    try:
        async with (
            asyncio.timeout(longest),
            # What the receiver says besides its status is not read.
            http.stream("POST", url, content=body, headers=headers) as response,
        ):
            status = response.status_code
    except (httpx.HTTPError, OSError, TimeoutError) as error:
        return type(error).__name__
    return None if 200 <= status < 300 else status_text(status)


def status_text(status: int) -> str:
    """Return the reason of an answer that is no success."""
    return f"status {status}"


class ChosenTargets(httpx.AsyncBaseTransport):
    """Connections to addresses that callers have chosen: on the internet, or of hosts that the settings name."""

    def __init__(self, private_hosts: Sequence[str], connections: int) -> None:
        self._private_hosts = private_hosts
        # aiohttp takes 0.2 s to import: a server without webhooks does without.
        from gateway.odata.public_addresses import public_socket  # noqa: PLC0415
        from gateway.odata.transport import AiohttpTransport, environment_proxies  # noqa: PLC0415

        proxies = environment_proxies()
        self._private = AiohttpTransport(connections=connections, proxies=proxies)
        self._public = AiohttpTransport(connections=connections, sockets=public_socket)
        # Behind a proxy the proxy resolves the name, and decides what it connects to.
        self._proxied = self._private if proxies else self._public

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises PrivateAddress for a name that leads into the own network."""
        host = request.url.host
        if is_private_host(host, self._private_hosts):
            return await self._private.handle_async_request(request)
        network = self._public if proxy_bypass(host) else self._proxied
        return await network.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._private.aclose()
        await self._public.aclose()
