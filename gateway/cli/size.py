"""``size``: what a deployment needs for its load, and why; the load is that of options or of metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.metadata.document_loader import load_metadata
from gateway.runtime.assembly import open_client
from gateway.sizing.advice import reasons, warnings
from gateway.sizing.coefficients import MEASURED_ON
from gateway.sizing.estimate import REQUESTS, WINDOW, Estimate, estimate
from gateway.sizing.load import Deployment, Load
from gateway.sizing.measured_load import Measured, measured_load, raised

from .offline_schema import load_model
from .progress import reading_metadata, working
from .schema_commands import quiet
from .tables import print_table

_SECONDS = 10.0
"""For an answer of ``/metrics``."""


class Sources(Struct, frozen=True, kw_only=True):
    """Where the load comes from, besides options."""

    metadata: Path | None
    metrics: Sequence[str]
    over: float
    """Seconds between two readings of the metrics; 0: means since the start."""
    peak: float
    """The busiest time, to what the metrics say."""


def print_size(
    settings: Settings,
    options: Mapping[str, float],
    sources: Sources,
    *,
    workers: int,
    as_json: bool,
) -> None:
    """Print an estimate. ``options``: fields of the load. Raises SettingsError, and as ``load_metadata`` does."""
    deployment = _deployment(settings, workers)
    load = Load(interval=settings.subscriptions.interval)
    measured = _measured(sources, load.interval) if sources.metrics else None
    if measured is not None:
        deployment = replace(deployment, factor=measured.factor(deployment))
        load = raised(measured.load, sources.peak)
    if sources.metadata is not None:
        load = replace(load, entity_sets=float(_entity_sets(settings, sources.metadata)))
    load = replace(load, **options)
    found = estimate(load, deployment)
    if as_json:
        print(msgspec.json.encode(_json(load, deployment, found)).decode())
        return
    _print_load(load, measured, sources.peak)
    _print_needs(load, deployment, found)


def _deployment(settings: Settings, workers: int) -> Deployment:
    cache = settings.cache
    return Deployment(
        workers=workers,
        is_shared=settings.replicas.address is not None,
        by_caller=settings.identity == "caller",
        concurrency=settings.concurrency,
        page=settings.max_page_size,
        remembered=settings.inbound.cache_size,
        cache_mib=cache.max_bytes / 2**20 if cache.ttl else 0.0,
    )


def _entity_sets(settings: Settings, metadata: Path) -> int:
    chosen = settings.model_copy(update={"metadata": str(metadata), "cache_dir": None})

    async def read() -> int:
        async with open_client(chosen, observe=quiet) as client:
            with reading_metadata() as report:
                document = await load_metadata(chosen, client, progress=report, observe=quiet)
        return len(load_model(chosen, document).model.entity_sets)

    return asyncio.run(read())


def _measured(sources: Sources, interval: float) -> Measured:
    places, over = sources.metrics, sources.over
    earlier: list[tuple[str, float]] = []
    if over:
        earlier = [(_text(place), time.time()) for place in places]
        with working(f"Waiting for {over:g} seconds"):
            time.sleep(over)
    return measured_load([_text(place) for place in places], time.time(), interval, earlier)


def _text(place: str) -> str:
    """Return metrics from an address or a file. Raises SettingsError."""
    try:
        if not place.startswith(("http://", "https://")):
            return Path(place).read_text("utf-8")
        return httpx.get(place, timeout=_SECONDS).raise_for_status().text
    except (OSError, UnicodeDecodeError, httpx.HTTPError) as error:
        raise SettingsError(
            f"{place} cannot be read: {error}.",
            hint="Give the address of /metrics of the second listener, or a file with its answer.",
        ) from error


def _print_load(load: Load, measured: Measured | None, peak: float) -> None:
    if measured is not None:
        print(
            f"Load of the metrics: {measured.operations:,.0f} operations in {measured.seconds:,.0f} s, "
            f"at the peak {peak:g} times as much."
        )
    rows = [("load at the peak", "")]
    for name, value in asdict(load).items():
        rows.append((name.replace("_", " "), f"{value:,.3g}" if value < 1_000 else f"{value:,.0f}"))
    print_table(rows)
    print()


def _print_needs(load: Load, deployment: Deployment, found: Estimate) -> None:
    print_table(
        [
            ("needs", ""),
            ("replicas", str(found.replicas)),
            ("workers of a replica", str(found.workers)),
            ("CPU of a replica", f"{found.request_cpu:g} cores"),
            ("memory of a replica", f"{found.memory:,} MiB"),
            (
                f"upstream requests in {WINDOW // 60} minutes",
                f"{found.upstream.requests:,.0f} ({found.upstream.requests / REQUESTS:.0%} of {REQUESTS:,})",
            ),
            ("upstream requests at a time", f"{found.upstream.at_once:.1f}"),
        ]
    )
    print()
    for reason in reasons(deployment, found):
        print(f"* {reason}")
    for warning in warnings(load, deployment, found):
        print(f"! {warning}")
    print(
        f"\nReckoned with what was measured on {MEASURED_ON}: `make bench ARGS=size` does so here."
    )


def _json(load: Load, deployment: Deployment, found: Estimate) -> dict[str, object]:
    return {
        "load": load,
        "replicas": found.replicas,
        "workers": found.workers,
        "cpu": found.request_cpu,
        "memoryMiB": found.memory,
        "cores": round(found.cores, 4),
        "upstream": {**asdict(found.upstream), "ofLimit": found.upstream.of_limit()},
        "reasons": list(reasons(deployment, found)),
        "warnings": list(warnings(load, deployment, found)),
    }
