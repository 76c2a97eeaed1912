"""``serve``: the gateway on a port, in one process or several."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Started, log_event
from gateway.graphiql import BUILT
from gateway.http.endpoints import API, PAGE
from gateway.logs import configure_logging
from gateway.process.garbage_collection import freeze, paused
from gateway.runtime.assembly import Gateway, open_gateway

from .bounded_http import BoundedProtocol, socket_protocol
from .connections import ConnectionLimits
from .progress import reading_metadata
from .server import GracefulServer, Workers
from .signals_and_port import (
    BACKLOG,
    address_of,
    is_loopback,
    leave,
    listen,
    on_stop,
    terminal_watch,
)
from .worker import worker_app

HEALTH_SECONDS = 20
"""After so long without an answer a worker is taken for hung, and replaced."""


def serve(settings: Settings, workers: int, *, sandbox: bool) -> None:
    """Serve until interrupted; ``sandbox``: the embedded sandbox was asked for, so that any interface may have it.

    Raises SettingsError, SchemaError, AuthError or UpstreamError at the start.
    """
    if hasattr(signal, "SIGHUP"):
        # The start reads the metadata anyway.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with listen(settings.host, settings.port) as listener:
        # After the bind: a host that is no address of this machine is told as such.
        require_upstream(settings, sandbox=sandbox)
        announced = partial(announce, address=address_of(listener, settings.host))
        if workers > 1:
            _serve_many(settings, listener, workers, announced)
        else:
            _serve_one(settings, listener, announced)


def require_upstream(settings: Settings, *, sandbox: bool) -> None:
    """Raise SettingsError where the embedded sandbox would serve other machines without having been chosen.

    A deployment that lost its ``D365_URL`` must not answer with generated data.
    """
    if settings.url is None and not sandbox and not is_loopback(settings.host):
        raise SettingsError(
            f"No environment is configured (D365_URL), and {settings.host} is open to other machines.",
            hint="Set D365_URL, or add --sandbox to serve generated data; "
            "on 127.0.0.1 the sandbox starts by itself.",
        )


def _config(app: object, settings: Settings, **more: Any) -> uvicorn.Config:
    limits = ConnectionLimits(
        total=settings.max_connections,
        per_peer=settings.max_connections_per_peer,
        send_timeout=settings.send_timeout,
        trusted_proxies=settings.trusted_proxies,
    )
    return uvicorn.Config(
        app,  # type: ignore[arg-type] # a factory, too
        http=partial(BoundedProtocol, limits=limits),  # type: ignore[arg-type] # makes one, as a class does
        ws_max_size=settings.max_body_bytes,
        timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type] # seconds of the event loop
        ws=socket_protocol,  # type: ignore[arg-type] # makes one, as a class does
        # The gateway pings by messages, which proxies pass on.
        ws_ping_interval=None,
        log_config=None,
        access_log=False,
        server_header=False,
        # Which proxies are believed is the gateway's own setting.
        proxy_headers=False,
        **more,
    )


def _serve_one(
    settings: Settings, listener: socket.socket, announced: Callable[[Gateway], None]
) -> None:
    async def stay() -> None:
        with reading_metadata() as report:
            app = create_app(settings, progress=report)
            # The lifespan is entered here, not by uvicorn: what it raises is for the person at the terminal.
            await opened.enter_async_context(app.router.lifespan_context(app))
        # Whoever reads the printed address may call at once.
        listener.listen(BACKLOG)
        announced(app.state.live.gateway)
        freeze()
        _reload_on_hangup(app, hung_up)
        await GracefulServer(_config(app, settings, lifespan="off")).serve(sockets=[listener])

    opened = contextlib.AsyncExitStack()
    hung_up = terminal_watch()
    _run(stay, opened)


def _serve_many(
    settings: Settings,
    listener: socket.socket,
    workers: int,
    announced: Callable[[Gateway], None],
) -> None:
    """Try the start once here, where its errors can be told and the cache is filled, then start the workers."""
    opened = contextlib.AsyncExitStack()
    with _shared(settings) as shared:

        async def rehearse() -> None:
            with reading_metadata() as report:
                announced(await opened.enter_async_context(open_gateway(shared, progress=report)))

        listener.listen(BACKLOG)
        if _run(rehearse, opened):
            app = partial(worker_app, shared)
            config = _config(
                app,
                shared,
                factory=True,
                lifespan="on",
                workers=workers,
                # A worker answers nothing while it imports: on a busy machine that is not a hung one.
                timeout_worker_healthcheck=HEALTH_SECONDS,
            )
            Workers(config, sockets=[listener]).run()


@contextlib.contextmanager
def _shared(settings: Settings) -> Iterator[Settings]:
    """Return the workers a folder for what the first start has read; one that ends with them where nothing is kept."""
    if settings.cache_dir is not None:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="d365-graphql-") as folder:
        yield settings.model_copy(update={"cache_dir": Path(folder)})


def _run(main: Callable[[], Coroutine[Any, Any, None]], opened: contextlib.AsyncExitStack) -> bool:
    """Run to the end, or to a signal: whether it came to the end."""

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


def make_worker_app(settings: Settings) -> Starlette:
    """Make the application of one worker, a process of its own that shares nothing but the listener."""
    configure_logging(settings)
    app = create_app(settings, tell_others=_tell_parent)
    opened = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def settled(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            with paused():
                await stack.enter_async_context(opened(app))
                freeze()
            _reload_on_hangup(app, lambda: False)  # the parent looks after the terminal
            yield

    app.router.lifespan_context = settled
    return app


def _tell_parent() -> None:
    """Pass a reload on to all workers, this one included: it finds that it has what is new."""
    os.kill(os.getppid(), signal.SIGHUP)


def _reload_on_hangup(app: Starlette, hung_up: Callable[[], bool]) -> None:
    """Look for new metadata at SIGHUP, as servers do; where it says that the terminal has gone, end."""

    def told() -> None:
        if hung_up():
            signal.raise_signal(signal.SIGTERM)
        else:
            app.state.reloader.trigger("signal")

    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, told)


def _addresses(settings: Settings, address: str) -> Iterator[str]:
    if settings.serve_all:
        yield f"GraphQL:  {address}{API}"
    for name in settings.profiles:
        yield f"GraphQL:  {address}{API}/{name}"
    if settings.graphiql:
        built = (BUILT / "index.html").is_file()
        hint = "" if built else f" (plain page; {_full_page()})"
        first = "" if settings.serve_all else f"/{next(iter(settings.profiles))}"
        yield f"GraphiQL: {address}{PAGE}{first}{hint}"


def _full_page() -> str:
    """Return how to get the full page: a wheel has no sources of it."""
    if (BUILT.parent / "page").is_dir():
        return "`make page` builds the full one"
    return "this package was built without Node, with Node 20 or newer it has the full one"


def announce(gateway: Gateway, address: str) -> None:
    """Print where it serves and what; and log it, with the hash of the metadata."""
    lines: list[str] = []
    if gateway.is_sandbox:
        lines += [
            "This is the embedded sandbox: generated data, no Dynamics 365 environment.",
            "For a real one set D365_URL, D365_TENANT_ID, D365_CLIENT_ID and D365_CLIENT_SECRET.",
        ]
    else:
        lines.append(f"Upstream: {gateway.settings.url} ({gateway.dialect.title})")
    sets, fields = len(gateway.catalog.model.entity_sets), len(gateway.catalog.roots)
    lines.append(f"{sets:,} entity sets, {fields:,} fields of Query.")
    lines.extend(_addresses(gateway.settings, address))
    print("\n".join(lines), flush=True, file=sys.stdout)
    log_event(
        Started(
            url=address,
            upstream=gateway.client.root,
            sandbox=gateway.is_sandbox,
            metadata=gateway.metadata.digest,
        )
    )
