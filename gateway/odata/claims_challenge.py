"""Claims challenges: what a service or the login host requires of a caller's next token, such as a second factor.

https://learn.microsoft.com/entra/identity-platform/claims-challenge
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

_PARAMETER = re.compile(r'\bclaims="([0-9A-Za-z+/=_-]{1,8000})"')
_MOST = 6_000
"""Characters of a challenge that is passed on."""


def claims_of_header(header: str | None) -> str | None:
    """Return the claims, as JSON, of a header ``WWW-Authenticate``; None if it has none that can be read."""
    match = _PARAMETER.search(header or "")
    if match is None:
        return None
    text = match[1].replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return valid_claims(decoded)


def valid_claims(text: object) -> str | None:
    """Return a claims request as it is, if it is a JSON object of a sensible size; else None."""
    if not isinstance(text, str) or len(text) > _MOST:
        return None
    try:
        msgspec.json.decode(text, type=dict)
    except (msgspec.DecodeError, RecursionError):
        return None
    return text
