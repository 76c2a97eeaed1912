"""``serve``: the gateway on a port, in one process or several."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.audit.opening import recording
from gateway.config.settings import Settings
from gateway.environments.reloading import Reloaded, reload_environment
from gateway.errors import SettingsError
from gateway.events import Started, log_event, tee
from gateway.graphiql import BUILT
from gateway.http.admin_app import Served, until_stopping
from gateway.http.admin_metrics import MetricsSource, OwnMetrics
from gateway.http.admin_reload import Reload
from gateway.http.endpoints import API, PAGE
from gateway.http.hosts import is_loopback
from gateway.http.presence import PREFIX
from gateway.logs import configure_logging, take_over_log
from gateway.process.garbage_collection import freeze, paused
from gateway.replicas.opening import open_replicas
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.runtime.metadata_reload import Attempt
from gateway.store.polling import require_layout
from gateway.telemetry.measurements import Measurements

from .admin_listener import admin_address, admin_listener, answering
from .bounded_http import BoundedProtocol, socket_protocol
from .check_callers import require_callers
from .connections import ConnectionLimits
from .demo import Demonstration, demonstrating
from .draining import steps_of
from .progress import reading_metadata
from .server import GracefulServer, Workers
from .signals_and_port import (
    BACKLOG,
    address_of,
    leave,
    listen,
    on_stop,
    terminal_watch,
)
from .worker import worker_app

MAX_ANNOUNCED = 10
"""Environments whose addresses are printed."""
HEALTH_SECONDS = 20
"""Seconds without an answer after which a worker counts as hung and is replaced."""


def serve(settings: Settings, workers: int, *, sandbox: bool, demos: int = 0) -> None:
    """Serve until interrupted. ``sandbox``: the embedded sandbox was requested, so it may listen on any interface.

    ``demos``: number of sandboxes that are served as environments. Raises SettingsError, SchemaError, AuthError or
    UpstreamError if the gateway cannot start.
    """
    if hasattr(signal, "SIGHUP"):
        # It would end the process. A start reads the metadata anyway.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with listen(settings.host, settings.port) as listener:
        # After the bind, so that a host that is not an address of this machine is reported as such.
        require_upstream(settings, sandbox=sandbox)
        require_callers(settings)
        address = address_of(listener, settings.host)
        with (
            demonstrating(settings, demos, address) as (own, demonstration),
            admin_listener(own) as admin,
        ):
            if workers > 1:
                _serve_many(own, listener, admin, workers, demonstration)
            else:
                _serve_one(own, listener, admin, demonstration)


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
    limits = ConnectionLimits(
        total=settings.max_connections,
        per_peer=settings.max_connections_per_peer,
        send_timeout=settings.send_timeout,
        trusted_proxies=settings.trusted_proxies,
    )
    return uvicorn.Config(
        app,  # type: ignore[arg-type] # may be a factory
        http=partial(BoundedProtocol, limits=limits),  # type: ignore[arg-type] # called like a class
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
    listener: socket.socket,
    admin: socket.socket | None,
    demonstration: Demonstration | None,
) -> None:
    async def run() -> None:
        with reading_metadata() as report:
            app = create_app(settings, progress=report, measurements=measurements_of(settings))
            # Entered here and not by uvicorn, which would log its errors instead of raising them.
            await opened.enter_async_context(app.router.lifespan_context(app))
        # Before the address is printed: a script that reads it may connect at once.
        listener.listen(BACKLOG)
        opened.enter_context(
            answering(
                settings,
                admin,
                until_stopping(app),
                _served(app),
                _reload(app),
                _metrics(app),
            )
        )
        address = address_of(listener, settings.host)
        announcement_of(app.state.live.gateway, address, admin, demonstration).publish()
        freeze()
        _reload_on_hangup(app, hung_up)
        config = _config(app, settings, lifespan="off")
        await GracefulServer(config, steps_of(settings)).serve(sockets=[listener])

    opened = contextlib.AsyncExitStack()
    hung_up = terminal_watch()
    _run(run, opened)


def _served(app: Starlette) -> Served:
    """Return what the second listener may know of the application in this process."""

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


def _reload(app: Starlette) -> Reload:
    """Return what reloads the application in this process, for the thread of the second listener."""
    loop = asyncio.get_running_loop()

    async def reload(name: str | None) -> Reloaded | None:
        state = app.state
        work = reload_environment(state.environment, state.environments, name, "admin")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    return reload


def _serve_many(
    settings: Settings,
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

        if _run(rehearse, opened):
            (announcement,) = announcements
            # Here and not only in the workers, so that a port that was taken meanwhile is reported once.
            listener.listen(BACKLOG)
            app = partial(worker_app, shared, workers)
            config = _config(
                app,
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

            async def reload(_: str | None) -> Reloaded | None:
                group.reload()
                return None

            metrics = None
            if settings.metrics.enabled:
                metrics = MetricsSource(texts=group.metrics, is_apart=True)
            with answering(shared, admin, group.states, reload=reload, metrics=metrics, own=own):
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
    configure_logging(settings)
    take_over_log(settings)
    app = create_app(
        settings,
        tell_others=_notify_parent,
        workers=workers,
        measurements=measurements_of(settings),
    )
    lifespan = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def frozen_lifespan(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            with paused():
                await stack.enter_async_context(lifespan(app))
                freeze()
            _reload_on_hangup(app, lambda: False)  # the parent watches the terminal
            yield

    app.router.lifespan_context = frozen_lifespan
    return app


def _notify_parent() -> None:
    """Pass a reload on to all workers. This one gets it, too, and finds its metadata current."""
    os.kill(os.getppid(), signal.SIGHUP)


def _reload_on_hangup(app: Starlette, hung_up: Callable[[], bool]) -> None:
    """Reload the metadata of all that is open on SIGHUP, as servers do.

    If SIGHUP means that the terminal is gone, the server stops.
    """

    def record(attempt: Attempt) -> None:
        if app.state.audit is not None:
            app.state.audit.acted(None, "reload", is_done=attempt.outcome != "failed")

    def on_hangup() -> None:
        if hung_up():
            signal.raise_signal(signal.SIGTERM)
        else:
            app.state.reloader.trigger("signal", record)
            if (documents := getattr(app.state, "documents", None)) is not None:
                documents.trigger()
            if app.state.environments is not None:
                app.state.environments.reload_open("signal")

    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_hangup)


def _addresses(settings: Settings, address: str) -> Iterator[str]:
    if settings.default_environment:
        if settings.serve_all:
            yield f"GraphQL:  {address}{API}"
        for name in settings.profiles:
            yield f"GraphQL:  {address}{API}/{name}"
    yield from _of_environments(settings, address)
    if settings.graphiql:
        built = (BUILT / "index.html").is_file()
        hint = "" if built else f" (plain page; {_full_page_hint()})"
        first = "" if settings.serve_all else f"/{next(iter(settings.profiles))}"
        path = PAGE if settings.default_environment else f"{PREFIX}NAME{PAGE}"
        yield f"GraphiQL: {address}{path}{first}{hint}"


def _of_environments(settings: Settings, address: str) -> Iterator[str]:
    names = tuple(settings.environments)
    for name in names[:MAX_ANNOUNCED]:
        yield f"GraphQL:  {address}{PREFIX}{name}{API}"
    if len(names) > MAX_ANNOUNCED:
        yield f"          and {len(names) - MAX_ANNOUNCED:,} more environments"
    if settings.stored_environments:
        yield f"GraphQL:  {address}{PREFIX}NAME{API} for each environment in the store"


def _full_page_hint() -> str:
    """Return how to get the full page. A wheel does not contain its sources."""
    if (BUILT.parent / "page").is_dir():
        return "`make page` builds the full one"
    return "this package was built without Node; built with Node 20 or newer, it has the full one"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is served, and at which addresses: as text, and as an event."""

    text: str
    started: Started

    def publish(self) -> None:
        """Print and log it."""
        print(self.text, flush=True, file=sys.stdout)
        log_event(self.started)


def _own_environment(gateway: Gateway) -> Iterator[str]:
    """Yield what the environment of the settings themselves is."""
    if gateway.is_sandbox:
        yield "This is the embedded sandbox: generated data, no Dynamics 365 environment."
        yield "For a real one, set D365_URL, D365_TENANT_ID, D365_CLIENT_ID and D365_CLIENT_SECRET."
        if gateway.settings.sandbox.roles:
            yield "Callers sign in: `d365-graphql sandbox token --role …` prints a token."
    else:
        yield f"Upstream: {gateway.settings.url} ({gateway.dialect.title})"
    sets, fields = len(gateway.catalog.model.entity_sets), len(gateway.catalog.roots)
    yield f"{sets:,} entity sets, {fields:,} fields of Query."


def announcement_of(
    gateway: Gateway,
    address: str,
    admin: socket.socket | None = None,
    demonstration: Demonstration | None = None,
) -> Announcement:
    """Return the announcement of a gateway, which need not stay open until it is published."""
    lines = list(_own_environment(gateway)) if gateway.settings.default_environment else []
    lines.extend(_addresses(gateway.settings, address))
    if admin is not None:
        lines.append(f"Health:   {admin_address(gateway.settings, admin)}")
    if demonstration is not None:
        second = None if admin is None else address_of(admin, gateway.settings.admin.host)
        lines.extend(demonstration.lines(f"{address}{gateway.settings.root_path}", second))
    started = Started(
        url=address,
        upstream=gateway.client.root,
        sandbox=gateway.is_sandbox,
        metadata=gateway.metadata.digest,
    )
    return Announcement("\n".join(lines), started)
