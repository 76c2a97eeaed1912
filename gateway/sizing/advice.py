"""What to tell of an estimate: sentences that say why, and what to set."""

from __future__ import annotations

from collections.abc import Iterator

from .estimate import AT_ONCE, BUSY, EXECUTION, FEWEST, REQUESTS, STRAINED, WINDOW, Estimate
from .load import Deployment, Load

MUCH = 0.5
"""Part of a limit from which it is mentioned what helps."""


def reasons(deployment: Deployment, found: Estimate) -> Iterator[str]:
    """Yield why an estimate is as it is."""
    largest = max(found.cpu, key=lambda share: share.amount)
    yield (
        f"{found.cores:.2f} cores are busy at the peak, most of them with {largest.what} "
        f"({largest.amount / found.cores:.0%})."
        if found.cores
        else "Nothing is to be done at the peak."
    )
    if deployment.factor != 1.0:
        yield f"The deployment was seen to use {deployment.factor:.2f} times the CPU of the coefficients."
    yield (
        f"A process uses {BUSY:.0%} of its core at the peak, {STRAINED:.0%} while one replica is away; "
        f"there are {FEWEST} replicas at least."
    )
    most = max(found.process_memory, key=lambda share: share.amount)
    one = sum(share.amount for share in found.process_memory)
    yield f"A process takes {one:.0f} MiB, most of it for {most.what} ({most.amount:.0f} MiB)."
    yield from _of_upstream(found)


def _of_upstream(found: Estimate) -> Iterator[str]:
    upstream = found.upstream
    yield (
        f"The environment gets {upstream.requests:,.0f} requests and {upstream.execution:,.0f} s of work in "
        f"{WINDOW // 60} minutes, {upstream.at_once:.1f} at a time."
    )
    yield (
        f"That is {upstream.of_limit():.0%} of {REQUESTS:,} requests, {EXECUTION:,.0f} s or {AT_ONCE} at a time, which "
        "a user had on a web server until Finance & Operations 10.0.36, and has in Dataverse. Since then only the "
        "load of the environment counts, and the gateway learns what it takes."
    )


def warnings(load: Load, deployment: Deployment, found: Estimate) -> Iterator[str]:
    """Yield what should be changed, with the setting."""
    upstream = found.upstream
    if deployment.workers > 1 and found.request_cpu <= 1.0:
        yield "One process for each replica is enough (--workers 1), and takes less memory."
    shared = deployment.concurrency * (1 if deployment.is_shared else found.replicas)
    if upstream.at_once > shared:
        yield (
            f"concurrency = {deployment.concurrency} lets {shared} requests run at a time; {upstream.at_once:.0f} are "
            "needed: raise it, or cache more."
        )
    if upstream.of_limit() > MUCH:
        yield (
            "The environment may throttle: cache reference data (cache.ttl), look at what operations request "
            "(d365-graphql explain), and give lanes accounts of their own (admission.credentials)."
        )
    if load.watches and not deployment.is_shared and found.replicas > 1:
        yield "Each process polls for its own subscribers: replicas.address lets one poll for all."
    if load.exported_rows and load.operations:
        yield "Exports compete with people: admission.credentials can give them an account of their own."
    if load.callers > deployment.remembered:
        yield (
            f"inbound.cache_size = {deployment.remembered:,} is less than the callers: tokens of the others are "
            "verified again and again."
        )
