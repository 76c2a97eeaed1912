"""Prices, admits and settles the operations of an environment.

``Costs`` is what one environment remembers, over all generations, profiles and roles: the seconds that requests take,
and the budgets of callers. A ``CostGate`` is the gate of one engine, with the limits of its settings and roles.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil
from typing import Any

from msgspec import structs

from gateway.config.cost_models import CostOptions
from gateway.errors import CostExceeded, DeadlineExceeded, GatewayError, RateLimited
from gateway.events import CostRefused, CostSettled, Observer
from gateway.request import Answer, PlannedQuery, ValidOperation
from gateway.writes.operations import MutationOperation, Mutations
from gateway.writes.parts_input import selects_parts, takes_parts
from gateway.writes.references import is_atomic

from .budgets import Balance, Budgets, Terms
from .gate import POINTS_A_SECOND, Price, Priceable, price_json
from .learned import LearnedSeconds
from .learned_file import LearnedFile
from .metering import Meter, metered, start_meter, stop_meter
from .price import Pricing, price_roots
from .write_price import batch_sizes, price_mutations

NOTHING = Price()


class Costs:
    """What operations of one environment cost, and what its callers may still spend."""

    def __init__(
        self, file: LearnedFile | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``file`` keeps what was learned between starts."""
        self.learned = LearnedSeconds()
        self.budgets = Budgets()
        self.budgets.now = self.clock = clock
        self._file = file
        if file is not None:
            file.load(self.learned)

    def observer(self, observe: Observer, root: str) -> Observer:
        """Return an observer that learns from the requests to the service root, too."""
        return metered(observe, self.learned, root)

    def keep(self) -> None:
        """Write what was learned, now and then."""
        if self._file is not None and self._file.is_due():
            self._file.write_aside(self.learned)

    def close(self) -> None:
        """Write what was learned."""
        if self._file is not None:
            self._file.write(self.learned)


class CostGate:
    """The gate of one engine."""

    def __init__(
        self,
        costs: Costs,
        pricing: Pricing,
        options: CostOptions,
        mutations: Mutations | None,
        observe: Observer,
    ) -> None:
        self._costs = costs
        self._pricing = pricing
        self._options = options
        self._mutations = mutations
        self._observe = observe
        rate = options.points_per_minute
        self._terms = None if rate is None else Terms(rate, rate * options.burst / 60)

    @property
    def has_limits(self) -> bool:
        """Whether any operation may be refused for its price."""
        return self._terms is not None or self._options.max_cost is not None

    def price(self, operation: Priceable) -> Price:
        """Return the price of an operation."""
        if isinstance(operation, PlannedQuery):
            needs_formats = operation.prepared.needs_formats
            price = price_roots(operation.roots, self._pricing, needs_formats=needs_formats)
            return _with_lookups(price, len(operation.lookups)) if operation.lookups else price
        return self._mutation_price(operation)

    def estimate(self, operation: Priceable) -> Answer:
        """Return the answer to an operation that is only priced."""
        balance = self.balance(operation)
        answer = Answer(None, fields=() if balance is None else budget_fields(balance))
        answer.extend("cost", cost_json(self.price(operation), balance=balance))
        return answer

    def balance(self, operation: Priceable) -> Balance | None:
        """Return what the caller of an operation has left; None if that is not limited."""
        if self._terms is None:
            return None
        now = self._costs.clock()
        return self._costs.budgets.balance(_caller(operation), self._terms, now)

    def _mutation_price(self, operation: ValidOperation) -> Price:
        mutations, request = self._mutations, operation.request
        if mutations is None or operation.document.node is None:
            return NOTHING
        mutation = MutationOperation(
            document=operation.document.node,
            node=operation.operation,
            variables=request.variables,
            coerced=operation.variables,
            companies=request.companies,
            caller=request.caller,
        )
        try:
            outlines = mutations.outline(mutation)
        except GatewayError:
            # It will fail for the same reason, before it sends anything.
            return NOTHING
        return price_mutations(
            outlines,
            self._pricing,
            atomic=is_atomic(operation.operation),
            sizes=batch_sizes(mutations, request),
            needs_formats=takes_parts(operation, mutations.part_names) or selects_parts(operation),
        )

    async def admit(self, operation: Priceable) -> CostTicket:
        """Return the ticket of an operation. Raises CostExceeded, RateLimited."""
        price = self.price(operation)
        if operation.request.is_charged:
            self.charge(operation, price)
        return CostTicket(self, operation, price, start_meter())

    def charge(self, operation: Priceable, price: Price) -> None:
        """Take the points of an operation from the budget of its caller. Raises CostExceeded, RateLimited."""
        most, terms = self._most(operation), self._terms
        if most is None and terms is None:
            return
        points = price.points
        if most is not None and points > most:
            raise self._refused(_too_dear(points, most), points)
        if terms is None:
            return
        if points > terms.capacity:
            raise self._refused(_never_affordable(points, terms), points)
        now, caller = self._costs.clock(), _caller(operation)
        balance = self._costs.budgets.balance(caller, terms, now)
        if points > balance.points:
            raise self._refused(_too_early(points, balance), points)
        self._costs.budgets.spend(caller, points, terms, now)

    def _most(self, operation: Priceable) -> float | None:
        """Return the limit of an operation: the lower one of its caller's and its document's."""
        trusted, most = operation.request.trusted, self._options.max_cost
        if trusted is None:
            return most
        own = trusted.policy.max_cost
        return min((limit for limit in (most, own) if limit is not None), default=None)

    def _refused(self, error: CostExceeded | RateLimited, points: float) -> GatewayError:
        self._observe(CostRefused(code=error.code, points=round(points, 1)))
        return error

    def settled(self, operation: Priceable, difference: float) -> Balance | None:
        """Give the points back that an operation did not need, or take more. Return what its caller has left."""
        self._costs.keep()
        if self._terms is None or not operation.request.is_charged:
            return None
        now = self._costs.clock()
        return self._costs.budgets.spend(_caller(operation), difference, self._terms, now)

    def observe(self, event: CostSettled) -> None:
        """Tell of an operation that has ended."""
        self._observe(event)


class CostTicket:
    """An admitted operation."""

    __slots__ = ("_gate", "_meter", "_operation", "_price")

    def __init__(self, gate: CostGate, operation: Priceable, price: Price, meter: Meter) -> None:
        self._gate = gate
        self._operation = operation
        self._price = price
        self._meter = meter

    @property
    def has_sent(self) -> bool:
        """Whether any request of it has left."""
        return self._meter.requests > 0

    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the header fields with the balance after the price was taken."""
        operation = self._operation
        balance = self._gate.balance(operation) if operation.request.is_charged else None
        return () if balance is None else budget_fields(balance)

    def settle(self, requests: int, rows: int, answer: Answer | None) -> None:
        """Settle the operation; see ``gate.Ticket``."""
        stop_meter()
        operation, price = self._operation, self._price
        seconds = self._meter.seconds
        if answer is None or (answer.errors and answer.has_error(DeadlineExceeded.code)):
            # The environment goes on with what it has begun, and who leaves early does not see what that takes.
            seconds = max(seconds, self._begun())
            self._meter.late = self._ended_late
        points, estimated = seconds * POINTS_A_SECOND, price.points
        balance = self._gate.settled(operation, points - estimated)
        points = round(points, 1)
        self._gate.observe(
            CostSettled(
                estimated_requests=round(price.requests),
                requests=requests,
                estimated_points=round(estimated, 1),
                points=points,
            )
        )
        if answer is None:
            return
        answer.points = points
        if balance is not None:
            answer.fields = budget_fields(balance)
        if operation.request.cost is not None:
            spent = Price(requests=requests, rows=rows, seconds=seconds)
            answer.extend("cost", cost_json(price, spent, balance))

    def _begun(self) -> float:
        """Return the estimated seconds of what was begun: the part that was sent, of a mutation all that it writes."""
        price = self._price
        if not isinstance(self._operation, PlannedQuery):
            return price.seconds
        if not price.requests:
            return 0.0
        return price.seconds * min(1.0, self._meter.requests / price.requests)

    def _ended_late(self, seconds: float) -> None:
        """Take the points of a read that others have waited for; those of a mutation's rest are taken."""
        if isinstance(self._operation, PlannedQuery):
            self._gate.settled(self._operation, seconds * POINTS_A_SECOND)


def cost_json(
    estimated: Price, actual: Price | None = None, balance: Balance | None = None
) -> dict[str, Any]:
    """Return what a caller is told of the cost of an operation."""
    cost: dict[str, Any] = {"estimated": price_json(estimated)}
    if actual is not None:
        cost["actual"] = price_json(actual)
        del cost["actual"]["pages"]
    if balance is not None:
        cost["budget"] = {
            "perMinute": balance.terms.per_minute,
            "capacity": round(balance.terms.capacity, 1),
            "remaining": round(max(0.0, balance.points), 1),
        }
    return cost


def budget_fields(balance: Balance) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header fields that tell of a budget.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
    """
    terms = balance.terms
    policy = f'"caller";q={int(terms.capacity)};w={ceil(terms.window)};qu="points"'
    limit = f'"caller";r={int(max(0.0, balance.points))};t={ceil(balance.refill)}'
    return (b"ratelimit-policy", policy.encode()), (b"ratelimit", limit.encode())


def _caller(operation: Priceable) -> str:
    caller = operation.request.caller
    return "" if caller.kind == "anonymous" else caller.log_id


_SMALLER = "Request fewer rows (first), fewer relations or fewer fields at a time."


def _too_dear(points: float, most: float) -> CostExceeded:
    return CostExceeded(
        f"The operation would cost {points:,.1f} points; it may cost {most:,.1f}.", hint=_SMALLER
    )


def _never_affordable(points: float, terms: Terms) -> CostExceeded:
    return CostExceeded(
        f"The operation would cost {points:,.1f} points; a caller never has more than"
        f" {terms.capacity:,.1f}.",
        hint=_SMALLER,
    )


def _too_early(points: float, balance: Balance) -> RateLimited:
    wait = max(1, ceil(balance.wait(points)))
    error = RateLimited(
        f"The operation would cost {points:,.1f} points, and {max(0.0, balance.points):,.1f} are left;"
        f" {balance.terms.per_minute:,.1f} come back a minute.",
        hint=f"Send it again in {wait} s, or request less at a time.",
        retry_after=wait,
    )
    error.fields = budget_fields(balance)
    return error


def _with_lookups(price: Price, number: int) -> Price:
    """Return the price of a query together with its look-ups: each is a page, as long as the others take on average."""
    seconds = price.seconds / max(price.requests, 1)
    return structs.replace(
        price,
        requests=price.requests + number,
        pages=price.pages + number,
        seconds=price.seconds + number * seconds,
    )
