"""The gate of operations: each is priced and admitted before its first upstream request, and settled at its end.

plan ──▶ OperationGate.admit ──▶ Ticket ──▶ run ──▶ Ticket.settle
                └──▶ an error: the operation sends nothing
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from gateway.request import Answer, PlannedQuery, ValidOperation

POINTS_A_SECOND = 10
"""Points for a second of the upstream's work: a page of a list is some 3, a row by its key some 1."""

Priceable: TypeAlias = PlannedQuery | ValidOperation
"""A query with its plan; a mutation or subscription, whose requests follow from its document and variables."""


class Price(Struct, frozen=True, kw_only=True):
    """What an operation costs the upstream, estimated before anything is sent."""

    requests: float = 0.0
    pages: float = 0.0
    """Requests that return pages of lists; the others return single rows or counts, or write."""
    rows: float = 0.0
    seconds: float = 0.0
    """Seconds of the upstream's work."""

    @property
    def points(self) -> float:
        """The price as limits and budgets count it."""
        return self.seconds * POINTS_A_SECOND


def price_json(price: Price) -> dict[str, Any]:
    """Return a price with the precision that it has."""
    return {
        "points": round(price.points, 1),
        "requests": round(price.requests),
        "pages": round(price.pages),
        "rows": round(price.rows),
        "seconds": round(price.seconds, 3),
    }


class Ticket(Protocol):
    """An admitted operation."""

    @property
    def has_sent(self) -> bool:
        """Whether any request of it has left."""
        ...

    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the header fields of an answer that begins before the operation is settled."""
        ...

    def settle(self, requests: int, rows: int, answer: Answer | None) -> None:
        """Note what an operation has really spent, once it has ended; ``answer`` is None if it was cancelled or failed.

        An answer gets what it tells its caller of the cost.
        """
        ...


class OperationGate(Protocol):
    """Prices operations, and admits or refuses them."""

    @property
    def has_limits(self) -> bool:
        """Whether any operation may be refused for its price."""
        ...

    def price(self, operation: Priceable) -> Price:
        """Return the price of an operation. Sends nothing."""
        ...

    async def admit(self, operation: Priceable) -> Ticket:
        """Return the ticket of an operation. Raises GatewayError for one that is refused."""
        ...

    def charge(self, operation: Priceable, price: Price) -> None:
        """Take the price of something that others do for an operation. Raises GatewayError if that is refused."""
        ...

    def estimate(self, operation: Priceable) -> Answer:
        """Return the answer to an operation that is only priced."""
        ...
