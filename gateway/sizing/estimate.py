"""From a load to a deployment: cores, replicas, memory, requests to the environment. Pure."""

from __future__ import annotations

import math

from msgspec import Struct

from .coefficients import MEASURED, Coefficients
from .load import Deployment, Load

BUSY = 0.6
"""Part of a core that a process uses at the peak: beyond, answers wait for each other."""
STRAINED = 0.85
"""The same while one replica is away, as in a rolling restart."""
FEWEST = 2
"""Replicas: one may be away at any time."""
MOST = 500
"""Replicas, beyond which nobody should believe the figures."""
BURST = 3.0
"""Operations at a time in a bad moment, to their mean."""
SPARE = 1.3
"""Memory that a container gets, to what it needs: fragments, and what was forgotten."""
STEP = 64
"""Memory is rounded up to so many MiB."""
WINDOW = 300
"""Seconds over which the limits of environments were counted."""
REQUESTS, EXECUTION, AT_ONCE = 6_000, 1_200.0, 52
"""The limits of a user on a web server that Finance & Operations had until 10.0.36, and Dataverse has: requests and
seconds of execution within ``WINDOW``, requests at a time."""


class Share(Struct, frozen=True):
    """A part of a sum, and where it comes from."""

    what: str
    amount: float


class Upstream(Struct, frozen=True, kw_only=True):
    """What the environment gets at the peak."""

    requests: float
    """Within ``WINDOW``, of all callers."""
    execution: float
    """Seconds within ``WINDOW``."""
    at_once: float
    """Requests at a time."""
    users: float
    """Users over whom they spread."""

    def of_limit(self) -> float:
        """Return how much of the nearest limit one user takes."""
        parts = (self.requests / REQUESTS, self.execution / EXECUTION, self.at_once / AT_ONCE)
        return max(parts) / max(1.0, self.users)


class Estimate(Struct, frozen=True, kw_only=True):
    """What a deployment needs."""

    cores: float
    """That are busy at the peak, all replicas together."""
    replicas: int
    workers: int
    """Of each replica."""
    request_cpu: float
    """Cores that a replica asks for."""
    memory: int
    """MiB of a replica: request and limit."""
    upstream: Upstream
    cpu: tuple[Share, ...]
    process_memory: tuple[Share, ...]
    """Of one process, in MiB."""


def estimate(load: Load, deployment: Deployment, known: Coefficients = MEASURED) -> Estimate:
    """Return what a load needs."""
    for replicas in range(FEWEST, MOST + 1):
        # Each process polls by itself unless they share polls: more of them need more.
        polls = _polls(load, deployment, replicas)
        cpu = _cpu(load, deployment, known, polls)
        cores = sum(share.amount for share in cpu)
        if _replicas(cores, deployment.workers) <= replicas:
            break
    of_process = _memory(load, deployment, known, replicas)
    return Estimate(
        cores=cores,
        replicas=replicas,
        workers=deployment.workers,
        request_cpu=max(0.1, math.ceil(10 * cores / replicas / BUSY) / 10),
        memory=_container(of_process, deployment.workers, known),
        upstream=_upstream(load, deployment, polls),
        cpu=cpu,
        process_memory=of_process,
    )


def _replicas(cores: float, workers: int) -> int:
    """Return how many replicas have so many cores to spare; with one of them away, too."""
    all_there = math.ceil(cores / (BUSY * workers))
    one_away = math.ceil(cores / (STRAINED * workers)) + 1
    return max(all_there, one_away)


def _polls(load: Load, deployment: Deployment, replicas: int) -> float:
    """Return the polls a second: by each process that has a subscriber, or by one for all."""
    pollers = 1.0 if deployment.is_shared else replicas * deployment.workers
    # A watch with few subscribers is in few processes.
    per_watch = load.streams / load.watches if load.watches else 0.0
    return load.watches / load.interval * max(1.0, min(pollers, per_watch))


def _sent(load: Load) -> float:
    """Return the requests a second for operations."""
    return load.operations * load.requests * (1 - load.cached)


def _cpu(
    load: Load, deployment: Deployment, known: Coefficients, polls: float
) -> tuple[Share, ...]:
    shares = (
        Share("operations", load.operations * known.operation),
        Share("their requests", _sent(load) * known.request),
        Share("their values", load.operations * load.rows * load.fields * known.value),
        Share("exports", load.exported_rows * known.exported_row),
        Share("polls", polls * known.poll),
        Share("changes to streams", load.pushed * known.pushed),
    )
    return tuple(Share(share.what, share.amount * deployment.factor) for share in shares)


def _memory(
    load: Load, deployment: Deployment, known: Coefficients, replicas: int
) -> tuple[Share, ...]:
    processes = replicas * deployment.workers
    at_once = max(
        1.0, BURST * load.operations * (load.requests * load.upstream_seconds) / processes
    )
    return (
        Share("process", known.process),
        Share("catalogue", load.entity_sets * known.entity_set),
        Share("further environments", load.environments * known.environment),
        Share("answers", at_once * load.rows * load.fields * known.answer_value),
        # Balancers do not spread them evenly, and exports can all be in one process.
        Share("exports", load.exports * known.export),
        Share("streams", 2 * load.streams / processes * known.stream),
        Share("callers", min(load.callers, deployment.remembered) * known.caller),
        Share("cache", deployment.cache_mib),
    )


def _container(of_process: tuple[Share, ...], workers: int, known: Coefficients) -> int:
    mib = workers * sum(share.amount for share in of_process)
    if workers > 1:
        mib += known.supervisor
    return math.ceil(mib * SPARE / STEP) * STEP


def _upstream(load: Load, deployment: Deployment, polls: float) -> Upstream:
    own = polls + load.exported_rows / deployment.page
    rate = _sent(load) + own
    return Upstream(
        requests=rate * WINDOW,
        execution=rate * load.upstream_seconds * WINDOW,
        at_once=rate * load.upstream_seconds,
        users=load.callers if deployment.by_caller else 1.0,
    )
