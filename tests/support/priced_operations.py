"""A mix of operations with random values, and how far their estimates are from what they really send."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.config.cost_models import CostOptions
from gateway.cost.operation_costs import CostGate, Costs
from gateway.cost.price import Pricing
from gateway.engine import Engine
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from tests.support.cases import engine

Values: TypeAlias = Callable[[random.Random], dict[str, Any]]
GROUPS = ("10", "20", "30", "80")
COMPANIES = ("usmf", "demf", "usrt")


def _page(chance: random.Random) -> dict[str, Any]:
    return {"first": chance.choice((1, 3, 10, 40, 200)), "of": [chance.choice(COMPANIES)]}


def _group(chance: random.Random) -> dict[str, Any]:
    return {**_page(chance), "group": chance.choice(GROUPS)}


def _accounts(chance: random.Random) -> dict[str, Any]:
    numbers = chance.sample(range(1, 400), chance.choice((1, 5, 60, 300)))
    return {"accounts": [f"US-{number:03}" for number in numbers]}


MIX: dict[str, Values] = {
    """query list($first: Int, $of: [String!]) { customersV3(first: $first, companies: $of) {
      nodes { customerAccount organizationName } } }""": _page,
    """query filtered($first: Int, $of: [String!], $group: String) {
      customersV3(first: $first, companies: $of, where: {customerGroupId: {eq: $group}}) {
        totalCount nodes { customerAccount } } }""": _group,
    """query toOne($first: Int, $of: [String!]) { customersV3(first: $first, companies: $of) {
      nodes { customerAccount customerGroup { description } } } }""": _page,
    """query toMany($first: Int, $of: [String!]) { customersV3(first: $first, companies: $of) {
      nodes { customerAccount salesOrders(first: 3) { nodes { salesOrderNumber } } } } }""": _page,
    """query deep($first: Int, $of: [String!]) { salesOrderHeadersV2(first: $first, companies: $of) {
      nodes { salesOrderNumber salesOrderLines { totalCount nodes { itemNumber } }
        invoiceCustomer { organizationName customerGroup { description } } } } }""": _page,
    """query filteredBelow($first: Int, $of: [String!], $group: String) {
      customerGroups(first: $first, companies: $of) { nodes { customerGroupId
        customers(where: {customerGroupId: {eq: $group}}, first: 2) { nodes { customerAccount } }
      } } }""": _group,
    """query many($accounts: [String!]!) { customersV3(first: 50,
      where: {customerAccount: {in: $accounts}}) { nodes { customerAccount } } }""": _accounts,
    """query counts($of: [String!]) { customersV3(companies: $of) { totalCount }
      vendorsV2(companies: $of) { totalCount } legalEntities { totalCount } }""": _page,
    """query last($first: Int, $of: [String!]) { salesOrderHeadersV2(last: $first, companies: $of) {
      pageInfo { hasPreviousPage startCursor } nodes { salesOrderNumber } } }""": _page,
    """query together($of: [String!]) {
      a: customersV3(companies: $of, where: {customerGroupId: {eq: "10"}}) { nodes { customerAccount } }
      b: customersV3(companies: $of, where: {customerGroupId: {eq: "20"}}) { nodes { customerAccount } }
      c: customersV3(companies: $of, where: {customerGroupId: {eq: "30"}}) { nodes { customerAccount } }
    }""": _page,
}
"""Document → values of its variables."""


@dataclass(frozen=True)
class Priced:
    """One operation: its name, what was estimated and what was sent."""

    name: str
    estimated: int
    sent: int

    @property
    def error(self) -> float:
        """Return the distance of the estimate from what was sent, as a share of that."""
        return abs(self.estimated - self.sent) / max(self.sent, 1)


def priced_engine(gateway: Gateway, **settings: Any) -> Engine:
    """Return an engine that has learned nothing yet."""
    by = engine(gateway, **settings)
    costs = Costs()
    length = settings.get("max_url_length", 2_000)
    pricing = Pricing(dialect=by.dialect, max_url_length=length, seconds=costs.learned.seconds)
    by.gate = CostGate(costs, pricing, CostOptions(), by.mutations, lambda _: None)
    return by


def requests_of(rounds: int, seed: int) -> Iterator[GraphQLRequest]:
    """Yield each operation of the mix, again and again with other values."""
    chance = random.Random(seed)
    for _ in range(rounds):
        for query, values in MIX.items():
            yield GraphQLRequest(query=query, variables=values(chance), cost="include")


async def run_mix(by: Engine, rounds: int, seed: int) -> Sequence[Priced]:
    """Run the mix, and return the price of each operation."""
    priced = []
    for request in requests_of(rounds, seed):
        answer = await by.execute(request)
        assert answer.errors == [], (request.query, answer.errors)
        estimated = answer.extensions["cost"]["estimated"]["requests"]
        name = request.query.split()[1].partition("(")[0]
        priced.append(Priced(name, estimated, len(answer.requests)))
    return priced
