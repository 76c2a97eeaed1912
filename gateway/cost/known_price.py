"""What of the price of a list depends on its plan alone, for plans that come again."""

from __future__ import annotations

from msgspec import Struct

from gateway.odata.query import Query
from gateway.planning.plan import ListRoot, ReadPlan

from .gate import Price
from .learned import SecondsOf


class KnownPrice(Struct, frozen=True):
    """What of the price of a list does not change: its requests, each for a page."""

    query: Query
    name: str
    pages: float
    most: float

    def price(self, root: ListRoot, seconds: SecondsOf) -> Price:
        """Return the price now: with the rows that came of late, and the seconds that they took."""
        return Price(
            requests=self.pages,
            pages=self.pages,
            rows=root.shape.rows.of(self.most),
            seconds=self.pages * seconds(self.name, "page"),
        )


def known_price(root: ListRoot, price: Price) -> KnownPrice | None:
    """Return what is known from a price on; None if it depends on more than pages of rows without a filter."""
    plan = root.plan
    if (
        root.key is not None
        or plan.children
        or plan.query.where is not None
        or plan.window is None
        or price.pages != price.requests
    ):
        return None
    name = plan.entity_set or plan.query.resource.name
    return KnownPrice(plan.query, name, price.pages, most_rows(plan))


def most_rows(plan: ReadPlan) -> float:
    """Return the most rows of a page, or of a singleton."""
    window = plan.window
    if window is None:
        return 1
    return 0 if window.count_only else window.size
