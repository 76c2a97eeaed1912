"""Admin access: checks bearer tokens (RFC 6750) and Basic passwords (RFC 7617) for restricted endpoints.

The user name of Basic is ignored.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from pydantic import SecretStr

AccessCheck: TypeAlias = Callable[[Mapping[str, str]], bool]
"""Returns whether a request with these headers, by lower-case names, is admitted."""


def allow_all(_headers: Mapping[str, str]) -> bool:
    """Admit every request."""
    return True


def deny_all(_headers: Mapping[str, str]) -> bool:
    """Admit no request."""
    return False


def access_check(access: bool | Literal["admin"], token: SecretStr | None) -> AccessCheck:
    """Return the check for a setting: all requests, none, or those with the admin token."""
    if access != "admin":
        return allow_all if access else deny_all
    # "admin" without a token admits nobody, rather than everybody.
    if token is None:
        return deny_all
    expected = token.get_secret_value().encode()

    def has_token(headers: Mapping[str, str]) -> bool:
        # In constant time, so that its duration tells nothing of the token.
        return secrets.compare_digest(_credentials(headers.get("authorization", "")), expected)

    return has_token


def _credentials(authorization: str) -> bytes:
    """Return the token or password of an ``Authorization`` header; empty if it has neither."""
    scheme, _, credentials = authorization.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip().encode()
        case "basic":
            try:
                return base64.b64decode(credentials, validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                return b""
        case _:
            return b""
