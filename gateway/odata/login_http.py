"""The HTTP client that msal requires, over httpx: one set of proxy and certificate rules for the whole process.

msal calls it in a thread; it hands each exchange to the event loop, where its total time can be limited. msal refuses
http authorities; for a login host on this machine, as in tests, this speaks http behind msal's https addresses.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeAlias

import httpx

LONGEST_EXCHANGE = 30.0
"""Seconds for one request to the login host and its whole answer; a sign-in needs two at most."""
LoginTransport: TypeAlias = Callable[[], httpx.AsyncBaseTransport]
"""Returns a new way to the login host; tests replace the network by it."""


_LOOK = 1.0
"""Seconds after which a thread looks whether the event loop has been closed, which would never answer."""


class LoginHttp:
    """``get``, ``post`` and ``close``, as msal calls them.

    Each call has its own connection, because tokens are valid for an hour.
    """

    loop: asyncio.AbstractEventLoop | None = None
    """In which exchanges run; None: in the thread that calls, as commands do."""

    def __init__(
        self,
        authority: str,
        transport: LoginTransport | None = None,
        longest: float = LONGEST_EXCHANGE,
    ) -> None:
        self._transport = transport
        self._longest = longest
        self._plain = authority if authority.startswith("http://") else None
        self._trust: ssl.SSLContext | None = None

    def disguised(self, url: str) -> str:
        """``http://127.0.0.1:1/x`` → ``https://127.0.0.1:1/x``, for msal."""
        return url.replace("http://", "https://", 1) if self._plain else url

    def get(self, url: str, **options: Any) -> httpx.Response:
        """Return the answer to a GET. Raises httpx.HTTPError."""
        return self._send("GET", url, options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        """Return the answer to a POST. Raises httpx.HTTPError."""
        return self._send("POST", url, options)

    def close(self) -> None:
        """Do nothing: no connection stays open."""

    def _send(self, method: str, url: str, options: Mapping[str, Any]) -> httpx.Response:
        if self._plain and url.startswith(self.disguised(self._plain)):
            url = url.replace("https://", "http://", 1)
        client = self._client(url)
        request = client.build_request(
            method,
            url,
            params=options.get("params") or None,
            data=_form(options.get("data")),
            json=options.get("json"),
            headers=options.get("headers"),
        )
        try:
            return self._answer(self._result(self._exchange(client, request)))
        except TimeoutError as exc:
            raise httpx.ReadTimeout(f"no whole answer within {self._longest:g} s") from exc
        except CancelledError as exc:
            raise httpx.ReadError("the gateway shuts down") from exc

    def _answer(self, response: httpx.Response) -> httpx.Response:
        """Return an answer in which the login host's own addresses are those that msal knows."""
        if self._plain is None or self._plain not in response.text:
            return response
        text = response.text.replace(self._plain, self.disguised(self._plain))
        return httpx.Response(response.status_code, text=text)

    def _result(self, exchange: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
        if self.loop is None:
            return asyncio.run(exchange)
        try:
            answer = asyncio.run_coroutine_threadsafe(exchange, self.loop)
        except RuntimeError as exc:  # the event loop has been closed
            exchange.close()
            raise httpx.ReadError("the gateway shuts down") from exc
        while True:
            try:
                return answer.result(_LOOK)
            except TimeoutError:
                if answer.done():  # it is that of the exchange
                    return answer.result()
                if self.loop.is_closed():
                    with suppress(RuntimeError):
                        exchange.close()
                    raise httpx.ReadError("the gateway shuts down") from None

    def _client(self, url: str) -> httpx.AsyncClient:
        """Return a client for one exchange; called in the thread, as reading the trusted authorities takes 50 ms."""
        if self._transport is not None:
            return httpx.AsyncClient(transport=self._transport(), timeout=self._longest)
        if url.startswith("http://"):
            # Of this machine: identity endpoints, which no proxy reaches, and which need no trusted authorities.
            nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return httpx.AsyncClient(timeout=self._longest, verify=nobody, trust_env=False)
        if self._trust is None:
            self._trust = httpx.create_ssl_context()
        return httpx.AsyncClient(timeout=self._longest, verify=self._trust)

    async def _exchange(self, client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        async with asyncio.timeout(self._longest), client:
            return await client.send(request)


def _form(data: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a form without bytes: msal's signed assertions are, which httpx would send as ``b'…'``."""
    if data is None:
        return None
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in data.items()}
