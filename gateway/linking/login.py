"""The sign-in of a visitor: the address of the login page, and what the code is worth with which the browser returns.

    authorize?…&code_challenge&nonce&state ──▶ callback?code&state ──▶ tokens (PKCE) ──▶ verified ID token

The application is that of the deployment (``linking.client_id``, else its own), or the customer's own. Its delegated
token for the environment is used for the proof at once, and stored nowhere.
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from urllib.parse import urlencode

import httpx
from msgspec import Struct
from pydantic import SecretStr

from gateway.config.credential_models import CredentialOptions
from gateway.config.environment_addresses import origin_of
from gateway.config.environments import linking_application
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Observer
from gateway.identity.accepted_issuers import WELL_KNOWN
from gateway.identity.id_tokens import ExpectedSignIn, SignedIn, verify_id_token
from gateway.identity.key_documents import LONGEST, DiscoveredKeys
from gateway.identity.keys import KeyRing
from gateway.process.daemon_call import daemon_call

from .tenants import login_tenant

CALLBACK = "/link/callback"
"""Where browsers come back to: the redirect address that applications must have registered."""


class Login(Struct, frozen=True, kw_only=True):
    """A sign-in: at which tenant, with which application, for which environment."""

    tenant: str
    client_id: str
    scope: str
    redirect_uri: str
    settings: Settings
    """With the credentials of the application."""

    def __repr__(self) -> str:
        return "Login(********)"


class SignInSecrets(Struct, frozen=True, kw_only=True):
    """What a sign-in begins with, and its end must fit."""

    state: str
    verifier: str
    nonce: str

    def __repr__(self) -> str:
        return "SignInSecrets(********)"


def login_of(
    settings: Settings,
    *,
    public_url: str,
    tenant: str,
    url: str,
    own: tuple[str, str] | None,
) -> Login:
    """Return the sign-in of a visitor. ``own``: id and secret of the customer's application.

    Raises SettingsError if the deployment has no application for it.
    """
    scope = f"{origin_of(url)}/.default"
    changes: dict[str, object] = {"tenant_id": tenant, "scope": scope}
    if own is not None:
        changes |= {
            "client_id": own[0],
            "client_secret": SecretStr(own[1]),
            "credentials": CredentialOptions(),
            "auth": "client_credentials",
        }
    else:
        changes |= linking_application(settings)
    changed = settings.model_copy(update=changes)
    if changed.client_id is None:
        raise SettingsError(
            "The link page has no application with which administrators sign in.",
            hint="Set client_id and its secret, or linking.client_id.",
        )
    return Login(
        tenant=tenant,
        client_id=changed.client_id,
        scope=scope,
        redirect_uri=f"{public_url}{CALLBACK}",
        settings=changed,
    )


def login_address(login: Login, secrets: SignInSecrets) -> str:
    """Return the address of the login page, which asks for consent each time: a new permission may be needed."""
    from gateway.odata.token_requests import nonce_digest  # noqa: PLC0415 - importing msal takes 0.1 s

    digest = hashlib.sha256(secrets.verifier.encode()).digest()
    query = {
        "client_id": login.client_id,
        "response_type": "code",
        "response_mode": "query",
        "redirect_uri": login.redirect_uri,
        "scope": f"openid profile {login.scope}",
        "state": secrets.state,
        "nonce": nonce_digest(secrets.nonce),
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "prompt": "consent",
    }
    base = f"{login.settings.authority}/{login.tenant}"
    return f"{base}/oauth2/v2.0/authorize?{urlencode(query)}"


async def sign_in(
    login: Login, secrets: SignInSecrets, code: str, observe: Observer
) -> tuple[SignedIn, str]:
    """Return who has signed in, with their token for the environment.

    Raises TokenError, SettingsError, CredentialsRefused, IssuerUnavailable.
    """
    from gateway.odata.auth import account_of, credential_of  # noqa: PLC0415 - as above
    from gateway.odata.login_http import LoginHttp  # noqa: PLC0415 - as above
    from gateway.odata.token_requests import (  # noqa: PLC0415 - as above
        CodeGrant,
        EntraTokenRequests,
        nonce_digest,
    )

    settings = login.settings
    transport = LoginHttp(settings.authority)
    transport.loop = asyncio.get_running_loop()
    requests = EntraTokenRequests(
        account_of(settings), credential_of(settings, transport), transport
    )
    grant = CodeGrant(
        code=code,
        redirect_uri=login.redirect_uri,
        verifier=secrets.verifier,
        nonce=secrets.nonce,
    )
    tokens = await daemon_call(lambda: requests.by_code(grant))
    tenant = login_tenant(settings.authority, login.tenant)
    expected = ExpectedSignIn(
        issuer=tenant.issuer,
        tenant=tenant.id,
        client_id=login.client_id,
        nonce=nonce_digest(secrets.nonce),
    )
    async with httpx.AsyncClient(timeout=LONGEST, follow_redirects=False) as http:
        discovery = f"{tenant.issuer}{WELL_KNOWN}"
        keys = KeyRing(
            tenant.issuer, DiscoveredKeys(http, discovery, tenant.issuer), observe=observe
        )
        return await verify_id_token(tokens.id_token, keys, expected), tokens.access_token
