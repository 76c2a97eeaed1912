"""The load of a deployment that runs, from what `/metrics` of its replicas says: read once, or at two moments."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import SettingsError
from gateway.telemetry import catalog as m
from gateway.telemetry.exposition import Samples, read_samples

from .coefficients import MEASURED
from .estimate import estimate
from .load import Deployment, Load

LEAST = 200
"""Operations from which means say something."""
START = 3.0
"""Seconds of CPU that the start of a process takes."""
SURE = 0.02
"""Cores from which the CPU of a deployment says more than the coefficients do."""
_START_TIME = "process_start_time_seconds"
_CPU = "process_cpu_seconds_total"


class Measured(Struct, frozen=True, kw_only=True):
    """What the metrics say."""

    load: Load
    """On average."""
    cores: float
    """That were busy on average."""
    operations: float
    seconds: float

    def factor(self, deployment: Deployment) -> float:
        """Return the CPU that was used, to what the coefficients say of the same load."""
        expected = estimate(self.load, replace(deployment, factor=1.0), MEASURED).cores
        return self.cores / expected if self.cores >= SURE and expected else 1.0


def measured_load(
    later: Sequence[str], now: float, interval: float, earlier: Sequence[tuple[str, float]] = ()
) -> Measured:
    """Return the load in the metrics of all replicas.

    ``now``: when they were read, in seconds since the epoch; ``earlier``: texts of before, with their time, else means
    are since the start. ``interval``: that of the polls. Raises SettingsError.
    """
    samples = _read(later)
    before = _read([text for text, _ in earlier])
    starts = [value for labels, value in samples.of(_START_TIME) if labels.get("worker") != "admin"]
    began = min((at for _, at in earlier), default=min(starts, default=now))
    seconds = max(1.0, now - began)

    def counted(name: str, **labels: str) -> float:
        return samples.sum(name, **labels) - before.sum(name, **labels)

    operations = counted(f"{m.OPERATION_SECONDS.name}_count")
    if not starts or operations < LEAST:
        raise SettingsError(
            f"The metrics have {operations:,.0f} operations; at least {LEAST} are needed.",
            hint="Let the deployment serve for a while, or say the load by options.",
        )
    sent = counted(f"{m.UPSTREAM_SECONDS.name}_count")
    cpu = counted(_CPU) - counted(_CPU, worker="admin")
    return Measured(
        load=Load(
            operations=operations / seconds,
            rows=counted(f"{m.OPERATION_ROWS.name}_sum") / operations,
            requests=counted(m.OPERATION_REQUESTS.name) / operations,
            upstream_seconds=counted(f"{m.UPSTREAM_SECONDS.name}_sum") / sent if sent else 0.0,
            exported_rows=counted(m.TRANSFERRED_ROWS.name, direction="export") / seconds,
            exports=samples.sum(m.JOBS_HELD.name),
            watches=samples.sum(m.WATCHES.name),
            interval=interval,
            streams=samples.sum(m.CONNECTIONS.name),
            pushed=counted(m.CHANGES.name) / seconds,
            environments=samples.sum(m.ENVIRONMENTS.name, state="open"),
            entity_sets=samples.largest(m.ENTITY_SETS.name),
        ),
        cores=max(0.0, cpu - (0.0 if earlier else START * len(starts))) / seconds,
        operations=operations,
        seconds=seconds,
    )


def raised(load: Load, peak: float) -> Load:
    """Return a load of which there is ``peak`` times as much."""
    return replace(
        load,
        operations=load.operations * peak,
        exported_rows=load.exported_rows * peak,
        pushed=load.pushed * peak,
    )


def _read(texts: Sequence[str]) -> Samples:
    try:
        return read_samples(texts)
    except ValueError as error:
        raise SettingsError(
            f"These are no metrics: {error}.",
            hint="Give the address of /metrics of the second listener, or a file with its answer.",
        ) from error
