"""The gateway's own sign-in upstream: client credentials of Microsoft Entra, through msal, as an ``httpx.Auth``.

msal blocks, so it runs in a thread, one call at a time; the token is cached here until shortly before it expires. After
a 401 that token is dropped and the request sent once more with a new one. What msal reports about a failure becomes a
``TokenError`` whose hint names the setting to check; the secret is in no message, ``repr`` or log line.

One attempt serves every request that waits for a token, and so does its failure, which is raised again for
``REMEMBERED`` seconds without a request to the login host. A request that stops waiting (its operation's deadline,
a client that disconnected) does not end the attempt, which has a limit of its own.

msal speaks to the login host over httpx too (one set of proxy and certificate rules for the whole process). It
refuses http authorities; for a login host on this machine, as in tests, the adapter speaks http behind msal's
https addresses. msal's thread hands each exchange to the event loop, where its total time can be limited.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import msal

from gateway.config.settings import Settings
from gateway.errors import SettingsError, TokenError
from gateway.events import Observer, TokenAcquired, log_event

from .lazy_request import LazyRequest

EARLY = 300.0
"""Seconds before its expiry at which a token is renewed; msal's own margin."""
AGAIN = 30.0
"""Minimum seconds between two renewals after a 401, and between two attempts to renew a token that is still valid."""
REMEMBERED = 5.0
"""Seconds for which the failure of an attempt is that of further ones."""
LONGEST_EXCHANGE = 30.0
"""Seconds for one request to the login host and its whole answer; a sign-in needs two at most."""

HINTS: Mapping[int, str] = {
    7000215: "Is client_secret the secret's value (not its id), and of this application?",
    7000222: "The secret has expired: make a new one and set client_secret.",
    700016: "Is client_id right, and is the application registered in this tenant?",
    90002: "Is tenant_id right?",
    900023: "tenant_id is neither a tenant's id nor one of its domains.",
    500011: "The scope names no service of this tenant: is the url that of an environment of the tenant?",
    70011: "The scope is malformed: it is the environment's address + /.default.",
    1002012: "The scope is malformed: it is the environment's address + /.default.",
    7000112: "The application is disabled in this tenant.",
    53003: "A conditional access policy of the tenant forbids this sign-in.",
}
"""What to check, by AADSTS number: https://learn.microsoft.com/entra/identity-platform/reference-error-codes."""


def auth_of(settings: Settings, observe: Observer = log_event) -> ClientCredentials | None:
    """Return the sign-in that the settings configure; None for a service without one.

    Raises SettingsError if one of its settings is missing.
    """
    if settings.auth == "none":
        return None
    tenant_id, client_id = settings.tenant_id, settings.client_id
    secret, scope = settings.client_secret, settings.scope
    if tenant_id is None or client_id is None or secret is None or scope is None:
        raise SettingsError("Signing in needs tenant_id, client_id, client_secret and scope.")
    account = Account(
        authority=settings.authority,
        tenant_id=tenant_id,
        client_id=client_id,
        scope=scope,
    )
    return ClientCredentials(account, secret.get_secret_value(), observe=observe)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who signs in, where and for what."""

    authority: str
    tenant_id: str
    client_id: str
    scope: str


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at: float
    ends_at: float

    def __repr__(self) -> str:
        return "_Token(********)"


class ClientCredentials(httpx.Auth):
    """Puts a bearer token on each request.

    Tests replace ``transport``, the way to the login host, and ``now``, a monotonic clock in seconds.
    """

    def __init__(
        self,
        account: Account,
        secret: str,
        *,
        observe: Observer = log_event,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
        now: Callable[[], float] = time.monotonic,
        longest_exchange: float = LONGEST_EXCHANGE,
    ) -> None:
        self.account = account
        self._secret = secret
        self._observe = observe
        self._http = _LoginHttp(account.authority, transport, longest_exchange)
        self._now = now
        self._attempt: asyncio.Task[_Token | TokenError] | None = None
        self._token: _Token | None = None
        self._refusal: tuple[float, TokenError] | None = None
        self._renewed_at = float("-inf")
        self._app: Any = None

    def __repr__(self) -> str:
        return f"ClientCredentials({self.account})"

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send with a token; after a 401 once more with a new one. Raises TokenError."""
        token = await self._current()
        _sign(request, token)
        response = yield request
        if response.status_code != 401:
            return
        renewed = await self._renewed(token)
        if renewed != token:
            _sign(request, renewed)
            yield request

    async def sign_in(self) -> float:
        """Sign in unless that is done, and return the seconds for which the token is valid. Raises TokenError."""
        await self._current()
        assert self._token is not None
        return self._token.ends_at - self._now()

    async def _current(self) -> str:
        """Return the text of a token, renewed if it is about to expire. Raises TokenError."""
        token = self._token
        if token is not None and self._now() < token.renew_at:
            return token.value
        try:
            return (await self._acquired()).value
        except TokenError:
            if token is None or self._now() >= token.ends_at:
                raise
            # Still valid: used on, and renewed later.
            self._token = _Token(token.value, self._now() + AGAIN, token.ends_at)
            return token.value

    async def _renewed(self, rejected: str) -> str:
        """Return another token than the rejected one; the same if it is so new that a newer one would not help."""
        if self._attempt is not None:
            await self._acquired()
        if self._token is not None and self._token.value != rejected:
            return self._token.value
        if self._now() - self._renewed_at < AGAIN:
            return rejected
        self._renewed_at = self._now()
        # msal would return the rejected token again from its own cache.
        self._app.remove_tokens_for_client()
        self._token = None
        return (await self._acquired()).value

    async def _acquired(self) -> _Token:
        """Return the token of the attempt under way, or of a new one. Raises TokenError."""
        if self._attempt is None:
            if self._refusal is not None and self._now() < self._refusal[0]:
                raise self._refusal[1].fresh_copy()
            self._attempt = asyncio.ensure_future(self._acquire())
            self._attempt.add_done_callback(self._end)
        outcome = await asyncio.shield(self._attempt)
        if isinstance(outcome, TokenError):
            raise outcome.fresh_copy()
        return outcome

    def _end(self, _attempt: asyncio.Task[_Token | TokenError]) -> None:
        self._attempt = None

    async def _acquire(self) -> _Token | TokenError:
        """Return a new token, or the error: asyncio would log one that is raised when nobody waits any more."""
        self._http.loop = asyncio.get_running_loop()
        try:
            result = await asyncio.to_thread(self._request_token)
        except TokenError as error:
            self._refusal = (self._now() + REMEMBERED, error)
            return error
        lifetime = float(result.get("expires_in", 0))
        now = self._now()
        early = min(EARLY, lifetime / 2)  # so that a short-lived token is used at all
        self._refusal = None
        self._token = _Token(str(result["access_token"]), now + lifetime - early, now + lifetime)
        self._observe(TokenAcquired(expires_in=lifetime))
        return self._token

    def _request_token(self) -> Mapping[str, Any]:
        """Return msal's answer with a token; called in a thread. Only here msal's failures are translated."""
        where = f"{self.account.authority}/{self.account.tenant_id}"
        try:
            if self._app is None:
                self._app = msal.ConfidentialClientApplication(
                    self.account.client_id,
                    client_credential=self._secret,
                    authority=self._http.disguised(where),
                    # The operator has chosen the authority; msal must not ask a public host whether it is a known one.
                    instance_discovery=False,
                    http_client=self._http,
                )
            result = self._app.acquire_token_for_client([self.account.scope])
        except httpx.HTTPError as exc:
            raise TokenError(
                "The login host cannot be reached.",
                hint="Is authority right, and can this machine reach it (name, proxy, certificate)?",
                detail=f"{self.account.authority}: {type(exc).__name__}: {exc}",
            ) from exc
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            msal.exceptions.MsalError,
        ) as exc:
            raise TokenError(
                "The login host does not know the tenant, or is not a login host.",
                hint="Are tenant_id and authority right?",
                detail=self._without_secret(f"{where}: {type(exc).__name__}: {exc}"),
            ) from exc
        if "access_token" not in result:
            raise self._refused(result)
        return result  # type: ignore[no-any-return] # msal is untyped

    def _refused(self, result: Mapping[str, Any]) -> TokenError:
        codes = [code for code in result.get("error_codes") or () if isinstance(code, int)]
        named = f"AADSTS{codes[0]}" if codes else str(result.get("error", "no reason given"))
        return TokenError(
            f"The login host refused to issue a token ({self._without_secret(named)}).",
            hint=next((HINTS[code] for code in codes if code in HINTS), None)
            or "Are tenant_id, client_id, client_secret and scope right?",
            detail=self._without_secret(str(result.get("error_description", ""))[:2_000]),
        )

    def _without_secret(self, text: str) -> str:
        """Return the text with the secret blanked, in case an answer echoes it."""
        # Answers may echo the form of the request, in which the secret is encoded.
        for form in {self._secret, quote(self._secret, safe=""), quote_plus(self._secret)} - {""}:
            text = text.replace(form, "********")
        return text


def _sign(request: httpx.Request, token: str) -> None:
    if isinstance(request, LazyRequest):
        request.set_header("Authorization", f"Bearer {token}")
    else:
        request.headers["Authorization"] = f"Bearer {token}"


class _LoginHttp:
    """The HTTP client that msal requires: ``get``, ``post``, ``close``.

    Each call has its own connection, because tokens are valid for an hour. msal calls it
    in a thread; ``loop`` runs the exchange, because only there its total time can be limited.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        authority: str,
        transport: Callable[[], httpx.AsyncBaseTransport] | None,
        longest: float,
    ) -> None:
        self._transport = transport
        self._longest = longest
        self._plain = authority if authority.startswith("http://") else None

    def disguised(self, url: str) -> str:
        """``http://127.0.0.1:1/x`` → ``https://127.0.0.1:1/x``, for msal."""
        return url.replace("http://", "https://", 1) if self._plain else url

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self._send("GET", url, options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self._send("POST", url, options)

    def close(self) -> None:
        """Do nothing: no connection stays open."""

    def _send(self, method: str, url: str, options: Mapping[str, Any]) -> httpx.Response:
        if self._plain and url.startswith(self.disguised(self._plain)):
            url = url.replace("https://", "http://", 1)
        # Made in the thread: reading the trusted authorities takes 50 ms, which would block the event loop.
        client = httpx.AsyncClient(
            transport=self._transport() if self._transport else None,
            timeout=self._longest,
        )
        request = client.build_request(
            method,
            url,
            params=options.get("params") or None,
            data=options.get("data"),
            headers=options.get("headers"),
        )
        exchange = asyncio.run_coroutine_threadsafe(self._exchange(client, request), self.loop)
        try:
            return exchange.result()
        except TimeoutError as exc:
            raise httpx.ReadTimeout(f"no whole answer within {self._longest:g} s") from exc
        except CancelledError as exc:
            raise httpx.ReadError("the gateway shuts down") from exc

    async def _exchange(self, client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        async with asyncio.timeout(self._longest), client:
            return await client.send(request)
