"""The gateway's own sign-in upstream, as an ``httpx.Auth``: a token of the application on each request.

The token is cached here until shortly before it expires. After a 401 it is dropped and the request sent once more with
a new one.

One attempt serves every request that waits for a token, and so does its failure, which is raised again for
``REMEMBERED`` seconds without a request to the login host. A request that stops waiting (its operation's deadline,
a client that disconnected) does not end the attempt, which has a limit of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

import httpx
from msgspec import Struct

from gateway.errors import GatewayError, SettingsError, TokenError, TokenRefused
from gateway.events import Observer, TokenAcquired, log_event
from gateway.events.environments import SignInRefused
from gateway.process.daemon_call import daemon_call

from .lazy_request import LazyRequest
from .token_requests import IssuedToken, TokenRequests

EARLY = 300.0
"""Seconds before its expiry at which a token is renewed; msal's own margin."""
AGAIN = 30.0
"""Minimum seconds between two renewals after a 401, and between two attempts to renew a token that is still valid."""
REMEMBERED = 5.0
"""Seconds for which the failure of an attempt is that of further ones."""


class _Token(Struct, frozen=True):
    value: str
    renew_at: float
    ends_at: float

    def __repr__(self) -> str:
        return "_Token(********)"


class ApplicationSignIn(httpx.Auth):
    """Puts the application's token on each request. Tests replace ``now``, a monotonic clock in seconds."""

    def __init__(
        self,
        requests: TokenRequests,
        *,
        observe: Observer = log_event,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = requests
        self._observe = observe
        self._now = now
        self._attempt: asyncio.Task[_Token | TokenError] | None = None
        self._token: _Token | None = None
        self._refusal: tuple[float, TokenError] | None = None
        self._renewed_at = float("-inf")

    def __repr__(self) -> str:
        return "ApplicationSignIn(********)"

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send with a token; after a 401 once more with a new one. Raises TokenError."""
        token = await self.token()
        put_token(request, token)
        response = yield request
        if response.status_code != 401:
            return
        renewed = await self._renewed(token)
        if renewed != token:
            put_token(request, renewed)
            yield request

    async def sign_in(self) -> float:
        """Sign in unless that is done, and return the seconds for which the token is valid. Raises TokenError."""
        await self.token()
        assert self._token is not None
        return self._token.ends_at - self._now()

    async def token(self) -> str:
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
        self._requests.http.loop = asyncio.get_running_loop()
        try:
            # One thread for each application: login hosts that hang take none from others.
            issued = await daemon_call(self._requests.for_application)
        except GatewayError as error:
            failure = as_token_error(error)
            if isinstance(failure, TokenRefused):
                self._observe(SignInRefused(reason=failure.message, hint=failure.hint))
            self._refusal = (self._now() + REMEMBERED, failure)
            return failure
        self._refusal = None
        self._token = self._valid(issued)
        self._observe(TokenAcquired(expires_in=issued.lifetime))
        return self._token

    def _valid(self, issued: IssuedToken) -> _Token:
        now = self._now()
        early = min(EARLY, issued.lifetime / 2)  # so that a short-lived token is used at all
        return _Token(issued.value, now + issued.lifetime - early, now + issued.lifetime)


def as_token_error(error: GatewayError) -> TokenError:
    """Return the error of a request for an error of the settings: a file that cannot be read any more."""
    if isinstance(error, TokenError):
        return error
    assert isinstance(error, SettingsError)
    return TokenError(
        "The gateway's credentials cannot be read.", detail=f"{error.message} {error.hint}"
    )


def put_token(request: httpx.Request, token: str) -> None:
    """Sign a request with a token."""
    if isinstance(request, LazyRequest):
        request.set_header("Authorization", f"Bearer {token}")
    else:
        request.headers["Authorization"] = f"Bearer {token}"
