"""The second listener: one for all processes of a gateway, in a thread of the first one.

Its own event loop answers while the gateway's is busy, and also in a process that only watches workers.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import uvicorn

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import log_event
from gateway.http.admin_app import AdminContext, Served, WorkerState, create_admin_app
from gateway.http.admin_metrics import MetricsSource, OwnMetrics
from gateway.http.admin_reload import Reload

from .signals_and_port import BACKLOG, address_of, listen

_STOP = 3.0
"""Seconds in which the thread ends."""


@contextlib.contextmanager
def admin_listener(settings: Settings) -> Iterator[socket.socket | None]:
    """Yield the bound socket; None if there is no such listener. Raises SettingsError if it cannot be bound."""
    options = settings.admin
    if options.port is None:
        yield None
        return
    try:
        listener = listen(options.host, options.port)
    except SettingsError as error:
        raise SettingsError(
            f"admin.host, admin.port: {error.message}",
            hint="Choose another address, or no second listener: admin.port = none.",
        ) from error
    with listener:
        yield listener


def admin_address(settings: Settings, listener: socket.socket) -> str:
    """Return the address of the health page."""
    return f"{address_of(listener, settings.admin.host)}/health"


@contextlib.contextmanager
def answering(
    settings: Settings,
    listener: socket.socket | None,
    workers: Callable[[], Sequence[WorkerState]],
    served: Served | None = None,
    reload: Reload | None = None,
    metrics: MetricsSource | None = None,
    own: OwnMetrics | None = None,
) -> Iterator[None]:
    """Answer on the socket until the end of the context, if there is one.

    ``served``, ``reload``, ``metrics``, ``own``: see ``AdminContext``.
    """
    if listener is None:
        yield
        return
    context = AdminContext(
        settings=settings,
        workers=workers,
        observe=log_event,
        served=served,
        reload=reload,
        metrics=metrics,
        own=own or OwnMetrics(),
    )
    app = create_admin_app(context)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
    )
    listener.listen(BACKLOG)
    # uvicorn leaves signals to the main thread.
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="admin", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_STOP)
