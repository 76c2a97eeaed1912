"""Corrects prices by experience: operations of one structure mostly spend the same share of what their plans assume.

A plan cannot know that a filter lets three rows pass, or that fifty orders have one customer. Both change with the
values of variables, but less than they differ between operations.
"""

from __future__ import annotations

from msgspec import structs

from gateway.operations.prepared_operation import Experience

from .gate import Price
from .learned import NEWEST

_LEAST, _MOST = 0.02, 50.0
"""Bounds of a correction: an accident must not decide for long."""


def corrected(price: Price, experience: Experience) -> Price:
    """Return a price as operations of the same structure have spent it so far."""
    if not experience.count or not price.requests:
        return price
    requests = price.requests * experience.requests
    return structs.replace(
        price,
        requests=requests,
        pages=price.pages * experience.requests,
        rows=price.rows * experience.rows,
        seconds=price.seconds * experience.requests,
    )


def learn(experience: Experience, price: Price, requests: int, rows: int) -> None:
    """Take in what an operation has spent. ``price`` is that of its plan, not corrected."""
    if not price.requests:
        return
    experience.count += 1
    weight = max(NEWEST, 1 / experience.count)
    experience.requests += weight * (_share(requests, price.requests) - experience.requests)
    if price.rows:
        experience.rows += weight * (_share(rows, price.rows) - experience.rows)


def _share(spent: float, estimated: float) -> float:
    return min(max(spent / estimated, _LEAST), _MOST)
