"""``gateway.telemetry.event_counters``: every event is in a metric, under labels whose number is bounded."""

from __future__ import annotations

from typing import get_args

import pytest

from gateway.events import (
    Address,
    CostRefused,
    CostSettled,
    ErrorRaised,
    Event,
    MetadataReloaded,
    OperationServed,
    RequestRefused,
    RequestRetried,
    RequestSent,
    StorePolled,
    TokenAcquired,
)
from gateway.events.documents import DocumentsChecked
from gateway.events.environments import EnvironmentFailed, SignInRefused, WebhookSent
from gateway.events.exports import ExportServed
from gateway.events.files import FileServed
from gateway.events.jobs import JobEnded
from gateway.events.life_cycle import WorkerReplaced
from gateway.events.metadata import MetadataDrifted
from gateway.events.replicas import SharedStateLost
from gateway.events.streams import SubscriptionEnded, SubscriptionPolled
from gateway.telemetry import catalog
from gateway.telemetry.event_counters import BY_NAME, COUNTED, EventCounters
from gateway.telemetry.exposition import render
from gateway.telemetry.measurements import Measurements
from tests.unit.gateway.test_events import LEVELS


def sent(**changes: object) -> RequestSent:
    facts = {
        "method": "GET",
        "url": Address("x"),
        "status": 200,
        "seconds": 0.2,
        "size": 10,
        "attempt": 1,
        "target": "CustomersV3",
        "dialect": "finops",
        "waited": 0.03,
    }
    return RequestSent(**{**facts, **changes})  # type: ignore[arg-type]


def served(**changes: object) -> OperationServed:
    facts = {
        "name": None,
        "seconds": 0.5,
        "requests": 2,
        "rows": 7,
        "errors": 0,
        "type": "query",
        "own": 0.1,
    }
    return OperationServed(**{**facts, **changes})  # type: ignore[arg-type]


def lines(*events: Event, environment: str = "", most: int = 500) -> str:
    measurements = Measurements(most)
    counters = EventCounters(measurements, lambda: environment)
    for event in events:
        counters.observe(event)
    return render(measurements, of_process=False)


FAILED = served(errors=2, outcome="error", codes=("UPSTREAM_TIMEOUT", "BAD_ARGUMENT"), upstream=0.4)
ROWS: list[tuple[Event, list[str]]] = [
    (
        sent(),
        [
            'http_client_request_duration_seconds_bucket{dialect="finops",entity_set="CustomersV3",environment="default",http_request_method="GET",',
            'd365_gateway_upstream_queue_wait_seconds_sum{environment="default"} 0.03',
            'd365_gateway_upstream_response_bytes_total{environment="default"} 10.0',
            'd365_gateway_upstream_throttled_total{environment="default"} 0.0',
        ],
    ),
    (
        sent(status=429, target=""),
        ['entity_set="other"', 'd365_gateway_upstream_throttled_total{environment="default"} 1.0'],
    ),
    (
        served(upstream=0.4, size=900),
        [
            'graphql_operation_name="anonymous",graphql_operation_type="query",outcome="ok"} 0.5',
            'd365_gateway_overhead_seconds_bucket{environment="default",graphql_operation_type="query",le="0.1"} 1.0',
            'd365_gateway_operation_rows_sum{environment="default"} 7.0',
            'd365_gateway_operation_upstream_requests_total{environment="default"} 2.0',
            'graphql_server_response_size_bytes_sum{environment="default"} 900.0',
        ],
    ),
    (
        FAILED,
        [
            'outcome="error"} 1.0',
            'graphql_server_errors_total{code="UPSTREAM_TIMEOUT",environment="default"} 1.0',
            'graphql_server_errors_total{code="BAD_ARGUMENT",environment="default"} 1.0',
        ],
    ),
    # A client's mistake is no failure of the service.
    (
        served(errors=1, outcome="client_error", codes=("BAD_ARGUMENT",), type=None),
        ['outcome="client_error"} 1.0', 'graphql_operation_type="unknown"'],
    ),
    (served(errors=1, outcome="partial", codes=("UPSTREAM_TIMEOUT",)), ['outcome="partial"} 1.0']),
    (
        served(errors=1, outcome="client_error", codes=("FORBIDDEN",)),
        ['d365_gateway_policy_refusals_total{environment="default"} 1.0'],
    ),
    (
        served(reused=3, age=12.0),
        [
            'd365_gateway_reused_reads_total{environment="default"} 3.0',
            'd365_gateway_cache_age_seconds_sum{environment="default"} 12.0',
        ],
    ),
    (
        served(document="a3f8", name="Orders"),
        ['graphql_operation_name="Orders"'],
    ),
    (served(document="a3f8"), ['graphql_operation_name="a3f8"']),
    # The name that a client sends is no name of a document.
    (served(name="Mine"), ['graphql_operation_name="anonymous"']),
    (served(name="Mine", document="a3f8", type=None), ['graphql_operation_name="anonymous"']),
    (
        CostSettled(estimated_requests=1, requests=1, estimated_points=4.0, points=2.5),
        [
            'd365_gateway_cost_estimated_points_sum{environment="default"} 4.0',
            'd365_gateway_cost_actual_points_sum{environment="default"} 2.5',
        ],
    ),
    (
        CostRefused(code="RATE_LIMITED", points=9.0),
        ['d365_gateway_cost_refused_total{code="RATE_LIMITED"} 1.0'],
    ),
    (
        RequestRetried(url="x", reason="429", wait=7.0, attempt=1),
        [
            'd365_gateway_upstream_retries_total{environment="default",reason="429"} 1.0',
            'd365_gateway_upstream_retry_wait_seconds_total{environment="default"} 7.0',
        ],
    ),
    (
        RequestRefused(status=403, code="FORBIDDEN", message="no"),
        [
            'd365_gateway_refused_requests_total{code="FORBIDDEN",http_response_status_code="403"} 1.0',
            'd365_gateway_policy_refusals_total{environment="default"} 1.0',
        ],
    ),
    (
        ErrorRaised(code="INTERNAL_ERROR", error_id="1", message="m", detail=None),
        ['d365_gateway_errors_raised_total{code="INTERNAL_ERROR",environment="default"} 1.0'],
    ),
    (
        TokenAcquired(expires_in=60.0),
        ['d365_gateway_tokens_acquired_total{environment="default",kind="application"} 1.0'],
    ),
    (
        SignInRefused(reason="expired", hint=None),
        ['d365_gateway_sign_ins_refused_total{environment="default"} 1.0'],
    ),
    (
        MetadataReloaded(reason="poll", metadata="ab", changed=False, seconds=0.1),
        [
            'd365_gateway_metadata_loads_total{environment="default",outcome="unchanged"} 1.0',
            "d365_gateway_metadata_confirmed_timestamp_seconds",
        ],
    ),
    (
        MetadataDrifted(breaking=2, dangerous=1, safe=30, operations=1),
        [
            'd365_gateway_metadata_drift_total{environment="default",severity="breaking"} 2.0',
            'd365_gateway_metadata_broken_operations_total{environment="default"} 1.0',
        ],
    ),
    (
        EnvironmentFailed(
            environment="acme", code="C", message="away", reason="r", hint=None, retry_after=5.0
        ),
        ['d365_gateway_environment_changes_total{environment="acme",outcome="failed"} 1.0'],
    ),
    (
        DocumentsChecked(environment=None, documents=9, broken=1, ready=8, seconds=0.1),
        ['d365_gateway_documents{state="broken"} 1.0', 'd365_gateway_documents{state="ready"} 8.0'],
    ),
    (
        SubscriptionPolled(set="s", seconds=0.1, requests=1, rows=2, changes=2),
        ['d365_gateway_subscription_changes_total{environment="default"} 2.0'],
    ),
    (
        SubscriptionEnded(seconds=1.0, changes=2, reason="upstream away, in words"),
        ['d365_gateway_subscriptions_ended_total{environment="default",reason="error"} 1.0'],
    ),
    (
        JobEnded(job="1", kind="export", state="SUCCEEDED", rows=5, seconds=20.0),
        ['d365_gateway_jobs_ended_total{kind="export",state="SUCCEEDED"} 1.0'],
    ),
    (
        ExportServed(set="s", format="csv", rows=9, size=99, seconds=0.1),
        ['d365_gateway_transferred_rows_total{direction="export"} 9.0'],
    ),
    (
        FileServed(set="s", field="f", direction="upload", size=9, seconds=0.1),
        [
            'd365_gateway_transfer_duration_seconds_count{code="ok",direction="upload",format="file"} 1.0'
        ],
    ),
    (
        WebhookSent(id="m", type="environment.linked", attempts=1),
        ['d365_gateway_webhooks_total{outcome="sent"} 1.0'],
    ),
    (
        WorkerReplaced(pid=7, reason="signal 9"),
        ['d365_gateway_workers_replaced_total{reason="signal 9"} 1.0'],
    ),
    (
        SharedStateLost(reason="TimeoutError"),
        ["d365_gateway_shared_state_up 0.0"],
    ),
    (
        StorePolled(reason="away"),
        ['d365_gateway_events_total{event="store_polled"} 1.0'],
    ),
]


@pytest.mark.parametrize(("event", "expected"), ROWS, ids=lambda x: type(x).__name__)
def test_an_event_is_counted(event: Event, expected: list[str]) -> None:
    text = lines(event)

    assert [line for line in expected if line not in text] == []


def test_every_event_is_in_a_metric() -> None:
    """One with nothing of its own is counted by its name; ``BY_NAME`` lists these, so that each is a decision."""
    kinds = {kind.__name__ for kind in get_args(Event)}
    counters = EventCounters(Measurements(), lambda: "")
    own = {kind.__name__ for kind in counters._handlers}

    assert kinds == own | COUNTED.keys() | BY_NAME
    assert not own & (COUNTED.keys() | BY_NAME)
    assert not COUNTED.keys() & BY_NAME


FROM_STATE = {
    *(catalog.UPSTREAM_LIMIT, catalog.UPSTREAM_ACTIVE, catalog.UPSTREAM_WAITING),
    *(catalog.UPSTREAM_PAUSE, catalog.ENTITY_SETS, catalog.TYPES, catalog.WATCHES),
    *(catalog.CONNECTIONS, catalog.CACHED_ANSWERS, catalog.CACHED_BYTES, catalog.ENVIRONMENTS),
    *(catalog.WEBHOOK_RECEIVERS, catalog.DEAD_LETTERS),
    *(catalog.JOBS_HELD, catalog.INFO, catalog.RUNNING, catalog.WAITING_BYTES),
    *(catalog.LOOP_LAG, catalog.WORKERS, catalog.WORKER_UP, catalog.MEMORY_LIMIT),
}
"""Metrics that no event has: see ``test_measured_gateway`` and ``test_admin_metrics``."""


def test_every_other_metric_is_of_events() -> None:
    """So that none is in the documentation, and in no answer."""
    text = lines(*(event for event, _ in LEVELS), *(event for event, _ in ROWS))

    missing = {m.name for m in catalog.METRICS if f"# TYPE {m.name} " not in text}
    assert missing == {metric.name for metric in FROM_STATE}


def test_values_are_those_of_an_environment() -> None:
    text = lines(sent(), environment="acme")

    assert 'environment="acme"' in text
    assert "default" not in text


def test_names_are_bounded() -> None:
    documents = [served(document=f"d{number}", name=f"Op{number}") for number in range(50)]
    text = lines(*documents, most=10)

    counts = [
        line
        for line in text.splitlines()
        if line.startswith("graphql_server_operation_duration_seconds_count")
    ]
    assert len(counts) == 11
    assert (
        'graphql_operation_name="other",graphql_operation_type="query",outcome="ok"} 40.0' in text
    )


def test_environments_are_bounded() -> None:
    measurements = Measurements(10)
    name = ""
    counters = EventCounters(measurements, lambda: name)
    for number in range(40):
        name = f"e{number}"
        counters.observe(served(document=name, name=name))

    times = dict(measurements.of(catalog.OPERATION_SECONDS).distributions())
    # The first ten; ten more that keep their environment, but not the name; all others.
    assert len(times) == 21
    assert sum(times["query", "other", "ok", "other"].counts) == 20


def test_a_removed_environment_leaves_nothing() -> None:
    measurements = Measurements()
    counters = EventCounters(measurements, lambda: "acme")
    counters.observe(served())
    counters.observe(sent())
    counters.drop("acme")

    assert render(measurements, of_process=False) == ""
    counters.observe(served())
    assert 'environment="acme"' in render(measurements, of_process=False)
