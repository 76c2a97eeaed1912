"""What an application does about status: it counts, records drift, publishes, and can be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from gateway.config.profiles import environment_in
from gateway.config.settings import Settings
from gateway.events import Observer
from gateway.runtime.assembly import Gateway
from gateway.runtime.lasting import Lasting

from .comparison import OperationsOf, registered_operations
from .drift import DriftLog, DriftRecorder, MemoryDrift
from .failures import Failures
from .process_status import ProcessStatus
from .publishing import StatusPublisher
from .sources import OwnStatus, StatusSource, StoredStatus, uses_store
from .status_store import StatusStore


class DeploymentStatus:
    """The status of the environments that one application serves. Belongs to one event loop."""

    def __init__(
        self,
        settings: Settings,
        observe: Observer,
        *,
        operations: OperationsOf = registered_operations,
        lasting: Lasting | None = None,
    ) -> None:
        """``lasting``: what an earlier application of the process has counted."""
        lasting = lasting or Lasting()
        self.process = lasting.of("status", ProcessStatus)
        self.publisher: StatusPublisher | None = None
        """None without a store."""
        self.source: StatusSource
        """Where status and drift can be read, in any thread."""
        log: DriftLog
        failures = Failures(observe)
        if uses_store(settings):
            log = store = StatusStore(settings)
            self.publisher = StatusPublisher(self.process, store, failures)
            self.source = StoredStatus(store)
        else:
            log = memory = lasting.of("drift", MemoryDrift)
            self.source = OwnStatus(self.process, memory)
        self.drift = DriftRecorder(log, failures, observe, operations=operations)

    def observer(self, name: str) -> Observer:
        """Return what counts the events of an environment; empty name: that of the settings."""
        return self.process.counters(name).observe

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Publish until the end of the block."""
        async with AsyncExitStack() as stack:
            if self.publisher is not None:
                await stack.enter_async_context(self.publisher.running())
            stack.push_async_callback(self.drift.close)
            yield

    @contextmanager
    def serving(self, gateway: Gateway) -> Iterator[None]:
        """Note that an environment is open until the end of the block. ``gateway``: its first one."""
        with self.process.serving(environment_in(gateway.settings), gateway):
            self.drift.opened(gateway)
            del gateway  # it would outlive its generation
            yield

    def changed(self, old: Gateway, new: Gateway) -> None:
        """Note that an environment serves new metadata. Call it before ``old`` is retired."""
        self.process.counters(environment_in(new.settings)).opened(new)
        self.drift.changed(old, new)
