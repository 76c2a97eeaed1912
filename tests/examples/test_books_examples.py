"""The examples for payables and the ledger: a three-way match, a payroll journal."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest

import journal_push
import three_way_match

DEARER = """
mutation ($bill: String!, $price: Decimal!) {
  updateVendorInvoiceLine(
    key: { headerReference: $bill, invoiceLineNumber: "1" }, patch: { priceUnit: $price, adjustedUnitPrice: $price }
  ) { userErrors { code message } }
}
"""
BILL = """
query ($number: String!) {
  accounting { bills(where: { number: { eq: $number } }) { nodes { id reference isApproved } } }
}
"""
ACCEPT = """
mutation ($bill: ID!) {
  updateUnifiedBill(id: $bill, patch: { isApproved: true }) { userErrors { code message } }
}
"""
PAID = """
query ($journal: String!) {
  accounting { vendorPayments(where: { journalNumber: { eq: $journal } }) {
    nodes { vendorNumber amount currency invoiceNumber postingStatus }
  } }
}
"""
PAYROLL = """voucher,account,cost_centre,department,amount,text
PAY01,605120,001,022,1250.10,Salaries
PAY01,605120,001,023,749.90,Salaries
PAY01,200100,001,022,-2000.00,Payable
"""
JOURNAL = """
query ($reference: String!) {
  ledgerJournalHeaders(where: { integrationKey: { eq: $reference } }) {
    nodes { journalBatchNumber isPosted ledgerJournalLine { nodes { debitAmount creditAmount } } }
  }
}
"""


def bill_of(gateway: Any, number: str) -> Any:
    (bill,) = gateway.execute(BILL, number=number)["accounting"]["bills"]["nodes"]
    return bill


def test_bills_are_matched_approved_and_queued(gateway, spent):
    wrong = bill_of(gateway, "INV-3/2024")
    changed = gateway.execute(DEARER, bill=wrong["reference"], price="500")
    assert changed["updateVendorInvoiceLine"]["userErrors"] == []

    spent.reset()
    report = three_way_match.run(gateway, "Payments 2026-11-30", "USMF OPER")
    spent.check_row("python/three_way_match.py")

    assert report.refused == {}
    assert any("price 500" in text for text in report.discrepancies["INV-3/2024"])
    assert any("received" in text for texts in report.discrepancies.values() for text in texts)
    assert report.approved
    assert bill_of(gateway, report.approved[0])["isApproved"] is True
    assert bill_of(gateway, "INV-3/2024")["isApproved"] is False
    payments = gateway.execute(PAID, journal=report.journal)["accounting"]["vendorPayments"][
        "nodes"
    ]
    assert [payment["invoiceNumber"] for payment in payments] == report.queued
    assert set(report.approved) == set(report.queued)
    assert "INV-3/2024" not in report.queued
    assert all(Decimal(payment["amount"]) > 0 for payment in payments)


def test_what_people_approve_is_queued_by_the_next_run(gateway):
    three_way_match.run(gateway, "Payments 2026-12-01", "USMF OPER")
    approved = gateway.execute(ACCEPT, bill=bill_of(gateway, "INV-3/2024")["id"])
    assert approved["updateUnifiedBill"]["userErrors"] == []

    report = three_way_match.run(gateway, "Payments 2026-12-02", "USMF OPER")
    again = three_way_match.run(gateway, "Payments 2026-12-03", "USMF OPER")

    assert (report.approved, report.queued) == ([], ["INV-3/2024"])
    assert (again.queued, again.journal) == ([], None)


def test_a_payroll_is_posted_once(gateway, spent):
    lines = journal_push.read_lines(io.StringIO(PAYROLL), "USD")
    first = journal_push.push(gateway, "PAYROLL-2026-11", "Payroll of November", lines)
    spent.check_row("python/journal_push.py")

    again = journal_push.push(gateway, "PAYROLL-2026-11", "Payroll of November", lines)

    assert first["created"]
    assert again == {**first, "created": False}
    headers = gateway.execute(JOURNAL, reference="PAYROLL-2026-11")["ledgerJournalHeaders"]["nodes"]
    assert [header["isPosted"] for header in headers] == [True]
    assert len(headers[0]["ledgerJournalLine"]["nodes"]) == 3


def test_an_unbalanced_payroll_is_not_sent(gateway, spent):
    lines = journal_push.read_lines(io.StringIO(PAYROLL.replace("749.90", "749.89")), "USD")

    with pytest.raises(journal_push.Refused, match=r"PAY01 is off by -0\.01"):
        journal_push.push(gateway, "PAYROLL-2026-12", "Payroll of December", lines)
    assert spent.operations == 0


def test_an_unknown_account_is_named(gateway):
    lines = journal_push.read_lines(io.StringIO(PAYROLL.replace("605120", "999999")), "USD")

    with pytest.raises(journal_push.Refused, match="999999"):
        journal_push.push(gateway, "PAYROLL-2027-01", "Payroll of January", lines)
    assert (
        gateway.execute(JOURNAL, reference="PAYROLL-2027-01")["ledgerJournalHeaders"]["nodes"] == []
    )
