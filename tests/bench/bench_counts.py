"""How many OData requests an operation costs: counted on the embedded sandbox, the same on every machine."""

from __future__ import annotations

from gateway.config.settings import Settings
from gateway.operations.global_ids import node_id
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from tests.bench.measure import Report
from tests.support.cases import engine

FIFTY = range(1, 51)
NODES = [
    *(node_id("CustomerV3", "usmf", f"US-{i:03d}") for i in range(1, 26)),
    *(node_id("SalesOrderHeaderV2", "usmf", f"{i:06d}") for i in range(1, 26)),
    *(node_id("SalesOrderLine", "usmf", f"USMF-{i:06d}") for i in range(1, 26)),
    *(node_id("ProductV2", f"D{i:04d}") for i in range(1, 26)),
]
LINES = "salesOrderLines { nodes { lineNumber itemNumber } }"
OPERATIONS = {
    "50 customers": "customersV3(first: 50) { nodes { organizationName } }",
    "50 customers and how many there are": "customersV3(first: 50) { totalCount nodes { organizationName } }",
    "only how many customers there are": "customersV3 { totalCount }",
    "50 customers, their groups": "customersV3(first: 50) { nodes { customerGroup { description } } }",
    "50 orders, their lines": f"salesOrderHeadersV2(first: 50) {{ nodes {{ {LINES} }} }}",
    "50 orders, two lines of each": "salesOrderHeadersV2(first: 50)"
    " { nodes { salesOrderLines(first: 2) { totalCount nodes { lineNumber } } } }",
    "50 customers, their orders and lines": "customersV3(first: 50)"
    f" {{ nodes {{ salesOrders {{ nodes {{ {LINES} }} }} }} }}",
    "20 customers, groups, orders, lines, products": 'customersV3(first: 20, companies: ["usmf"])'
    " { nodes { customerGroup { description } salesOrders { nodes { salesOrderLines"
    " { nodes { releasedProduct { productV2 { productName } } } } } } } }",
    "1 customer by key": 'customerV3(dataAreaId: "usmf", customerAccount: "US-001") { organizationName }',
    "50 customers by key, 50 aliases": " ".join(
        f'c{i}: customerV3(dataAreaId: "usmf", customerAccount: "US-{i:03d}") {{ organizationName }}'
        for i in FIFTY
    ),
    "the same list under 10 aliases": " ".join(
        f"l{i}: customersV3(first: 5) {{ nodes {{ organizationName }} }}" for i in range(10)
    ),
    "100 nodes of four types": f"nodes(ids: [{', '.join(map(repr, NODES))}]) {{ __typename id }}".replace(
        "'", '"'
    ),
    "a list of no rows": "customersV3(first: 0) { nodes { organizationName } }",
}
"""What → the fields of a query."""


async def counts(quick: bool) -> list[Report]:
    """Count requests, rows and the characters of addresses, with and without ``$expand``; quick or not is the same."""
    del quick
    report = Report("counts", "OData requests of an operation, on the embedded sandbox")
    async with open_gateway(Settings(language=None), observe=lambda _: None) as opened:
        for what, fields in OPERATIONS.items():
            report.rows.append(await count(opened, what, f"{{ {fields} }}"))
    report.notes.append(
        "…_by_keys: without $expand. They grow with the keys: an address has at most 2,000 characters."
    )
    return [report]


async def count(opened: Gateway, what: str, query: str) -> dict[str, object]:
    """Run an operation both ways; raises where the answers hold errors or differ."""
    row: dict[str, object] = {"operation": what}
    answers = []
    for expand, name in (("auto", ""), ("never", "_by_keys")):
        answer = await engine(opened, expand=expand).execute(GraphQLRequest(query=query))
        if answer.errors:
            raise RuntimeError(f"{what}: {answer.errors[0]}")
        answers.append(answer.encode())
        row |= {
            f"requests{name}": len(answer.requests),
            f"rows{name}": answer.rows,
            f"characters{name}": sum(len(request.url) for request in answer.requests),
        }
    if answers[0] != answers[1]:
        raise RuntimeError(f"{what}: with $expand another answer than without")
    return row
