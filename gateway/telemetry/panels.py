"""The panels by which people watch the gateway: what each shows of which metric.

They are shown in two places that must agree: Grafana, whose queries ``promql`` writes (``deploy/grafana``), and the
gateway's own status page, which works on the metrics themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct, field

from . import catalog as m

Kind: TypeAlias = Literal["rate", "quantile", "mean", "ratio", "value", "most", "age"]
Unit: TypeAlias = Literal["perSecond", "seconds", "bytes", "share", "number"]
INTERVAL = "$__rate_interval"
"""Grafana's variable: a time in which there are several scrapes."""
QUANTILES = (0.5, 0.95, 0.99)


class Panel(Struct, frozen=True, kw_only=True):
    """One chart."""

    title: str
    text: str
    """What it tells, in one sentence."""
    kind: Kind
    """rate, quantile, mean: of a counter or histogram; ratio: the share of a rate that ``part`` selects; value, most,
    age: of a gauge, the sum of all processes or the largest one, or since the time that it holds."""
    metric: str
    by: tuple[str, ...] = ()
    """Labels, each of whose values is a line."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Label → regular expression of its values that count."""
    part: Mapping[str, str] = field(default_factory=dict)
    """Likewise, of the part of a ratio."""
    unit: Unit = "perSecond"


class Section(Struct, frozen=True):
    """Panels that belong together."""

    title: str
    panels: tuple[Panel, ...]


_OPERATIONS = f"{m.OPERATION_SECONDS.name}_count"
_SENT = f"{m.UPSTREAM_SECONDS.name}_count"

SECTIONS = (
    Section(
        "Operations",
        (
            Panel(
                title="Operations",
                text="Operations a second, by how they end.",
                kind="rate",
                metric=_OPERATIONS,
                by=("outcome",),
            ),
            Panel(
                title="Failed operations",
                text="Share of the operations in which the gateway or its environment failed.",
                kind="ratio",
                metric=_OPERATIONS,
                part={"outcome": "error"},
                by=("environment",),
                unit="share",
            ),
            Panel(
                title="Time of operations",
                text="Median, 95th and 99th percentile, with the time of the environment.",
                kind="quantile",
                metric=m.OPERATION_SECONDS.name,
                unit="seconds",
            ),
            Panel(
                title="The gateway's own time",
                text="The same without the time in which operations wait for the environment.",
                kind="quantile",
                metric=m.OVERHEAD.name,
                unit="seconds",
            ),
            Panel(
                title="Operations by document",
                text="Operations a second, by trusted document; all others are anonymous.",
                kind="rate",
                metric=_OPERATIONS,
                by=("graphql_operation_name",),
            ),
            Panel(
                title="Errors",
                text="Operations a second whose answers have an error with a code.",
                kind="rate",
                metric=m.OPERATION_ERRORS.name,
                by=("code",),
            ),
            Panel(
                title="Refused requests",
                text="HTTP requests a second that were refused before they became operations.",
                kind="rate",
                metric=m.REFUSED_REQUESTS.name,
                by=("code",),
            ),
            Panel(
                title="Errors with an id",
                text="Errors a second that the log has by their errorId.",
                kind="rate",
                metric=m.ERRORS_RAISED.name,
                by=("code",),
            ),
            Panel(
                title="Cost of operations",
                text="Mean cost in points, as it really was.",
                kind="mean",
                metric=m.COST_ACTUAL.name,
                by=("environment",),
                unit="number",
            ),
        ),
    ),
    Section(
        "Environment",
        (
            Panel(
                title="Requests to the environment",
                text="Attempts a second, by status; 0 is no answer.",
                kind="rate",
                metric=_SENT,
                by=("http_response_status_code",),
            ),
            Panel(
                title="Time of the environment",
                text="Median, 95th and 99th percentile of an attempt.",
                kind="quantile",
                metric=m.UPSTREAM_SECONDS.name,
                unit="seconds",
            ),
            Panel(
                title="Requests by entity set",
                text="Attempts a second, by entity set.",
                kind="rate",
                metric=_SENT,
                by=("entity_set",),
            ),
            Panel(
                title="Wait for a turn",
                text="Median, 95th and 99th percentile of the time for which requests wait to be sent.",
                kind="quantile",
                metric=m.QUEUE_WAIT.name,
                unit="seconds",
            ),
            Panel(
                title="Limit",
                text="Requests that may be under way, by environment.",
                kind="value",
                metric=m.UPSTREAM_LIMIT.name,
                by=("environment",),
                unit="number",
            ),
            Panel(
                title="Waiting requests",
                text="Requests that wait for their turn, by environment.",
                kind="value",
                metric=m.UPSTREAM_WAITING.name,
                by=("environment",),
                unit="number",
            ),
            Panel(
                title="Throttling",
                text="Answers a second with status 429.",
                kind="rate",
                metric=m.THROTTLED.name,
                by=("environment",),
            ),
            Panel(
                title="Reads that sent nothing",
                text="Reads a second that were answered from the cache, or by another operation's request.",
                kind="rate",
                metric=m.REUSED_READS.name,
                by=("environment",),
            ),
        ),
    ),
    Section(
        "Metadata, streams, jobs",
        (
            Panel(
                title="Age of the metadata",
                text="Time since the metadata were fetched, or last found unchanged.",
                kind="age",
                metric=m.METADATA_CONFIRMED.name,
                by=("environment",),
                unit="seconds",
            ),
            Panel(
                title="Looks for metadata",
                text="Loads a second, by what came of them.",
                kind="rate",
                metric=m.METADATA_LOADS.name,
                by=("outcome",),
            ),
            Panel(
                title="GraphQL types in memory",
                text="Types that were made because operations use them.",
                kind="value",
                metric=m.TYPES.name,
                by=("environment",),
                unit="number",
            ),
            Panel(
                title="Streams",
                text="Open WebSockets and event streams.",
                kind="value",
                metric=m.CONNECTIONS.name,
                by=("environment",),
                unit="number",
            ),
            Panel(
                title="Running jobs",
                text="Jobs that run, or are about to run.",
                kind="value",
                metric=m.JOBS_HELD.name,
                unit="number",
            ),
            Panel(
                title="Webhooks",
                text="Webhooks of changes a second, by what became of them.",
                kind="rate",
                metric=m.WEBHOOKS.name,
                by=("outcome",),
            ),
            Panel(
                title="Receivers of webhooks",
                text="Webhooks by their state.",
                kind="most",
                metric=m.WEBHOOK_RECEIVERS.name,
                by=("state",),
                unit="number",
            ),
            Panel(
                title="Dead letters",
                text="Webhooks that were given up, and can be sent again.",
                kind="most",
                metric=m.DEAD_LETTERS.name,
                unit="number",
            ),
        ),
    ),
    Section(
        "Processes",
        (
            Panel(
                title="Running operations",
                text="Operations that run at the moment, by process.",
                kind="value",
                metric=m.RUNNING.name,
                by=("worker",),
                unit="number",
            ),
            Panel(
                title="Lag of the event loop",
                text="How much later than planned a timer runs: median, 95th and 99th percentile.",
                kind="quantile",
                metric=m.LOOP_LAG.name,
                unit="seconds",
            ),
            Panel(
                title="CPU",
                text="Share of a core, by process.",
                kind="rate",
                metric="process_cpu_seconds_total",
                by=("worker",),
                unit="share",
            ),
            Panel(
                title="Memory",
                text="Resident memory, by process.",
                kind="value",
                metric="process_resident_memory_bytes",
                by=("worker",),
                unit="bytes",
            ),
            Panel(
                title="Time since the start",
                text="For how long each process has run: lines that fall are restarts.",
                kind="age",
                metric="process_start_time_seconds",
                by=("worker",),
                unit="seconds",
            ),
            Panel(
                title="Rare events",
                text="Events a second that the log tells more about: store, cache folder, keys, clock.",
                kind="rate",
                metric=m.INCIDENTS.name,
                by=("event",),
            ),
        ),
    ),
)
"""All panels, in the order in which they are shown."""


def promql(panel: Panel, more: str = "") -> Iterator[tuple[str, str]]:
    """Yield the queries of a panel, each with the name of its lines in Grafana.

    ``more``: a selector that all series must match, such as ``job="d365-graphql"``.
    """
    by, legend = ", ".join(panel.by), " ".join(f"{{{{{name}}}}}" for name in panel.by)
    series = _series(panel.metric, panel.where, more)
    match panel.kind:
        case "rate":
            yield _sum(f"rate({series}[{INTERVAL}])", by), legend or panel.title
        case "value":
            yield _sum(series, by), legend or panel.title
        case "most":
            yield _sum(series, by, "max"), legend or panel.title
        case "age":
            yield f"time() - {_sum(series, by, 'min')}", legend or panel.title
        case "mean":
            total, count = (
                _series(f"{panel.metric}{suffix}", panel.where, more)
                for suffix in ("_sum", "_count")
            )
            both = [_sum(f"rate({each}[{INTERVAL}])", by) for each in (total, count)]
            yield " / ".join(both), legend or panel.title
        case "ratio":
            part = _series(panel.metric, {**panel.where, **panel.part}, more)
            whole = _sum(f"rate({series}[{INTERVAL}])", by)
            # Without the second part there is no line as long as nothing fails.
            yield f"({_sum(f'rate({part}[{INTERVAL}])', by)} or 0 * {whole}) / {whole}", legend
        case "quantile":
            buckets = _series(f"{panel.metric}_bucket", panel.where, more)
            labels = ", ".join(("le", *panel.by))
            for quantile in QUANTILES:
                rates = _sum(f"rate({buckets}[{INTERVAL}])", labels)
                name = f"p{quantile * 100:g}"
                yield f"histogram_quantile({quantile}, {rates})", f"{name} {legend}".rstrip()


def _series(metric: str, where: Mapping[str, str], more: str) -> str:
    selectors = [f'{label}=~"{pattern}"' for label, pattern in where.items()]
    selector = ", ".join([*selectors, *([more] if more else [])])
    return f"{metric}{{{selector}}}" if selector else metric


def _sum(series: str, by: str, function: str = "sum") -> str:
    return f"{function} by ({by}) ({series})" if by else f"{function}({series})"
