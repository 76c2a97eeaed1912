"""Reloads metadata while requests run: a new generation is built in the background and replaces the old one at once.

    poll, SIGHUP, POST /admin/reload ──▶ new document? ──▶ model, in a subprocess ──▶ gateway ──▶ ``replace``

Workers that share a cache folder take turns: the first one fetches and parses, the others open its snapshot. A failure
is an event, is shown by ``/readyz`` (``last``), and leaves the current generation as it is.
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

from gateway.config.profiles import environment_in, tag_in
from gateway.errors import GatewayError, code_of
from gateway.events import MetadataReloaded, Observer, ReloadFailed
from gateway.logs import logging_environment
from gateway.metadata.document_loader import ReloadCheck, load_newer_metadata
from gateway.metadata.model_identity import snapshot_folder
from gateway.metadata.model_process import BuildModel, build_in_subprocess
from schema.errors import SchemaError

from .assembly import Gateway, schema_built_event
from .background_build import build_gateway, load_model
from .generations import GenerationManager
from .profile_instances import ProfileRegistry
from .role_views import RoleViews

if sys.platform != "win32":
    import fcntl

_LOCK_POLL = 0.05
"""Seconds between two attempts to lock the cache folder."""

Reason = Literal["poll", "signal", "admin"]
Outcome = Literal["changed", "unchanged", "failed"]


class Attempt(Struct, frozen=True, kw_only=True):
    """A reload, and how it ended."""

    reason: Reason
    at: float
    """When it began, in seconds since the epoch."""
    outcome: Outcome
    message: str | None = None
    hint: str | None = None


class Reloader:
    """Reloads metadata, one attempt at a time."""

    def __init__(
        self,
        live: GenerationManager,
        observe: Observer,
        *,
        profiles: ProfileRegistry | None = None,
        views: RoleViews | None = None,
        build_model: BuildModel = build_in_subprocess,
        changed: Callable[[Gateway, Gateway], None] = lambda _old, _new: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``profiles`` and ``views`` are those of ``live``, and are replaced together with it.

        ``changed`` is called with the old and the new gateway, just before the old one is retired.
        """
        self._views = views
        self._build_model = build_model
        self._live = live
        self._profiles = profiles
        self._observe = observe
        self._now = now
        self._changed = changed
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.last: Attempt | None = None

    async def reload(self, reason: Reason) -> Attempt:
        """Serve new metadata if there is some. Calls that wait for a running attempt share the next one."""
        requested = self._now()
        async with self._turn:
            if self.last is None or self.last.at < requested:
                self.last = await self._attempt(reason, requested)
            return self.last

    def trigger(self, reason: Reason, ended: Callable[[Attempt], None] = lambda _: None) -> None:
        """Start a reload in the background, and call ``ended`` with how it ended."""

        async def run() -> None:
            # Who asks for it may be in another environment, or in none.
            with logging_environment(environment_in(self._live.gateway.settings)):
                ended(await self.reload(reason))

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Poll at the interval of the settings, and cancel background tasks at the end."""
        settings = self._live.gateway.settings
        interval = settings.metadata_poll if settings.url or settings.metadata else 0.0
        poll = asyncio.create_task(self._poll(interval)) if interval else None
        try:
            yield
        finally:
            tasks = [*self._tasks, *([] if poll is None else [poll])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, interval: float) -> None:
        while True:
            # Jitter, so that the gateways of an environment do not all poll at the same moment.
            await asyncio.sleep(interval * random.uniform(0.9, 1.1))  # noqa: S311 - no secret
            await self.reload("poll")

    async def _attempt(self, reason: Reason, requested: float) -> Attempt:
        started, at = time.perf_counter(), self._now()
        try:
            changed = await self._replace(None if reason == "poll" else requested)
        except Exception as error:
            is_ours = isinstance(error, (GatewayError, SchemaError))
            message = str(error) if is_ours else f"{type(error).__name__}: {error}"
            hint = getattr(error, "hint", None)
            digest = self._live.gateway.metadata.digest
            failed = ReloadFailed(
                reason=reason, metadata=digest, code=code_of(error), message=message, hint=hint
            )
            self._observe(failed)
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

    async def _replace(self, since: float | None) -> bool:
        """Serve the current document, and return whether it is a new one. ``since``: see ``ReloadCheck``."""
        serving = self._live.gateway
        started = time.perf_counter()
        async with _folder_lock(snapshot_folder(serving.settings), tag_in(serving.settings)):
            check = ReloadCheck(serving.metadata, since)
            document = await load_newer_metadata(
                serving.settings, serving.client, check, observe=self._observe
            )
            if document is None:
                return False
            loaded = await load_model(serving.settings, document, self._build_model, self._observe)
        fresh = await build_gateway(
            serving.settings, serving.client, document, loaded, self._observe
        )
        profiles = {} if self._profiles is None else await self._profiles.build_opened(fresh)
        views = [] if self._views is None else await self._views.build_opened(fresh, profiles)
        # No await between them: no operation finds new metadata in one API and old metadata in another.
        self._changed(serving, fresh)
        self._live.replace(fresh)
        if self._profiles is not None:
            self._profiles.replace(profiles)
        if self._views is not None:
            self._views.replace(views)
        self._observe(schema_built_event(fresh, time.perf_counter() - started))
        return True


@asynccontextmanager
async def _folder_lock(folder: Path | None, tag: str) -> AsyncIterator[None]:
    """Wait until no other process with that folder reloads the same environment.

    The kernel releases the lock of a process that dies.
    """
    with contextlib.ExitStack() as stack:
        # Each environment has a lock: one that hangs must hold up no other.
        file = None if folder is None else _lock_file(folder, f".reload{tag and f'-{tag}'}.lock")
        if file is not None:
            stack.enter_context(file)
            while not _try_lock(file):  # noqa: ASYNC110 - file locks cannot be awaited
                await asyncio.sleep(_LOCK_POLL)
        yield


def _lock_file(folder: Path, name: str) -> IO[bytes] | None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (folder / name).open("wb")
    except OSError:
        return None


def _try_lock(file: IO[bytes]) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: workers do not wait for each other
        return True
    return True
