"""Checks the trusted documents of an environment in the background, and keeps those that are used most ready.

    new release, new metadata ──▶ every document: valid? can be planned? price?  ──▶ events for those that are not
                                  the first ones, within limits, stay parsed and compiled
    types were renewed        ──▶ those that clients have used are made ready again

A document that is broken keeps its name and answers with its errors, as it would if it was sent. With roles, views
serve: they check a document at its first request, and here it is checked against everything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gateway.config.profiles import environment_in
from gateway.documents.trusted import TrustedDocument
from gateway.events import Observer
from gateway.events.documents import DocumentBroken, DocumentsChecked
from gateway.manifests.store import TrustedStore
from gateway.process.garbage_collection import clear_in_steps

from .assembly import Gateway, fresh_copy
from .document_checks import DocumentCheck, check_document
from .generations import GenerationManager

MAX_READY = 200
"""Documents that are kept ready; a compiled one takes about 100 KB."""
MAX_CHARACTERS = 500_000
"""Characters of their texts."""
MAX_EVENTS = 20
"""Broken documents that are logged one by one."""


class ReadyDocuments:
    """The trusted documents of one environment. Belongs to one event loop."""

    def __init__(self, store: TrustedStore, live: GenerationManager, observe: Observer) -> None:
        self._store = store
        self._live = live
        self._observe = observe
        self._due = asyncio.Event()
        self._checked: tuple[str, str] | None = None
        """The release and the metadata of the last check of all documents."""
        self._first_done = asyncio.Event()
        self.broken: dict[str, DocumentCheck] = {}
        """The documents that cannot run, by id."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Check now, and whenever documents or metadata change, until the end of the block."""
        sources = (self._store.listeners, self._live.listeners)
        for listeners in sources:
            listeners.append(self._due.set)
        self._due.set()
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            for listeners in sources:
                listeners.remove(self._due.set)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            await self.check()
            if self._checked is not None:
                self._first_done.set()

    async def newly_broken(self, before: ReadyDocuments) -> Sequence[DocumentCheck]:
        """Return the documents that cannot run, and can under what is served now; once all have been checked."""
        await self._first_done.wait()
        could = {d.id for d in before._store.release.documents} - before.broken.keys()
        return [check for name, check in self.broken.items() if name in could]

    async def check(self) -> None:
        """Check all documents if they or the metadata have changed; else only make ready what clients use."""
        gateway = self._live.gateway
        release = self._store.release
        state = (release.digest, gateway.metadata.digest)
        documents = self._in_order(release.documents)
        is_new = state != self._checked
        if not is_new:
            documents = [d for d in documents if self._store.usage.of(d).count]
        started = time.perf_counter()
        work = _Pass(self._live, pins=not gateway.settings.roles)
        checks = await work.run(documents, pinned_only=not is_new)
        if not is_new or work.was_overtaken:
            return  # what overtook it has set it due
        self._checked = state
        self.broken = {c.document.id: c for c in checks if c.broken}
        if release.documents:
            self._report(len(checks), work.ready, time.perf_counter() - started)

    def _in_order(self, documents: Sequence[TrustedDocument]) -> list[TrustedDocument]:
        """Return the documents, those that are used most first."""
        return sorted(documents, key=lambda d: -self._store.usage.of(d).count)

    def _report(self, documents: int, ready: int, seconds: float) -> None:
        environment = environment_in(self._live.gateway.settings) or None
        for check in tuple(self.broken.values())[:MAX_EVENTS]:
            operation = check.broken[0]
            self._observe(
                DocumentBroken(
                    environment=environment,
                    document=check.document.id,
                    operation=operation.operation,
                    code=operation.code or "",
                    message=operation.messages[0] if operation.messages else "",
                )
            )
        self._observe(
            DocumentsChecked(
                environment=environment,
                documents=documents,
                broken=len(self.broken),
                ready=ready,
                seconds=seconds,
            )
        )


class _Pass:
    """One check of documents, one at a time between requests.

    Within half the budget of types they are checked by the gateway that serves, and stay ready; beyond it by a copy
    that is thrown away, because a generation that exceeds its budget is replaced and all of it was for nothing.
    """

    def __init__(self, live: GenerationManager, *, pins: bool) -> None:
        self._live = live
        self._generation = live.generation
        self._pins = pins
        self._characters = 0
        self._scratch: Gateway | None = None
        self.ready = 0
        self.was_overtaken = False
        """Whether another generation served before it was done."""

    async def run(
        self, documents: Sequence[TrustedDocument], *, pinned_only: bool
    ) -> list[DocumentCheck]:
        """Return what became of the documents; ``pinned_only``: only of those that are made ready."""
        checks = []
        self._live.gateway.engine.caches.unpin_all()
        for document in documents:
            # Requests go first.
            await asyncio.sleep(0)
            if self._live.generation != self._generation:
                self.was_overtaken = True
                break
            with self._live.serving() as gateway:
                pin = self._may_pin(gateway, document)
                if not pin and pinned_only:
                    break
                checked_by = gateway if pin else await self._copy_of(gateway)
                checks.append(check_document(checked_by, document, pin=pin))
        await self._drop_scratch()
        return checks

    def _may_pin(self, gateway: Gateway, document: TrustedDocument) -> bool:
        characters = self._characters + len(document.text)
        may = (
            self._pins
            and self.ready < MAX_READY
            and characters <= MAX_CHARACTERS
            and gateway.schema.made_types <= gateway.settings.max_types // 2
        )
        if may:
            self.ready += 1
            self._characters = characters
        return may

    async def _copy_of(self, gateway: Gateway) -> Gateway:
        scratch = self._scratch
        if scratch is not None and scratch.schema.made_types <= gateway.settings.max_types:
            return scratch
        await self._drop_scratch()
        self._scratch = fresh_copy(gateway)
        return self._scratch

    async def _drop_scratch(self) -> None:
        scratch, self._scratch = self._scratch, None
        if scratch is not None:
            for _ in clear_in_steps(scratch.tables()):
                await asyncio.sleep(0)
