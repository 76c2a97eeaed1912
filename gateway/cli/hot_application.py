"""Serves with other settings without a restart: they are built beside, checked, and take the place of the old ones.

    reload ──▶ another application: built, started, checked ──▶ serves all requests from then on
                     │ not usable                                 the old one: streams end, jobs go on with the new
                     └──▶ ends; the old one serves on             one, requests end as they began

What outlives an application, such as limits that were learned, is in ``Lasting``. The memory of the old one is freed in
a moment without requests, if there is one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, TypeAlias

from starlette.applications import Starlette

from gateway.config.setting_changes import (
    SettingsAttempt,
    changed_settings,
    files_read,
    in_force,
)
from gateway.config.settings import Settings
from gateway.errors import GatewayError, SettingsError, code_of
from gateway.events import Event, SettingsNotReloaded, SettingsReloaded, SettingsRetired
from gateway.lifespan import require_same_documents, take_over
from gateway.process.daemon_call import daemon_call
from gateway.process.garbage_collection import clear_in_steps, collect_all
from gateway.runtime.assembly import Gateway
from gateway.runtime.lasting import Lasting
from gateway.shutdown import begin_stop, is_stopping
from schema.errors import SchemaError

from .replaceable import Replaceable, Served
from .settings_source import ReadSettings

Make: TypeAlias = Callable[[Settings, Lasting], Starlette]
"""Makes an application, which has not started."""
Reason = Literal["signal", "admin"]
MAX_RETIRED = 8
"""Earlier settings with which requests may still be served; beyond, those of the oldest ones are ended."""
_LOOK = 0.1
"""Seconds between two looks whether jobs have come to a checkpoint."""
_IDLE_WAIT = 2.0
"""Longest wait for a moment without requests, in seconds, before memory is freed."""
_TURN = 0.005
"""Seconds for which tables are cleared before other tasks run."""


class HotApplication(Replaceable):
    """An application whose settings change while it serves."""

    def __init__(
        self,
        settings: Settings,
        make: Make,
        read: ReadSettings | None = None,
        collect: Callable[[], None] = collect_all,
    ) -> None:
        """``read`` reads the settings anew; None: whoever calls ``reload`` has read them.

        ``collect`` frees what has ended, which stops the process for up to half a second.

        Raises what ``make`` raises.
        """
        lasting = Lasting()
        super().__init__(make(settings, lasting))
        self.settings = settings
        self.followers: list[Callable[[Settings], None]] = []
        """Called with settings that are in force from then on."""
        self.last: SettingsAttempt | None = None
        self._make = make
        self._free = collect
        self._read = read
        self._lasting = lasting
        self._files = files_read(settings)
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._collection: asyncio.Task[None] | None = None
        self._cut: dict[Served, int] = {}

    @property
    def reads(self) -> bool:
        """Whether it reads the settings itself."""
        return self._read is not None

    def trigger(self, reason: Reason, ended: Callable[[SettingsAttempt], None]) -> None:
        """Read the settings anew in the background, and call ``ended`` with how that ended."""

        async def run() -> None:
            ended(await self._reload(reason, None))

        self._begin(run())

    async def reload(self, reason: Reason, settings: Settings | None = None) -> SettingsAttempt:
        """Serve with other settings, if they are others and can be used. ``settings`` None: they are read."""
        # Whoever waits may leave.
        return await asyncio.shield(self._begin(self._reload(reason, settings)))

    def reload_soon(
        self, reason: Reason, settings: Settings
    ) -> concurrent.futures.Future[SettingsAttempt]:
        """Return how ``reload`` will end, for another thread."""
        return asyncio.run_coroutine_threadsafe(self.reload(reason, settings), self.loop)

    def _begin(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, context=self.context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """End all that was begun."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().stop()

    async def _reload(self, reason: Reason, settings: Settings | None) -> SettingsAttempt:
        async with self._turn:
            self.last = self.state.settings_reload = await self._attempt(reason, settings)
            return self.last

    async def _attempt(self, reason: Reason, settings: Settings | None) -> SettingsAttempt:
        at, started = time.time(), time.perf_counter()
        try:
            if settings is None and self._read is not None:
                settings = await daemon_call(self._read)
            changed, restart = await self._apply(settings or self.settings)
        except Exception as error:
            return self._failed(reason, at, error)
        if changed or restart:
            seconds = time.perf_counter() - started
            self._observe(
                SettingsReloaded(reason=reason, changed=changed, restart=restart, seconds=seconds)
            )
        return SettingsAttempt(
            reason=reason,
            at=at,
            outcome="changed" if changed else "unchanged",
            changed=changed,
            restart=restart,
        )

    def _failed(self, reason: Reason, at: float, error: Exception) -> SettingsAttempt:
        is_ours = isinstance(error, GatewayError | SchemaError)
        message = str(error) if is_ours else f"{type(error).__name__}: {error}"
        hint: str | None = getattr(error, "hint", None)
        self._observe(
            SettingsNotReloaded(reason=reason, code=code_of(error), message=message, hint=hint)
        )
        return SettingsAttempt(reason=reason, at=at, outcome="failed", message=message, hint=hint)

    async def _apply(self, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Serve with settings; return the names of those that have changed, and of those that need a restart."""
        settings, restart = in_force(self.settings, new)
        files = await daemon_call(lambda: files_read(settings))
        names = dict.fromkeys(changed_settings(self.settings, settings))
        names.update(dict.fromkeys(n for n in files if files[n] != self._files.get(n)))
        if not names:
            return (), restart
        served = await self._usable(settings)
        # No await from here on: no request finds half of it.
        old = self.replace(served)
        self.settings, self._files = settings, files
        take_over(old.app, served.app)
        for follow in tuple(self.followers):
            follow(settings)
        self._cut_oldest()
        return tuple(names), restart

    async def _usable(self, settings: Settings) -> Served:
        """Return an application that can serve instead of this one. Raises what keeps it from that."""
        self._require_running()
        served = await self.open(self._make(settings, self._lasting))
        try:
            await require_same_documents(self.serving.app, served.app)
            self._require_running()
        except BaseException:
            with suppress(Exception):
                await served.close()
            raise
        return served

    def _require_running(self) -> None:
        if is_stopping(self):
            raise SettingsError("The gateway stops.", hint="The next start reads the settings.")

    # What was served before

    def _cut_oldest(self) -> None:
        for oldest in tuple(self._retired)[:-MAX_RETIRED]:
            self._cut.setdefault(oldest, len(oldest.requests))
            begin_stop(oldest.app)
            for request in tuple(oldest.requests):
                request.cancel("Other settings are in force.")

    async def end(self, old: Served) -> None:
        """Close what was replaced when nobody uses it any more, and free its memory."""
        while old.app.state.jobs.held:  # noqa: ASYNC110 - a few times in the life of a process
            await asyncio.sleep(_LOOK)
        await old.idle.wait()
        gateways = _gateways_of(old.app)
        assert old.since is not None
        since, cut = old.since, self._cut.pop(old, 0)
        try:
            await old.close()
        finally:
            seconds = asyncio.get_running_loop().time() - since
            self._observe(SettingsRetired(seconds=seconds, cut=cut))
            await _clear(gateways)
            self._collect_soon()

    def _collect_soon(self) -> None:
        """Free all that has ended, once for however many applications."""
        if self._collection is None or self._collection.done():
            self._collection = self._begin(self._collect())

    async def _collect(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + _IDLE_WAIT
        await asyncio.sleep(_LOOK)  # what has just ended still has references
        while self.serving.requests and loop.time() < end:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(_LOOK / 10)
        self._free()

    def _observe(self, event: Event) -> None:
        self.state.observe(event)


def _gateways_of(app: Starlette) -> list[Gateway]:
    """Return what holds most memory of an application."""
    own, others = app.state.environment, app.state.environments
    opened = (own, *(() if others is None else others.opened()))
    return [environment.live.gateway for environment in opened]


async def _clear(gateways: list[Gateway]) -> None:
    until = time.perf_counter() + _TURN
    while gateways:
        for _ in clear_in_steps(gateways.pop().tables()):
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + _TURN
