"""The login host of the sandbox's tenants, with the endpoints of Microsoft Entra that the gateway uses.

    GET  /TENANT/oauth2/v2.0/authorize      choose a person, consent, and back with a code
    POST /TENANT/oauth2/v2.0/token          a code with its PKCE verifier, or the application itself, for tokens
    GET  /TENANT/discovery/v2.0/keys        the public key
    GET  /TENANT/v2.0/.well-known/openid-configuration

Nobody has a password. Tokens are accepted by environments of the sandbox only, and end with this process, whose key
signs them. Codes lead back to this machine only, to the path that the application has registered.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from .directory import Application, Person, Tenant
from .login_pages import PAGE_HEADERS, choices, consent, problem

ALGORITHM = "RS256"
KEY_ID = "sandbox-tenants"
TOKEN_SECONDS = 3_600
CODE_SECONDS = 60.0
MAX_CODES = 1_000
MAX_BODY = 16_384
"""Bytes of a request for tokens."""
MAX_VALUE = 2_000
"""Characters of a parameter."""
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Refused(Exception):
    """A request that is refused: OAuth's error code, and Entra's number with a text."""

    def __init__(self, error: str, number: int, text: str) -> None:
        super().__init__(f"AADSTS{number}: {text}")
        self.error = error
        self.number = number


class _Code(Struct, frozen=True, kw_only=True):
    tenant: str
    person: Person
    client_id: str
    redirect: str
    challenge: str
    nonce: str
    scope: str
    until: float


class LoginHost:
    """The login host at an address. Tests replace ``now``, in seconds since the epoch, by attribute."""

    def __init__(
        self, address: str, tenants: Sequence[Tenant], applications: Sequence[Application]
    ) -> None:
        self.address = address
        self.tenants = {tenant.id: tenant for tenant in tenants}
        self.now = time.time
        self._applications = {a.client_id: a for a in applications}
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self._codes: dict[str, _Code] = {}

    def issuer(self, tenant: Tenant) -> str:
        """Return the issuer of a tenant's tokens."""
        return f"{self.address}/{tenant.id}/v2.0"

    def authorization(self, tenant: Tenant) -> str:
        """Return the address that environments of a tenant name in a 401."""
        return f"{self.address}/{tenant.id}/oauth2/authorize"

    @property
    def keys(self) -> Mapping[str, Any]:
        """The JWK set with the public key."""
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**jwk, "kid": KEY_ID, "use": "sig", "alg": ALGORITHM}]}

    def app(self) -> Starlette:
        """Return the application that answers below the address."""
        return Starlette(
            routes=[
                Route("/{tenant}/oauth2/v2.0/authorize", self._authorize),
                Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
                Route("/{tenant}/discovery/v2.0/keys", self._published_keys),
                Route("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery),
            ]
        )

    def signed(self, tenant: Tenant, audience: str, **claims: object) -> str:
        """Return a token of a tenant."""
        now = int(self.now())
        times = {"iat": now, "nbf": now, "exp": now + TOKEN_SECONDS}
        content = {"iss": self.issuer(tenant), "aud": audience, "tid": tenant.id, **times, **claims}
        return jwt.encode(content, self._key, ALGORITHM, headers={"kid": KEY_ID})

    async def _published_keys(self, _: Request) -> Response:
        return JSONResponse(self.keys)

    async def _discovery(self, request: Request) -> Response:
        tenant = self.tenants.get(request.path_params["tenant"])
        if tenant is None:
            return JSONResponse({"error": "invalid_tenant", "error_codes": [90_002]}, 400)
        base = f"{self.address}/{tenant.id}"
        return JSONResponse(
            {
                "issuer": self.issuer(tenant),
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "id_token_signing_alg_values_supported": [ALGORITHM],
            }
        )

    async def _authorize(self, request: Request) -> Response:
        query = {name: value[:MAX_VALUE] for name, value in request.query_params.items()}
        try:
            tenant = self._tenant(request)
            application = self._checked(query)
        except Refused as error:
            return HTMLResponse(problem(str(error)), 400, headers=PAGE_HEADERS)
        person = tenant.person(query.get("person", ""))
        decision = query.get("consent")
        # Nothing is proved here: the people of the sandbox have no passwords.
        if decision == "no":
            return _back(query, error="access_denied", error_description="AADSTS65004: declined")
        if person is None:
            return HTMLResponse(choices(tenant, query), headers=PAGE_HEADERS)
        if decision is None and query.get("prompt") == "consent":
            return HTMLResponse(consent(tenant, person, application, query), headers=PAGE_HEADERS)
        return _back(query, code=self._new_code(tenant, person, query))

    def _checked(self, query: Mapping[str, str]) -> Application:
        """Return the application that a browser comes from. Raises Refused."""
        application = self._applications.get(query.get("client_id", ""))
        if application is None:
            raise Refused("unauthorized_client", 700_016, "There is no such application.")
        redirect = urlsplit(query.get("redirect_uri", ""))
        if redirect.hostname not in _LOCAL or not redirect.path.endswith(application.return_path):
            text = f"The redirect_uri is not the registered one, which ends in {application.return_path}."
            raise Refused("invalid_request", 50_011, text)
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            text = "Only response_type=code with code_challenge_method=S256 is supported."
            raise Refused("unsupported_response_type", 700_054, text)
        return application

    def _new_code(self, tenant: Tenant, person: Person, query: Mapping[str, str]) -> str:
        now = self.now()
        self._codes = {text: code for text, code in self._codes.items() if code.until > now}
        while len(self._codes) >= MAX_CODES:
            del self._codes[next(iter(self._codes))]
        text = secrets.token_urlsafe(32)
        self._codes[text] = _Code(
            tenant=tenant.id,
            person=person,
            client_id=query["client_id"],
            redirect=query["redirect_uri"],
            challenge=query.get("code_challenge", ""),
            nonce=query.get("nonce", ""),
            scope=query.get("scope", ""),
            until=now + CODE_SECONDS,
        )
        return text

    async def _token(self, request: Request) -> Response:
        try:
            tenant = self._tenant(request)
            form = await _form(request)
            application = self._authenticated(form)
            content = self._granted(tenant, application, form)
        except Refused as error:
            refusal = {
                "error": error.error,
                "error_description": str(error),
                "error_codes": [error.number],
            }
            status = 401 if error.error == "invalid_client" else 400
            return JSONResponse(refusal, status, headers=_NO_STORE)
        answer = {"token_type": "Bearer", "expires_in": TOKEN_SECONDS, **content}
        return JSONResponse(answer, headers=_NO_STORE)

    def _tenant(self, request: Request) -> Tenant:
        tenant = self.tenants.get(request.path_params["tenant"])
        if tenant is None:
            raise Refused("invalid_request", 90_002, "There is no such tenant.")
        return tenant

    def _authenticated(self, form: Mapping[str, str]) -> Application:
        application = self._applications.get(form.get("client_id", ""))
        if application is None:
            raise Refused("unauthorized_client", 700_016, "There is no such application.")
        if not hmac.compare_digest(form.get("client_secret", ""), application.secret):
            raise Refused("invalid_client", 7_000_215, "Invalid client secret provided.")
        return application

    def _granted(
        self, tenant: Tenant, application: Application, form: Mapping[str, str]
    ) -> Mapping[str, object]:
        match form.get("grant_type"):
            case "client_credentials":
                client = application.client_id
                oid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"principal {client} {tenant.id}"))
                audience = _audience(form.get("scope", ""))
                return {"access_token": self.signed(tenant, audience, appid=client, oid=oid)}
            case "authorization_code":
                return self._redeemed(tenant, application, form)
        text = "Supported: authorization_code, client_credentials."
        raise Refused("unsupported_grant_type", 70_003, text)

    def _redeemed(
        self, tenant: Tenant, application: Application, form: Mapping[str, str]
    ) -> Mapping[str, object]:
        code = self._codes.pop(form.get("code", ""), None)
        if (
            code is None
            or code.until <= self.now()
            or code.tenant != tenant.id
            or code.client_id != application.client_id
            or code.redirect != form.get("redirect_uri")
            or code.challenge != _challenge_of(form.get("code_verifier", ""))
        ):
            raise Refused("invalid_grant", 70_008, "The code is not valid, or has expired.")
        person = code.person
        user = {"oid": person.oid, "sub": person.oid, "name": person.name, "ver": "2.0"}
        access = {
            **user,
            "upn": person.sign_in,
            "appid": application.client_id,
            "scp": "Odata.FullAccess",
        }
        about = {**user, "preferred_username": person.sign_in, "nonce": code.nonce}
        return {
            "access_token": self.signed(tenant, _audience(code.scope), **access),
            "id_token": self.signed(tenant, application.client_id, **about),
            "scope": code.scope,
        }


def _back(query: Mapping[str, str], **answer: str) -> Response:
    """Return a browser to the application."""
    parameters = urlencode({**answer, "state": query.get("state", "")})
    headers = {"Referrer-Policy": "no-referrer", **_NO_STORE}
    return RedirectResponse(f"{query['redirect_uri']}?{parameters}", 303, headers=headers)


def _audience(scope: str) -> str:
    """``openid https://x.example/.default`` → ``https://x.example``."""
    return next((s.removesuffix("/.default") for s in scope.split() if "://" in s), "")


def _challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def _form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form. Raises Refused."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise Refused("invalid_request", 90_100, "The request is too long.")
    try:
        fields = parse_qs(body.decode(), max_num_fields=30)
    except ValueError as error:
        raise Refused("invalid_request", 90_100, "The body is no form.") from error
    return {name: values[0] for name, values in fields.items()}
