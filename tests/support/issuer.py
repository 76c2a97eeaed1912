"""An issuer of tokens: its keys, its documents behind a transport, and tokens of any form."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISS = "https://login.example/erp"
AUDIENCE = "api://erp-graphql"
TENANT = "11111111-2222-3333-4444-555555555555"
OTHER_TENANT = "99999999-8888-7777-6666-555555555555"
LOGIN = "https://login.microsoftonline.com"


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the private key of a name: making one takes long."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key(name: str) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def jwk(name: str, key: Any = None, **more: Any) -> dict[str, Any]:
    """Return a public key as a JWK, with its name as its id."""
    public = (key or rsa_key(name)).public_key()
    algorithm: Any = (
        RSAAlgorithm
        if isinstance(public, rsa.RSAPublicKey)
        else ECAlgorithm
        if isinstance(public, ec.EllipticCurvePublicKey)
        else OKPAlgorithm
    )
    return {**algorithm.to_jwk(public, as_dict=True), "kid": name, "use": "sig", **more}


def claims(**more: Any) -> dict[str, Any]:
    """Return the claims of a good token; those that are None are left out."""
    now = int(time.time())
    every = {
        "iss": ISS,
        "aud": AUDIENCE,
        "sub": "alice",
        "iat": now - 10,
        "nbf": now - 10,
        "exp": now + 600,
        "roles": ["ap-clerk"],
        **more,
    }
    return {name: value for name, value in every.items() if value is not None}


def entra_claims(version: str = "2.0", tenant: str = TENANT, **more: Any) -> dict[str, Any]:
    iss = f"{LOGIN}/{tenant}/v2.0" if version == "2.0" else f"https://sts.windows.net/{tenant}/"
    return claims(**{"iss": iss, "tid": tenant, "ver": version, "oid": "0b1d", **more})


def token(
    key: str = "k1",
    private: Any = None,
    algorithm: str = "RS256",
    header: Mapping[str, Any] | None = None,
    **more: Any,
) -> str:
    """Return a signed token with these claims."""
    return signed(claims(**more), key, private, algorithm, header)


def signed(
    payload: Mapping[str, Any],
    key: str = "k1",
    private: Any = None,
    algorithm: str = "RS256",
    header: Mapping[str, Any] | None = None,
) -> str:
    fields = {"kid": key, **(header or {})}
    return jwt.encode(
        dict(payload),
        private if private is not None else rsa_key(key),
        algorithm,
        headers={name: value for name, value in fields.items() if value is not None},
    )


def part(value: object) -> str:
    """Return one part of a token."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


class FakeIssuer:
    """The documents of an issuer, and what was requested of it."""

    def __init__(self, *keys: str, iss: str = ISS, base: str | None = None) -> None:
        self.iss = iss
        self.base = base or iss
        self.keys = [jwk(key) for key in keys]
        self.algorithms: list[str] | None = ["RS256"]
        self.status = 200
        self.requested: list[str] = []

    @property
    def jwks_requests(self) -> int:
        return sum(path.endswith("/keys") for path in self.requested)

    def document(self, path: str) -> object:
        if path.endswith("/keys"):
            return {"keys": self.keys}
        found = {"issuer": self.iss, "jwks_uri": f"{self.base}/keys"}
        if self.algorithms is not None:
            found |= {"id_token_signing_alg_values_supported": self.algorithms}  # type: ignore[dict-item]
        return found

    @property
    def transport(self) -> httpx.MockTransport:
        def answer(request: httpx.Request) -> httpx.Response:
            self.requested.append(str(request.url))
            if self.status != 200:
                return httpx.Response(self.status)
            return httpx.Response(200, json=self.document(request.url.path))

        return httpx.MockTransport(answer)
