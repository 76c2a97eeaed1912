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

Admits: TypeAlias = Callable[[Mapping[str, str]], bool]
"""Tells by a request's headers, of lower-case names, whether it is let in."""


def everybody(_headers: Mapping[str, str]) -> bool:
    """Let all in."""
    return True


def nobody(_headers: Mapping[str, str]) -> bool:
    """Let none in."""
    return False


def admission(access: bool | Literal["admin"], token: SecretStr | None) -> Admits:
    """Return who is let in by a setting: everybody, nobody, or the holder of the admin token."""
    if access != "admin":
        return everybody if access else nobody
    if token is None:
        return nobody
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
