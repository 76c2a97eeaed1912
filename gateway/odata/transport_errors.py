"""What a transport's exceptions mean, and after which of them a request may be sent again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import httpx
from msgspec import Struct

from gateway.errors import GatewayError, UpstreamMalformed, UpstreamTimeout, UpstreamUnavailable

from .retry import Failure


class Fault(Struct, frozen=True):
    """What an exception of httpx means."""

    error: type[GatewayError]
    failure: Failure
    description: str
    """Continues a sentence whose subject is the upstream."""


class PrivateAddress(httpx.ConnectError):
    """A name leads to an IP address that is not on the internet, and the environment was added at run time."""


class ForeignOrigin(httpx.UnsupportedProtocol):
    """An address is not that of the environment, which was added at run time."""


FAULTS: Mapping[type[Exception], Fault] = {
    httpx.ConnectTimeout: Fault(
        UpstreamTimeout, Failure.TRANSIENT, "did not accept a connection in time"
    ),
    httpx.ReadTimeout: Fault(UpstreamTimeout, Failure.SLOW, "did not answer in time"),
    httpx.WriteTimeout: Fault(UpstreamTimeout, Failure.SLOW, "did not take the request in time"),
    httpx.PoolTimeout: Fault(UpstreamTimeout, Failure.TRANSIENT, "had no free connection in time"),
    httpx.ConnectError: Fault(UpstreamUnavailable, Failure.TRANSIENT, "cannot be reached"),
    httpx.ReadError: Fault(UpstreamUnavailable, Failure.TRANSIENT, "broke off the connection"),
    httpx.WriteError: Fault(UpstreamUnavailable, Failure.TRANSIENT, "broke off the connection"),
    httpx.CloseError: Fault(UpstreamUnavailable, Failure.TRANSIENT, "broke off the connection"),
    httpx.RemoteProtocolError: Fault(
        UpstreamUnavailable, Failure.TRANSIENT, "broke off its answer, or did not answer in HTTP"
    ),
    httpx.LocalProtocolError: Fault(
        UpstreamUnavailable,
        Failure.PERMANENT,
        "cannot be sent this request, because HTTP forbids it",
    ),
    httpx.UnsupportedProtocol: Fault(
        UpstreamUnavailable, Failure.PERMANENT, "is not at an http or https address"
    ),
    PrivateAddress: Fault(UpstreamUnavailable, Failure.PERMANENT, "is not at a public IP address"),
    ForeignOrigin: Fault(
        UpstreamUnavailable, Failure.PERMANENT, "names an address outside of the environment"
    ),
    httpx.ProxyError: Fault(
        UpstreamUnavailable, Failure.TRANSIENT, "cannot be reached through the proxy"
    ),
    httpx.DecodingError: Fault(
        UpstreamMalformed, Failure.PERMANENT, "sent a badly compressed answer"
    ),
    httpx.TooManyRedirects: Fault(UpstreamMalformed, Failure.PERMANENT, "redirects in a circle"),
}
"""Every concrete error of httpx, and our own; a test fails if httpx adds one that is missing here."""


def fault_of(exc: Exception) -> Fault:
    """Return the row of the nearest class in ``FAULTS``."""
    return next(FAULTS[kind] for kind in type(exc).__mro__ if kind in FAULTS)


def is_slow(error: BaseException | None) -> bool:
    """Return whether a request took too long, so that the service may still be at it."""
    return isinstance(error, httpx.TimeoutException)


RetryRule: TypeAlias = Callable[[Failure, httpx.RequestError | None], bool]
"""Returns whether a request may be sent again after a failure; the error is None if there was an answer."""

UNREACHED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
"""Errors before any byte of a request was sent."""


def retry_always(_failure: Failure, _error: httpx.RequestError | None) -> bool:
    """Rule for reads and other requests that do no harm if they are processed twice."""
    return True


def retry_never(_failure: Failure, _error: httpx.RequestError | None) -> bool:
    """Rule for requests that are not idempotent."""
    return False


def is_certainly_unprocessed(failure: Failure, error: httpx.RequestError | None) -> bool:
    """Rule for writes: the request did not reach the service, or the service was too busy to process it."""
    return isinstance(error, UNREACHED) if error is not None else failure is Failure.THROTTLED
