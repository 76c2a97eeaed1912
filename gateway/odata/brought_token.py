"""Signs requests with a token that a user has brought: as long as it lives, and with no other in its place."""

from __future__ import annotations

from collections.abc import Generator

import httpx

from .application_sign_in import put_token


class BroughtToken(httpx.Auth):
    """Puts one token on each request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __repr__(self) -> str:
        return "BroughtToken(********)"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Send with the token."""
        put_token(request, self._token)
        yield request
