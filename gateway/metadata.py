"""Gets the text of the metadata document: from a file, or over HTTP with a copy kept between starts.

    metadata = "fo.xml.gz"       the file
    metadata = "https://…"       that address; credentials go along on the service's own origin only
    (not set)                    {url}/$metadata

The text is what is kept, not a parsed model. A cached copy is used after the service confirmed it (ETag,
Last-Modified), or unasked while it is younger than ``metadata_max_age`` where the service offers neither: F&O's
document has some 50 MB. A service that is down serves from its copy too, and an event says so. Reading the text
is the schema's work; here it is only looked at closely enough to tell a login page from XML.
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import (
    GatewayError,
    SettingsError,
    UpstreamMalformed,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from .events import MetadataLoaded, MetadataStale, Observer, log_event
from .filecache import Facts, FileCache, digest_of
from .odata.answers import Response
from .odata.client import ODataClient, Progress
from .settings import Settings

PATIENCE = 300.0
"""Seconds between two pieces of the document: after a restart F&O needs minutes to make it."""


@dataclass(frozen=True, slots=True)
class MetadataDocument:
    """The document as bytes, its SHA-256, and where it came from, for people."""

    text: bytes
    digest: str
    source: str


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
    started = time.perf_counter()
    where = settings.metadata
    if where is not None and not where.startswith(("http://", "https://")):
        document = await asyncio.to_thread(_from_file, Path(where), settings.max_upstream_bytes)
    else:
        loader = _Loader(settings, client, where or f"{client.root}/$metadata", observe, now)
        document = await loader.load(refresh, progress)
    observe(
        MetadataLoaded(
            source=document.source,
            seconds=time.perf_counter() - started,
            digest=document.digest,
            size=len(document.text),
        )
    )
    return document


@dataclass(frozen=True, slots=True)
class _Loader:
    settings: Settings
    client: ODataClient
    url: str
    observe: Observer
    now: Callable[[], float]

    async def load(self, refresh: bool, progress: Progress | None) -> MetadataDocument:
        # The sandbox's document is at hand anyway, and changes with its options.
        configured = self.settings.url or self.settings.metadata
        folder = self.settings.cache_dir if configured else None
        cache = FileCache(folder / "metadata" if folder is not None else None)
        kept = None if refresh else await asyncio.to_thread(cache.read, self.url)
        if kept is not None and self._is_fresh(kept[0]):
            return self._cached(*kept)
        try:
            response = await self._ask(kept[0] if kept else None, progress)
        except (UpstreamUnavailable, UpstreamTimeout, UpstreamThrottled) as exc:
            kept = kept or await asyncio.to_thread(cache.read, self.url)
            if kept is None:
                raise
            return self._stale(*kept, exc)
        if response.status == 304 and kept is not None:
            return self._cached(*kept)
        text = await asyncio.to_thread(_unpacked, response.body, self.settings.max_upstream_bytes)
        if (reason := wrong_content(text)) is not None:
            raise _not_metadata(response, self.url, reason)
        facts = Facts(
            key=self.url,
            digest=digest_of(text),
            fetched_at=self.now(),
            etag=response.headers.get("etag"),
            last_modified=response.headers.get("last-modified"),
        )
        await asyncio.to_thread(cache.write, facts, text)
        return MetadataDocument(text, facts.digest, self.url)

    async def _ask(self, kept: Facts | None, progress: Progress | None) -> Response:
        headers = {"Accept": "application/xml", "OData-MaxVersion": "4.01"}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        elif kept is not None and kept.last_modified:
            headers["If-Modified-Since"] = kept.last_modified
        patience = max(PATIENCE, self.settings.read_timeout)
        return await self.client.fetch(self.url, headers, progress=progress, read_timeout=patience)

    def _is_fresh(self, facts: Facts) -> bool:
        """Whether a copy is used unasked: the service offers no way to ask, and it is young."""
        if facts.etag or facts.last_modified:
            return False
        return 0 <= self.now() - facts.fetched_at < self.settings.metadata_max_age

    def _cached(self, facts: Facts, text: bytes) -> MetadataDocument:
        return MetadataDocument(text, facts.digest, f"{self.url} (cached)")

    def _stale(self, facts: Facts, text: bytes, why: GatewayError) -> MetadataDocument:
        age = max(0.0, self.now() - facts.fetched_at)
        self.observe(MetadataStale(source=self.url, age=age, reason=why.message))
        return MetadataDocument(text, facts.digest, f"{self.url} (cached, the service is away)")


def wrong_content(text: bytes) -> str | None:
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
    """Give the first characters, whatever Unicode encoding they have."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if text.startswith(mark):
            return text[2:2_002].decode(encoding, "replace")
    return text[:2_000].decode("utf-8-sig", "replace")


def _from_file(path: Path, limit: int) -> MetadataDocument:
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise SettingsError(
            f"metadata: {path} cannot be read: {exc.strerror or exc}",
            hint="D365_METADATA is a file (.xml, .xml.gz) or an address.",
        ) from exc
    try:
        text = _unpacked(raw, limit)
    except UpstreamMalformed as exc:
        raise SettingsError(f"metadata: {path}: {exc.message}") from exc
    if (reason := wrong_content(text)) is not None:
        raise SettingsError(f"metadata: {path} holds {reason}, not a metadata document.")
    return MetadataDocument(text, digest_of(text), str(path))


def _unpacked(raw: bytes, limit: int) -> bytes:
    """Unzip what is gzipped, by its first bytes, to no more than ``limit``."""
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    unzip = zlib.decompressobj(wbits=31)
    try:
        text = unzip.decompress(raw, limit)
    except zlib.error as exc:
        raise UpstreamMalformed("The metadata document is badly compressed.") from exc
    if unzip.unconsumed_tail:
        raise UpstreamMalformed(
            f"The metadata document is larger than {limit:,} bytes.",
            hint="Raise max_upstream_bytes.",
        )
    if not unzip.eof:
        raise UpstreamMalformed("The compressed metadata document is cut off.")
    return text


def _not_metadata(response: Response, url: str, reason: str) -> UpstreamMalformed:
    return UpstreamMalformed(
        f"{url} gave {reason}, not a metadata document.",
        hint="Is D365_URL the service root, such as https://x.operations.dynamics.com/data?",
        detail=response.body[:2_000].decode("utf-8", "replace"),
        upstream_status=response.status,
        upstream_request_id=response.request_id,
    )
