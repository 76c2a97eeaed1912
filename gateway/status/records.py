"""What is counted of an environment: calls in slots of a quarter of an hour, the last errors, and its state.

Latencies are counted in buckets, so that those of several processes can be added before a percentile is taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct, field

SLOT = 900
"""Seconds of a slot."""
DAY = 86_400.0
KEPT = 30 * DAY
"""Seconds for which changes of metadata are stored."""
_STEPS = 4
"""Buckets for each doubling of the time: a percentile is off by a tenth at most."""
BOUNDS = tuple(0.001 * 2 ** (step / _STEPS) for step in range(19 * _STEPS))
"""Upper bounds of the buckets in seconds, from 1 ms to 8 minutes; the last bucket has none."""

State = Literal["opening", "open", "closed", "failed"]
Source = Literal["operation", "opening", "reload", "metadata"]


class Calls(Struct, omit_defaults=True):
    """What happened in a slot."""

    operations: int = 0
    operations_with_errors: int = 0
    requests: int = 0
    """Upstream requests; the following add up to it."""
    answered: int = 0
    """With a status below 400."""
    denied: int = 0
    """401 and 403."""
    throttled: int = 0
    """429."""
    rejected: int = 0
    """Other statuses below 500."""
    failed: int = 0
    """Statuses from 500."""
    unanswered: int = 0
    """Lost, timed out, or cancelled with their operation."""
    retried: int = 0
    latencies: dict[int, int] = field(default_factory=dict)
    """Bucket → number of answers."""


class ErrorNote(Struct, omit_defaults=True):
    """An error, and how often it came in a row."""

    source: Source
    code: str
    message: str
    """Ours: never what the upstream wrote."""
    first: float
    last: float
    """Seconds since the epoch."""
    count: int = 1


class Facts(Struct, omit_defaults=True):
    """What one process knows of an environment. Times are seconds since the epoch."""

    state: State = "closed"
    since: float = 0.0
    """When this state began."""
    host: str = ""
    pid: int = 0
    metadata: str | None = None
    """SHA-256 of the document that is served."""
    served_since: float | None = None
    fetched: float | None = None
    """When the document was fetched, if it came from a service."""
    checked: float | None = None
    """When newer metadata was last looked for without an error."""
    throttled: float | None = None
    """When it last answered 429."""
    problem: str | None = None
    """Why it does not open."""
    retry_at: float | None = None
    errors: list[ErrorNote] = field(default_factory=list)
    """The oldest first."""


def bucket_of(seconds: float) -> int:
    """Return the bucket of a latency."""
    return bisect_left(BOUNDS, seconds)


def percentile(latencies: Mapping[int, int], share: float) -> float | None:
    """Return the latency in seconds below which a share of the answers came; None without answers."""
    total = sum(latencies.values())
    if not total:
        return None
    rank, passed = share * total, 0
    for bucket in sorted(latencies):
        count = latencies[bucket]
        if passed + count >= rank:
            high = BOUNDS[min(bucket, len(BOUNDS) - 1)]
            low = BOUNDS[bucket - 1] if 0 < bucket <= len(BOUNDS) else high / 2
            return low + (high - low) * (rank - passed) / count
        passed += count
    return None


def total_of(slots: Iterable[Calls]) -> Calls:
    """Return the sum of slots, of any processes."""
    total = Calls()
    for slot in slots:
        for name in _NUMBERS:
            setattr(total, name, getattr(total, name) + getattr(slot, name))
        for bucket, count in slot.latencies.items():
            total.latencies[bucket] = total.latencies.get(bucket, 0) + count
    return total


_NUMBERS = tuple(name for name in Calls.__struct_fields__ if name != "latencies")
