"""The key of a caller's token: a digest of everything that may change what the login host grants.

Not of the caller's own token: clients renew it every hour, and each new one would be a request for another token.
"""

from __future__ import annotations

import hashlib

import msgspec

from gateway.errors import Unauthenticated
from gateway.identity.caller import Assertion, Caller

from .token_requests import EntraAccount

_CLAIMS = ("iss", "tid", "oid", "sub", "azp", "appid", "acrs", "amr", "acr")
"""Who the caller is, by which application it calls, and how it signed in."""
_LISTS = ("scp", "roles", "groups", "wids")
"""Claims whose order means nothing."""


def assertion_of(caller: Caller) -> Assertion:
    """Return the token of a caller, on whose behalf another can be had. Raises Unauthenticated."""
    assertion = caller.assertion
    if assertion is None:
        kinds = {"key": "An API key", "certificate": "A client certificate"}
        message = f"{kinds.get(caller.kind, 'A request without a token')} cannot act for a user."
        hint = "This gateway acts with the rights of each caller (identity = caller): sign in with a token."
        raise Unauthenticated(message, hint=hint)
    if not (caller.claims.get("oid") and caller.claims.get("tid")):
        raise Unauthenticated(
            "The token names no user of a tenant (claims oid and tid).",
            hint="Use a token of Microsoft Entra that was issued for this gateway.",
        )
    return assertion


def caller_key(caller: Caller, account: EntraAccount) -> bytes:
    """Return the key of a caller's token for what an account is for."""
    get = caller.claims.get
    parts = (account, [get(name) for name in _CLAIMS], [_sorted(get(name)) for name in _LISTS])
    # JSON shows where each part ends, so that no two lists of parts have the same text.
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).digest()


def assertion_digest(assertion: Assertion) -> bytes:
    """Return the digest of a caller's token."""
    return hashlib.sha256(assertion.token.encode()).digest()


def _sorted(value: object) -> list[str]:
    """``"b a"`` → ``["a", "b"]``, as for a list."""
    if isinstance(value, str):
        return sorted(value.split())
    return sorted(map(str, value)) if isinstance(value, list | tuple) else []
