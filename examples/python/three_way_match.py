"""Matches bills with orders and receipts, approves those that agree, and queues them for payment.

A bill agrees if no line has more than what was received, or a price that differs by more than the tolerance.
Bills that agree are approved with the ETag that was read, so that one that somebody edits meanwhile stays as it is. One
payment journal then takes whatever is approved and in no such journal yet, also what people have approved: a run that
was killed between the two steps leaves nothing behind. The name of a run is the natural key of its journal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from gateway_client import Gateway, Row, reasons

BILLS = """
query Bills($approved: Boolean!, $after: String) {
  accounting {
    bills(first: 100, after: $after, where: { isApproved: { eq: $approved }, isOnHold: { eq: false } }) {
      pageInfo { hasNextPage endCursor }
      nodes {
        reference number orderNumber vendorNumber currency totalAmount
        lines { number orderLineNumber itemNumber quantity unitPrice }
        raw { etag }
      }
    }
  }
}
"""
ORDERS = """
query Orders($numbers: [String!]!, $after: String) {
  accounting {
    purchaseOrders(first: 100, after: $after, where: { number: { in: $numbers } }) {
      pageInfo { hasNextPage endCursor }
      nodes { number lines { number receivedQuantity unitPrice } }
    }
  }
}
"""
APPROVE = """
mutation Approve($bills: [VendorInvoiceHeaderUpdateInput!]!) {
  updateVendorInvoiceHeaders(input: $bills) {
    results { userErrors { code message } }
  }
}
"""
PAYMENTS = """
query Payments($numbers: [String!]!, $after: String) {
  accounting {
    vendorPayments(first: 500, after: $after, where: { invoiceNumber: { in: $numbers } }) {
      pageInfo { hasNextPage endCursor }
      nodes { vendorNumber invoiceNumber }
    }
  }
}
"""
QUEUE = """
mutation Queue($journal: VendorPaymentJournalHeaderCreateInput!) {
  createVendorPaymentJournalHeader(input: $journal, uniqueBy: ["description"]) {
    created
    vendorPaymentJournalHeader { journalBatchNumber }
    userErrors { code message }
  }
}
"""


@dataclass
class Report:
    """What a run did."""

    approved: list[str] = field(default_factory=list)
    queued: list[str] = field(default_factory=list)
    discrepancies: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, list[str]] = field(default_factory=dict)
    journal: str | None = None


def compare(bill: Row, order: dict[str, Row], tolerance: Decimal) -> list[str]:
    """Return how the lines of a bill differ from those of its order, and from what was received."""
    differences = []
    for line in bill["lines"]:
        ordered = order.get(line["orderLineNumber"])
        if ordered is None:
            differences.append(f"line {line['number']}: not on the order")
            continue
        billed, received = Decimal(line["quantity"]), Decimal(ordered["receivedQuantity"] or 0)
        if billed > received:
            differences.append(f"line {line['number']}: {billed} billed, {received} received")
        price, agreed = Decimal(line["unitPrice"]), Decimal(ordered["unitPrice"])
        if abs(price - agreed) > agreed * tolerance:
            differences.append(f"line {line['number']}: price {price}, agreed {agreed}")
    return differences


def approve(gateway: Gateway, report: Report, tolerance: Decimal) -> None:
    """Match the bills that are not approved, and approve those that agree."""
    bills = list(gateway.pages(BILLS, "accounting", "bills", approved=False))
    numbers = sorted({bill["orderNumber"] for bill in bills if bill["orderNumber"]})
    orders = {
        order["number"]: {line["number"]: line for line in order["lines"]}
        for order in gateway.pages(ORDERS, "accounting", "purchaseOrders", numbers=numbers)
    }
    agreed = []
    for bill in bills:
        if differences := compare(bill, orders.get(bill["orderNumber"], {}), tolerance):
            report.discrepancies[bill["number"]] = differences
        else:
            agreed.append(bill)
    if not agreed:
        return
    updates = [
        {
            "key": {"headerReference": bill["reference"]},
            "ifMatch": bill["raw"]["etag"],
            "patch": {"isApproved": True},
        }
        for bill in agreed
    ]
    payload = gateway.execute(APPROVE, bills=updates)["updateVendorInvoiceHeaders"]
    for bill, result in zip(agreed, payload["results"], strict=True):
        if reasons(result):
            report.refused[bill["number"]] = reasons(result)
        else:
            report.approved.append(bill["number"])


def payment(bill: Row, number: int, bank: str) -> Row:
    """Return the line of a payment journal that settles a bill. Hyphens in accounts are escaped."""
    return {
        "lineNumber": str(number),
        "accountType": "VEND",
        "accountDisplayValue": bill["vendorNumber"].replace("-", "\\-"),
        "debitAmount": bill["totalAmount"],
        "currencyCode": bill["currency"],
        "offsetAccountType": "BANK",
        "offsetAccountDisplayValue": bank,
        "markedInvoice": bill["number"],
        "transactionText": f"Order {bill['orderNumber']}",
    }


def queue(gateway: Gateway, report: Report, name: str, bank: str) -> None:
    """Write a journal of all approved bills that are in none."""
    bills = list(gateway.pages(BILLS, "accounting", "bills", approved=True))
    numbers = [bill["number"] for bill in bills]
    there = {
        (line["vendorNumber"], line["invoiceNumber"])
        for line in gateway.pages(PAYMENTS, "accounting", "vendorPayments", numbers=numbers)
    }
    due = [bill for bill in bills if (bill["vendorNumber"], bill["number"]) not in there]
    if not due:
        return
    lines = [payment(bill, number, bank) for number, bill in enumerate(due, 1)]
    journal = {
        "journalName": "APPay",
        "description": name,
        "vendorPaymentJournalLine": {"create": lines},
    }
    payload = gateway.execute(QUEUE, journal=journal)["createVendorPaymentJournalHeader"]
    if reasons(payload):
        report.refused[name] = reasons(payload)
        return
    report.queued = [bill["number"] for bill in due]
    report.journal = payload["vendorPaymentJournalHeader"]["journalBatchNumber"]


def run(gateway: Gateway, name: str, bank: str, tolerance: Decimal = Decimal("0.01")) -> Report:
    """Match, approve and queue; ``name`` is that of the run, such as ``Payments 2026-11-30``."""
    report = Report()
    approve(gateway, report, tolerance)
    queue(gateway, report, name, bank)
    return report
