"""Takes the orders of a shop in bulk, and releases those that were taken by a service that the settings declare.

The number of the order in the shop is its reference (a preset natural key, with the customer): orders that are sent
again are found, and not created twice. An order with a line that is refused is not taken at all; the others are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway_client import Gateway, Row, reasons

TAKE = """
mutation Take($orders: [SalesOrderHeaderV2CreateInput!]!) {
  createSalesOrderHeadersV2(input: $orders) {
    results {
      created
      salesOrderHeaderV2 { salesOrderNumber salesOrderProcessingStatus }
      userErrors { code message path }
    }
  }
}
"""
RELEASES = 20
"""Calls of the service in one operation: each is a field of its own, and a request of its own upstream."""


@dataclass
class Report:
    """What became of the orders, by their numbers in the shop."""

    taken: dict[str, str] = field(default_factory=dict)
    released: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)


def to_input(order: Row) -> Row:
    """Return an order of the shop as a sales order with its lines."""
    return {
        "orderingCustomerAccountNumber": order["customer"],
        "invoiceCustomerAccountNumber": order["customer"],
        "currencyCode": order["currency"],
        "customersOrderReference": order["number"],
        "salesOrderLines": {
            "create": [
                {"itemNumber": line["item"], "orderedSalesQuantity": str(line["quantity"])}
                for line in order["lines"]
            ]
        },
    }


def release_document(count: int) -> str:
    """Return a mutation that releases so many orders, each under its own idempotency key."""
    parameters = " ".join(f"$n{i}: String! $k{i}: String!" for i in range(count))
    fields = "\n".join(
        f"  o{i}: confirmSalesOrder(company: $company, salesOrderNumber: $n{i}, idempotencyKey: $k{i})"
        " { status userErrors { code message } }"
        for i in range(count)
    )
    return f"mutation Release($company: String! {parameters}) {{\n{fields}\n}}"


def chunks(pairs: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Yield runs of at most RELEASES pairs."""
    for start in range(0, len(pairs), RELEASES):
        yield pairs[start : start + RELEASES]


def take(gateway: Gateway, orders: list[Row]) -> Report:
    """Create the orders that are not there yet, and release those that are not released."""
    report, waiting = Report(), []
    inputs = [to_input(order) for order in orders]
    results = gateway.execute(TAKE, orders=inputs)["createSalesOrderHeadersV2"]["results"]
    for order, result in zip(orders, results, strict=True):
        if reasons(result):
            report.refused[order["number"]] = reasons(result)
            continue
        header = result["salesOrderHeaderV2"]
        report.taken[order["number"]] = header["salesOrderNumber"]
        if header["salesOrderProcessingStatus"] == "ACTIVE":
            waiting.append((order["number"], header["salesOrderNumber"]))

    for some in chunks(waiting):
        variables = {f"n{i}": number for i, (_, number) in enumerate(some)}
        keys = {f"k{i}": f"release-{reference}" for i, (reference, _) in enumerate(some)}
        data = gateway.execute(
            release_document(len(some)), company=gateway.company, **variables, **keys
        )
        for i, (reference, _) in enumerate(some):
            if reasons(data[f"o{i}"]):
                report.refused[reference] = reasons(data[f"o{i}"])
            else:
                report.released.append(reference)
    return report
