"""Authenticates the caller of each request: by a token, an API key or a client certificate.

    Authorization: Bearer eyJ…          a token of an issuer               ``tokens``
    Authorization: Bearer d365_…        an API key                         ``api_keys``
    X-Forwarded-Client-Cert: …          a certificate, of trusted proxies  ``certificates``
    none of them                        anonymous, if the settings allow it
    Authorization: Basic …              the password of a page: none of them

What is refused is one event in the log, which holds no token. Verified callers are remembered until their credentials
end: a warm request costs a digest and a lookup, without a switch to another task.

https://www.rfc-editor.org/rfc/rfc6750
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

import httpx

from gateway.config.inbound_models import InboundOptions
from gateway.config.settings import Settings
from gateway.errors import SettingsError, Unauthenticated
from gateway.events import CallerRefused, Observer, log_event
from gateway.store.api_keys import ApiKeys

from .api_keys import BEGINNING, verify_key
from .caller import ANONYMOUS, Caller
from .certificates import HEADER, certificate_caller
from .refusals import CredentialsRefused
from .sign_in import SignIns
from .verified_callers import VerifiedCallers, digest_of

if TYPE_CHECKING:
    from .sandbox_issuer import SandboxIssuer
    from .token_issuers import TokenIssuers

_HINT = "Set Authorization: Bearer <token>."
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)
_BASIC = re.compile(r"basic [^,]*", re.IGNORECASE)
_IN_QUERY = frozenset({"access_token", "id_token"})
"""Names under which clients put tokens into addresses, which end up in logs (RFC 6750, section 5.3)."""


class Authenticator:
    """Verifies the credentials that the settings accept.

    Tests replace ``transport``, the way to the issuers, and ``now``, in seconds since the epoch.
    """

    def __init__(
        self,
        options: InboundOptions,
        *,
        api_keys: ApiKeys | None = None,
        sandbox: SandboxIssuer | None = None,
        observe: Observer = log_event,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take the settings; ``sandbox`` is the issuer of the sandbox's users, whose tokens are accepted, too.

        Raises SettingsError if keys of an issuer cannot be used.
        """
        if sandbox is not None:
            options = options.model_copy(update={"issuers": (*options.issuers, sandbox.options)})
        self.sandbox = sandbox
        self.sign_ins = SignIns(options.issuers, transport=transport)
        self._options = options
        self._observe = observe
        self._now = now
        self._callers = VerifiedCallers(options.cache_size)
        self._issuers = self._token_issuers(transport) if options.issuers else None
        self._api_keys = api_keys

    def _token_issuers(self, transport: httpx.AsyncBaseTransport | None) -> TokenIssuers:
        from .token_issuers import TokenIssuers  # noqa: PLC0415 - imports cryptography, which only tokens need

        return TokenIssuers(
            self._options.issuers,
            observe=self._observe,
            on_change=self._callers.clear,
            transport=transport,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the keys of the issuers in the background."""
        async with self._issuers.running() if self._issuers else nullcontext():
            yield

    async def load_keys(self) -> None:
        """Load the keys of all issuers once; what comes of it are events."""
        if self._issuers is not None:
            await self._issuers.load_keys()

    async def authenticate(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> Caller:
        """Return the caller of a request with these headers, by lower-case names.

        Raises Unauthenticated, and IssuerUnavailable if the keys of a token's issuer are not there yet.
        """
        try:
            caller = await self._caller(scope, headers)
        except CredentialsRefused as refused:
            self._observe(
                CallerRefused(
                    reason=refused.reason,
                    issuer=refused.issuer,
                    kid=refused.kid,
                    caller=refused.caller,
                )
            )
            error: Literal["invalid_request", "invalid_token"] = (
                "invalid_request" if refused.is_malformed else "invalid_token"
            )
            unauthenticated = Unauthenticated(str(refused), hint=_HINT, error=error)
            unauthenticated.named = refused.caller
            raise unauthenticated from refused
        if caller is None and not self._options.anonymous:
            raise Unauthenticated("This API needs credentials.", hint=_HINT, error=None)
        return caller or ANONYMOUS

    def remembered(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> Caller | None:
        """Return the caller of a request whose token was verified before; None: only ``authenticate`` knows."""
        authorization = headers.get("authorization")
        if authorization is None or scope.get("query_string"):
            return None
        return self._callers.get(digest_of("authorization", authorization), self._now())

    async def _caller(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> Caller | None:
        """Return the caller; None without credentials. Raises CredentialsRefused."""
        query = scope.get("query_string")
        if query and b"_token" in query.lower() and _names_token(query):
            raise CredentialsRefused(
                "token_in_query", "Tokens in addresses are not accepted.", is_malformed=True
            )
        authorization = headers.get("authorization")
        if authorization is not None and not _BASIC.fullmatch(authorization):
            return await self._bearer_caller(authorization)
        header = headers.get(HEADER) if self._options.client_certificates else None
        return None if header is None else self._certificate_caller(header)

    async def _bearer_caller(self, authorization: str) -> Caller:
        # First of all: to read a long token takes longer than to digest it.
        digest = digest_of("authorization", authorization)
        caller = self._callers.get(digest, self._now())
        if caller is not None:
            return caller
        bearer = _BEARER.fullmatch(authorization)
        if bearer is None:
            # Two headers arrive joined by a comma, which is part of no token.
            message = "The header Authorization is not Bearer <token>."
            raise CredentialsRefused("authorization", message, is_malformed=True)
        token = bearer[1]
        if token.startswith(BEGINNING):
            if self._api_keys is None:
                raise CredentialsRefused("no_api_keys", "API keys are not accepted.")
            # Not remembered: the store has it in memory, and a revoked one must end soon.
            return await verify_key(token, self._api_keys)
        if self._issuers is None:
            raise CredentialsRefused("no_issuers", "Tokens are not accepted.")
        caller = await self._issuers.verify(token)
        self._remember(digest, caller)
        return caller

    def _certificate_caller(self, header: str) -> Caller | None:
        digest, now = digest_of("certificate", header), self._now()
        caller = self._callers.get(digest, now)
        if caller is None:
            caller = certificate_caller(header, self._options.client_certificates, now)
            if caller is not None:
                self._remember(digest, caller)
        return caller

    def _remember(self, digest: bytes, caller: Caller) -> None:
        ends = math.inf if caller.expires_at is None else caller.expires_at
        # Clocks may differ: a token is accepted for some seconds after its end, and verified each time.
        if self._now() < ends:
            self._callers.put(digest, caller, ends)


def _names_token(query: bytes) -> bool:
    names = {name.lower() for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)}
    return not _IN_QUERY.isdisjoint(names)


def sandbox_issuer_of(settings: Settings) -> SandboxIssuer | None:
    """Return the issuer of the sandbox's users; None if ``sandbox.roles`` is off. Raises SettingsError."""
    if not settings.sandbox.roles:
        return None
    from .sandbox_issuer import open_sandbox_issuer  # noqa: PLC0415 - imports cryptography, which only tokens need

    return open_sandbox_issuer(settings)


def authenticator_of(
    settings: Settings, *, api_keys: ApiKeys | None = None, observe: Observer = log_event
) -> Authenticator | None:
    """Return what authenticates callers; None if the settings know none. Raises SettingsError."""
    options, sandbox = settings.inbound, sandbox_issuer_of(settings)
    if not options.knows_callers and sandbox is None:
        return None
    if options.api_keys and api_keys is None:
        raise SettingsError(
            "inbound.api_keys: there is no store of API keys.",
            hint="Set data_dir (D365_DATA_DIR) to a folder, and store to sqlite.",
        )
    keys = api_keys if options.api_keys else None
    return Authenticator(options, api_keys=keys, sandbox=sandbox, observe=observe)
