"""A gateway that measures itself, with its second listener, in threads of this process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gateway.app import create_app
from gateway.cli.admin_listener import admin_address, admin_listener, answering
from gateway.config.settings import Settings
from gateway.events import log_event
from gateway.http.admin_app import AdminContext, this_process
from gateway.http.admin_metrics import MetricsSource
from gateway.telemetry.exposition import render
from gateway.telemetry.measurements import Measurements
from tests.support.observers import raise_bugs
from tests.support.threaded import threaded


@contextmanager
def measured_gateway() -> Iterator[tuple[str, str]]:
    """Yield the addresses of a gateway's API and of its second listener."""
    settings, measurements = Settings(), Measurements()
    app = create_app(settings, observe=raise_bugs, measurements=measurements)
    source = MetricsSource(texts=lambda: {"0": render(measurements)}, is_apart=False)
    workers = this_process()
    with ExitStack() as stack:
        api = stack.enter_context(threaded(app))
        listener = stack.enter_context(admin_listener(settings))
        assert isinstance(listener, socket.socket)
        context = AdminContext(
            settings=settings, workers=lambda: workers, observe=log_event, metrics=source
        )
        stack.enter_context(answering(context, listener))
        yield api, admin_address(settings, listener).removesuffix("/health")
