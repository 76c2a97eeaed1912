"""A login host on a loopback socket: the grants of Microsoft Entra, a managed identity's endpoint, and a key vault."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import Certificate

SECRET = "s3cr+t/=&%"
KEY_ID = "login-host"
HEADER = "identity-header"
VAULT = "https://vault.azure.net"
ON_BEHALF = "urn:ietf:params:oauth:grant-type:jwt-bearer"
STEP_UP = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
Answer = tuple[int, object]


@cache
def signing_key() -> rsa.RSAPrivateKey:
    """Return the key of all login hosts of this process: making one takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_keys() -> dict[str, Any]:
    """Return the JWK set with the public key."""
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(signing_key().public_key()))
    return {"keys": [{**key, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]}


def signed(claims: Mapping[str, object]) -> str:
    """Return a token with these claims."""
    return jwt.encode(dict(claims), signing_key(), "RS256", headers={"kid": KEY_ID})


@dataclass
class LoginHost:
    """What the endpoint knows and what it was asked."""

    port: int = 0
    tenant: str = "contoso"
    expires_in: int = 3600
    refuse: dict[str, object] | None = None
    refuse_user: dict[str, dict[str, object]] = field(default_factory=dict)
    """Object id → the refusal of tokens on behalf of this user."""
    step_up: set[str] = field(default_factory=set)
    """Object ids of users whose tokens must have the claim ``acrs``."""
    configuration: object = None
    secrets: list[str] = field(default_factory=lambda: [SECRET])
    certificates: list[Certificate] = field(default_factory=list)
    workload_tokens: set[str] = field(default_factory=set)
    vault: dict[str, dict[str, str]] = field(default_factory=dict)
    """Name of a secret → the answer to a read of it."""
    vault_keys: dict[str, list[str]] = field(default_factory=dict)
    """Name of a key → its versions, the current one last."""
    vault_refuses: int = 0
    """Status of all answers about keys; 0: they are good."""
    signs: bool = False
    """Whether tokens are real ones; else their text is ``token-1``, ``token-2`` …"""
    headers: dict[str, str] = field(default_factory=dict)
    grants: list[dict[str, str]] = field(default_factory=list)
    identity_requests: list[dict[str, str]] = field(default_factory=list)
    vault_requests: int = 0

    @property
    def authority(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        return f"{self.authority}/{self.tenant}/v2.0"

    def discover(self, path: str) -> Answer:
        if self.configuration is not None:
            return 200, self.configuration
        if not path.startswith(f"/{self.tenant}/"):
            return 400, {"error": "invalid_tenant", "error_codes": [90002]}
        if path.endswith("/keys"):
            return 200, public_keys()
        base = f"https://127.0.0.1:{self.port}/{self.tenant}"
        return 200, {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "jwks_uri": f"{self.authority}/{self.tenant}/discovery/v2.0/keys",
        }

    def token_of(
        self, user: str, *, audience: str = "app-1", lifetime: float = 3600, **claims: object
    ) -> str:
        """Return a token with which a user calls the application ``audience``."""
        return signed(
            {
                "iss": self.issuer,
                "aud": audience,
                "tid": self.tenant,
                "oid": user,
                "sub": f"pairwise-{user}",
                "upn": f"{user}@contoso.com",
                "azp": "client-1",
                "scp": "access_as_user",
                "iat": int(time.time()),
                "exp": int(time.time() + lifetime),
                **claims,
            }
        )

    def grant(self, form: dict[str, str]) -> Answer:
        self.grants.append(form)
        if self.refuse is not None:
            return 401, self.refuse
        problem = self._problem_of_client(form)
        if problem is not None:
            return 401, problem
        claims: dict[str, object] = {"appid": form["client_id"], "tid": self.tenant}
        if form["grant_type"] == ON_BEHALF:
            user = self._user(form)
            if isinstance(user, dict):
                return 400, user
            claims |= {"oid": user, "upn": f"{user}@contoso.com", "scp": "Odata.FullAccess"}
        else:
            claims |= {"oid": f"principal-of-{form['client_id']}"}
        return 200, {
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "access_token": self._issue(form["scope"].split()[0], claims),
        }

    def _issue(self, scope: str, claims: dict[str, object]) -> str:
        if not self.signs:
            return f"token-{len(self.grants)}"
        now = int(time.time())
        times = {"iat": now, "exp": now + self.expires_in, "jti": str(len(self.grants))}
        audience = scope.removesuffix("/.default")
        return signed({"iss": self.issuer, "aud": audience, **times, **claims})

    def _problem_of_client(self, form: dict[str, str]) -> dict[str, object] | None:
        assertion = form.get("client_assertion")
        if assertion is None:
            if form.get("client_secret") in self.secrets:
                return None
            return refusal(7000215, f"Invalid client secret '{form.get('client_secret')}'.")
        if assertion in self.workload_tokens:
            return None
        try:
            thumbprint = jwt.get_unverified_header(assertion)["x5t#S256"].rstrip("=")
            certificate = {thumbprint_of(c): c for c in self.certificates}[thumbprint]
            audience = f"https://127.0.0.1:{self.port}/{self.tenant}/oauth2/v2.0/token"
            key = certificate.public_key()
            assert isinstance(key, rsa.RSAPublicKey)
            jwt.decode(assertion, key, ["PS256"], audience=audience, issuer=form["client_id"])
        except (jwt.InvalidTokenError, KeyError):
            return refusal(700027, "The certificate is not registered.")
        return None

    def _user(self, form: dict[str, str]) -> str | dict[str, object]:
        """Return the object id in an assertion, or the refusal of it."""
        try:
            claims = jwt.decode(
                form["assertion"],
                signing_key().public_key(),
                ["RS256"],
                audience=form["client_id"],
                issuer=self.issuer,
            )
        except jwt.InvalidTokenError as error:
            return refusal(
                50013, f"Assertion failed signature validation: {error}", "invalid_grant"
            )
        user = str(claims["oid"])
        if user in self.refuse_user:
            return self.refuse_user[user]
        if user in self.step_up and "acrs" not in claims:
            step = refusal(50076, "Multi-factor authentication is needed.", "interaction_required")
            return {**step, "claims": STEP_UP}
        return user

    def identity(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Answer as the endpoint of a managed identity of App Service."""
        query = {k: v[0] for k, v in parse_qs(urlsplit(path).query).items()}
        self.identity_requests.append(query)
        if headers.get("X-IDENTITY-HEADER") != HEADER or query.get("client_id") == "unknown":
            return 400, {"statusCode": 400, "message": "No managed identity was found."}
        token = "vault-token" if query["resource"] == VAULT else "managed-token"
        expires_on = str(int(time.time()) + self.expires_in)
        return 200, {"access_token": token, "expires_on": expires_on, "token_type": "Bearer"}

    def secret(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Answer as Azure Key Vault."""
        self.vault_requests += 1
        name = urlsplit(path).path.split("/")[2]
        if headers.get("Authorization") != "Bearer vault-token":
            return 403, {"error": {"code": "Forbidden"}}
        found = self.vault.get(name)
        return (404, {"error": {}}) if found is None else (200, found)

    def key(self, path: str, headers: Mapping[str, str], body: str) -> Answer:
        """Answer as Azure Key Vault whether it wraps or unwraps. All versions of all keys are one RSA key here."""
        self.vault_requests += 1
        if headers.get("Authorization") != "Bearer vault-token":
            return 403, {"error": {"code": "Forbidden"}}
        _, _, name, *version, act = urlsplit(path).path.split("/")
        versions = self.vault_keys.get(name, [])
        used = version[0] if version else next(iter(versions[-1:]), "")
        if self.vault_refuses or used not in versions:
            return self.vault_refuses or 404, {"error": {}}
        request = json.loads(body)
        value = base64.urlsafe_b64decode(request["value"] + "==")
        assert request["alg"] == "RSA-OAEP-256"
        oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
        label = used.encode()
        try:
            if act == "wrapkey":
                result = label + signing_key().public_key().encrypt(value, oaep)
            else:
                assert value.startswith(label)
                result = signing_key().decrypt(value[len(label) :], oaep)
        except (ValueError, AssertionError):
            return 400, {"error": {"code": "BadParameter"}}
        text = base64.urlsafe_b64encode(result).decode().rstrip("=")
        return 200, {"kid": f"{self.authority}/keys/{name}/{used}", "value": text}


def thumbprint_of(certificate: Certificate) -> str:
    """Return the ``x5t#S256`` of a certificate (RFC 7515, section 4.1.8)."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


def refusal(code: int, text: str, error: str = "invalid_client") -> dict[str, object]:
    return {"error": error, "error_description": f"AADSTS{code}: {text}", "error_codes": [code]}


@contextmanager
def login_host() -> Iterator[LoginHost]:
    host = LoginHost()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/managed-identity"):
                self.reply(*host.identity(self.path, dict(self.headers)))
            elif self.path.startswith("/secrets/"):
                self.reply(*host.secret(self.path, dict(self.headers)))
            else:
                self.reply(*host.discover(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path.startswith("/keys/"):
                self.reply(*host.key(self.path, dict(self.headers), body))
                return
            self.reply(*host.grant({name: values[0] for name, values in parse_qs(body).items()}))

        def reply(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in host.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
