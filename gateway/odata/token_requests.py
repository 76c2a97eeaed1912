"""Requests for tokens, through msal: of the application, of a managed identity, on behalf of a caller.

msal blocks, so all of it runs in threads. Its own caches are switched off: those of tokens are linear searches that
never forget (on-behalf-of tokens are added and never read), and its throttling of POSTs would give one caller's error
to another. Tokens and refusals are remembered by ``application_sign_in`` and ``on_behalf_of``. What msal reports about
a failure becomes a ``TokenError`` whose hint names the setting to check; no secret is in a message, ``repr`` or log.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import httpx
import msal
from msgspec import Struct

from gateway.errors import GatewayError, TokenError

from .credentials import Credential, CredentialForm
from .login_http import LoginHttp
from .token_errors import OUTDATED_CREDENTIAL, refused, without

_STATE = "checked"
_BUGS = (ValueError, LookupError, TypeError, AttributeError, msal.exceptions.MsalError)
"""What msal raises for answers that are not a login host's."""


class EntraAccount(Struct, frozen=True, kw_only=True):
    """Who signs in, where and for what."""

    authority: str
    tenant_id: str
    client_id: str
    scope: str


class IssuedToken(Struct, frozen=True):
    """A token, and the seconds for which it is valid from now on."""

    value: str
    lifetime: float

    def __repr__(self) -> str:
        return "IssuedToken(********)"


class CodeGrant(Struct, frozen=True, kw_only=True):
    """A code with which a browser came back from the login host, and what its sign-in began with."""

    code: str
    redirect_uri: str
    verifier: str
    """Of PKCE."""
    nonce: str
    """The login host was sent its digest: see ``nonce_digest``."""

    def __repr__(self) -> str:
        return "CodeGrant(********)"


class UserTokens(Struct, frozen=True):
    """The tokens of a user who has signed in."""

    id_token: str
    access_token: str
    """For the scope of the account. Nothing of it is verified here."""

    def __repr__(self) -> str:
        return "UserTokens(********)"


def nonce_digest(nonce: str) -> str:
    """Return what msal expects as ``nonce`` of an ID token: a digest, so that the token does not give it away."""
    return hashlib.sha256(nonce.encode()).hexdigest()


class TokenRequests(Protocol):
    """Where the application's tokens come from."""

    http: LoginHttp

    def for_application(self) -> IssuedToken:
        """Return a new token. Blocks; its exchanges run in ``http.loop``. Raises TokenError, SettingsError."""
        ...


class _NoTokens(msal.TokenCache):  # type: ignore[misc] # msal is untyped
    """A token cache that keeps nothing."""

    def add(self, event: Any, now: Any = None) -> None:
        """Do nothing."""


class _Discovery(dict[str, Any]):
    """msal's cache of HTTP answers, for the discovery of the authority alone."""

    def __setitem__(self, key: str, value: Any) -> None:
        if not key.startswith("POST "):
            super().__setitem__(key, value)


class EntraTokenRequests:
    """The tokens of an application of Microsoft Entra, and of callers on whose behalf it acts."""

    def __init__(
        self,
        account: EntraAccount,
        credential: Credential,
        http: LoginHttp,
        capabilities: tuple[str, ...] = (),
    ) -> None:
        """``capabilities``: ``CP1`` says that claims challenges are understood."""
        self.account = account
        self.http = http
        self._credential = credential
        self._capabilities = list(capabilities) or None
        self._lock = threading.Lock()
        self._discovery = _Discovery()
        self._app: tuple[CredentialForm, Any] | None = None

    def for_application(self) -> IssuedToken:
        """Return a new token of the application. Raises TokenError, SettingsError."""
        result, hidden = self._request(lambda app: app.acquire_token_for_client([self._scope]))
        if "access_token" not in result:
            credentials = "the credentials (client_secret, credentials.certificate)"
            raise refused(
                result, hidden, f"Are tenant_id, client_id, {credentials} and scope right?"
            )
        return _issued(result)

    def on_behalf_of(
        self, assertion: str, claims: str | None
    ) -> tuple[Mapping[str, Any], IssuedToken | TokenError]:
        """Return the login host's answer, with the token in it or the error that it means.

        ``claims``: those that the service requires of the new token. Raises TokenError if there is no such answer.
        """
        result, hidden = self._request(
            lambda app: app.acquire_token_on_behalf_of(
                assertion, [self._scope], claims_challenge=claims
            )
        )
        if "access_token" in result:
            return result, _issued(result)
        otherwise = "May the application act on behalf of users of this environment (delegated permissions, consent)?"
        return result, refused(result, (*hidden, assertion), otherwise)

    def by_code(self, grant: CodeGrant) -> UserTokens:
        """Return the tokens of a user who has signed in. Blocks. Raises TokenError, SettingsError."""
        flow = {
            "state": _STATE,  # who has begun the sign-in has checked the real one
            "scope": [self._scope],
            "redirect_uri": grant.redirect_uri,
            "code_verifier": grant.verifier,
            "nonce": grant.nonce,
        }
        answer = {"state": _STATE, "code": grant.code}
        try:
            result, hidden = self._request(
                lambda app: app.acquire_token_by_auth_code_flow(dict(flow), answer)
            )
        except RuntimeError as error:  # msal's, of an ID token that is not about this sign-in
            raise TokenError("The answer of the login host is not about this sign-in.") from error
        id_token, access_token = (result.get(name) for name in ("id_token", "access_token"))
        if isinstance(id_token, str) and isinstance(access_token, str):
            return UserTokens(id_token, access_token)
        hint = "Sign in again."
        raise refused(result, (*hidden, grant.code, grant.verifier), hint)

    @property
    def _scope(self) -> str:
        return self.account.scope

    def _request(
        self, acquire: Callable[[Any], Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return msal's answer, and what to hide of it. A refused credential is read again, and a newer one tried."""
        form = self._credential.form()
        result = self._answer(form, acquire)
        if result.get("error") == OUTDATED_CREDENTIAL:
            newer = self._credential.form(again=True)
            if newer.version != form.version:
                form = newer
                result = self._answer(form, acquire)
        return result, form.hidden

    def _answer(
        self, form: CredentialForm, acquire: Callable[[Any], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        where = f"{self.account.authority}/{self.account.tenant_id}"
        with translated(self.account.authority, where, form.hidden):
            result = acquire(self._application(form, where))
            if not isinstance(result, Mapping):
                raise TypeError("no answer")
            return result

    def _application(self, form: CredentialForm, where: str) -> Any:
        """Return msal's application with a credential."""
        with self._lock:
            if self._app is None or self._app[0].version != form.version:
                try:
                    app = msal.ConfidentialClientApplication(
                        self.account.client_id,
                        client_credential=form.value,
                        authority=self.http.disguised(where),
                        # The operator has chosen the authority; msal must not ask a public host if it is known.
                        instance_discovery=False,
                        http_client=self.http,
                        http_cache=self._discovery,
                        token_cache=_NoTokens(),
                        client_capabilities=self._capabilities,
                    )
                except BaseException:
                    self._discovery.clear()
                    raise
                self._app = form, app
            return self._app[1]


class ManagedIdentityRequests:
    """The tokens of a managed identity of Azure, which the platform issues without a credential.

    https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/overview
    """

    def __init__(self, resource: str, client_id: str | None, http: LoginHttp) -> None:
        """``client_id`` is that of a user-assigned identity; None: the system-assigned one."""
        self.http = http
        self._resource = resource
        self._client_id = client_id

    def for_application(self) -> IssuedToken:
        """Return a token of the identity. Raises TokenError."""
        identity = (
            msal.SystemAssignedManagedIdentity()
            if self._client_id is None
            else msal.UserAssignedManagedIdentity(client_id=self._client_id)
        )
        try:
            client = msal.ManagedIdentityClient(
                identity, http_client=self.http, token_cache=_NoTokens()
            )
            result = client.acquire_token_for_client(resource=self._resource)
        except (httpx.HTTPError, *_BUGS, OSError) as exc:
            raise TokenError(
                "The platform issues no token for a managed identity.",
                hint="Does this machine or container have a managed identity, and is its endpoint reachable?",
                detail=f"{type(exc).__name__}: {exc}",
            ) from exc
        if not isinstance(result, Mapping) or "access_token" not in result:
            answer = result if isinstance(result, Mapping) else {}
            hint = "Is the identity assigned to this machine or container, and client_id right (none: system-assigned)?"
            raise refused(answer, (), hint)
        return _issued(result)


@contextmanager
def translated(host: str, where: str, hidden: tuple[str, ...]) -> Iterator[None]:
    """Raise TokenError for what msal and httpx raise."""
    try:
        yield
    except GatewayError:
        raise
    except httpx.HTTPError as exc:
        raise TokenError(
            "The login host cannot be reached.",
            hint="Is authority right, and can this machine reach it (name, proxy, certificate)?",
            detail=f"{host}: {type(exc).__name__}: {exc}",
        ) from exc
    except _BUGS as exc:
        raise TokenError(
            "The login host does not know the tenant, or is not a login host.",
            hint="Are tenant_id and authority right?",
            detail=without(f"{where}: {type(exc).__name__}: {exc}", hidden),
        ) from exc


def _issued(result: Mapping[str, Any]) -> IssuedToken:
    return IssuedToken(str(result["access_token"]), float(result.get("expires_in", 0)))
