"""New metadata while requests run: looked for, made apart, and swapped in whole; or what serves goes on.

    poll, SIGHUP, POST /admin/reload ──▶ another document? ──▶ model, in another process ──▶ gateway ──▶ Live.replace

Workers that share a cache folder take turns: the first one fetches and reads, the others find its work. Whatever goes
wrong is an event and stands in ``last``, for ``/readyz``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Literal

from msgspec import Struct

from gateway.config.settings import Settings
from gateway.errors import GatewayError
from gateway.events import MetadataReloaded, ModelRead, Observer, ReloadFailed
from gateway.metadata.document_loader import MetadataDocument, ReloadCheck, load_newer_metadata
from gateway.metadata.model_builder import LoadedModel, find_model, make_model
from gateway.metadata.model_identity import snapshot_folder
from gateway.metadata.model_process import build_in_subprocess
from gateway.metadata.preset_services import with_preset_services
from schema.errors import SchemaError

from .assembly import Gateway, build, read_labels, read_profiles, schema_built_event
from .generations import GenerationManager
from .profile_instances import ProfileRegistry

if sys.platform != "win32":
    import fcntl

_TURN = 0.05
"""Seconds between two looks whether it is this worker's turn."""

Reason = Literal["poll", "signal", "admin"]
Outcome = Literal["changed", "unchanged", "failed"]


class Attempt(Struct, frozen=True, kw_only=True):
    """A look for new metadata, and how it ended."""

    reason: Reason
    at: float
    """When it began, in seconds of the epoch."""
    outcome: Outcome
    message: str | None = None
    hint: str | None = None


class Reloader:
    """Looks for new metadata, one attempt at a time."""

    def __init__(
        self,
        live: GenerationManager,
        observe: Observer,
        *,
        profiles: ProfileRegistry | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``profiles`` are those of ``live``: they are replaced along with it."""
        self._live = live
        self._profiles = profiles
        self._observe = observe
        self._now = now
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Attempt]] = set()
        self.last: Attempt | None = None

    async def reload(self, reason: Reason) -> Attempt:
        """Look for new metadata and serve them. Whoever asks before an attempt has begun shares it."""
        asked = self._now()
        async with self._turn:
            if self.last is None or self.last.at < asked:
                self.last = await self._attempt(reason, asked)
            return self.last

    def trigger(self, reason: Reason) -> None:
        """Do the same in the background."""
        task = asyncio.create_task(self.reload(reason))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look from time to time, as the settings say; ends what runs in the background."""
        settings = self._live.gateway.settings
        looks = settings.metadata_poll if settings.url or settings.metadata else 0.0
        poll = asyncio.create_task(self._poll(looks)) if looks else None
        try:
            yield
        finally:
            tasks = [*self._tasks, *([] if poll is None else [poll])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, interval: float) -> None:
        while True:
            # Not all gateways of an environment at the same moment.
            await asyncio.sleep(interval * random.uniform(0.9, 1.1))  # noqa: S311
            await self.reload("poll")

    async def _attempt(self, reason: Reason, asked: float) -> Attempt:
        started, at = time.perf_counter(), self._now()
        try:
            changed = await self._look(None if reason == "poll" else asked)
        except Exception as error:
            known = isinstance(error, (GatewayError, SchemaError))
            message = str(error) if known else f"{type(error).__name__}: {error}"
            hint = getattr(error, "hint", None)
            digest = self._live.gateway.metadata.digest
            self._observe(ReloadFailed(reason=reason, metadata=digest, message=message, hint=hint))
            return Attempt(reason=reason, at=at, outcome="failed", message=message, hint=hint)
        self._observe(
            MetadataReloaded(
                reason=reason,
                metadata=self._live.gateway.metadata.digest,
                changed=changed,
                seconds=time.perf_counter() - started,
            )
        )
        return Attempt(reason=reason, at=at, outcome="changed" if changed else "unchanged")

    async def _look(self, since: float | None) -> bool:
        """Serve the document that is current now: whether it is another one."""
        serving = self._live.gateway
        started = time.perf_counter()
        async with _turn_of(snapshot_folder(serving.settings)):
            check = ReloadCheck(serving.metadata, since)
            document = await load_newer_metadata(
                serving.settings, serving.client, check, observe=self._observe
            )
            if document is None:
                return False
            known = await self._known(serving.settings, document)
        fresh = await self._build(serving, document, known)
        parts = {} if self._profiles is None else await self._profiles.over(fresh)
        # Without a pause between the two: no operation finds new metadata here and old ones there.
        self._live.replace(fresh)
        if self._profiles is not None:
            self._profiles.replace(parts)
        self._observe(schema_built_event(fresh, time.perf_counter() - started))
        return True

    async def _known(self, settings: Settings, document: MetadataDocument) -> LoadedModel:
        """Return the model of a document: from the snapshot that another worker made, or made now."""
        found = await asyncio.to_thread(find_model, settings, document.digest)
        if found is not None:
            return found
        started = time.perf_counter()
        if settings.url or settings.metadata:
            made = await build_in_subprocess(settings, document)
        else:
            made = await asyncio.to_thread(make_model, settings, document)
        self._observe(ModelRead(metadata=document.digest, seconds=time.perf_counter() - started))
        return made

    async def _build(
        self, serving: Gateway, document: MetadataDocument, known: LoadedModel
    ) -> Gateway:
        client = serving.client
        settings = await with_preset_services(serving.settings, client, known)
        labels = await read_labels(settings, client, known, self._observe)
        profiles = await read_profiles(settings, client, known, document.digest, self._observe)
        return await asyncio.to_thread(
            build, settings, client, document.origin, known, labels, self._observe, profiles
        )


@asynccontextmanager
async def _turn_of(folder: Path | None) -> AsyncIterator[None]:
    """Wait until no other process with that folder looks; one that ends, however, gives up its turn."""
    with contextlib.ExitStack() as stack:
        file = None if folder is None else _lock_file(folder)
        if file is not None:
            stack.enter_context(file)
            while not _locked(file):  # noqa: ASYNC110 (the kernel wakes nobody)
                await asyncio.sleep(_TURN)
        yield


def _lock_file(folder: Path) -> IO[bytes] | None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (folder / ".reload.lock").open("wb")
    except OSError:
        return None


def _locked(file: IO[bytes]) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: each for itself
        return True
    return True
