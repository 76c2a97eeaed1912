"""``serve``: the gateway on a port, in one process or several, with settings that can change meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import State

from gateway.app import create_app
from gateway.audit.opening import recording
from gateway.config.setting_changes import SettingsAttempt
from gateway.config.settings import Settings
from gateway.environments.reloading import reload_environment
from gateway.errors import SettingsError
from gateway.events import log_event, tee
from gateway.http.admin_app import AdminContext, Served, until_stopping
from gateway.http.admin_metrics import MetricsSource, OwnMetrics
from gateway.http.admin_reload import Reload, Reloads
from gateway.http.hosts import is_loopback
from gateway.lifespan import seconds_refused
from gateway.logs import configure_logging, take_over_log
from gateway.metadata.model_builder import Progress, snapshot_place
from gateway.process.daemon_call import daemon_call
from gateway.process.garbage_collection import freeze, paused
from gateway.replicas.opening import open_replicas
from gateway.runtime.assembly import open_gateway
from gateway.runtime.lasting import Lasting
from gateway.store.polling import require_layout
from gateway.telemetry.measurements import Measurements

from .admin_listener import admin_listener, answering
from .announcement import Announcement, announcement_of
from .bounded_http import BoundedProtocol, socket_protocol
from .check_callers import require_callers
from .connections import limits_of
from .demo import Demonstration, demonstrating
from .draining import steps_of
from .fork_server import open_in_fork_server
from .hangup import reload_on_hangup
from .hot_application import HotApplication
from .progress import reading_metadata
from .server import GracefulServer, Workers
from .settings_source import ReadSettings, imposing
from .signals_and_port import (
    BACKLOG,
    address_of,
    leave,
    listen,
    on_stop,
    terminal_watch,
)
from .worker import worker_app
from .workers_reload import WorkersReload

HEALTH_SECONDS = 20
"""Seconds without an answer after which a worker counts as hung and is replaced."""


def serve(
    settings: Settings, read: ReadSettings, workers: int, *, sandbox: bool, demos: int = 0
) -> None:
    """Serve until interrupted. ``sandbox``: the embedded sandbox was requested, so it may listen on any interface.

    ``read`` reads the settings anew; ``demos``: number of sandboxes that are served as environments.

    Raises SettingsError, SchemaError, AuthError or UpstreamError if the gateway cannot start.
    """
    if hasattr(signal, "SIGHUP"):
        # It would end the process. A start reads settings and metadata anyway.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with listen(settings.host, settings.port) as listener:
        # After the bind, so that a host that is not an address of this machine is reported as such.
        require_safe(settings, sandbox=sandbox)
        address = address_of(listener, settings.host)
        with (
            demonstrating(settings, demos, address) as (own, demonstration),
            admin_listener(own) as admin,
        ):
            again = imposing(read, settings, own)

            def read_safe() -> Settings:
                found = again()
                # It listens where it does, whatever they say of that.
                require_safe(found.model_copy(update={"host": settings.host}), sandbox=sandbox)
                return found

            if workers > 1:
                _serve_many(own, read_safe, listener, admin, workers, demonstration)
            else:
                _serve_one(own, read_safe, listener, admin, demonstration)


def require_safe(settings: Settings, *, sandbox: bool) -> None:
    """Raise SettingsError if others could use what is not for them."""
    require_upstream(settings, sandbox=sandbox)
    require_callers(settings)


def require_upstream(settings: Settings, *, sandbox: bool) -> None:
    """Raise SettingsError if the embedded sandbox would serve other machines without being requested.

    A deployment that lost its ``D365_URL`` must not serve generated data.
    """
    is_served = settings.url is None and settings.default_environment
    if is_served and not sandbox and not is_loopback(settings.host):
        raise SettingsError(
            f"No environment is configured (D365_URL), and {settings.host} is reachable from other machines.",
            hint="Set D365_URL, or add --sandbox to serve generated data; with environments alone, set "
            "default_environment = false. "
            "On 127.0.0.1 the sandbox needs no option.",
        )


def _config(app: object, settings: Settings, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type] # may be a factory
        http=partial(BoundedProtocol, limits=limits_of(settings)),  # type: ignore[arg-type] # called like a class
        ws_max_size=settings.max_body_bytes,
        timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type] # float seconds work
        ws=socket_protocol,  # type: ignore[arg-type] # called like a class
        # The gateway sends ping messages of its own, which proxies pass on; they may not pass on ping frames.
        ws_ping_interval=None,
        # The gateway logs starts, errors and operations itself, as events.
        log_config=None,
        access_log=False,
        server_header=False,
        # The gateway evaluates Forwarded headers itself, by the setting trusted_proxies.
        proxy_headers=False,
        **more,
    )


def _serve_one(
    settings: Settings,
    read: ReadSettings,
    listener: socket.socket,
    admin: socket.socket | None,
    demonstration: Demonstration | None,
) -> None:
    measurements = measurements_of(settings)

    async def run() -> None:
        reports: list[Progress] = []

        def make(settings: Settings, lasting: Lasting) -> Starlette:
            return create_app(
                settings,
                progress=reports.pop() if reports else None,
                measurements=measurements,
                lasting=lasting,
                reload_settings=reload_settings,
            )

        async def reload_settings() -> tuple[SettingsAttempt, State]:
            return await app.reload("admin"), app.state

        with reading_metadata() as report:
            if report is not None:
                reports.append(report)
            app = HotApplication(settings, make, read)
            # Entered here and not by uvicorn, which would log its errors instead of raising them.
            await opened.enter_async_context(app.router.lifespan_context(app))
        # Before the address is printed: a script that reads it may connect at once.
        listener.listen(BACKLOG)
        second = opened.enter_context(
            answering(
                AdminContext(
                    settings=settings,
                    workers=until_stopping(app),
                    observe=log_event,
                    served=_served(app),
                    reload=_reload(app),
                    metrics=_metrics(app),
                    refused=partial(seconds_refused, app),
                ),
                admin,
            )
        )

        def follow(settings: Settings) -> None:
            log_as(settings)
            if second is not None:
                second.follow(settings, _served(app))

        app.followers.append(follow)
        address = address_of(listener, settings.host)
        announcement_of(app.state.live.gateway, address, admin, demonstration).publish()
        freeze()
        reload_on_hangup(app, hung_up)
        config = _config(app, settings, lifespan="off")
        await GracefulServer(config, steps_of(settings)).serve(sockets=[listener])

    opened = contextlib.AsyncExitStack()
    hung_up = terminal_watch()
    _run(run, opened)


def log_as(settings: Settings) -> None:
    """Log as settings say from now on."""
    configure_logging(settings)
    take_over_log(settings)


def _served(app: Starlette) -> Served:
    """Return what the second listener may know of the application that serves in this process now."""

    def environments() -> Mapping[str, int]:
        opened = app.state.environments
        return {} if opened is None else opened.states()

    return Served(status=app.state.status.source, environments=environments)


def measurements_of(settings: Settings) -> Measurements | None:
    """Return where the gateway counts what it does; None if it does not."""
    return Measurements(settings.metrics.series) if settings.metrics.enabled else None


def _metrics(app: Starlette) -> MetricsSource | None:
    """Return the metrics of the application in this process."""
    measurements: Measurements | None = app.state.measurements
    if measurements is None:
        return None

    def texts() -> Mapping[str, str | None]:
        from gateway.telemetry.exposition import render  # noqa: PLC0415 - slow, and not needed to serve

        return {"0": render(measurements)}

    return MetricsSource(texts=texts, is_apart=False, silence=lambda: measurements.silence)


def _reload(app: HotApplication) -> Reload:
    """Return what reloads the application in this process, for the thread of the second listener."""

    async def work(name: str | None) -> Reloads:
        settings = await app.reload("admin") if name is None else None
        state = app.state
        metadata = await reload_environment(state.environment, state.environments, name, "admin")
        return Reloads(settings, metadata)

    async def reload(name: str | None) -> Reloads:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(name), app.loop))

    return reload


def _serve_many(
    settings: Settings,
    read: ReadSettings,
    listener: socket.socket,
    admin: socket.socket | None,
    workers: int,
    demonstration: Demonstration | None,
) -> None:
    """Start once in this process, to report errors and to fill the cache, then start the workers."""
    opened = contextlib.AsyncExitStack()
    announcements: list[Announcement] = []
    with _shared(settings) as shared:

        async def rehearse() -> None:
            # Each worker records for itself; that it cannot is an error of the start.
            async with recording(shared, log_event):
                pass
            await require_layout(shared, log_event)
            async with open_replicas(shared, log_event) as replicas:
                builds = None if replicas is None else replicas.builds
                with reading_metadata() as report:
                    gateway = await opened.enter_async_context(
                        open_gateway(shared, progress=report, builds=builds)
                    )
            address = address_of(listener, settings.host)
            announcements.append(announcement_of(gateway, address, admin, demonstration))
            open_in_fork_server(snapshot_place(shared, gateway.metadata.digest))

        if _run(rehearse, opened):
            (announcement,) = announcements
            # Here and not only in the workers, so that a port that was taken meanwhile is reported once.
            listener.listen(BACKLOG)
            config = _config(
                partial(worker_app, shared, workers),
                shared,
                factory=True,
                lifespan="on",
                workers=workers,
                # A worker does not answer while it imports, which takes long on a busy machine.
                timeout_worker_healthcheck=HEALTH_SECONDS,
            )
            # On a busy machine workers take ten seconds to import, in which a client that has read the address would
            # be connected but not answered.
            own = OwnMetrics()
            observe = tee(log_event, own.counters.observe)
            group = Workers(config, [listener], announcement.publish, steps_of(settings), observe)

            measures = settings.metrics.enabled
            metrics = MetricsSource(texts=group.metrics, is_apart=True) if measures else None

            async def reload(name: str | None) -> Reloads:
                found = None
                if name is None:
                    found = await daemon_call(lambda: reloading.reload("admin"))
                group.reload()
                return Reloads(found, None)

            context = AdminContext(
                settings=shared,
                workers=group.states,
                observe=log_event,
                reload=reload,
                metrics=metrics,
                refused=group.refused,
                own=own,
            )
            with answering(context, admin) as second:

                def changed(settings: Settings) -> None:
                    group.config.app = partial(worker_app, settings, workers)
                    group.follow(settings)
                    log_as(settings)
                    if second is not None:
                        second.follow(settings)

                reloading = WorkersReload(
                    shared, imposing(read, settings, shared), observe, group.workers, changed
                )
                group.reload_settings = reloading.reload
                group.run()


@contextlib.contextmanager
def _shared(settings: Settings) -> Iterator[Settings]:
    """Yield settings with a cache folder for the workers to share: a temporary one if none is configured."""
    if settings.cache_dir is not None:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="d365-graphql-") as folder:
        yield settings.model_copy(update={"cache_dir": Path(folder)})


def _run(main: Callable[[], Coroutine[Any, Any, None]], opened: contextlib.AsyncExitStack) -> bool:
    """Run until the end or a signal; return whether it was the end."""

    async def run() -> bool:
        task = asyncio.ensure_future(main())
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.call_soon_threadsafe(task.cancel)

        on_stop(stop)
        async with opened:
            try:
                await task
            except asyncio.CancelledError:
                return False
        return True

    with asyncio.Runner(
        loop_factory=uvicorn.Config("", log_config=None).get_loop_factory()
    ) as runner:
        finished = runner.run(run())
    on_stop(leave)
    return finished


def make_worker_app(settings: Settings, workers: int) -> Starlette:
    """Return the application of one of so many workers, a process that shares nothing with others but the listener."""
    log_as(settings)
    measurements = measurements_of(settings)

    def make(settings: Settings, lasting: Lasting) -> Starlette:
        return create_app(
            settings,
            tell_others=_notify_parent,
            workers=workers,
            measurements=measurements,
            lasting=lasting,
        )

    app = HotApplication(settings, make)
    app.followers.append(log_as)
    lifespan = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def frozen_lifespan(_: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            with paused():
                await stack.enter_async_context(lifespan(app))
                freeze()
            # The parent watches the terminal, and reads the settings.
            reload_on_hangup(app, lambda: False)
            yield

    app.router.lifespan_context = frozen_lifespan
    return app


def _notify_parent() -> None:
    """Pass a reload on to all workers. This one gets it, too, and finds its metadata current."""
    supervisor = parent_process()
    if supervisor is not None and supervisor.pid is not None:
        os.kill(supervisor.pid, signal.SIGHUP)
