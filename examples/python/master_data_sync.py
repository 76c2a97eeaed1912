"""Keeps customers of a CRM, here a SQLite table, and those of the environment in step, both ways, with deletes.

First what was edited in the CRM is pushed, with the ETag under which it was read; then what has changed since the last
cursor is pulled. If both sides edited a row, the environment wins: the push is refused, and the pull brings the row of
the environment. An edit that is refused for another reason stays, and is tried and reported again. The cursor is stored
in the transaction of its rows, so that a process that is killed goes on where it was.
"""

from __future__ import annotations

import sqlite3
from collections import Counter

from gateway_client import Gateway, Row, reasons

LAYOUT = """
CREATE TABLE IF NOT EXISTS customer (
  account TEXT PRIMARY KEY, id TEXT UNIQUE, etag TEXT, name TEXT, email TEXT, terms TEXT, tax_number TEXT,
  edit TEXT NOT NULL DEFAULT '' CHECK (edit IN ('', 'new', 'changed', 'deleted')), round INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS progress (cursor TEXT, round INTEGER NOT NULL, resync INTEGER NOT NULL);
"""
PULL = """
query Pull($company: String!, $since: String) {
  changes(set: "CustomersV3", companies: [$company], since: $since) {
    upserts { id etag node { ... on CustomerV3 {
      customerAccount organizationName primaryContactEmail paymentTerms taxExemptNumber
    } } }
    deletes { id }
    cursor hasMore resyncRequired
  }
}
"""
CREATE = """
mutation Create($rows: [CustomerV3CreateInput!]!) {
  result: createCustomersV3(input: $rows, uniqueBy: ["customerAccount"]) { results { userErrors { code message } } }
}
"""
UPDATE = """
mutation Update($rows: [CustomerV3UpdateInput!]!) {
  result: updateCustomersV3(input: $rows) { results { etag userErrors { code message } } }
}
"""
DELETE = """
mutation Delete($rows: [CustomerV3DeleteInput!]!) {
  result: deleteCustomersV3(input: $rows) { results { userErrors { code message } } }
}
"""
FIELDS = {
    "name": "organizationName",
    "email": "primaryContactEmail",
    "terms": "paymentTerms",
    "tax_number": "taxExemptNumber",
}


def to_input(edit: str, row: sqlite3.Row) -> Row:
    """Return the input of the mutation that writes an edit."""
    values = {field: row[column] for column, field in FIELDS.items() if row[column]}
    key = {"customerAccount": row["account"]}
    if edit == "new":
        return {**key, **values, "customerGroupId": "10", "salesCurrencyCode": "USD"}
    return {"key": key, "ifMatch": row["etag"]} | ({"patch": values} if edit == "changed" else {})


def push(gateway: Gateway, crm: sqlite3.Connection) -> dict[str, list[str]]:
    """Write the edits of the CRM. Return those that were refused, by account."""
    refused = {}
    for edit, document in (("new", CREATE), ("changed", UPDATE), ("deleted", DELETE)):
        rows = crm.execute("SELECT * FROM customer WHERE edit = ?", (edit,)).fetchall()
        if not rows:
            continue
        inputs = [to_input(edit, row) for row in rows]
        results = gateway.execute(document, rows=inputs)["result"]["results"]
        with crm:
            for row, result in zip(rows, results, strict=True):
                if reasons(result):
                    refused[row["account"]] = reasons(result)
                elif edit == "deleted":
                    crm.execute("DELETE FROM customer WHERE account = ?", (row["account"],))
                else:
                    done = (result.get("etag"), row["account"])
                    crm.execute("UPDATE customer SET edit = '', etag = ? WHERE account = ?", done)
    return refused


def store(crm: sqlite3.Connection, change: Row, number: int) -> None:
    """Write a changed row into the CRM, unless its ETag tells that the CRM itself has written it."""
    node = change["node"]
    values = [
        node["customerAccount"],
        change["id"],
        change["etag"],
        *(node[f] for f in FIELDS.values()),
    ]
    crm.execute(
        "INSERT INTO customer (account, id, etag, name, email, terms, tax_number) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (account) DO UPDATE SET id = excluded.id, etag = excluded.etag, name = excluded.name,"
        " email = excluded.email, terms = excluded.terms, tax_number = excluded.tax_number, edit = ''"
        " WHERE customer.etag IS NOT excluded.etag",
        values,
    )
    crm.execute("UPDATE customer SET round = ? WHERE account = ?", (number, values[0]))


def pull(gateway: Gateway, crm: sqlite3.Connection) -> Counter[str]:
    """Read what has changed since the last pull. Return how many rows came, and how many are gone."""
    counts: Counter[str] = Counter()
    cursor, number, resync = crm.execute("SELECT * FROM progress").fetchone() or (None, 1, 0)
    while True:
        page = gateway.execute(PULL, company=gateway.company, since=cursor)["changes"]
        if page[
            "resyncRequired"
        ]:  # the whole list comes again: at its end, rows of earlier rounds are gone
            number, resync = number + 1, 1
        with crm:
            for change in page["upserts"]:
                store(crm, change, number)
            gone = [(row["id"],) for row in page["deletes"]]
            crm.executemany("DELETE FROM customer WHERE id = ?", gone)
            if resync and not page["hasMore"]:
                crm.execute("DELETE FROM customer WHERE round < ? AND edit <> 'new'", (number,))
                resync = 0
            cursor = page["cursor"]
            crm.execute("DELETE FROM progress")
            crm.execute("INSERT INTO progress VALUES (?, ?, ?)", (cursor, number, resync))
        counts.update(upserts=len(page["upserts"]), deletes=len(gone))
        if not page["hasMore"]:
            return counts


def open_crm(path: str) -> sqlite3.Connection:
    """Return the database of the CRM, with its tables."""
    crm = sqlite3.connect(path)
    crm.row_factory = sqlite3.Row
    crm.executescript(LAYOUT)
    return crm
