"""Tokens on behalf of callers, and the ``httpx.Auth`` that signs a caller's requests with them.

msal does not read its cache in this flow, so tokens are cached here, by ``caller_key``:

* only the token itself, for no longer than the caller's own token lives; the least recently used go first;
* one request to the login host at a time for each caller, renewed early (from 80 % of a token's life, with jitter) if
  the caller's own token allows a longer life;
* refusals are remembered with the digest of the caller's token: a refused one costs one request, a new one is tried at
  once.

Requests run in a thread pool of their own with a limit of time, so that they hold up nothing else. A caller for whom no
token can be had is refused (``Unauthenticated``): the application's token never stands in.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from msgspec import Struct

from gateway.errors import GatewayError, TokenError, Unauthenticated
from gateway.events import CallerTokenAcquired, Observer, log_event
from gateway.identity.caller import Assertion, Caller

from .application_sign_in import as_token_error, put_token
from .caller_key import assertion_digest, assertion_of, caller_key
from .claims_challenge import claims_of_header, valid_claims
from .newest_callers import NewestCallers
from .token_errors import name_of
from .token_requests import EntraTokenRequests, IssuedToken

RENEW_FROM, RENEW_TO = 0.8, 0.9
"""Parts of a token's life between which it is renewed."""
AGAIN = 30.0
"""Age in seconds from which a token that the service rejects is replaced."""
SPARE = 30.0
"""Seconds before its end from which a token is not used any more."""
REFUSED = 120.0
"""Seconds for which a refusal is remembered; after that the login host may have been told otherwise."""
FAILED = 5.0
"""Seconds for which a failure that is not about the caller is remembered."""
LONGEST = 60.0
"""Seconds for which a request waits for a token, its turn in the pool included."""
_SIGN_IN_AGAIN = frozenset({"invalid_grant", "interaction_required", "login_required"})
_OPERATORS = frozenset({65001, 50013, 500131, 500011, 50105, 70011, 700016})
"""AADSTS numbers of refusals that signing in again does not mend: the application is set up wrongly."""


class _Token(Struct, frozen=True):
    value: str
    issued_at: float
    renew_at: float
    use_until: float
    ends_at: float

    def __repr__(self) -> str:
        return "_Token(********)"


class _Refusal(Struct, frozen=True):
    error: TokenError | Unauthenticated
    until: float


class OnBehalfOf:
    """The tokens of all callers. Tests replace ``now``, a clock in seconds since the epoch, and ``jitter``."""

    def __init__(
        self,
        requests: EntraTokenRequests,
        *,
        max_tokens: int,
        workers: int,
        observe: Observer = log_event,
        now: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        longest: float = LONGEST,
    ) -> None:
        self._requests = requests
        self._max = max_tokens
        self._observe = observe
        self._now = now
        self._jitter = jitter
        self._longest = longest
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="on-behalf-of")
        self.newest = NewestCallers(max_tokens)
        self._tokens: OrderedDict[bytes, _Token] = OrderedDict()
        self._refusals: OrderedDict[bytes, _Refusal] = OrderedDict()
        self._attempts: dict[bytes, asyncio.Task[_Token | _Refusal]] = {}

    def __repr__(self) -> str:
        return f"OnBehalfOf({len(self._tokens)} tokens)"

    def auth(self, caller: Caller) -> CallerSignIn:
        """Return what signs a caller's requests, also after the caller's token was renewed."""
        self.newest.note(caller)
        return CallerSignIn(self, caller)

    def close(self) -> None:
        """Give up the requests that wait for their turn."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def token(self, caller: Caller) -> str:
        """Return a token on behalf of a caller. Raises Unauthenticated, TokenError."""
        assertion, now = assertion_of(caller), self._now()
        key = caller_key(caller, self._requests.account)
        token = self._tokens.get(key)
        if token is None or now >= token.use_until:
            # Not before: a newer token of the same caller may have brought this one.
            if caller.expires_at is not None and now >= caller.expires_at:
                raise Unauthenticated("Your token has expired.", hint="Sign in again.")
            return await self._acquired(key, caller, assertion)
        self._tokens.move_to_end(key)
        if now >= token.renew_at and _outlasts(caller, token):
            self._renew_in_background(key, caller, assertion)
        return token.value

    def renew(self, caller: Caller) -> None:
        """Get a token that lasts as long as the caller's new one, for what runs on with the old one (subscriptions)."""
        assertion = caller.assertion
        if assertion is None:
            return
        key = caller_key(caller, self._requests.account)
        token = self._tokens.get(key)
        if token is None or _outlasts(caller, token):
            self._renew_in_background(key, caller, assertion)

    async def another(self, caller: Caller, rejected: str, claims: str | None) -> str:
        """Return another token than the one that the service rejected, with the claims that it requires.

        The same one if it is so new that a newer one would not help. Raises Unauthenticated if the caller has to sign
        in for it, TokenError.
        """
        assertion = assertion_of(caller)
        key = caller_key(caller, self._requests.account)
        token = self._tokens.get(key)
        if token is not None and claims is None:
            is_new = self._now() - token.issued_at < AGAIN
            if token.value != rejected or is_new:
                return token.value
        self._tokens.pop(key, None)
        return await self._acquired(key, caller, assertion, claims)

    def reject(self, caller: Caller, error: Unauthenticated) -> Unauthenticated:
        """Return the error of a caller whose tokens the service rejects, and remember it."""
        self._tokens.pop(caller_key(caller, self._requests.account), None)
        self._refuse(assertion_of(caller), error, REFUSED)
        return error.fresh_copy()

    def _renew_in_background(self, key: bytes, caller: Caller, assertion: Assertion) -> None:
        if key not in self._attempts and self._refusal_of(assertion) is None:
            self._begin(key, caller, assertion, None)

    async def _acquired(
        self, key: bytes, caller: Caller, assertion: Assertion, claims: str | None = None
    ) -> str:
        """Return the token of the attempt under way for this caller, or of a new one."""
        refusal = self._refusal_of(assertion)
        if refusal is not None:
            raise refusal.error.fresh_copy()
        attempt = self._attempts.get(key) or self._begin(key, caller, assertion, claims)
        try:
            async with asyncio.timeout(self._longest):
                outcome = await asyncio.shield(attempt)
        except TimeoutError:
            raise TokenError(
                "The login host did not answer in time.",
                hint="Raise credentials.token_requests if many callers sign in at once.",
            ) from None
        if isinstance(outcome, _Refusal):
            raise outcome.error.fresh_copy()
        return outcome.value

    def _begin(
        self, key: bytes, caller: Caller, assertion: Assertion, claims: str | None
    ) -> asyncio.Task[_Token | _Refusal]:
        attempt = asyncio.ensure_future(self._acquire(key, caller, assertion, claims))
        self._attempts[key] = attempt
        attempt.add_done_callback(lambda _: self._attempts.pop(key, None))
        return attempt

    async def _acquire(
        self, key: bytes, caller: Caller, assertion: Assertion, claims: str | None
    ) -> _Token | _Refusal:
        """Ask the login host, and remember its answer. Raises nothing: nobody may wait for it any more."""
        loop = asyncio.get_running_loop()
        self._requests.http.loop = loop
        request = self._requests.on_behalf_of
        try:
            answer, issued = await loop.run_in_executor(
                self._pool, request, assertion.token, claims
            )
        except GatewayError as error:
            return self._refuse(assertion, as_token_error(error), FAILED)
        except RuntimeError:  # the pool was shut down
            return _Refusal(TokenError("The gateway shuts down."), 0.0)
        if isinstance(issued, TokenError):
            return self._refuse(assertion, *_meaning(answer, issued))
        self._observe(CallerTokenAcquired(caller=caller.log_id, expires_in=issued.lifetime))
        return self._remember(key, caller, issued)

    def _remember(self, key: bytes, caller: Caller, issued: IssuedToken) -> _Token:
        now = self._now()
        ends_at = now + issued.lifetime
        use_until = ends_at - min(SPARE, issued.lifetime / 10)
        if caller.expires_at is not None and caller.expires_at < use_until:
            # To its very end: another token would end then, too.
            ends_at = use_until = caller.expires_at
        part = RENEW_FROM + (RENEW_TO - RENEW_FROM) * self._jitter()
        token = _Token(issued.value, now, now + (ends_at - now) * part, use_until, ends_at)
        self._tokens[key] = token
        self._tokens.move_to_end(key)
        while len(self._tokens) > self._max:
            self._tokens.popitem(last=False)
        return token

    def _refuse(
        self, assertion: Assertion, error: TokenError | Unauthenticated, seconds: float
    ) -> _Refusal:
        refusal = _Refusal(error, self._now() + seconds)
        self._refusals[assertion_digest(assertion)] = refusal
        while len(self._refusals) > self._max:
            self._refusals.popitem(last=False)
        return refusal

    def _refusal_of(self, assertion: Assertion) -> _Refusal | None:
        """Return the refusal of this very token of a caller, as long as it is remembered."""
        if not self._refusals:
            return None
        digest = assertion_digest(assertion)
        refusal = self._refusals.get(digest)
        if refusal is not None and self._now() >= refusal.until:
            del self._refusals[digest]
            return None
        return refusal


class CallerSignIn(httpx.Auth):
    """Puts a token on behalf of one caller on each request."""

    def __init__(self, tokens: OnBehalfOf, caller: Caller) -> None:
        self._tokens = tokens
        self._caller = caller

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send with a token; after a 401 once more with a new one. Raises Unauthenticated, TokenError."""
        caller = self._tokens.newest.of(self._caller)
        token = await self._tokens.token(caller)
        put_token(request, token)
        response = yield request
        if response.status_code != 401:
            return
        claims = claims_of_header(response.headers.get("www-authenticate"))
        another = await self._tokens.another(caller, token, claims)
        if another == token:
            return
        put_token(request, another)
        response = yield request
        if response.status_code == 401:
            claims = claims_of_header(response.headers.get("www-authenticate"))
            if claims is not None:
                message = "The service requires more of your sign-in."
                hint = "Sign in again with the claims in extensions.claims."
                error = Unauthenticated(message, hint=hint, claims=claims)
                raise self._tokens.reject(caller, error)


def _outlasts(caller: Caller, token: _Token) -> bool:
    """Return whether a token that a caller brings lives longer than the cached one."""
    return caller.expires_at is not None and caller.expires_at > token.ends_at


def _meaning(
    answer: Mapping[str, Any], refusal: TokenError
) -> tuple[TokenError | Unauthenticated, float]:
    """Return what a refusal means for the caller, and for how many seconds that holds."""
    codes = {code for code in answer.get("error_codes") or () if isinstance(code, int)}
    if answer.get("error") not in _SIGN_IN_AGAIN or codes & _OPERATORS:
        return refusal, FAILED
    claims = valid_claims(answer.get("claims"))
    if claims is not None:
        message = "Microsoft Entra requires more of your sign-in"
        hint = "Sign in again with the claims in extensions.claims."
    else:
        message = "Microsoft Entra does not accept your sign-in any more"
        hint = "Sign in again."
    error = Unauthenticated(
        f"{message} ({name_of(answer)}).", hint=hint, detail=refusal.detail, claims=claims
    )
    return error, REFUSED
