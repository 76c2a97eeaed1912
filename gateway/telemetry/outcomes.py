"""How operations end, for metrics and log: what clients cause is no failure of the gateway or its environment."""

from __future__ import annotations

from typing import Literal, TypeAlias

from gateway.errors import GatewayError, client_error_codes
from gateway.events import OperationServed

Outcome: TypeAlias = Literal["ok", "partial", "client_error", "error"]


def _server_codes() -> frozenset[str]:
    """Return the codes of errors that no client causes."""
    kinds: list[type[GatewayError]] = [GatewayError]
    for kind in kinds:  # it grows, so that subclasses of subclasses are reached
        kinds.extend(kind.__subclasses__())
    return frozenset(kind.code for kind in kinds) - client_error_codes()


_SERVER_CODES = _server_codes()


def outcome_of(event: OperationServed) -> Outcome:
    """Return how an operation ended: ``ok``, ``partial`` (data with errors), ``client_error``, ``error``."""
    if not event.errors:
        return "ok"
    if not event.is_refused:
        return "partial"
    return "client_error" if _SERVER_CODES.isdisjoint(event.codes) else "error"
