"""Where a visitor goes back to once the environment is linked: the integrator's address, with a signature.

    https://app.example.com/linked?session=…&environment=acme&timestamp=1764500000&signature=…

The signature is the HMAC-SHA256, in hexadecimal digits, of ``session.environment.timestamp`` with the key of
``linking.webhook_secret``. So nobody who knows the address can make an integrator believe in a link.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def signature_of(key: bytes, session: str, environment: str, timestamp: int) -> str:
    """Return the signature of a return."""
    text = f"{session}.{environment}.{timestamp}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def return_address(
    address: str, key: bytes, *, session: str, environment: str, timestamp: int
) -> str:
    """Return an address with what was linked, and the signature; its own parameters stay."""
    parts = urlsplit(address)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("session", session),
        ("environment", environment),
        ("timestamp", str(timestamp)),
        ("signature", signature_of(key, session, environment, timestamp)),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))
