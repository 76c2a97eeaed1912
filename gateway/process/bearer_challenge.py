"""The challenge by which HTTP says how to sign in: a bearer token (RFC 6750, section 3)."""

from __future__ import annotations

REALM = "d365-graphql"
"""Name of the area that callers sign in to (RFC 9110, section 11.5)."""


def bearer_challenge(**parameters: str | None) -> str:
    """Return the value of ``WWW-Authenticate`` with these parameters; they must be free of quotes."""
    values = {"realm": REALM, **parameters}
    pairs = [f'{name}="{value}"' for name, value in values.items() if value is not None]
    return f"Bearer {', '.join(pairs)}"
