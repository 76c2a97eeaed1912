"""How a web page signs in: with the public clients of the issuers, by authorization code with PKCE (RFC 9700).

The page contacts the token endpoint only. So the gateway reads the discovery documents, and hands out the two
addresses. An issuer whose document cannot be read is left out until it can.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from gateway.config.inbound_models import MANY_TENANTS, SANDBOX_ISSUER, Issuer

from .accepted_issuers import discovery_of
from .key_documents import LONGEST, KeysError, fetch_json, is_safe_address

REFRESH = 600.0
"""Seconds after which a discovery document is read again."""
AFTER_FAILURE = 10.0
"""The same after a failure."""
OFFLINE = "offline_access"
"""Scope of refresh tokens, with which a page renews its token."""
AUTHORIZE = "/sandbox/authorize"
TOKEN = "/sandbox/token"  # noqa: S105 - an address
"""Endpoints of the sandbox's issuer, at the gateway itself."""


class SignIn(Struct, frozen=True, kw_only=True):
    """One way to sign in."""

    title: str
    """The issuer's name for people."""
    issuer: str
    client_id: str
    scopes: tuple[str, ...]
    authorization_endpoint: str
    token_endpoint: str
    """Address, or a path of the gateway."""

    @property
    def origin(self) -> str | None:
        """What the page must be allowed to connect to; None for the gateway itself."""
        return None if self.token_endpoint.startswith("/") else self.token_endpoint


class SignIns:
    """The ways to sign in. Tests replace ``transport`` and ``now``, in seconds."""

    def __init__(
        self,
        issuers: Sequence[Issuer],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuers = [issuer for issuer in issuers if issuer.client_id is not None]
        self._transport = transport
        self._now = now
        self._discovered: dict[str, tuple[float, SignIn | None]] = {}
        self._lock = asyncio.Lock()

    def __bool__(self) -> bool:
        return bool(self._issuers)

    async def available(self) -> Sequence[SignIn]:
        """Return the ways to sign in whose addresses are known."""
        ways = [_known(issuer) or await self._from_document(issuer) for issuer in self._issuers]
        return [way for way in ways if way is not None]

    async def _from_document(self, issuer: Issuer) -> SignIn | None:
        name = issuer.issuer or ""
        # One request for all pages that wait.
        async with self._lock:
            read_at, way = self._discovered.get(name, (float("-inf"), None))
            age = self._now() - read_at
            if age >= (REFRESH if way else AFTER_FAILURE):
                way = await self._discover(issuer) or way
                self._discovered[name] = (self._now(), way)
        return way

    async def _discover(self, issuer: Issuer) -> SignIn | None:
        address, name = discovery_of(issuer)
        client = httpx.AsyncClient(
            transport=self._transport, timeout=LONGEST, follow_redirects=False
        )
        async with client as http:
            try:
                document = await fetch_json(http, address)
            except KeysError:  # the log has it: the keys are read from the same document
                return None
        if not isinstance(document, dict) or document.get("issuer") != name:
            return None
        authorize, token = (document.get(f"{n}_endpoint") for n in ("authorization", "token"))
        if not (isinstance(authorize, str) and isinstance(token, str)):
            return None
        # Both go into the page, and one into its content security policy.
        if not all(is_safe_address(a) and _is_one_word(a) for a in (authorize, token)):
            return None
        return _way(issuer, urlsplit(name).hostname or name, name, authorize, token)


def _is_one_word(address: str) -> bool:
    return not any(character in address for character in " ;,'\"\r\n\t")


def _known(issuer: Issuer) -> SignIn | None:
    """Return the way to sign in whose addresses need no document; None for other issuers."""
    if issuer.issuer == SANDBOX_ISSUER:
        return _way(issuer, "Sandbox", SANDBOX_ISSUER, AUTHORIZE, TOKEN)
    if issuer.entra is None:
        return None
    base = f"{issuer.authority}/{issuer.entra}"
    name = f"{base}/v2.0"
    title = "Microsoft" if issuer.entra in MANY_TENANTS else "Microsoft Entra ID"
    return _way(issuer, title, name, f"{base}/oauth2/v2.0/authorize", f"{base}/oauth2/v2.0/token")


def _way(issuer: Issuer, title: str, name: str, authorize: str, token: str) -> SignIn:
    assert issuer.client_id is not None
    scopes = issuer.scopes
    if not scopes and issuer.entra is not None:
        # Without a scope of the API, Entra's token would be for another one.
        scopes = (f"{issuer.audiences[0]}/.default",)
    return SignIn(
        title=title,
        issuer=name,
        client_id=issuer.client_id,
        scopes=scopes if OFFLINE in scopes else (*scopes, OFFLINE),
        authorization_endpoint=authorize,
        token_endpoint=token,
    )
