"""Verifies ID tokens: who has signed in, in which tenant, for this very sign-in.

    signature, by a key that the tenant's issuer publishes ──▶ iss, aud, times ──▶ nonce ──▶ tid, oid

An ID token is proof for the client that has begun the sign-in alone, so its audience is the client's id and no other,
and its nonce that of the sign-in. https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import jwt
from msgspec import Struct

from .keys import Keys
from .refusals import CredentialsRefused
from .tokens import header_facts, read_unverified

SKEW = 60.0
"""Seconds by which the clock of the issuer may differ."""
MAX_NAME = 200
"""Characters of a name."""
_OPTIONS: jwt.types.Options = {"require": ["exp", "iat", "aud", "iss", "nonce", "tid", "oid"]}


class SignedIn(Struct, frozen=True, kw_only=True):
    """A user who has signed in."""

    tenant: str
    subject: str
    """Object id in the tenant."""
    sign_in: str | None
    """The name with which they sign in: their user principal name."""
    name: str


class ExpectedSignIn(Struct, frozen=True, kw_only=True):
    """The sign-in that an ID token must be about."""

    issuer: str
    tenant: str
    client_id: str
    nonce: str

    def __repr__(self) -> str:
        return "ExpectedSignIn(********)"


async def verify_id_token(token: str, keys: Keys, expected: ExpectedSignIn) -> SignedIn:
    """Return who has signed in. Raises CredentialsRefused, and IssuerUnavailable if there are no keys."""
    algorithm, kid = header_facts(read_unverified(token).header)
    key = await keys.find(kid, algorithm)
    if key is None:
        raise CredentialsRefused("unknown_key")
    material, key_issuer = key
    if key_issuer not in (
        None,
        expected.issuer,
        expected.issuer.replace(expected.tenant, "{tenantid}"),
    ):
        raise CredentialsRefused("key_of_another_issuer")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            material,
            algorithms=[algorithm],
            audience=expected.client_id,
            issuer=expected.issuer,
            leeway=SKEW,
            options=_OPTIONS,
        )
    # PyJWT reports claims of a wrong type in several ways.
    except Exception as error:
        raise CredentialsRefused(type(error).__name__) from error
    return _signed_in(claims, expected)


def _signed_in(claims: Mapping[str, Any], expected: ExpectedSignIn) -> SignedIn:
    # PyJWT accepts a list that has the audience among others.
    if (
        claims["aud"] != expected.client_id
        or claims.get("azp", expected.client_id) != expected.client_id
    ):
        raise CredentialsRefused("audience")
    nonce = claims["nonce"]
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode(), expected.nonce.encode()
    ):
        raise CredentialsRefused("nonce")
    if claims["tid"] != expected.tenant:
        raise CredentialsRefused("tenant")
    subject = claims["oid"]
    if not isinstance(subject, str) or not subject:
        raise CredentialsRefused("no_subject")
    sign_in = next((c for n in _SIGN_IN if isinstance(c := claims.get(n), str) and c), None)
    name = claims.get("name")
    return SignedIn(
        tenant=expected.tenant,
        subject=subject,
        sign_in=sign_in,
        name=(name if isinstance(name, str) and name else sign_in or subject)[:MAX_NAME],
    )


_SIGN_IN = ("upn", "preferred_username")
