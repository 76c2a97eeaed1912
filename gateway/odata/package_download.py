"""Downloads a data package from the address that the environment has given, which is not its own.

Whoever controls that address would choose where the gateway connects to. So it is read by a grammar that leaves no room
for two parsers to differ, its host is one that the settings allow, it is https, no redirect is followed, and no
credential of the gateway goes with it: the signature in the address is all that blob storage takes
(https://learn.microsoft.com/en-us/rest/api/storageservices/service-sas-examples). The address is in no message, as it
is a credential itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from urllib.request import proxy_bypass

import httpx
from msgspec import Struct

from gateway.config.environment_addresses import is_allowed, is_listed_loopback
from gateway.config.package_models import PackageOptions
from gateway.config.settings import Settings
from gateway.errors import UpstreamMalformed, UpstreamTimeout, UpstreamUnavailable

from .lazy_request import LazyRequest
from .transport_errors import fault_of

_ADDRESS = re.compile(
    r"https?://(?P<host>[a-z0-9.-]{1,253}|\[::1\])(?::(?P<port>[0-9]{1,5}))?/[!$-;=?-Z_a-z~]*",
    re.ASCII,
)
"""No user, backslash, fragment, space or capital in the host."""
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "d365-graphql-gateway"}
_GONE = frozenset({401, 403, 404, 410})
_NAMED = "The upstream names an address for the package that"
_HOSTS = "Setting: packages.hosts."


class AddressExpired(Exception):
    """The address of a package is not valid any longer: another one is needed."""


class DownloadedPackage(Struct, frozen=True):
    """A package on disk."""

    path: Path
    sha256: str


def check_address(address: str, options: PackageOptions) -> str:
    """Return the host of an address from which packages may be downloaded. Raises UpstreamMalformed."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise UpstreamMalformed(f"{_NAMED} is no https address.", hint=_HOSTS)
    host, port = match["host"], match["port"]
    if is_listed_loopback(f"{address.partition('://')[0]}://{host}", options.hosts):
        return host
    if not is_allowed(host, options.hosts):
        raise UpstreamMalformed(
            f"{_NAMED} is not allowed.", hint=_HOSTS, detail=f"host of the package: {host}"
        )
    if not address.startswith("https://") or port not in (None, "443"):
        raise UpstreamMalformed(
            f"{_NAMED} is not https on port 443.",
            hint=_HOSTS,
            detail=f"host of the package: {host}",
        )
    return host


def blob_transport(host: str, settings: Settings) -> httpx.AsyncBaseTransport:
    """Return a transport to a host that ``check_address`` has returned; of many, to a public IP address only."""
    from .public_addresses import public_socket  # noqa: PLC0415 - importing aiohttp takes 0.1 s
    from .transport import AiohttpTransport, environment_proxies  # noqa: PLC0415 - likewise

    proxies = environment_proxies()
    if proxies and not proxy_bypass(host):
        return AiohttpTransport(connections=1, proxies=proxies)
    is_listed = host in settings.packages.hosts
    return AiohttpTransport(connections=1, sockets=None if is_listed else public_socket)


async def download(
    address: str, target: Path, settings: Settings, files: httpx.AsyncBaseTransport | None = None
) -> DownloadedPackage:
    """Write the package at an address to a file; ``files`` is the way there, in the place of the network.

    Raises AddressExpired, UpstreamMalformed, UpstreamUnavailable or UpstreamTimeout if the download broke off, OSError.
    """
    host = check_address(address, settings.packages)
    if files is not None:
        return await _download(address, target, settings, files)
    transport = blob_transport(host, settings)
    try:
        return await _download(address, target, settings, transport)
    finally:
        await transport.aclose()


async def _download(
    address: str, target: Path, settings: Settings, transport: httpx.AsyncBaseTransport
) -> DownloadedPackage:
    options = settings.packages
    timeout = httpx.Timeout(
        settings.read_timeout, connect=settings.connect_timeout, pool=None
    ).as_dict()
    request = LazyRequest("GET", address, _HEADERS, None, timeout)
    try:
        async with asyncio.timeout(options.timeout):
            response = await transport.handle_async_request(request)
            try:
                _check(response, options.max_bytes)
                sha256 = await _write(response, target, options.max_bytes)
            finally:
                await response.aclose()
    except httpx.HTTPError as error:
        fault = fault_of(error)
        raise fault.error(
            f"The blob storage {fault.description}.", detail=type(error).__name__
        ) from error
    except TimeoutError as error:
        raise UpstreamTimeout("The package was not downloaded in time.") from error
    return DownloadedPackage(target, sha256)


def _check(response: httpx.Response, max_bytes: int) -> None:
    """Raise if an answer is no package that may be read."""
    status = response.status_code
    if status in _GONE:
        raise AddressExpired
    if status == 429 or status >= 500:
        raise UpstreamUnavailable(f"The blob storage answers with status {status}.")
    if status != 200:
        # Redirects above all: they lead to places that nobody has checked.
        raise UpstreamMalformed(f"The blob storage answers with status {status}.")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UpstreamMalformed("The blob storage sends the package in a coding.")
    if (size := _length(response)) is not None and size > max_bytes:
        raise _too_large(max_bytes)


async def _write(response: httpx.Response, target: Path, max_bytes: int) -> str:
    """Write the body to a file, and return its SHA-256."""
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > max_bytes:
                raise _too_large(max_bytes)
            file.write(piece)
            digest.update(piece)
    if (expected := _length(response)) is not None and size != expected:
        raise UpstreamUnavailable("The blob storage broke off its answer.")
    return digest.hexdigest()


def _length(response: httpx.Response) -> int | None:
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _too_large(max_bytes: int) -> UpstreamMalformed:
    return UpstreamMalformed(
        f"The package has more than {max_bytes:,} bytes.", hint="Setting: packages.max_bytes."
    )
