"""Verifies access tokens: JSON web tokens with a signature (RFC 7519, RFC 8725, RFC 9068).

    size, form ──▶ header ──▶ issuer (unverified ``iss``) ──▶ only its keys ──▶ signature, times, audience ──▶ claims

Nothing that a token says of itself decides how it is verified: the algorithm must be one of the key's, addresses and
keys in the header are not read, and extensions (``crit``) are refused.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from typing import Any

import jwt
import msgspec
from msgspec import Struct

from .accepted_issuers import AcceptedIssuer, is_key_of
from .caller import Caller
from .claims import caller_of, is_id_token, missing_claim, subject_of
from .keys import KeyMaterial, Keys
from .refusals import CredentialsRefused

MAX_TOKEN = 16_384
"""Characters of a token; Entra's longest have some 12,000."""
MAX_KID = 256
"""Characters of a key id."""
LATEST = 1e11
"""The latest end of a token, in seconds since the epoch: the year 5138."""
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})
"""``typ`` of tokens for access, if they have any; others are for other purposes (RFC 8725, section 3.11)."""
_OPTIONS: jwt.types.Options = {"require": ["exp", "aud", "iss"]}


class UnverifiedToken(Struct, frozen=True):
    """What a token says of itself, unverified."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> str | None:
        """The issuer, if it is text."""
        return _text(self.claims.get("iss"))

    @property
    def kid(self) -> str | None:
        """The key id, if it is text."""
        return _text(self.header.get("kid"))

    @property
    def subject(self) -> str | None:
        """The subject, if it is text."""
        return _text(self.claims.get("oid")) or _text(self.claims.get("sub"))


class TokenVerifier:
    """Verifies the tokens of the accepted issuers."""

    def __init__(self, accepted: Mapping[str, AcceptedIssuer], keys: Mapping[str, Keys]) -> None:
        """Take the accepted issuers by ``iss``, and the keys of each by the same."""
        self._accepted = accepted
        self._keys = keys
        self._peers: dict[str, list[str]] = {}
        for iss, issuer in accepted.items():
            self._peers.setdefault(issuer.name, []).append(iss)

    async def verify(self, token: str) -> Caller:
        """Return the caller. Raises CredentialsRefused, and IssuerUnavailable if there are no keys yet."""
        unverified = read_unverified(token)
        try:
            return await self._verify(token, unverified)
        except CredentialsRefused as refused:
            refused.describe(
                issuer=unverified.issuer, kid=unverified.kid, subject=unverified.subject
            )
            raise

    async def _verify(self, token: str, unverified: UnverifiedToken) -> Caller:
        algorithm, kid = header_facts(unverified.header)
        issuer = self._accepted.get(unverified.issuer or "")
        if issuer is None:
            raise CredentialsRefused(
                "unknown_issuer", "The token is of an issuer that is not accepted."
            )
        key = await self._keys[issuer.iss].find(kid, algorithm)
        if key is None:
            raise CredentialsRefused("unknown_key")
        material, key_issuer = key
        if not is_key_of(key_issuer, issuer, self._peers[issuer.name]):
            raise CredentialsRefused("key_of_another_issuer")
        claims = _decoded(token, material, algorithm, issuer)
        return _caller(claims, issuer, token)


def read_unverified(token: str) -> UnverifiedToken:
    """Return what a token says. Raises CredentialsRefused if it is no signed token."""
    if len(token) > MAX_TOKEN:
        raise CredentialsRefused("too_long", "The token is too long.")
    parts = token.split(".")
    if len(parts) == 5:
        raise CredentialsRefused("encrypted", "Encrypted tokens are not supported.")
    if len(parts) != 3:
        raise CredentialsRefused("malformed")
    return UnverifiedToken(_json_object(parts[0]), _json_object(parts[1]))


def _json_object(part: str) -> Mapping[str, Any]:
    try:
        text = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        # Unlike json, it refuses halves of characters (\\ud800), which no log and no other encoding can hold.
        return msgspec.json.decode(text, type=dict[str, Any])
    # binascii's and msgspec's errors, too
    except (ValueError, RecursionError) as error:
        raise CredentialsRefused("malformed") from error


def header_facts(header: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the algorithm and the key id that a header names. Raises CredentialsRefused."""
    if "crit" in header or "b64" in header:
        raise CredentialsRefused("extension")
    if "enc" in header:
        raise CredentialsRefused("encrypted", "Encrypted tokens are not supported.")
    kind = header.get("typ", "jwt")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise CredentialsRefused("type", "This is no access token.")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm.lower() == "none":
        raise CredentialsRefused("algorithm")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID):
        raise CredentialsRefused("malformed")
    return algorithm, kid


def _decoded(
    token: str, key: KeyMaterial, algorithm: str, issuer: AcceptedIssuer
) -> Mapping[str, Any]:
    """Return the verified claims. Raises CredentialsRefused."""
    options = issuer.options
    try:
        # The key was chosen by the algorithm: it is one of those that the settings and the key allow.
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=options.audiences,
            issuer=issuer.iss,
            leeway=options.skew,
            options=_OPTIONS,
        )
    except jwt.ExpiredSignatureError as error:
        raise CredentialsRefused("expired", "The token has expired.") from error
    except jwt.ImmatureSignatureError as error:
        raise CredentialsRefused("not_yet_valid", "The token is not valid yet.") from error
    except jwt.InvalidAudienceError as error:
        raise CredentialsRefused("audience", "The token is not for this API.") from error
    except jwt.MissingRequiredClaimError as error:
        message = f"The token has no claim {error.claim}."
        raise CredentialsRefused("missing_claim", message) from error
    except jwt.InvalidSignatureError as error:
        raise CredentialsRefused("signature") from error
    # Others are about values of a wrong type, which PyJWT reports in several ways.
    except Exception as error:
        raise CredentialsRefused("malformed") from error
    # PyJWT also takes texts, and numbers that are beyond all times.
    if not isinstance(claims["exp"], int | float) or claims["exp"] > LATEST:
        raise CredentialsRefused("malformed")
    # Thousands of callers are remembered, and all have claims of the same names.
    return {sys.intern(name): value for name, value in claims.items()}


def _caller(claims: Mapping[str, Any], issuer: AcceptedIssuer, token: str) -> Caller:
    """Return the caller with verified claims. Raises CredentialsRefused."""
    options = issuer.options
    if is_id_token(claims):
        raise CredentialsRefused("id_token", "This is an ID token: send an access token.")
    if issuer.tenant is not None:
        if claims.get("tid") != issuer.tenant:
            raise CredentialsRefused("tenant")
        # The issuers of v1 and v2 tokens differ, so a token cannot be of both.
        if claims.get("ver", issuer.version) != issuer.version:
            raise CredentialsRefused("version")
    if (missing := missing_claim(claims, options.required)) is not None:
        raise CredentialsRefused("required_claim", f"The token lacks the required claim {missing}.")
    subject = subject_of(claims, options)
    if subject is None:
        raise CredentialsRefused("no_subject", "The token names no subject.")
    return caller_of(claims, options, issuer=issuer.name, subject=subject, token=token)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
