"""Gets the text of the metadata document: from a file, or over HTTP with a copy kept between starts.

    metadata = "fo.xml.gz"       the file
    metadata = "https://…"       that address; credentials go along on the service's own origin only
    (not set)                    {url}/$metadata

The text is what is kept, not a parsed model. A cached copy is used after the service confirmed it (ETag,
Last-Modified), or unasked while it is younger than ``metadata_max_age`` where the service offers neither: F&O's
document has some 50 MB. A service that is down serves from its copy too, and an event says so. Reading the text
is the schema's work; here it is only looked at closely enough to tell a login page from XML, and handed on in pieces,
so that a large one is never in memory as a whole without need.
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
from gateway.process.read_ahead import ahead
from gateway.storage.document_cache import DocumentCache, DocumentInfo, digest_of

if TYPE_CHECKING:
    from gateway.odata.client import ODataClient
    from gateway.odata.decoding import Progress

READ_TIMEOUT = 300.0
"""Seconds between two pieces of the document: after a restart F&O needs minutes to make it."""


_PIECE = 1 << 18
_GLANCE = 2_000
_GZIP = b"\x1f\x8b"

ReportProgress = Callable[[int, int], None]
"""Told how many bytes of how many have been read."""


@dataclass(frozen=True, slots=True)
class DocumentOrigin:
    """What stays of a document once its model is made: whether another one is the same can be told by it."""

    digest: str
    source: str
    facts: DocumentInfo | None
    """How to ask its service whether it is still current."""


@dataclass(frozen=True, slots=True)
class MetadataDocument:
    """The document where it lies, the SHA-256 of its text, and where it came from, for people."""

    content: bytes | Path
    """The text or a file of it, plain or gzipped."""
    digest: str
    source: str
    facts: DocumentInfo | None = field(default=None, compare=False)

    @property
    def origin(self) -> DocumentOrigin:
        """Return what is worth keeping without the text."""
        return DocumentOrigin(self.digest, self.source, self.facts)

    @property
    def text(self) -> bytes:
        """All of it. Raises as ``pieces`` does."""
        return b"".join(self.pieces())

    def pieces(self, report: ReportProgress | None = None) -> Iterator[bytes]:
        """Read it from the start. Raises SettingsError for a file that is no longer what it was."""
        return ahead(self._pieces(report))

    def _pieces(self, report: ReportProgress | None) -> Iterator[bytes]:
        checksum = hashlib.sha256()
        for piece in _pieces(self.content, None, report):
            checksum.update(piece)
            yield piece
        if isinstance(self.content, Path) and checksum.hexdigest() != self.digest:
            raise SettingsError(f"metadata: {self.source} changed while it was read.")


@dataclass(frozen=True, slots=True)
class ReloadCheck:
    """A look for new metadata while others serve: a service that is away is an error then."""

    serving: DocumentOrigin
    since: float | None = None
    """What was fetched later, in seconds of the epoch, counts as current; None: what is young enough does."""


async def load_metadata(
    settings: Settings,
    client: ODataClient,
    *,
    refresh: bool = False,
    progress: Progress | None = None,
    observe: Observer = log_event,
    now: Callable[[], float] = time.time,
) -> MetadataDocument:
    """Get the metadata document; ``refresh`` asks for it anew whatever is cached.

    Raises SettingsError for a file, AuthError and UpstreamError for an address.
    """
    loader = _Loader(settings, client, observe, now, None)
    started = time.perf_counter()
    document = await loader.load(refresh=refresh, progress=progress)
    assert document is not None  # nothing serves that it could be the same as
    observe(_loaded(document, started))
    return document


async def load_newer_metadata(
    settings: Settings,
    client: ODataClient,
    check: ReloadCheck,
    *,
    observe: Observer = log_event,
    now: Callable[[], float] = time.time,
) -> MetadataDocument | None:
    """Get the metadata document where it is another one than those that serve.

    Raises SettingsError for a file, AuthError and UpstreamError for an address, also where an old copy is cached.
    """
    started = time.perf_counter()
    document = await _Loader(settings, client, observe, now, check).load()
    if document is None or document.digest == check.serving.digest:
        return None
    observe(_loaded(document, started))
    return document


def _loaded(document: MetadataDocument, started: float) -> MetadataLoaded:
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
        """Return the document; None where it is known to be the one that serves."""
        where = self.settings.metadata
        if where is None or where.startswith(("http://", "https://")):
            return await self._from_address(refresh, progress)
        return await asyncio.to_thread(
            _from_file, Path(where), self.settings.max_upstream_bytes, self._cache()
        )

    async def _from_address(
        self, refresh: bool, progress: Progress | None
    ) -> MetadataDocument | None:
        cache = self._cache()
        kept = None if refresh else await asyncio.to_thread(cache.read_packed, self.url)
        known = self._known() if kept is None else kept[0]
        if known is not None and self._is_fresh(known):
            return self._cached(kept)
        try:
            response = await self._ask(known, progress)
        except (UpstreamUnavailable, UpstreamTimeout, UpstreamThrottled) as exc:
            kept = kept or await asyncio.to_thread(cache.read_packed, self.url)
            if kept is None or self.check is not None:
                raise
            return self._stale(*kept, exc)
        if response.status == 304 and known is not None:
            return self._cached(kept)
        text = await asyncio.to_thread(_unpacked, response.body, self.settings.max_upstream_bytes)
        if (reason := describe_non_xml(text)) is not None:
            raise _not_metadata(response, self.url, reason)
        facts = DocumentInfo(
            key=self.url,
            digest=await asyncio.to_thread(digest_of, text),
            fetched_at=self.now(),
            etag=response.headers.get("etag"),
            last_modified=response.headers.get("last-modified"),
        )
        await asyncio.to_thread(cache.write, facts, text)
        kept = await asyncio.to_thread(cache.read_packed, self.url)
        content = text if kept is None else kept[1]
        return MetadataDocument(content, facts.digest, self.url, facts)

    def _cache(self) -> DocumentCache:
        # The sandbox's document is at hand anyway, and changes with its options.
        configured = self.settings.url or self.settings.metadata
        folder = self.settings.cache_dir if configured else None
        return DocumentCache(None if folder is None else folder / "metadata", self.observe)

    def _known(self) -> DocumentInfo | None:
        """Return what is known of the document that serves; of a start, nothing."""
        return None if self.check is None else self.check.serving.facts

    async def _ask(self, kept: DocumentInfo | None, progress: Progress | None) -> Response:
        headers = {"Accept": "application/xml", "OData-MaxVersion": "4.01"}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        elif kept is not None and kept.last_modified:
            headers["If-Modified-Since"] = kept.last_modified
        patience = max(READ_TIMEOUT, self.settings.read_timeout)
        return await self.client.fetch(self.url, headers, progress=progress, read_timeout=patience)

    def _is_fresh(self, facts: DocumentInfo) -> bool:
        """Return whether a copy is used unasked: the service offers no way to ask, and it is young."""
        if self.check is not None and self.check.since is not None:
            return facts.fetched_at >= self.check.since
        if facts.etag or facts.last_modified:
            return False
        return 0 <= self.now() - facts.fetched_at < self.settings.metadata_max_age

    def _cached(self, kept: tuple[DocumentInfo, bytes] | None) -> MetadataDocument | None:
        """Return the cached copy; where there is none, that which serves is current."""
        if kept is None:
            return None
        facts, packed = kept
        return MetadataDocument(packed, facts.digest, f"{self.url} (cached)", facts)

    def _stale(self, facts: DocumentInfo, packed: bytes, why: GatewayError) -> MetadataDocument:
        age = max(0.0, self.now() - facts.fetched_at)
        self.observe(MetadataStale(source=self.url, age=age, reason=why.message))
        source = f"{self.url} (cached, the service is away)"
        return MetadataDocument(packed, facts.digest, source, facts)


def describe_non_xml(text: bytes) -> str | None:
    """Tell what stands in place of XML; None where it may be CSDL. The parser tells finer faults, with lines."""
    start = _plain_start(text)
    if not start.strip():
        return "nothing"
    if re.match(r"\s*<(?:!doctype\s+html|html|head|body)\b", start, re.IGNORECASE):
        return "a web page"
    if re.match(r"\s*\{", start):
        return "JSON, and CSDL is read as XML"
    return None if start.lstrip().startswith("<") else "something that is not XML"


def _plain_start(text: bytes) -> str:
    """Return the first characters, whatever Unicode encoding they have."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if text.startswith(mark):
            return text[2:_GLANCE].decode(encoding, "replace")
    return text[:_GLANCE].decode("utf-8-sig", "replace")


def _from_file(path: Path, limit: int, cache: DocumentCache) -> MetadataDocument:
    """Look through a file once, piece by piece, to know that it is sound and what its text's digest is.

    Of a gzipped one that is remembered: its own bytes are a twentieth of the text.
    """
    if not next(_raw_pieces(path, None), b"").startswith(_GZIP):
        return _check_file(path, limit)
    packed = hashlib.sha256()
    for piece in _raw_pieces(path, None):
        packed.update(piece)
    known = cache.read_packed(_memo(packed.hexdigest(), limit))
    if known is not None:
        return MetadataDocument(path, known[0].digest, str(path))
    packed = hashlib.sha256()  # of what is read now: the file may have changed in between
    document = _check_file(path, limit, packed.update)
    key = _memo(packed.hexdigest(), limit)
    cache.write(DocumentInfo(key=key, digest=document.digest, fetched_at=0.0), b"")
    return document


def _memo(packed_digest: str, limit: int) -> str:
    return f"text of {packed_digest} up to {limit}"


def _check_file(
    path: Path, limit: int, take: Callable[[bytes], None] | None = None
) -> MetadataDocument:
    """Return the document; ``take`` gets the bytes of the file."""
    checksum = hashlib.sha256()
    start = b""

    def raw_pieces() -> Iterator[bytes]:
        for piece in _raw_pieces(path, None):
            if take is not None:
                take(piece)
            yield piece

    try:
        for piece in ahead(_plain(raw_pieces(), limit)):
            start = start or piece[:_GLANCE]
            checksum.update(piece)
    except UpstreamMalformed as exc:
        raise SettingsError(f"metadata: {path}: {exc.message}") from exc
    if (reason := describe_non_xml(start)) is not None:
        raise SettingsError(f"metadata: {path} holds {reason}, not a metadata document.")
    return MetadataDocument(path, checksum.hexdigest(), str(path))


def stored_size(document: MetadataDocument) -> int:
    """Return the bytes that the document takes where it lies."""
    content = document.content
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _unpacked(raw: bytes, limit: int) -> bytes:
    """Unzip what is gzipped, to no more than ``limit``."""
    return b"".join(_pieces(raw, limit)) if raw.startswith(_GZIP) else raw


def _pieces(
    content: bytes | Path, limit: int | None, report: ReportProgress | None = None
) -> Iterator[bytes]:
    """Read the plain text, whatever its first bytes say it is. Raises UpstreamMalformed, SettingsError for a file."""
    return _plain(_raw_pieces(content, report), limit)


def _plain(raw: Iterator[bytes], limit: int | None) -> Iterator[bytes]:
    first = next(raw, b"")
    rest = chain((first,), raw)
    return _unzipped(rest, limit) if first.startswith(_GZIP) else rest


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
            hint="D365_METADATA is a file (.xml, .xml.gz) or an address.",
        ) from exc


def _unzipped(packed: Iterable[bytes], limit: int | None) -> Iterator[bytes]:
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
        raise UpstreamMalformed("The metadata document is badly compressed.") from exc
    if not unzip.eof:
        raise UpstreamMalformed("The compressed metadata document is cut off.")


def _not_metadata(response: Response, url: str, reason: str) -> UpstreamMalformed:
    return UpstreamMalformed(
        f"{url} gave {reason}, not a metadata document.",
        hint="Is D365_URL the service root, such as https://x.operations.dynamics.com/data?",
        detail=response.body[:2_000].decode("utf-8", "replace"),
        upstream_status=response.status,
        upstream_request_id=response.request_id,
    )
