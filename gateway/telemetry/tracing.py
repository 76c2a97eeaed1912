"""Traces of one process: what samples them, and the sink that exists while the application runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gateway.config.telemetry_models import TracingOptions
from gateway.errors import SettingsError
from gateway.events import Event, OperationServed, RequestSent
from gateway.events.requests import RequestServed
from gateway.process.daemon_call import daemon_call

from .request_context import NO_TRACES, Sampling, current_request

if TYPE_CHECKING:
    from .trace_sink import TraceSink

CLOSING = 3.0
"""Seconds in which the last spans must be sent when the gateway stops."""
_TRACED = frozenset({RequestSent, OperationServed, RequestServed})
"""Events of which spans are made: see ``TraceSink.observe``."""


class Tracing:
    """What traces requests."""

    def __init__(
        self,
        options: TracingOptions,
        fields: Callable[[], Sequence[str]],
        environment: Callable[[], str],
    ) -> None:
        """``fields``, ``environment``: see ``TraceSink``. Raises SettingsError if the extra is not installed."""
        self.sampling = NO_TRACES
        self._options = options
        self._fields, self._environment = fields, environment
        self._sink: TraceSink | None = None
        if options.endpoint is None:
            return
        if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
            raise SettingsError(
                "tracing.endpoint is set, but OpenTelemetry is not installed.",
                hint="Install the extra: pip install 'd365-graphql-gateway[otel]'.",
            )
        self.sampling = Sampling(
            ratio=options.ratio, follows_callers=options.follow_callers, is_on=True
        )

    def observe(self, event: Event) -> None:
        """Make a span of an event, if it is of a request that is traced."""
        # First of all, as it holds for few.
        context = current_request()
        if context is not None and context.is_sampled and self._sink is not None:
            self._sink.observe(event)

    def observer_of(self, kind: type[Any]) -> Callable[[Any], None] | None:
        """Return what makes spans of events of a kind; None if nothing does."""
        return self.observe if kind in _TRACED else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send spans until the end of the block."""
        if not self.sampling.is_on:
            yield
            return
        # 60 ms, which those who trace nothing are spared.
        from .trace_sink import TraceSink  # noqa: PLC0415 - see above

        self._sink = sink = TraceSink(self._options, self._fields, self._environment)
        try:
            yield
        finally:
            self._sink = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSING):
                    await daemon_call(sink.close)
