"""Loads the text of the metadata document: from a file, or over HTTP with a copy cached between starts.

    metadata = "fo.xml.gz"       the file
    metadata = "https://…"       that URL; credentials are sent to the service's own origin only
    (not set)                    {url}/$metadata

A cached copy is used after the service confirmed it (``If-None-Match``, ``If-Modified-Since``; RFC 9110, section 13).
If the service sends no validators, the copy is used without a request while it is younger than ``metadata_max_age``:
F&O's document has some 50 MB. If the service is unreachable, the copy is used too, and an event says so.

Parsing is the work of ``schema.csdl``. Here the text is only checked far enough to tell a login page from XML, and is
passed on in pieces, so that a large document is not in memory as a whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config.settings import Settings
from gateway.errors import (
    GatewayError,
    SettingsError,
    UpstreamMalformed,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.events import MetadataLoaded, MetadataStale, Observer, log_event
from gateway.odata.response_check import Response
from gateway.process.read_ahead import read_ahead
from gateway.storage.document_cache import DocumentCache, DocumentInfo, digest_of

if TYPE_CHECKING:
    from gateway.odata.client import ODataClient
    from gateway.odata.decoding import Progress

READ_TIMEOUT = 300.0
"""Seconds to wait for the next piece of the document: after a restart F&O takes minutes to make it."""

_PIECE = 1 << 18
"""Bytes of a piece."""
_START = 2_000
"""Bytes that are enough to recognise a web page or JSON."""
_GZIP = b"\x1f\x8b"
"""The first bytes of a gzip file (RFC 1952, section 2.3.1)."""

ReportProgress = Callable[[int, int], None]
"""Takes the bytes read so far and those of the whole document."""


@dataclass(frozen=True, slots=True)
class DocumentOrigin:
    """What is remembered of a document once its model is made: enough to recognise it."""

    digest: str
    source: str
    info: DocumentInfo | None
    """Its validators, if it came from a service."""


@dataclass(frozen=True, slots=True)
class MetadataDocument:
    """A document in memory or in a file."""

    content: bytes | Path
    """The text or a file of it, plain or gzipped."""
    digest: str
    """SHA-256 of the plain text, in hexadecimal."""
    source: str
    """Where it came from, for people."""
    info: DocumentInfo | None = field(default=None, compare=False)

    @property
    def origin(self) -> DocumentOrigin:
        """Everything but the text."""
        return DocumentOrigin(self.digest, self.source, self.info)

    @property
    def text(self) -> bytes:
        """The whole text. Raises as ``pieces`` does."""
        return b"".join(self.pieces())

    def pieces(self, report: ReportProgress | None = None) -> Iterator[bytes]:
        """Yield the plain text. Raises SettingsError if the file has changed since it was checked."""
        return read_ahead(self._pieces(report))

    def _pieces(self, report: ReportProgress | None) -> Iterator[bytes]:
        checksum = hashlib.sha256()
        for piece in _pieces(self.content, None, report):
            checksum.update(piece)
            yield piece
        # Its snapshot would be stored under the digest of another text.
        if isinstance(self.content, Path) and checksum.hexdigest() != self.digest:
            raise SettingsError(f"metadata: {self.source} changed while it was read.")


@dataclass(frozen=True, slots=True)
class ReloadCheck:
    """A search for new metadata while a document is being served. An unreachable service is an error then."""

    serving: DocumentOrigin
    since: float | None = None
    """A copy fetched after this time (seconds since the epoch) is current. None: one that is young enough is."""


async def load_metadata(
    settings: Settings,
    client: ODataClient,
    *,
    refresh: bool = False,
    progress: Progress | None = None,
    observe: Observer = log_event,
    now: Callable[[], float] = time.time,
) -> MetadataDocument:
    """Return the metadata document. With ``refresh``, the cache is ignored.

    Raises SettingsError for a file, AuthError and UpstreamError for a URL.
    """
    loader = _Loader(settings, client, observe, now, None)
    started = time.perf_counter()
    document = await loader.load(refresh=refresh, progress=progress)
    assert document is not None  # None means unchanged, and nothing is being served yet
    observe(_loaded_event(document, started))
    return document


async def load_newer_metadata(
    settings: Settings,
    client: ODataClient,
    check: ReloadCheck,
    *,
    observe: Observer = log_event,
    now: Callable[[], float] = time.time,
) -> MetadataDocument | None:
    """Return the metadata document if it differs from the one being served; None otherwise.

    Raises SettingsError for a file, AuthError and UpstreamError for a URL, even if an old copy is cached.
    """
    started = time.perf_counter()
    document = await _Loader(settings, client, observe, now, check).load()
    if document is None or document.digest == check.serving.digest:
        return None
    observe(_loaded_event(document, started))
    return document


def _loaded_event(document: MetadataDocument, started: float) -> MetadataLoaded:
    return MetadataLoaded(
        source=document.source,
        seconds=time.perf_counter() - started,
        digest=document.digest,
        size=stored_size(document),
    )


@dataclass(frozen=True, slots=True)
class _Loader:
    settings: Settings
    client: ODataClient
    observe: Observer
    now: Callable[[], float]
    check: ReloadCheck | None

    @property
    def url(self) -> str:
        return self.settings.metadata or f"{self.client.root}/$metadata"

    async def load(
        self, *, refresh: bool = False, progress: Progress | None = None
    ) -> MetadataDocument | None:
        """Return the document; None if the service confirmed the one being served."""
        configured = self.settings.metadata
        if configured is None or configured.startswith(("http://", "https://")):
            return await self._from_url(refresh, progress)
        return await asyncio.to_thread(
            _from_file, Path(configured), self.settings.max_upstream_bytes, self._cache()
        )

    async def _from_url(self, refresh: bool, progress: Progress | None) -> MetadataDocument | None:
        cache = self._cache()
        cached = None if refresh else await asyncio.to_thread(cache.read_packed, self.url)
        info = self._serving_info() if cached is None else cached[0]
        if info is not None and self._is_fresh(info):
            return self._from_cache(cached)
        try:
            response = await self._request(info, progress)
        except (UpstreamUnavailable, UpstreamTimeout, UpstreamThrottled) as exc:
            # With ``refresh`` it has not been read yet.
            cached = cached or await asyncio.to_thread(cache.read_packed, self.url)
            if cached is None or self.check is not None:
                raise
            return self._stale(*cached, exc)
        if response.status == 304 and info is not None:
            return self._from_cache(cached)
        text = await asyncio.to_thread(_unzip, response.body, self.settings.max_upstream_bytes)
        if (reason := describe_non_xml(text)) is not None:
            raise _not_metadata(response, self.url, reason)
        return await self._store(response, text, cache)

    async def _store(
        self, response: Response, text: bytes, cache: DocumentCache
    ) -> MetadataDocument:
        info = DocumentInfo(
            key=self.url,
            digest=await asyncio.to_thread(digest_of, text),
            fetched_at=self.now(),
            etag=response.headers.get("etag"),
            last_modified=response.headers.get("last-modified"),
        )
        await asyncio.to_thread(cache.write, info, text)
        # The gzipped copy takes a twentieth of the memory until the model is made.
        cached = await asyncio.to_thread(cache.read_packed, self.url)
        content = text if cached is None else cached[1]
        return MetadataDocument(content, info.digest, self.url, info)

    def _cache(self) -> DocumentCache:
        # The sandbox makes its document in no time, and another one with each of its options.
        configured = self.settings.url or self.settings.metadata
        folder = self.settings.cache_dir if configured else None
        return DocumentCache(None if folder is None else folder / "metadata", self.observe)

    def _serving_info(self) -> DocumentInfo | None:
        """Return the validators of the document being served; None at a start."""
        return None if self.check is None else self.check.serving.info

    async def _request(self, info: DocumentInfo | None, progress: Progress | None) -> Response:
        headers = {"Accept": "application/xml", "OData-MaxVersion": "4.01"}
        if info is not None and info.etag:
            headers["If-None-Match"] = info.etag
        elif info is not None and info.last_modified:
            headers["If-Modified-Since"] = info.last_modified
        timeout = max(READ_TIMEOUT, self.settings.read_timeout)
        return await self.client.fetch(self.url, headers, progress=progress, read_timeout=timeout)

    def _is_fresh(self, info: DocumentInfo) -> bool:
        """Return whether a copy is used without a request."""
        if self.check is not None and self.check.since is not None:
            # Another worker may have fetched it since this reload was requested.
            return info.fetched_at >= self.check.since
        if info.etag or info.last_modified:
            return False
        # 0: after a clock was set back, a copy from the future must not be fresh for long.
        return 0 <= self.now() - info.fetched_at < self.settings.metadata_max_age

    def _from_cache(self, cached: tuple[DocumentInfo, bytes] | None) -> MetadataDocument | None:
        """Return the cached copy; None if only the document being served was confirmed."""
        if cached is None:
            return None
        info, packed = cached
        return MetadataDocument(packed, info.digest, f"{self.url} (cached)", info)

    def _stale(self, info: DocumentInfo, packed: bytes, error: GatewayError) -> MetadataDocument:
        age = max(0.0, self.now() - info.fetched_at)
        self.observe(MetadataStale(source=self.url, age=age, reason=error.message))
        source = f"{self.url} (cached, the service is unreachable)"
        return MetadataDocument(packed, info.digest, source, info)


def describe_non_xml(text: bytes) -> str | None:
    """Return what a text is instead of XML; None if it may be CSDL. The parser reports finer faults, with lines."""
    start = _decode_start(text)
    if not start.strip():
        return "nothing"
    if re.match(r"\s*<(?:!doctype\s+html|html|head|body)\b", start, re.IGNORECASE):
        return "a web page"
    if re.match(r"\s*\{", start):
        return "JSON, and CSDL is read as XML"
    return None if start.lstrip().startswith("<") else "something that is not XML"


def _decode_start(text: bytes) -> str:
    """Return the first characters of UTF-8 or UTF-16."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if text.startswith(mark):
            return text[2:_START].decode(encoding, "replace")
    return text[:_START].decode("utf-8-sig", "replace")


def _from_file(path: Path, limit: int, cache: DocumentCache) -> MetadataDocument:
    """Return the document of a file, after reading it once to check it and to compute the digest of its text.

    The digest of a gzipped file is cached by that of its own bytes, which are a twentieth of the text.
    """
    if not next(_raw_pieces(path, None), b"").startswith(_GZIP):
        return _check_file(path, limit)
    packed = hashlib.sha256()
    for piece in _raw_pieces(path, None):
        packed.update(piece)
    cached = cache.read_packed(_digest_key(packed.hexdigest(), limit))
    if cached is not None:
        return MetadataDocument(path, cached[0].digest, str(path))
    packed = hashlib.sha256()  # of what is read now: the file may have changed in between
    document = _check_file(path, limit, packed.update)
    key = _digest_key(packed.hexdigest(), limit)
    cache.write(DocumentInfo(key=key, digest=document.digest, fetched_at=0.0), b"")
    return document


def _digest_key(packed_digest: str, limit: int) -> str:
    return f"text of {packed_digest} up to {limit}"


def _check_file(
    path: Path, limit: int, take: Callable[[bytes], None] | None = None
) -> MetadataDocument:
    """Return the document of a file. ``take`` is called with the bytes of the file. Raises SettingsError."""
    checksum = hashlib.sha256()
    start = b""

    def raw_pieces() -> Iterator[bytes]:
        for piece in _raw_pieces(path, None):
            if take is not None:
                take(piece)
            yield piece

    try:
        for piece in read_ahead(_plain_pieces(raw_pieces(), limit)):
            start = start or piece[:_START]
            checksum.update(piece)
    except UpstreamMalformed as exc:
        raise SettingsError(f"metadata: {path}: {exc.message}") from exc
    if (reason := describe_non_xml(start)) is not None:
        raise SettingsError(f"metadata: {path} contains {reason}, not a metadata document.")
    return MetadataDocument(path, checksum.hexdigest(), str(path))


def stored_size(document: MetadataDocument) -> int:
    """Return the size of a document in memory or on disk, in bytes."""
    content = document.content
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _unzip(raw: bytes, limit: int) -> bytes:
    """Return the plain text of at most ``limit`` bytes. Raises UpstreamMalformed."""
    return b"".join(_pieces(raw, limit)) if raw.startswith(_GZIP) else raw


def _pieces(
    content: bytes | Path, limit: int | None, report: ReportProgress | None = None
) -> Iterator[bytes]:
    """Yield the plain text. Raises UpstreamMalformed, and SettingsError for a file."""
    return _plain_pieces(_raw_pieces(content, report), limit)


def _plain_pieces(raw: Iterator[bytes], limit: int | None) -> Iterator[bytes]:
    # By the content, not by name or header: services and file names are wrong about it.
    first = next(raw, b"")
    pieces = chain((first,), raw)
    return _unzipped_pieces(pieces, limit) if first.startswith(_GZIP) else pieces


def _raw_pieces(content: bytes | Path, report: ReportProgress | None) -> Iterator[bytes]:
    try:
        with BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
            total = len(content) if isinstance(content, bytes) else content.stat().st_size
            while piece := file.read(_PIECE):
                if report is not None:
                    report(file.tell(), total)
                yield piece
    except OSError as exc:
        raise SettingsError(
            f"metadata: {content!s} cannot be read: {exc.strerror or exc}",
            hint="D365_METADATA is a file (.xml, .xml.gz) or a URL.",
        ) from exc


def _unzipped_pieces(packed: Iterable[bytes], limit: int | None) -> Iterator[bytes]:
    unzip = zlib.decompressobj(wbits=31)
    size = 0
    try:
        for piece in packed:
            waiting = piece
            while waiting:
                text = unzip.decompress(waiting, _PIECE)
                waiting = unzip.unconsumed_tail
                size += len(text)
                if limit is not None and size > limit:
                    raise UpstreamMalformed(
                        f"The metadata document is larger than {limit:,} bytes.",
                        hint="Raise max_upstream_bytes.",
                    )
                yield text
    except zlib.error as exc:
        raise UpstreamMalformed("The metadata document is not valid gzip.") from exc
    if not unzip.eof:
        raise UpstreamMalformed("The gzipped metadata document is cut off.")


def _not_metadata(response: Response, url: str, reason: str) -> UpstreamMalformed:
    return UpstreamMalformed(
        f"{url} returned {reason}, not a metadata document.",
        hint="Is D365_URL the service root, such as https://x.operations.dynamics.com/data?",
        detail=response.body[:2_000].decode("utf-8", "replace"),
        upstream_status=response.status,
        upstream_request_id=response.request_id,
    )
