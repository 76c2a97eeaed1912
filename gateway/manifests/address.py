"""A manifest at an https address: fetched again when its ETag has changed; the last good one is kept on disk.

So a gateway starts while the address is away, with the documents that it had. Redirects are not followed: who could
name another address would choose which documents run.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import httpx

from gateway.documents.manifest import read_manifest
from gateway.documents.trusted import ReleaseError, TrustedDocument, release_of
from gateway.storage.atomic_file import write_atomically
from gateway.storage.private_files import open_own

LONGEST = 30.0
"""Seconds in which a whole manifest must arrive."""


class ManifestAddress:
    """A manifest that is fetched."""

    def __init__(
        self,
        address: str,
        *,
        token: str | None,
        folder: Path | None,
        check_hashes: bool,
        max_bytes: int,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``folder``: where the last good manifest is kept; None: nowhere."""
        self._address = address
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        name = hashlib.sha256(address.encode()).hexdigest()[:32]
        self._file = None if folder is None else folder / "documents" / f"{name}.json"
        self._check_hashes = check_hashes
        self._most = max_bytes
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._etag: str | None = None
        self._digest: bytes | None = None
        """Of the content that was read last, whether it could be used or not."""

    async def load(self) -> tuple[TrustedDocument, ...] | None:
        """Return the documents; None if nothing has changed. Raises ReleaseError."""
        try:
            async with asyncio.timeout(LONGEST):
                fetched = await self._fetch()
        except TimeoutError as error:
            raise ReleaseError(f"no answer within {LONGEST:g} seconds") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ReleaseError(type(error).__name__) from error
        if fetched is None:
            return None
        content, etag = fetched
        digest = hashlib.sha256(content).digest()
        self._etag = etag
        if digest == self._digest:
            return None
        self._digest = digest
        documents = await asyncio.to_thread(self._documents, content)
        if self._file is not None:
            await asyncio.to_thread(_store, self._file, content)
        return documents

    async def load_stored(self) -> tuple[TrustedDocument, ...] | None:
        """Return the documents that were good last, from disk; None if there are none."""
        if self._file is None:
            return None
        return await asyncio.to_thread(self._stored, self._file)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    def _stored(self, file: Path) -> tuple[TrustedDocument, ...] | None:
        try:
            with open_own(file) as stored:
                return self._documents(stored.read(self._most + 1))
        except (OSError, ReleaseError):
            return None

    def _documents(self, content: bytes) -> tuple[TrustedDocument, ...]:
        documents = tuple(read_manifest(content, check_hashes=self._check_hashes))
        release_of(documents)  # what contradicts itself must not be stored
        return documents

    async def _fetch(self) -> tuple[bytes, str | None] | None:
        """Return the manifest and its ETag; None: it has not changed. Raises ReleaseError, httpx.HTTPError."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self._transport, timeout=LONGEST, follow_redirects=False
            )
        headers = dict(self._headers)
        if self._etag is not None:
            headers["If-None-Match"] = self._etag
        async with self._client.stream("GET", self._address, headers=headers) as response:
            if response.status_code == 304 and self._etag is not None:
                return None
            if response.status_code != 200:
                raise ReleaseError(f"status {response.status_code}")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise ReleaseError("the answer is compressed")
            content = bytearray()
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > self._most:
                    raise ReleaseError(f"more than {self._most:,} bytes (documents.max_bytes)")
            return bytes(content), response.headers.get("etag")


def _store(file: Path, content: bytes) -> None:
    try:
        write_atomically(file, (content,))
    except OSError:
        return  # a cache folder that cannot be written has an event of its own
