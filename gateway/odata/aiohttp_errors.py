"""What aiohttp raises, as errors of httpx: nothing above the transport knows aiohttp."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import aiohttp
import httpx

from .public_addresses import NotPublic
from .transport_errors import PrivateAddress

RAISED: Mapping[type[Exception], type[httpx.TransportError]] = MappingProxyType(
    {
        aiohttp.ConnectionTimeoutError: httpx.ConnectTimeout,
        aiohttp.ServerTimeoutError: httpx.ReadTimeout,
        TimeoutError: httpx.WriteTimeout,
        aiohttp.ClientProxyConnectionError: httpx.ProxyError,
        aiohttp.ClientHttpProxyError: httpx.ProxyError,
        aiohttp.ClientConnectorError: httpx.ConnectError,
        aiohttp.ClientConnectorCertificateError: httpx.ConnectError,
        aiohttp.ServerFingerprintMismatch: httpx.ConnectError,
        aiohttp.ServerDisconnectedError: httpx.RemoteProtocolError,
        aiohttp.ClientPayloadError: httpx.RemoteProtocolError,
        aiohttp.ClientResponseError: httpx.RemoteProtocolError,
        aiohttp.ClientConnectionError: httpx.ReadError,
        OSError: httpx.ReadError,
        aiohttp.InvalidURL: httpx.UnsupportedProtocol,
        aiohttp.NonHttpUrlClientError: httpx.UnsupportedProtocol,
        aiohttp.ClientError: httpx.ReadError,
        ValueError: httpx.LocalProtocolError,
    }
)
"""Error of aiohttp → error of httpx; the nearest base class counts. A plain TimeoutError is that of ``_upload_limit``,
a ValueError aiohttp's for what HTTP forbids, such as a line break in a header."""
ERRORS = (aiohttp.ClientError, OSError, ValueError)


def translate_error(exc: Exception) -> httpx.TransportError:
    """Return httpx's error for one of aiohttp; a test goes through all of them."""
    if isinstance(getattr(exc, "os_error", None), NotPublic):
        return PrivateAddress(str(exc))
    kind = next(RAISED[kind] for kind in type(exc).__mro__ if kind in RAISED)
    return kind(str(exc) or type(exc).__name__)
