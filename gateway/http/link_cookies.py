"""The cookie that binds a link session to a browser: a secret, in a cookie of the session's own name.

Over https its name begins with ``__Host-``, so that no other host can have set it. It is sent with the way back from
the login page (``SameSite=Lax``), and read by no script. https://www.rfc-editor.org/rfc/rfc6265
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from gateway.linking.sessions import ID, TOKEN

_NAME = "d365-link-"
_HOST = "__Host-"
_MAX = 50
"""Sessions that one browser may have begun; of more, the first ones count."""


class LinkCookies:
    """The cookies at a public address."""

    def __init__(self, public_url: str) -> None:
        self._is_secure = public_url.startswith("https:")
        self._prefix = f"{_HOST if self._is_secure else ''}{_NAME}"
        self._name = re.compile(rf"{re.escape(self._prefix)}({ID.pattern})")

    def secrets(self, request: Request) -> Mapping[str, str]:
        """Return the secrets of a browser by the id of the session."""
        secrets: dict[str, str] = {}
        for name, value in request.cookies.items():
            match = self._name.fullmatch(name)
            if match is not None and TOKEN.fullmatch(value) and len(secrets) < _MAX:
                secrets[match[1]] = value
        return secrets

    def put(self, response: Response, session: str, secret: str, seconds: float) -> None:
        """Bind a session to the browser that gets a response, for so many seconds."""
        response.set_cookie(
            f"{self._prefix}{session}",
            secret,
            max_age=max(1, int(seconds)),
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )
