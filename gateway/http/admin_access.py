"""Who may see what is not for everybody: the holder of the admin token.

It is given as a bearer token (RFC 6750) or as the password of HTTP Basic (RFC 7617), whatever the user's name.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from pydantic import SecretStr

AccessCheck: TypeAlias = Callable[[Mapping[str, str]], bool]
"""Tells by a request's headers, of lower-case names, whether it is let in."""


def allow_all(_headers: Mapping[str, str]) -> bool:
    """Let all in."""
    return True


def deny_all(_headers: Mapping[str, str]) -> bool:
    """Let none in."""
    return False


def access_check(access: bool | Literal["admin"], token: SecretStr | None) -> AccessCheck:
    """Return who is let in by a setting: everybody, nobody, or the holder of the admin token."""
    if access != "admin":
        return allow_all if access else deny_all
    if token is None:
        return deny_all
    wanted = token.get_secret_value().encode()

    def holder(headers: Mapping[str, str]) -> bool:
        return secrets.compare_digest(_given(headers.get("authorization", "")), wanted)

    return holder


def _given(authorization: str) -> bytes:
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
