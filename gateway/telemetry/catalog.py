"""The metrics: every name, its labels and what it says.

Names follow OpenTelemetry's semantic conventions in the spelling of Prometheus where there is one for the thing
(``http.client.request.duration`` → ``http_client_request_duration_seconds``), and Hive Router's catalogue for GraphQL.
What is the gateway's own begins with ``d365_gateway_``.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/ · https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from .metric import Metric

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds for what waits for an environment."""
OWN_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Bounds for what the gateway does itself."""
LONG_SECONDS = (0.1, 1.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0, 43_200.0)
ROWS = (0.0, 1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
BYTES = (256.0, 1_024.0, 8_192.0, 65_536.0, 524_288.0, 4_194_304.0, 33_554_432.0)
POINTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 10_000.0)
_OPERATION = ("graphql_operation_type", "graphql_operation_name", "outcome", "environment")


def _histogram(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Metric:
    return Metric(name=name, kind="histogram", help=text, labels=labels, bounds=bounds)


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name=name, kind="counter", help=text, labels=labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name=name, kind="gauge", help=text, labels=labels)


# Operations
OPERATION_SECONDS = _histogram(
    "graphql_server_operation_duration_seconds",
    "Time of operations, from the request to the answer's JSON. Names are those of trusted documents; all other"
    " operations are anonymous.",
    SECONDS,
    *_OPERATION,
)
OVERHEAD = _histogram(
    "d365_gateway_overhead_seconds",
    "The gateway's own time of operations: without the time in which they wait for the environment.",
    OWN_SECONDS,
    "graphql_operation_type",
    "environment",
)
OPERATION_ERRORS = _counter(
    "graphql_server_errors_total",
    "Operations whose answer has an error with this code.",
    "code",
    "environment",
)
ANSWER_SIZE = _histogram(
    "graphql_server_response_size_bytes",
    "Bytes of answers to operations, before they are compressed.",
    BYTES,
    "environment",
)
OPERATION_ROWS = _histogram(
    "d365_gateway_operation_rows", "Rows that operations read.", ROWS, "environment"
)
OPERATION_REQUESTS = _counter(
    "d365_gateway_operation_upstream_requests_total",
    "Requests that operations sent to the environment.",
    "environment",
)
REUSED_READS = _counter(
    "d365_gateway_reused_reads_total",
    "Reads for which nothing was sent: their answers were cached, or on their way for other operations.",
    "environment",
)
CACHE_AGE = _histogram(
    "d365_gateway_cache_age_seconds",
    "Age of the oldest cached answer that an operation uses.",
    (1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0),
    "environment",
)
REFUSED_REQUESTS = _counter(
    "d365_gateway_refused_requests_total",
    "HTTP requests that were refused before they became operations.",
    "http_response_status_code",
    "code",
)
ERRORS_RAISED = _counter(
    "d365_gateway_errors_raised_total",
    "Errors that were sent to clients with an errorId, which is in the log.",
    "code",
    "environment",
)
POLICY_REFUSALS = _counter(
    "d365_gateway_policy_refusals_total",
    "Operations and requests that were refused for what their callers may do, by roles or company_limit.",
    "environment",
)
CALLERS_REFUSED = _counter(
    "d365_gateway_callers_refused_total", "Requests whose credentials were refused.", "reason"
)
CLIENTS_LEFT = _counter(
    "d365_gateway_client_disconnects_total", "Clients that disconnected before their answer."
)
HTTP_SECONDS = _histogram(
    "http_server_request_duration_seconds",
    "Time of HTTP requests of clients, to the end of the answer; not of event streams and health checks.",
    SECONDS,
    "http_request_method",
    "http_route",
    "http_response_status_code",
)
CONNECTIONS_CUT = _counter(
    "d365_gateway_connections_cut_total", "Connections that were refused or closed.", "reason"
)
FAST_PATH_FAILURES = _counter(
    "d365_gateway_fast_path_failures_total",
    "Answers that the compiled completion could not make, so that they took longer.",
    "stage",
    "reason",
)
COST_ESTIMATED = _histogram(
    "d365_gateway_cost_estimated_points",
    "What operations were estimated to cost the environment.",
    POINTS,
    "environment",
)
COST_ACTUAL = _histogram(
    "d365_gateway_cost_actual_points",
    "What operations really cost the environment.",
    POINTS,
    "environment",
)
COST_REFUSED = _counter(
    "d365_gateway_cost_refused_total", "Operations that were refused for their cost.", "code"
)

# The environment
UPSTREAM_SECONDS = _histogram(
    "http_client_request_duration_seconds",
    "Time of each attempt at a request to the environment. Status 0: no answer came.",
    SECONDS,
    "http_request_method",
    "http_response_status_code",
    "entity_set",
    "dialect",
    "environment",
)
UPSTREAM_BYTES = _counter(
    "d365_gateway_upstream_response_bytes_total",
    "Bytes of the environment's answers, decompressed.",
    "environment",
)
QUEUE_WAIT = _histogram(
    "d365_gateway_upstream_queue_wait_seconds",
    "Time for which requests to the environment waited for their turn.",
    (0.001, *SECONDS),
    "environment",
)
THROTTLED = _counter(
    "d365_gateway_upstream_throttled_total",
    "Requests that the environment refused with status 429.",
    "environment",
)
RETRIES = _counter(
    "d365_gateway_upstream_retries_total",
    "Requests that are sent again, by the status or error before.",
    "reason",
    "environment",
)
RETRY_WAIT = _counter(
    "d365_gateway_upstream_retry_wait_seconds_total",
    "Time between attempts, which Retry-After decides if the environment sends it.",
    "environment",
)
LIMIT_LOWERED = _counter(
    "d365_gateway_upstream_limit_lowered_total",
    "Times that the environment's refusal lowered the number of requests at a time.",
    "lane",
    "environment",
)
UPSTREAM_LIMIT = _gauge(
    "d365_gateway_upstream_limit",
    "Requests that may be under way to the environment. credentials: own, or the lane that has some.",
    "credentials",
    "environment",
)
UPSTREAM_ACTIVE = _gauge(
    "d365_gateway_upstream_active_requests",
    "Requests that are under way to the environment.",
    "credentials",
    "environment",
)
UPSTREAM_WAITING = _gauge(
    "d365_gateway_upstream_waiting_requests",
    "Requests that wait for their turn.",
    "credentials",
    "environment",
)
UPSTREAM_PAUSE = _gauge(
    "d365_gateway_upstream_pause_seconds",
    "Time for which nothing more is sent, because the environment asked for that, or answers nobody.",
    "credentials",
    "environment",
)
TOKENS = _counter(
    "d365_gateway_tokens_acquired_total",
    "Tokens that the login host issued, for the gateway itself or on behalf of callers.",
    "kind",
    "environment",
)
TOKEN_EXPIRES = _gauge(
    "d365_gateway_token_expires_timestamp_seconds",
    "When the gateway's newest token expires, in seconds since the epoch.",
    "environment",
)
SIGN_INS_REFUSED = _counter(
    "d365_gateway_sign_ins_refused_total",
    "Times that the login host refused the gateway's credentials.",
    "environment",
)

# Metadata and environments
METADATA_CONFIRMED = _gauge(
    "d365_gateway_metadata_confirmed_timestamp_seconds",
    "When the metadata that are served were fetched, or last found unchanged, in seconds since the epoch.",
    "environment",
)
METADATA_LOADS = _counter(
    "d365_gateway_metadata_loads_total",
    "Looks for metadata: loaded, stale (the cached copy is served), changed, unchanged, failed.",
    "outcome",
    "environment",
)
METADATA_DRIFT = _counter(
    "d365_gateway_metadata_drift_total",
    "Changes of the API that new metadata made, by what they mean for clients.",
    "severity",
    "environment",
)
BROKEN_OPERATIONS = _counter(
    "d365_gateway_metadata_broken_operations_total",
    "Trusted documents that new metadata broke.",
    "environment",
)
SCHEMA_SECONDS = _gauge(
    "d365_gateway_schema_build_seconds", "How long the latest schema took to build.", "environment"
)
SCHEMA_FINDINGS = _gauge(
    "d365_gateway_schema_findings",
    "What the latest schema leaves out or corrects of the metadata.",
    "environment",
)
ENTITY_SETS = _gauge("d365_gateway_entity_sets", "Entity sets that are served.", "environment")
TYPES = _gauge("d365_gateway_schema_types", "GraphQL types in memory.", "environment")
CACHED_ANSWERS = _gauge("d365_gateway_cached_answers", "Answers of environments in the cache.")
CACHED_BYTES = _gauge("d365_gateway_cached_bytes", "Bytes of the answers in the cache.")
ENVIRONMENTS = _gauge(
    "d365_gateway_environments", "Environments besides that of the settings, by state.", "state"
)
ENVIRONMENT_CHANGES = _counter(
    "d365_gateway_environment_changes_total",
    "Environments that were opened, closed, or could not be opened.",
    "outcome",
    "environment",
)

# Documents, streams, jobs
DOCUMENTS = _gauge(
    "d365_gateway_documents", "Trusted documents: served, broken, ready (compiled).", "state"
)
DOCUMENT_LOADS = _counter(
    "d365_gateway_document_loads_total", "Manifests that were loaded or refused.", "outcome"
)
SUBSCRIPTIONS_ENDED = _counter(
    "d365_gateway_subscriptions_ended_total",
    "Subscriptions that ended: by their client (client), or with this code.",
    "reason",
    "environment",
)
WATCHES = _gauge(
    "d365_gateway_subscription_watches",
    "Entity sets that are polled for subscribers, once for all of the same.",
    "environment",
)
CONNECTIONS = _gauge(
    "d365_gateway_stream_connections", "Open WebSockets and event streams.", "environment"
)
POLLS = _histogram(
    "d365_gateway_subscription_poll_seconds",
    "Time of polls for changed rows.",
    SECONDS,
    "environment",
)
CHANGES = _counter(
    "d365_gateway_subscription_changes_total", "Changed rows that polls found.", "environment"
)
WATCH_FAILURES = _counter(
    "d365_gateway_subscription_poll_failures_total",
    "Polls for changed rows that failed.",
    "environment",
)
SOCKETS_CLOSED = _counter(
    "d365_gateway_websockets_closed_total", "WebSockets that the gateway closed, by code.", "code"
)
JOBS_ENDED = _counter(
    "d365_gateway_jobs_ended_total", "Jobs that ended, by their last state.", "kind", "state"
)
JOB_SECONDS = _histogram(
    "d365_gateway_job_duration_seconds",
    "Time of jobs from start to end, waiting included.",
    LONG_SECONDS,
    "kind",
)
JOBS_DELAYED = _counter(
    "d365_gateway_jobs_delayed_total",
    "Times that a job failed for a reason that may pass, and goes on later.",
    "kind",
    "code",
)
JOBS_HELD = _gauge("d365_gateway_jobs_running", "Jobs that this process runs, or is about to run.")
TRANSFERS = _histogram(
    "d365_gateway_transfer_duration_seconds",
    "Time of exports, imports and files over HTTP. code: ok, or that of the error.",
    LONG_SECONDS,
    "direction",
    "format",
    "code",
)
TRANSFERRED_ROWS = _counter(
    "d365_gateway_transferred_rows_total", "Rows of exports and imports over HTTP.", "direction"
)
REPORTS = _counter(
    "d365_gateway_reports_total",
    "Reports of environments that something happened, such as business events.",
    "environment",
)
WEBHOOKS = _counter(
    "d365_gateway_webhooks_total",
    "Webhooks: sent, failed (sent again later), abandoned; receivers to which no more are sent: paused.",
    "outcome",
)

WEBHOOK_RECEIVERS = _gauge(
    "d365_gateway_webhook_receivers",
    "Webhooks of changes by their state: active, paused, needs_auth. Each process counts those of the deployment.",
    "state",
)
DEAD_LETTERS = _gauge(
    "d365_gateway_webhook_dead_letters",
    "Webhooks that were given up, and can be sent again. Each process counts those of the deployment.",
)

# The process
INCIDENTS = _counter(
    "d365_gateway_events_total",
    "Rare events, by the name that they have in the log.",
    "event",
)
AUDIT_LOST = _counter(
    "d365_gateway_audit_entries_lost_total", "Entries of the audit log that could not be written."
)
SHARED_STATE = _gauge(
    "d365_gateway_shared_state_up", "Whether the Redis of the replicas answers: 1, or 0."
)
INFO = _gauge("d365_gateway_info", "Always 1; its labels say what runs.", "version", "python")
RUNNING = _gauge("d365_gateway_active_operations", "Operations that run.")
WAITING_BYTES = _gauge(
    "d365_gateway_waiting_bytes", "Bytes of answers that clients have not read yet."
)
LOOP_LAG = _histogram(
    "d365_gateway_event_loop_lag_seconds",
    "How much later than planned the event loop runs a timer, measured twice a second.",
    OWN_SECONDS,
)
WORKERS = _gauge(
    "d365_gateway_workers", "Processes that serve, by state: starting, ready, stopping.", "state"
)
WORKERS_REPLACED = _counter(
    "d365_gateway_workers_replaced_total",
    "Processes that ended by themselves, or hung. signal 9: the kernel's, if their container has no more memory.",
    "reason",
)
MEMORY_LIMIT = _gauge(
    "d365_gateway_memory_limit_bytes",
    "Memory that the processes of this container may have together; without a limit, that of the machine.",
)
WORKER_UP = _gauge("d365_gateway_worker_up", "Whether the process has answered this scrape.")

METRICS: tuple[Metric, ...] = tuple(
    sorted(
        (metric for metric in tuple(globals().values()) if isinstance(metric, Metric)),
        key=lambda metric: metric.name,
    )
)
"""All of them, by name."""
