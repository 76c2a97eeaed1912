"""Pushes a payroll as a balanced journal into the general ledger, and posts it: once, however often it runs.

Three things keep it from being written twice: the journal's natural key (its integration key), the Idempotency-Key of
each request, and a look at whether the journal is posted.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import Decimal
from typing import TextIO

from gateway_client import Gateway, Row, reasons

PUSH = """
mutation Push($journal: LedgerJournalHeaderCreateInput!) {
  createLedgerJournalHeader(input: $journal, uniqueBy: ["integrationKey"]) {
    created
    ledgerJournalHeader { journalBatchNumber isPosted }
    userErrors { code message path }
  }
}
"""
POST = """
mutation Post($company: String!, $journal: String!) {
  postLedgerJournal(company: $company, journalBatchNumber: $journal) {
    isPosted
    vouchers
    userErrors { code message }
  }
}
"""


class Refused(Exception):
    """The journal is not balanced, or the environment does not take it."""


def read_lines(file: TextIO, currency: str) -> list[Row]:
    """Return the lines of a journal from the rows of a file; credits are negative amounts."""
    lines = []
    for number, row in enumerate(csv.DictReader(file), 1):
        amount = Decimal(row["amount"])
        lines.append(
            {
                "lineNumber": str(number),
                "voucher": row["voucher"],
                "accountType": "LEDGER",
                "accountDisplayValue": "-".join(
                    (row["account"], row["cost_centre"], row["department"])
                ),
                "debitAmount" if amount > 0 else "creditAmount": str(abs(amount)),
                "currencyCode": currency,
                "text": row["text"],
            }
        )
    return lines


def check_balance(lines: list[Row]) -> None:
    """Raise Refused if a voucher is not balanced: cheaper to find here than in a journal that cannot be posted."""
    balances: dict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        balances[line["voucher"]] += Decimal(line.get("debitAmount", 0)) - Decimal(
            line.get("creditAmount", 0)
        )
    if wrong := {voucher: balance for voucher, balance in balances.items() if balance}:
        raise Refused(", ".join(f"voucher {v} is off by {balance}" for v, balance in wrong.items()))


def push(gateway: Gateway, reference: str, description: str, lines: list[Row]) -> Row:
    """Write and post a journal. Return its number, and whether this run has created it."""
    check_balance(lines)
    journal = {
        "journalName": "GenJrn",
        "integrationKey": reference,
        "description": description,
        "ledgerJournalLine": {"create": lines},
    }
    payload = gateway.execute(PUSH, journal=journal)["createLedgerJournalHeader"]
    if reasons(payload):
        raise Refused("; ".join(reasons(payload)))
    header = payload["ledgerJournalHeader"]
    number = header["journalBatchNumber"]
    if not header["isPosted"]:
        # The key is stored for a day: a request that is repeated after a lost answer gets the first answer.
        posted = gateway.execute(
            POST, key=f"post-{reference}", company=gateway.company, journal=number
        )
        if reasons(posted["postLedgerJournal"]):
            raise Refused("; ".join(reasons(posted["postLedgerJournal"])))
    return {"journal": number, "created": payload["created"]}
