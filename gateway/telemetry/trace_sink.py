"""Turns events of requests that are traced into spans, and sends them to a collector: OTLP over HTTP.

A span is made when what it is of has ended, from the event that says so: a request of a client, or an attempt at a
request to the environment. Ids were given out before, as they travel in headers. Nothing of OpenTelemetry is on the way
of a request that is not traced. Spans are sent by a thread of each process, which starts with the application: one
that was started before a fork would not exist behind it.

https://opentelemetry.io/docs/specs/semconv/graphql/graphql-spans/ · https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from gateway.config.telemetry_models import TracingOptions
from gateway.config.version import gateway_version
from gateway.events import Event, OperationServed, RequestSent
from gateway.events.requests import RequestServed

from .request_context import RequestContext, current_request

Attributes: TypeAlias = Mapping[str, str | int | float | bool | Sequence[str] | None]
EXPORT_SECONDS = 10.0
"""Seconds in which the collector must take a batch of spans."""
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_OK, _ERROR = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
_SCOPE = InstrumentationScope("d365-graphql-gateway", gateway_version())


class TraceSink:
    """The spans of one process."""

    def __init__(
        self,
        options: TracingOptions,
        fields: Callable[[], Sequence[str]],
        environment: Callable[[], str],
    ) -> None:
        """``fields`` returns the response fields for which the current task sends; ``environment`` its environment."""
        self._fields = fields
        self._environment = environment
        self._resource = Resource.create(
            {"service.name": options.service_name, "service.version": gateway_version()}
        )
        exporter = OTLPSpanExporter(
            endpoint=options.endpoint, headers=options.header_fields, timeout=EXPORT_SECONDS
        )
        self._spans = BatchSpanProcessor(exporter)

    def observe(self, event: Event) -> None:
        """Make a span of an event, if it is of a request that is traced."""
        kind = type(event)
        if kind is not RequestSent and kind is not OperationServed and kind is not RequestServed:
            return
        context = current_request()
        if context is None or not context.is_sampled:
            return
        if isinstance(event, RequestSent):
            self._sent(event, context)
        elif isinstance(event, OperationServed):
            if context.is_message:
                self._end(
                    context, _operation_name(event), self._of_operation(event), _failed(event)
                )
            else:
                context.operation = event
        elif isinstance(event, RequestServed):
            self._served(event, context)

    def close(self) -> None:
        """Send what is left. It may block."""
        self._spans.shutdown()  # type: ignore[no-untyped-call]

    def _sent(self, event: RequestSent, context: RequestContext) -> None:
        if event.span is None:
            return
        ended = time.time_ns()
        attributes: Attributes = {
            "http.request.method": event.method,
            "http.response.status_code": event.status or None,
            "http.request.resend_count": event.attempt - 1 or None,
            "http.response.body.size": event.size,
            "url.full": str(event.url),
            "error.type": None if 0 < event.status < 400 else str(event.status or "no answer"),
            "d365.entity_set": event.target or None,
            "d365.dialect": event.dialect or None,
            "d365.environment": self._environment() or None,
            "d365.plan.fields": tuple(self._fields()),
            "d365.queue_wait": round(event.waited, 6),
            "d365.client_request_id": event.client_request_id,
            "d365.activity_id": event.activity,
        }
        self._spans.on_end(
            self._span(
                f"{event.method} {event.target}".rstrip(),
                self._context(context.trace_id, event.span),
                self._context(context.trace_id, context.span_id),
                SpanKind.CLIENT,
                attributes,
                (ended - int(event.seconds * 1e9), ended),
                is_failed=not 0 < event.status < 400,
            )
        )

    def _served(self, event: RequestServed, context: RequestContext) -> None:
        operation = context.operation
        attributes: dict[str, object] = {
            "http.request.method": event.method,
            "http.route": event.route,
            "http.response.status_code": event.status or None,
            "error.type": str(event.status) if event.status >= 500 else None,
        }
        name, is_failed = f"{event.method} {event.route}", event.status >= 500
        if operation is not None:
            attributes.update(self._of_operation(operation))
            name, is_failed = _operation_name(operation), is_failed or _failed(operation)
        self._end(context, name, attributes, is_failed)

    def _of_operation(self, event: OperationServed) -> dict[str, object]:
        return {
            "graphql.operation.type": event.type,
            "graphql.operation.name": event.name,
            "d365.document": event.document,
            "d365.environment": self._environment() or None,
            "d365.outcome": event.outcome,
            "d365.error.codes": event.codes,
            "d365.rows": event.rows,
            "d365.upstream.requests": event.requests,
            "d365.upstream.seconds": round(event.upstream, 6),
            "d365.caller": event.caller,
            "d365.client": event.client,
        }

    def _end(
        self, context: RequestContext, name: str, attributes: Mapping[str, object], is_failed: bool
    ) -> None:
        parent = context.parent_id
        self._spans.on_end(
            self._span(
                name,
                self._context(context.trace_id, context.span_id),
                None if parent is None else self._context(context.trace_id, parent, is_remote=True),
                SpanKind.SERVER,
                {**attributes, "d365.request_id": context.request_id},
                (context.started, time.time_ns()),
                is_failed=is_failed,
            )
        )

    @staticmethod
    def _context(trace_id: str, span_id: str, *, is_remote: bool = False) -> SpanContext:
        return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote, _SAMPLED)

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Mapping[str, object],
        times: tuple[int, int],
        *,
        is_failed: bool,
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context,
            parent,
            self._resource,
            {name: value for name, value in attributes.items() if value not in (None, ())},  # type: ignore[misc]
            kind=kind,
            status=_ERROR if is_failed else _OK,
            start_time=times[0],
            end_time=times[1],
            instrumentation_scope=_SCOPE,
        )


def _operation_name(event: OperationServed) -> str:
    """Return the name of a span: the kind, as names of operations are any number."""
    return event.type or "GraphQL Operation"


def _failed(event: OperationServed) -> bool:
    return event.outcome == "error"
