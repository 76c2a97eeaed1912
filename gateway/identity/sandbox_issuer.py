"""The issuer of the sandbox: signs tokens for its users, so that roles can be tried without an identity provider.

Its key is made once in ``data_dir`` and never leaves it, so that tokens of ``d365-graphql sandbox token`` are accepted
by a gateway that runs beside it, and by none on another machine. Whoever can read the key can be any user: only the
embedded sandbox accepts it.

    access token     ``typ`` at+jwt        one hour
    code             ``typ`` code+jwt      one minute, with the PKCE challenge of whom it is for
    refresh token    ``typ`` refresh+jwt   one day

Codes and refresh tokens are signed, not stored: any worker can redeem them. Their audience and type keep them from
being accepted as access tokens.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

from gateway.config.environments import real_address
from gateway.config.inbound_models import SANDBOX_ISSUER, Issuer
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.storage.private_files import read_or_make

from .sandbox_users import SandboxUser

AUDIENCE = "d365-graphql-sandbox"
CLIENT_ID = "graphiql"
FOLDER = "keys"
FILE = "sandbox_issuer.pem"
ALGORITHM: Final = "ES256"
HOUR = 3_600.0
_SECONDS = {"code": 60.0, "refresh": 24 * HOUR}

_UNCHECKED_TIMES: jwt.types.Options = {
    "require": ["exp", "sub"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}
"""The end of a code is compared with the clock of the issuer."""

Purpose: TypeAlias = Literal["code", "refresh"]


class SandboxIssuer:
    """Signs tokens with a key. Tests replace ``now``, in seconds since the epoch."""

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, now: Callable[[], float] = time.time
    ) -> None:
        self._key = key
        self._now = now

    @cached_property
    def options(self) -> Issuer:
        """The issuer as the gateway accepts it."""
        return Issuer(
            issuer=SANDBOX_ISSUER,
            audiences=(AUDIENCE,),
            jwks={"keys": [self._jwk]},
            algorithms=(ALGORITHM,),
            client_id=CLIENT_ID,
        )

    @cached_property
    def _jwk(self) -> Mapping[str, Any]:
        jwk = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        digest = hashlib.sha256(f"{jwk['x']}.{jwk['y']}".encode()).hexdigest()
        return {**jwk, "kid": digest[:16], "use": "sig", "alg": ALGORITHM}

    def token(self, user: SandboxUser, seconds: float = HOUR) -> str:
        """Return an access token of a user."""
        claims = {**user.claims, "azp": CLIENT_ID, "aud": AUDIENCE}
        return self._signed(claims, "at", seconds)

    def grant(self, purpose: Purpose, user: SandboxUser, **claims: str) -> str:
        """Return a code or a refresh token of a user, with more claims."""
        content = {"sub": user.id, "aud": f"{AUDIENCE}/{purpose}", **claims}
        return self._signed(content, purpose, _SECONDS[purpose])

    def read_grant(self, purpose: Purpose, text: str) -> Mapping[str, Any] | None:
        """Return the claims of a code or refresh token; None if it is none, or has expired."""
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                self._key.public_key(),
                algorithms=[ALGORITHM],
                audience=f"{AUDIENCE}/{purpose}",
                issuer=SANDBOX_ISSUER,
                options=_UNCHECKED_TIMES,
            )
        except jwt.InvalidTokenError:
            return None
        return claims if self._now() < claims["exp"] else None

    def _signed(self, claims: Mapping[str, Any], kind: str, seconds: float) -> str:
        now = int(self._now())
        times = {"iat": now, "nbf": now, "exp": now + int(seconds)}
        header = {"kid": self._jwk["kid"], "typ": f"{kind}+jwt"}
        return jwt.encode(
            {"iss": SANDBOX_ISSUER, **claims, **times}, self._key, ALGORITHM, headers=header
        )


def challenge_of(verifier: str) -> str:
    """Return the PKCE challenge of a verifier (RFC 7636, section 4.2: S256)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def open_sandbox_issuer(settings: Settings) -> SandboxIssuer:
    """Return the issuer of this machine.

    Raises SettingsError if there is a real environment, or the key cannot be read or stored.
    """
    if real_address(settings) is not None:
        raise SettingsError(
            "sandbox.roles: the users of the sandbox are not accepted for a real environment.",
            hint="Omit sandbox.roles, and set inbound.issuers and roles.",
        )
    if settings.data_dir is None:
        raise SettingsError(
            "The key of the sandbox's issuer has no place: data_dir is none.",
            hint="Set data_dir (D365_DATA_DIR) to a folder of your own.",
        )
    path = settings.data_dir / FOLDER / FILE
    try:
        key = load_pem_private_key(read_or_make(path, _new_key), None)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The key of the sandbox's issuer cannot be read or stored: {error}.",
            hint=f"Make data_dir writable, or remove {path}.",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SettingsError(f"{path} holds no key of the sandbox's issuer.", hint="Remove it.")
    return SandboxIssuer(key)


def _new_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
