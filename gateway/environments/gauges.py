"""The gauges of environments: limit, requests under way and waiting, metadata, types, streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from gateway.config.environment_models import OWN
from gateway.telemetry import catalog as m
from gateway.telemetry.measurements import Measurements
from gateway.telemetry.metric import Metric

from .open_environment import OpenEnvironment
from .opened import OpenEnvironments

OF_ENVIRONMENT: tuple[Metric, ...] = (
    *(m.UPSTREAM_LIMIT, m.UPSTREAM_ACTIVE, m.UPSTREAM_WAITING, m.UPSTREAM_PAUSE),
    *(m.METADATA_CONFIRMED, m.ENTITY_SETS, m.TYPES, m.WATCHES, m.CONNECTIONS),
)
"""Gauges of an environment, which go when it is closed."""


@contextmanager
def measuring_environment(
    measurements: Measurements, environment: OpenEnvironment
) -> Iterator[None]:
    """Show the gauges of an environment until the end of the block."""
    name = environment.name or OWN
    end = measurements.before_reading(partial(_read_environment, name, environment))
    try:
        yield
    finally:
        end()
        for metric in OF_ENVIRONMENT:
            measurements.of(metric).drop("environment", name)


def _read_environment(name: str, environment: OpenEnvironment, measurements: Measurements) -> None:
    gateway, put = environment.live.gateway, measurements.set
    for lane, admission in gateway.client.admissions.items():
        labels = (lane or "own", name)
        put(m.UPSTREAM_LIMIT, admission.limit, *labels)
        put(m.UPSTREAM_ACTIVE, admission.under_way, *labels)
        put(m.UPSTREAM_WAITING, admission.waiting, *labels)
        put(
            m.UPSTREAM_PAUSE,
            max(admission.pauses.remaining(None), admission.breaker.remaining),
            *labels,
        )
    put(m.ENTITY_SETS, len(gateway.catalog.model.entity_sets), name)
    put(m.TYPES, gateway.schema.made_types, name)
    put(m.WATCHES, environment.subscriptions.watches, name)
    put(m.CONNECTIONS, environment.subscriptions.connections, name)
    info = gateway.metadata.info
    confirmed = measurements.of(m.METADATA_CONFIRMED).value(name)
    # An event may have confirmed it since it was fetched.
    fetched = gateway.since if info is None else info.fetched_at
    confirmed.value = max(confirmed.value, fetched)


def count_environments(
    measurements: Measurements, environments: OpenEnvironments
) -> Callable[[], None]:
    """Show how many environments there are, by state; return what ends that."""

    def read(all_: Measurements) -> None:
        for state, count in environments.states().items():
            all_.set(m.ENVIRONMENTS, count, state)

    return measurements.before_reading(read)
