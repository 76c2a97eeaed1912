"""Loads the keys of an issuer: from its discovery document, an address, a file, or the settings.

What is loaded has limits of size and time. Redirects are not followed, and addresses are https unless they are this
machine's: whoever can answer in the issuer's place could sign tokens.

https://openid.net/specs/openid-connect-discovery-1_0.html · https://www.rfc-editor.org/rfc/rfc7517
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from gateway.config.value_types import LOOPBACK

MAX_BYTES = 500_000
"""Size of a document; Entra's key sets have 20 kB."""
LONGEST = 10.0
"""Seconds in which a whole document must arrive."""


class KeysError(Exception):
    """The keys of an issuer cannot be loaded; the text is the reason, for the log."""


class KeyDocument(Struct, frozen=True):
    """The keys of an issuer as it publishes them."""

    keys: Sequence[Mapping[str, Any]]
    """JSON web keys."""
    algorithms: Sequence[str] = ()
    """Algorithms that the issuer says it signs with; empty if it says nothing."""


class KeySource(Protocol):
    """Loads the current keys of one issuer."""

    async def load(self) -> KeyDocument:
        """Return the keys. Raises KeysError."""
        ...


class InlineKeys:
    """Keys that stand in the settings."""

    def __init__(self, document: object) -> None:
        self._document = KeyDocument(keys_of(document))

    async def load(self) -> KeyDocument:
        """Return the keys."""
        return self._document


class FileKeys:
    """A key set in a file, which is read again like an address, so that keys can be rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> KeyDocument:
        """Return the keys. Raises KeysError."""
        return await asyncio.to_thread(self.read)

    def read(self) -> KeyDocument:
        """Return the keys. Raises KeysError."""
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise KeysError(f"{self._path} cannot be read: {error.strerror or error}") from error
        return KeyDocument(keys_of(_parsed(content)))


class PublishedKeys:
    """A key set at an address."""

    def __init__(self, http: httpx.AsyncClient, address: str) -> None:
        self._http = http
        self._address = address

    async def load(self) -> KeyDocument:
        """Return the keys. Raises KeysError."""
        return KeyDocument(keys_of(await fetch_json(self._http, self._address)))


class DiscoveredKeys:
    """The key set that an OpenID discovery document names."""

    def __init__(self, http: httpx.AsyncClient, address: str, issuer: str) -> None:
        self._http = http
        self._address = address
        self._issuer = issuer

    async def load(self) -> KeyDocument:
        """Return the keys, and the algorithms that the document names. Raises KeysError."""
        document = await fetch_json(self._http, self._address)
        if not isinstance(document, dict):
            raise KeysError(f"{self._address} is no discovery document")
        # Otherwise one issuer could make the gateway take another one's keys for its own.
        if document.get("issuer") != self._issuer:
            raise KeysError(f"{self._address} is the document of another issuer")
        address = document.get("jwks_uri")
        if not isinstance(address, str) or not self._may_name(address):
            raise KeysError(f"{self._address} names no https address of keys")
        named = document.get("id_token_signing_alg_values_supported")
        algorithms = [a for a in named if isinstance(a, str)] if isinstance(named, list) else []
        return KeyDocument(keys_of(await fetch_json(self._http, address)), algorithms)

    def _may_name(self, address: str) -> bool:
        """Return whether keys may be there: only an issuer on this machine has them without https."""
        if not is_safe_address(address):
            return False
        return urlsplit(address).scheme == "https" or urlsplit(self._address).scheme == "http"


def is_safe_address(address: str) -> bool:
    """Return whether keys may be loaded from an address: https, or this machine."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    is_local = parts.scheme == "http" and parts.hostname in LOOPBACK
    return bool(parts.hostname) and (parts.scheme == "https" or is_local)


def keys_of(document: object) -> Sequence[Mapping[str, Any]]:
    """Return the keys of a JWK set. Raises KeysError if it is none."""
    keys = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(keys, list | tuple):
        raise KeysError("the document is no JWK set: it has no list keys")
    return [key for key in keys if isinstance(key, Mapping)]


async def fetch_json(http: httpx.AsyncClient, address: str) -> object:
    """Return the JSON at an address. Raises KeysError."""
    # Not compressed, so that the limit holds for what arrives.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(LONGEST),
            http.stream("GET", address, headers=headers) as response,
        ):
            return _parsed(await _body(response, address))
    except TimeoutError as error:
        raise KeysError(f"{address} did not answer within {LONGEST:g} seconds") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise KeysError(f"{address}: {type(error).__name__}") from error


async def _body(response: httpx.Response, address: str) -> bytes:
    if response.status_code != 200:
        raise KeysError(f"{address} answered with status {response.status_code}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise KeysError(f"{address} answered with a compressed document")
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > MAX_BYTES:
            break
    return bytes(content)


def _parsed(content: bytes) -> object:
    if len(content) > MAX_BYTES:
        raise KeysError(f"the document has more than {MAX_BYTES:,} bytes")
    try:
        document: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise KeysError("the document is not JSON") from error
    return document
