"""``gateway.cli.server``: a worker process and its health checks."""

from __future__ import annotations

import os
import signal
import socket
import time
from threading import Event, Thread, Timer
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from gateway.cli.draining import ShutdownSteps
from gateway.cli.server import WorkerProcess, Workers
from gateway.events import Event as GatewayEvent

PATIENCE = 30.0


class SlowServer(uvicorn.Server):
    """A server whose creation takes so long that another thread may create one as well."""

    def __init__(self, config: uvicorn.Config) -> None:
        time.sleep(0.05)
        super().__init__(config)
        self.stop = Event()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve nothing until ``stop``."""
        self.started = True
        self.stop.wait(PATIENCE)


def test_health_checks_are_about_the_server_that_runs() -> None:
    servers: list[SlowServer] = []

    def make_server(config: uvicorn.Config) -> SlowServer:
        server = SlowServer(config)
        servers.append(server)
        return server

    worker = WorkerProcess(uvicorn.Config("", log_config=None), [], make_server)
    # The parent checks a worker before it runs.
    worker.parent_conn.send(b"ping")
    thread = Thread(target=worker.target, daemon=True)
    thread.start()
    assert worker.parent_conn.poll(PATIENCE)
    worker.parent_conn.recv()

    end = time.monotonic() + PATIENCE
    while not (ready := worker.is_ready(timeout=1)) and time.monotonic() < end:
        time.sleep(0.01)

    assert ready
    (server,) = servers
    server.stop.set()
    thread.join(PATIENCE)


def test_a_worker_that_dies_during_a_check_is_not_waited_for() -> None:
    worker: Any = WorkerProcess(uvicorn.Config("", log_config=None), [])
    sentinel, alive = os.pipe()
    worker.process = SimpleNamespace(is_alive=lambda: True, sentinel=sentinel)
    death = Timer(0.05, os.close, [alive])
    death.start()
    started = time.monotonic()

    assert not worker.is_alive(timeout=3)
    assert time.monotonic() - started < 2
    death.join()
    os.close(sentinel)


def test_a_worker_that_the_signal_of_all_ends_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    events: list[GatewayEvent] = []
    config = uvicorn.Config("", log_config=None, workers=1)
    workers = Workers(config, [], lambda: None, ShutdownSteps(), events.append)
    ended: Any = SimpleNamespace(
        pid=7, is_alive=lambda timeout: False, is_ready=lambda timeout: False
    )
    workers.processes.append(ended)
    workers.signal_queue.append(signal.SIGTERM)

    workers.keep_subprocess_alive()

    assert workers.should_exit.is_set()
    assert events == []


def test_what_one_worker_refuses_is_known_of_all() -> None:
    config = uvicorn.Config("", log_config=None, workers=3)
    workers = Workers(config, [], lambda: None, ShutdownSteps(), lambda _: None)
    for refused in ({"acme": 3.0}, {"acme": 4.5}, {}):
        worker = WorkerProcess(config, [])
        worker.refused.answer(refused.get, "refused")
        workers.processes.append(worker)

    assert workers.refused("acme") == 4.5
    assert workers.refused("beta") is None


def test_a_worker_that_has_not_started_refuses_nothing() -> None:
    worker = WorkerProcess(uvicorn.Config("", log_config=None), [])

    assert worker._refused("acme") is None
