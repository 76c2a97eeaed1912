"""Turns events into metrics: the sink of the event stream that ``/metrics`` shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.config.environment_models import OWN
from gateway.errors import Forbidden, UpstreamForbidden
from gateway.events import (
    AuditFailed,
    CallerRefused,
    CallerTokenAcquired,
    ConnectionCut,
    CostRefused,
    CostSettled,
    ErrorRaised,
    Event,
    FastPathFailed,
    MetadataReloaded,
    OperationServed,
    RequestRefused,
    RequestRetried,
    RequestSent,
    SchemaBuilt,
    TokenAcquired,
    log_name,
)
from gateway.events.admission import LimitLowered
from gateway.events.documents import DocumentsChecked, DocumentsLoaded
from gateway.events.environments import EnvironmentClosed, EnvironmentFailed, EnvironmentOpened
from gateway.events.exports import ExportServed
from gateway.events.files import FileServed
from gateway.events.hooks import HookReported
from gateway.events.imports import ImportServed
from gateway.events.jobs import JobDelayed, JobEnded
from gateway.events.life_cycle import WorkerReplaced
from gateway.events.metadata import MetadataDrifted
from gateway.events.replicas import SharedStateFound, SharedStateLost
from gateway.events.requests import RequestServed
from gateway.events.streams import SocketClosed, SubscriptionEnded, SubscriptionPolled

from . import catalog as m
from .measurements import MOST, Measurements
from .metric import OTHER, Distribution, Metric, Value

ANONYMOUS = "anonymous"
"""Name of operations that no trusted document holds."""
_LONGEST_NAME = 64
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"})
_DENIED = frozenset({Forbidden.code, UpstreamForbidden.code})
COUNTED: Mapping[str, tuple[Metric, tuple[str, ...]]] = {
    "ClientLeft": (m.CLIENTS_LEFT, ()),
    "MetadataLoaded": (m.METADATA_LOADS, ("loaded", "")),
    "MetadataStale": (m.METADATA_LOADS, ("stale", "")),
    "ReloadFailed": (m.METADATA_LOADS, ("failed", "")),
    "DocumentsRefused": (m.DOCUMENT_LOADS, ("refused",)),
    "SignInRefused": (m.SIGN_INS_REFUSED, ("",)),
    "WatchFailed": (m.WATCH_FAILURES, ("",)),
    "WebhookSent": (m.WEBHOOKS, ("sent",)),
    "WebhookFailed": (m.WEBHOOKS, ("failed",)),
    "WebhookAbandoned": (m.WEBHOOKS, ("abandoned",)),
    "WebhookPaused": (m.WEBHOOKS, ("paused",)),
}
"""Events that are one more of something: their class → the metric and its labels; the environment is an empty one."""
BY_NAME = frozenset(
    {
        *("PackageDownloaded", "ClockJumped"),
        *("CacheUnusable", "CategoriesStale", "CompaniesLimited", "DocumentBroken"),
        *("IdempotencyKeyStuck", "KeysLoaded", "KeysUnavailable", "LabelsUnavailable"),
        *("ModelRead", "ProfileOpened", "RoleViewOpened"),
        *(
            "OperationSlow",
            *("BreakerClosed", "BreakerOpened", "LoopBehind", "LoopCaughtUp"),
            "SettingsNotReloaded",
            "SettingsReloaded",
            "SettingsRetired",
            "Started",
            "StatusNotWritten",
            "StoreFailed",
            "StorePolled",
            "Stopped",
            "Stopping",
            "TypesNotRenewed",
        ),
        "TypesRenewed",
    }
)
"""Events that are rare, and say more in the log than a number can: counted by name."""


def begin_at_zero(measurements: Measurements, metric: Metric) -> None:
    """Show a counter before its first event, so that the first one is an increase for Prometheus."""
    for counted, labels in COUNTED.values():
        if counted is metric:
            measurements.of(metric).value(*labels)


class EventCounters:
    """Counts events. Call it in the thread of the event loop; see ``metric``."""

    def __init__(self, measurements: Measurements, environment: Callable[[], str]) -> None:
        """``environment`` returns the name of the environment that the current task works for."""
        self._all = measurements
        self._environment = environment
        self._environments: dict[str, _Environment] = {}
        self._requests: dict[tuple[str, str, int], Distribution] = {}
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            RequestSent: self._sent,
            OperationServed: self._served,
            RequestServed: self._answered,
            CostSettled: self._settled,
            **self._handlers_of_requests(),
            **self._handlers_of_the_rest(),
        }

    def observe(self, event: Event) -> None:
        """Count an event."""
        self.observer_of(type(event))(event)

    def observer_of(self, kind: type[Any]) -> Callable[[Any], None]:
        """Return what counts the events of a kind."""
        handle = self._handlers.get(kind)
        if handle is None:
            handle = self._handlers[kind] = self._counter_of(kind.__name__)
        return handle

    def drop(self, environment: str) -> None:
        """Forget an environment that was removed."""
        self._environments.pop(environment, None)
        self._all.drop_environment(environment)

    def _handlers_of_requests(self) -> dict[type[Any], Callable[[Any], None]]:
        return {
            RequestRetried: self._retried,
            RequestRefused: self._refused,
            ErrorRaised: self._raised,
            CallerRefused: lambda e: self._add(m.CALLERS_REFUSED, e.reason),
            ConnectionCut: lambda e: self._add(m.CONNECTIONS_CUT, e.reason),
            CostRefused: lambda e: self._add(m.COST_REFUSED, e.code),
            FastPathFailed: lambda e: self._add(m.FAST_PATH_FAILURES, e.stage, e.reason),
            LimitLowered: lambda e: self._add(m.LIMIT_LOWERED, e.lane, self._name()),
            TokenAcquired: self._signed_in,
            CallerTokenAcquired: lambda _: self._add(m.TOKENS, "caller", self._name()),
        }

    def _handlers_of_the_rest(self) -> dict[type[Any], Callable[[Any], None]]:
        changes = m.ENVIRONMENT_CHANGES
        return {
            MetadataReloaded: self._reloaded,
            MetadataDrifted: self._drifted,
            SchemaBuilt: self._built,
            EnvironmentOpened: lambda e: self._add(changes, "opened", e.environment),
            EnvironmentClosed: lambda e: self._add(changes, "closed", e.environment),
            EnvironmentFailed: lambda e: self._add(changes, "failed", e.environment),
            DocumentsLoaded: self._documents_loaded,
            DocumentsChecked: self._documents_checked,
            SubscriptionEnded: self._subscription_ended,
            SubscriptionPolled: self._polled,
            SocketClosed: lambda e: self._add(m.SOCKETS_CLOSED, str(e.code)),
            JobEnded: self._job_ended,
            JobDelayed: lambda e: self._add(m.JOBS_DELAYED, e.kind, e.error),
            ExportServed: self._exported,
            FileServed: self._file_served,
            ImportServed: self._imported,
            HookReported: lambda e: self._add(m.REPORTS, e.environment),
            SharedStateLost: lambda _: self._all.set(m.SHARED_STATE, 0),
            SharedStateFound: lambda _: self._all.set(m.SHARED_STATE, 1),
            WorkerReplaced: lambda e: self._add(m.WORKERS_REPLACED, e.reason),
            AuditFailed: lambda e: self._all.of(m.AUDIT_LOST).value().add(e.lost),
        }

    def _counter_of(self, kind: str) -> Callable[[Any], None]:
        """Return what counts the events of a class that has no handler of its own."""
        counted = COUNTED.get(kind)
        if counted is None:
            return lambda _: self._add(m.INCIDENTS, log_name(kind))
        metric, labels = counted
        if "environment" in metric.labels:
            return lambda _: self._add(metric, *labels[:-1], self._name())
        return lambda _: self._add(metric, *labels)

    def _add(self, metric: Metric, *labels: str) -> None:
        self._all.of(metric).value(*labels).add()

    def _name(self) -> str:
        return self._environment() or OWN

    def _current(self) -> _Environment:
        name = self._environment() or OWN
        environment = self._environments.get(name)
        if environment is None:
            environment = self._environments[name] = _Environment(self._all, name)
        return environment

    # What happens in every operation

    def _sent(self, event: RequestSent) -> None:
        self._current().sent(event)

    def _served(self, event: OperationServed) -> None:
        self._current().served(event)

    def _answered(self, event: RequestServed) -> None:
        if event.is_stream:
            return
        key = (event.method, event.route, event.status)
        times = self._requests.get(key)
        if times is None:
            family = self._all.of(m.HTTP_SECONDS)
            times = family.distribution(_method(event.method), event.route, str(event.status))
            if len(self._requests) < MOST:
                self._requests[key] = times
        times.add(event.seconds)

    def _settled(self, event: CostSettled) -> None:
        environment = self._current()
        environment.estimated.add(event.estimated_points)
        environment.actual.add(event.points)

    # What is rarer

    def _retried(self, event: RequestRetried) -> None:
        name = self._name()
        self._add(m.RETRIES, event.reason, name)
        self._all.of(m.RETRY_WAIT).value(name).add(event.wait)

    def _refused(self, event: RequestRefused) -> None:
        self._add(m.REFUSED_REQUESTS, str(event.status), event.code)
        if event.code in _DENIED:
            self._add(m.POLICY_REFUSALS, self._name())

    def _raised(self, event: ErrorRaised) -> None:
        self._add(m.ERRORS_RAISED, event.code, self._name())

    def _signed_in(self, event: TokenAcquired) -> None:
        name = self._name()
        self._add(m.TOKENS, "application", name)
        self._all.of(m.TOKEN_EXPIRES).value(name).value = time.time() + event.expires_in

    def _reloaded(self, event: MetadataReloaded) -> None:
        name = self._name()
        self._add(m.METADATA_LOADS, "changed" if event.changed else "unchanged", name)
        self._all.set(m.METADATA_CONFIRMED, time.time(), name)

    def _drifted(self, event: MetadataDrifted) -> None:
        name, drift = self._name(), self._all.of(m.METADATA_DRIFT)
        drift.value("breaking", name).add(event.breaking)
        drift.value("dangerous", name).add(event.dangerous)
        drift.value("safe", name).add(event.safe)
        self._all.of(m.BROKEN_OPERATIONS).value(name).add(event.operations)

    def _built(self, event: SchemaBuilt) -> None:
        name = self._name()
        self._all.of(m.SCHEMA_SECONDS).value(name).value = event.seconds
        self._all.of(m.SCHEMA_FINDINGS).value(name).value = len(event.findings)

    def _documents_loaded(self, event: DocumentsLoaded) -> None:
        self._add(m.DOCUMENT_LOADS, "loaded")
        self._all.of(m.DOCUMENTS).value("served").value = event.documents

    def _documents_checked(self, event: DocumentsChecked) -> None:
        documents = self._all.of(m.DOCUMENTS)
        documents.value("broken").value = event.broken
        documents.value("ready").value = event.ready

    def _subscription_ended(self, event: SubscriptionEnded) -> None:
        outcome = "client" if event.reason is None else "error"
        self._add(m.SUBSCRIPTIONS_ENDED, outcome, self._name())

    def _polled(self, event: SubscriptionPolled) -> None:
        name = self._name()
        self._all.of(m.POLLS).distribution(name).add(event.seconds)
        self._all.of(m.CHANGES).value(name).add(event.changes)

    def _job_ended(self, event: JobEnded) -> None:
        self._add(m.JOBS_ENDED, event.kind, event.state)
        self._all.of(m.JOB_SECONDS).distribution(event.kind).add(event.seconds)

    def _exported(self, event: ExportServed) -> None:
        self._transferred("export", event)

    def _imported(self, event: ImportServed) -> None:
        self._transferred("import", event)

    def _file_served(self, event: FileServed) -> None:
        times = self._all.of(m.TRANSFERS)
        times.distribution(event.direction, "file", event.error or "ok").add(event.seconds)

    def _transferred(self, direction: str, event: ExportServed | ImportServed) -> None:
        times = self._all.of(m.TRANSFERS)
        times.distribution(direction, event.format, event.error or "ok").add(event.seconds)
        self._all.of(m.TRANSFERRED_ROWS).value(direction).add(event.rows)


class _Environment:
    """The cells of one environment that every operation changes."""

    def __init__(self, measurements: Measurements, name: str) -> None:
        of = measurements.of
        self.estimated = of(m.COST_ESTIMATED).distribution(name)
        self.actual = of(m.COST_ACTUAL).distribution(name)
        self._name = name
        self._all = measurements
        self._rows = of(m.OPERATION_ROWS).distribution(name)
        self._requests = of(m.OPERATION_REQUESTS).value(name)
        self._size = of(m.ANSWER_SIZE).distribution(name)
        self._reused = of(m.REUSED_READS).value(name)
        self._queue = of(m.QUEUE_WAIT).distribution(name)
        self._bytes = of(m.UPSTREAM_BYTES).value(name)
        self._throttled = of(m.THROTTLED).value(name)
        self._operations: dict[tuple[str, str, str], Distribution] = {}
        self._overheads: dict[str, Distribution] = {}
        self._attempts: dict[tuple[str, str, int], Distribution] = {}
        self._errors: dict[str, Value] = {}

    def served(self, event: OperationServed) -> None:
        """Count an operation that was answered."""
        kind = event.type or "unknown"
        key = (kind, _operation_name(event), event.outcome)
        times = self._operations.get(key)
        if times is None:
            times = self._all.of(m.OPERATION_SECONDS).distribution(*key, self._name)
            self._operations[key] = times
        times.add(event.seconds)
        overhead = self._overheads.get(kind)
        if overhead is None:
            overhead = self._overheads[kind] = self._all.of(m.OVERHEAD).distribution(
                kind, self._name
            )
        overhead.add(event.own)
        self._rows.add(event.rows)
        self._requests.value += event.requests
        self._size.add(event.size)
        if event.reused:
            self._reused.value += event.reused
        if event.age is not None:
            self._all.of(m.CACHE_AGE).distribution(self._name).add(event.age)
        for code in event.codes:
            self._failed(code)

    def _failed(self, code: str) -> None:
        errors = self._errors.get(code)
        if errors is None:
            errors = self._errors[code] = self._all.of(m.OPERATION_ERRORS).value(code, self._name)
        errors.value += 1
        if code in _DENIED:
            self._all.of(m.POLICY_REFUSALS).value(self._name).add()

    def sent(self, event: RequestSent) -> None:
        """Count an attempt at a request."""
        key = (event.target, event.method, event.status)
        times = self._attempts.get(key)
        if times is None:
            times = self._attempts[key] = self._all.of(m.UPSTREAM_SECONDS).distribution(
                event.method,
                str(event.status),
                event.target or OTHER,
                event.dialect,
                self._name,
            )
        times.add(event.seconds)
        self._queue.add(event.waited)
        self._bytes.value += event.size
        if event.status == 429:
            self._throttled.value += 1


def _method(method: str) -> str:
    """Return a method; any that clients make up is one (OpenTelemetry says so, too)."""
    return method if method in METHODS else "_OTHER"


def _operation_name(event: OperationServed) -> str:
    # The name in a request is the client's; that of a document that was read is the document's.
    if event.document is None or event.type is None:
        return ANONYMOUS
    return (event.name or event.document)[:_LONGEST_NAME]
