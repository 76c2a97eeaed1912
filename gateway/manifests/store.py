"""The trusted documents of a deployment: the current release, and how the next one takes its place.

    manifest ──poll, SIGHUP, /admin/reload──▶ changed? ──▶ read, hashes checked ──▶ ``release``
                          └── not usable: the last good release is served on, and an event says why

A release is replaced as a whole, between two requests: none finds half of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import httpx

from gateway.config.document_models import DocumentOptions, is_address
from gateway.config.settings import Settings
from gateway.documents.automatic import AutomaticDocuments
from gateway.documents.trusted import (
    NO_DOCUMENTS,
    DocumentPolicy,
    Release,
    ReleaseError,
    TrustedDocument,
    release_of,
)
from gateway.errors import SettingsError
from gateway.events import Observer, loggable
from gateway.events.documents import DocumentsLoaded, DocumentsRefused

from .address import ManifestAddress
from .files import ManifestFiles
from .usage import DocumentUsage


class ManifestSource(Protocol):
    """Where a manifest comes from."""

    async def load(self) -> tuple[TrustedDocument, ...] | None:
        """Return the documents; None if nothing has changed. Raises ReleaseError."""
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...


def open_documents(
    settings: Settings, observe: Observer, transport: httpx.AsyncBaseTransport | None = None
) -> TrustedStore | None:
    """Return the trusted documents that the settings name; None if clients cannot name any."""
    options = settings.documents
    if options.manifest is None and not options.automatic:
        return None
    folder = settings.cache_dir
    return TrustedStore(options, _source(options, folder, transport), observe)


def _source(
    options: DocumentOptions, folder: Path | None, transport: httpx.AsyncBaseTransport | None
) -> ManifestSource | None:
    manifest = options.manifest
    if manifest is None:
        return None
    checks, most = options.check_hashes, options.max_bytes
    if not is_address(manifest):
        return ManifestFiles(Path(manifest), check_hashes=checks, max_bytes=most)
    token = None if options.token is None else options.token.get_secret_value()
    return ManifestAddress(
        manifest,
        token=token,
        folder=folder,
        check_hashes=checks,
        max_bytes=most,
        transport=transport,
    )


class TrustedStore:
    """The current release, what clients have registered, and how often documents were requested."""

    def __init__(
        self, options: DocumentOptions, source: ManifestSource | None, observe: Observer
    ) -> None:
        self._options = options
        self._source = source
        self._observe = observe
        self._policies = tuple(
            (
                pattern,
                DocumentPolicy(roles=p.roles, max_cost=p.max_cost, max_age=p.max_age),
            )
            for pattern, p in options.policy.items()
        )
        self._problem: str | None = None
        self._is_due = asyncio.Event()
        self.release: Release = NO_DOCUMENTS
        self.usage = DocumentUsage()
        self.automatic: AutomaticDocuments | None = None
        if options.automatic:
            self.automatic = AutomaticDocuments(options.automatic_size)
        self.listeners: list[Callable[[], None]] = []
        """Called when another release is served."""

    @property
    def has_manifest(self) -> bool:
        """Whether there are documents besides those that clients register."""
        return self._source is not None

    async def start(self) -> None:
        """Read the manifest for the first time. Raises SettingsError if there is none to serve."""
        try:
            if not await self._load():
                raise ReleaseError("it is being written")
        except ReleaseError as error:
            stored = None
            if isinstance(self._source, ManifestAddress):
                stored = await self._source.load_stored()
            if stored is None:
                raise SettingsError(
                    f"documents.manifest: {self._place}: {error}",
                    hint="`d365-graphql documents check` reads it, too.",
                ) from error
            self._refuse(error)
            self._serve(await self._release(stored))

    async def refresh(self) -> None:
        """Serve the manifest if it has changed. A failure is an event, and the last good one is served on."""
        try:
            await self._load()
        except ReleaseError as error:
            self._refuse(error)
        else:
            self._problem = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start, poll at the interval of the settings, and close at the end. Raises as ``start`` does."""
        poll: asyncio.Task[None] | None = None
        try:
            if self._source is not None:
                await self.start()
                poll = asyncio.create_task(self._poll(self._options.poll))
            yield
        finally:
            if poll is not None:
                poll.cancel()
                await asyncio.gather(poll, return_exceptions=True)
            if self._source is not None:
                await self._source.aclose()

    def trigger(self) -> None:
        """Look for a new manifest now, in the background."""
        self._is_due.set()

    async def _poll(self, interval: float) -> None:
        while True:
            pause = interval * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
            with suppress(TimeoutError):
                async with asyncio.timeout(pause or None):
                    await self._is_due.wait()
            self._is_due.clear()
            await self.refresh()

    async def _load(self) -> bool:
        """Serve the manifest if it has changed, and return whether it has. Raises ReleaseError."""
        assert self._source is not None
        documents = await self._source.load()
        if documents is None:
            return False
        self._serve(await self._release(documents))
        return True

    async def _release(self, documents: tuple[TrustedDocument, ...]) -> Release:
        """Return the release of documents. Raises ReleaseError if it contradicts itself."""
        # In a thread: 10,000 documents take 0.2 s.
        return await asyncio.to_thread(release_of, documents, self._policies)

    def _serve(self, release: Release) -> None:
        """Serve a release from now on, unless it is the same."""
        if release.digest == self.release.digest:
            return
        before, self.release = self.release, release
        self.usage.retain(release.documents)
        self._observe(
            DocumentsLoaded(
                manifest=self._place,
                documents=len(release.documents),
                added=sum(d.id not in before.names for d in release.documents),
                removed=sum(d.id not in release.names for d in before.documents),
            )
        )
        for listener in tuple(self.listeners):
            listener()

    def _refuse(self, error: ReleaseError) -> None:
        # Each problem once, not at every poll.
        if str(error) == self._problem:
            return
        self._problem = str(error)
        self._observe(DocumentsRefused(manifest=self._place, reason=str(error)))

    @property
    def _place(self) -> str:
        # Without the query of an address, which may be a signature.
        return loggable((self._options.manifest or "").partition("?")[0])
