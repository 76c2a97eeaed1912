"""What the gateway's own server does for its application beyond ASGI, which takes a small request fewer steps.

    scope[EXCHANGE] ──▶ the body if it is there · a call if the client leaves · a response in one message

Behind other servers there is none, and the same is done by ASGI's messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starlette.types import Scope

EXCHANGE = "d365.exchange"
"""Key of a scope with its ``Exchange``."""
WHOLE = "d365.body"
"""Key of a message ``http.response.start`` with the whole body: no other message follows."""


class Exchange(Protocol):
    """One request and its response."""

    def take_body(self) -> bytes | None:
        """Return the request's body, once; None if it has not arrived completely."""
        ...

    def watch(self, on_gone: Callable[[], None]) -> bool:
        """Call a function when the client leaves, until ``unwatch``; return whether that is noticed now."""
        ...

    def unwatch(self) -> None:
        """Call nothing any more."""
        ...


def exchange_of(scope: Scope) -> Exchange | None:
    """Return the exchange of a request; None if its server has none."""
    exchange: Exchange | None = scope.get(EXCHANGE)
    return exchange
