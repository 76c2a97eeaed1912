"""A server that stops without cutting anybody off: every request that reached it is answered in JSON.

    SIGTERM ─▶ connections that wait in the backlog are accepted, the listener is closed
               ├─ GRACE    everything under way goes on
               ├─ ANSWERS  no further write is sent (NOT_SENT); writes under way are waited for
               ├─ LAST     writes without an answer are OUTCOME_UNKNOWN, their answers go out
               └─ LAST     reads are cancelled and answered 503; then connections are cut

Orchestrators kill after 30 seconds; the four steps take 20 at the most, and end early where nothing is left to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterable
from typing import cast

import uvicorn

from gateway.odata.client import ODataClient

from .signals_and_port import terminal_watch
from .uvicorn_parts import STARTUP_FAILURE, Multiprocess, Process

GRACE = 13.0
"""Seconds in which everything goes on."""
ANSWERS = 5.0
"""Further seconds in which the answers of writes are waited for."""
LAST = 1.0
"""Seconds that answers may take to go out."""
_TICK = 0.05


class GracefulServer(uvicorn.Server):
    """uvicorn's server with another end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop in the steps of the module's docstring."""
        await self._accept_backlog(sockets or ())
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in tuple(self.server_state.connections):
            connection.shutdown()
        await self._drain()
        if not self.force_exit:
            await self.lifespan.shutdown()

    async def _accept_backlog(self, listeners: Iterable[socket.socket]) -> None:
        """Accept what has connected: closing the listener would reset it."""
        loop = asyncio.get_running_loop()
        for listener in listeners:
            while True:
                try:
                    accepted, _ = listener.accept()
                except (BlockingIOError, OSError):
                    break
                accepted.setblocking(False)
                with contextlib.suppress(OSError):
                    await loop.connect_accepted_socket(self._protocol, accepted)

    def _protocol(self) -> asyncio.Protocol:
        make = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def _drain(self) -> None:
        client = self._client()
        await self._until_idle(GRACE, client)
        if client is not None:
            client.shutdown.refuse()
            await self._until_idle(ANSWERS, client)
            client.shutdown.abandon()
            await self._until_idle(LAST, client)
        for task in tuple(self.server_state.tasks):
            task.cancel("The server stops.")
        await self._until_idle(LAST, None)
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()

    def _client(self) -> ODataClient | None:
        """Return what sends the application's requests upstream; None where it is another application."""
        state = getattr(self.config.loaded_app, "state", None)
        live = getattr(state, "live", None)
        return None if live is None else cast("ODataClient", live.gateway.client)

    async def _until_idle(self, seconds: float, client: ODataClient | None) -> None:
        """Wait until nobody waits for an answer and no write is under way, for so long at the most."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        state = self.server_state
        while loop.time() < end and not self.force_exit:
            if not (state.connections or state.tasks or (client and client.unfinished)):
                return
            await asyncio.sleep(_TICK)


class WorkerProcess(Process):
    """One worker, whose server stops gracefully."""

    @property
    def server(self) -> uvicorn.Server:
        """The server, made in the worker."""
        if self._server is None:
            self._server = GracefulServer(config=self.config)
        return self._server


class Workers(Multiprocess):
    """Workers that live on when new metadata are wanted: uvicorn would replace them."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._hung_up = terminal_watch()
        self._due: set[int] = set()

    def handle_hup(self) -> None:
        """Pass a SIGHUP on to the workers, or stop where the terminal is gone."""
        if self._hung_up():
            self.should_exit.set()
            return
        self._due = {process.pid for process in self.processes if process.pid is not None}

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes.extend(self._started() for _ in range(self.processes_num))

    def terminate_all(self) -> None:
        """Stop the workers; nobody can connect to a listener that no worker accepts from any more."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died or hang, and tell those that are ready of a SIGHUP."""
        if self.should_exit.is_set():
            return
        patience = self.config.timeout_worker_healthcheck
        for index, process in enumerate(self.processes):
            if process.is_alive(timeout=patience):
                self._pass_on(process)
                continue
            process.kill()
            process.join()
            if process.exitcode == STARTUP_FAILURE:
                # It would fail the same way again.
                self.should_exit.set()
            if self.should_exit.is_set():
                return
            self.processes[index] = self._started()

    def _started(self) -> Process:
        process = WorkerProcess(self.config, self.sockets)
        process.start()
        return process

    def _pass_on(self, process: Process) -> None:
        # One that still starts would die of the signal.
        if process.pid in self._due and process.is_ready(timeout=1):
            self._due.remove(process.pid)
            os.kill(process.pid, signal.SIGHUP)
