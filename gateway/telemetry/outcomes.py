"""How operations end, for metrics and log: what clients cause is no failure of the gateway or its environment."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.errors import GatewayError, client_error_codes
from gateway.events import Outcome


def _server_codes() -> frozenset[str]:
    """Return the codes of errors that no client causes."""
    kinds: list[type[GatewayError]] = [GatewayError]
    for kind in kinds:  # it grows, so that subclasses of subclasses are reached
        kinds.extend(kind.__subclasses__())
    return frozenset(kind.code for kind in kinds) - client_error_codes()


_SERVER_CODES = _server_codes()


def outcome_of(codes: Iterable[str], *, has_data: bool) -> Outcome:
    """Return how an operation ended that has these codes of errors."""
    codes = frozenset(codes)
    if not codes:
        return "ok"
    if has_data:
        return "partial"
    return "client_error" if _SERVER_CODES.isdisjoint(codes) else "error"
