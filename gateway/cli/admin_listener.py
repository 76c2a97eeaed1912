"""The second listener: one for all processes of a gateway, in a thread of the first one.

Its own event loop answers while the gateway's is busy, and also in a process that only watches workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import uvicorn

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.failures import report_error
from gateway.http.admin_app import AdminContext, Served, create_admin_app

from .replaceable import Replaceable
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


class AdminApplication(Replaceable):
    """The application of the listener, which follows the settings. Another thread may let it."""

    def __init__(self, context: AdminContext) -> None:
        super().__init__(create_admin_app(context))
        self._of = context

    def follow(self, settings: Settings, served: Served | None = None) -> None:
        """Answer with other settings soon. Any thread may call it; ``served``: see ``AdminContext``."""
        if not hasattr(self, "loop"):
            return  # it has not started
        context = replace(self._of, settings=settings, served=served)
        asyncio.run_coroutine_threadsafe(self._follow(context), self.loop)

    async def _follow(self, context: AdminContext) -> None:
        try:
            self.replace(await self.open(create_admin_app(context)))
            self._of = context
        except Exception as error:
            # The gateway has these settings: its listener goes on with those before.
            report_error(error, context.observe)


@contextlib.contextmanager
def answering(
    context: AdminContext, listener: socket.socket | None
) -> Iterator[AdminApplication | None]:
    """Answer on the socket until the end of the context, if there is one."""
    if listener is None:
        yield None
        return
    app = AdminApplication(context)
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
        yield app
    finally:
        server.should_exit = True
        thread.join(_STOP)
