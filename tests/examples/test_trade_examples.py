"""The examples for customers, orders and several environments."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import master_data_sync as sync
import shop_orders
import two_environments

ROW = """
query ($account: String!) {
  customerV3(customerAccount: $account) { organizationName primaryContactEmail }
}
"""
CHANGE = """
mutation ($account: String!, $name: String!) {
  updateCustomerV3(key: { customerAccount: $account }, patch: { organizationName: $name }) {
    userErrors { code message }
  }
}
"""
REMOVE = """
mutation ($account: String!) { deleteCustomerV3(key: { customerAccount: $account }) { userErrors { code message } } }
"""
ORDERS = """
query ($references: [String!]!) {
  salesOrderHeadersV2(where: { customersOrderReference: { in: $references } }, first: 100) {
    nodes { customersOrderReference salesOrderProcessingStatus salesOrderLines { nodes { itemNumber } } }
  }
}
"""


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    database = sync.open_crm(str(tmp_path / "crm.sqlite"))
    yield database
    database.close()


def row(crm: sqlite3.Connection, account: str) -> Any:
    return crm.execute("SELECT * FROM customer WHERE account = ?", (account,)).fetchone()


def edit(crm: sqlite3.Connection, account: str, **values: str) -> None:
    names = ", ".join(f"{name} = ?" for name in values)
    with crm:
        crm.execute(f"UPDATE customer SET {names} WHERE account = ?", (*values.values(), account))


def test_customers_are_synchronised_both_ways(gateway, spent, crm):
    for account in ("CRM-1", "CRM-2"):
        with crm:
            crm.execute(
                "INSERT INTO customer (account, name, terms, edit) VALUES (?, 'Ours', 'Net30', 'new')",
                (account,),
            )
    assert sync.push(gateway, crm) == {}
    first = sync.pull(gateway, crm)
    assert first["upserts"] > 50
    assert row(crm, "CRM-1")["id"]

    edit(crm, "CRM-1", email="ours@example.com", edit="changed")
    edit(crm, "US-001", name="Ours", edit="changed")
    edit(crm, "US-002", terms="NO SUCH TERMS", edit="changed")
    gateway.execute(CHANGE, account="US-001", name="Theirs")
    gateway.execute(CHANGE, account="US-003", name="Theirs, too")
    gateway.execute(REMOVE, account="CRM-2")
    time.sleep(1.1)  # the interval of sweeps, which find rows that are gone

    spent.reset()
    refused = sync.push(gateway, crm)
    changes = sync.pull(gateway, crm)
    spent.check_row("python/master_data_sync.py")

    assert {account: reason[0].split(":")[0] for account, reason in refused.items()} == {
        "US-001": "CONFLICT",
        "US-002": "RELATED_RECORD_NOT_FOUND",
    }
    assert gateway.execute(ROW, account="CRM-1")["customerV3"] == {
        "organizationName": "Ours",
        "primaryContactEmail": "ours@example.com",
    }
    assert (row(crm, "US-001")["name"], row(crm, "US-001")["edit"]) == ("Theirs", "")
    assert row(crm, "US-002")["edit"] == "changed"
    assert row(crm, "US-003")["name"] == "Theirs, too"
    assert row(crm, "CRM-2") is None
    assert changes["deletes"] == 1

    edit(crm, "CRM-1", edit="deleted")
    assert set(sync.push(gateway, crm)) == {"US-002"}
    assert gateway.execute(ROW, account="CRM-1")["customerV3"] is None
    assert row(crm, "CRM-1") is None


def shop_order(number: int, item: str = "D0029") -> dict[str, Any]:
    return {
        "number": f"SHOP-{number}",
        "customer": f"US-{number % 20 + 1:03d}",
        "currency": "USD",
        "lines": [{"item": item, "quantity": 2}, {"item": "D0030", "quantity": 1}],
    }


def test_orders_are_taken_once_and_released(gateway, spent):
    orders = [*map(shop_order, range(1, 31)), shop_order(31, "NOSUCH")]
    report = shop_orders.take(gateway, orders)
    spent.check_row("python/shop_orders.py")
    again = shop_orders.take(gateway, orders)

    assert len(report.taken) == len(report.released) == 30
    assert "NOSUCH" in report.refused["SHOP-31"][0]
    assert (again.taken, again.released) == (report.taken, [])
    references = [order["number"] for order in orders]
    rows = gateway.execute(ORDERS, references=references)["salesOrderHeadersV2"]["nodes"]
    assert len(rows) == 30
    assert {one["salesOrderProcessingStatus"] for one in rows} == {"CONFIRMED"}
    assert {len(one["salesOrderLines"]["nodes"]) for one in rows} == {2}


def test_two_environments_are_compared(gateway, training, spent):
    found = two_environments.compare(gateway, training)
    spent.check_row("python/two_environments.py")

    assert "paymentTerms" not in found
    product = found["releasedProductsV2"]
    assert product.changed
    mine, theirs = next(iter(product.changed.values()))["salesPrice"]
    assert mine != theirs


def test_an_account_on_one_side_only_is_listed():
    found = two_environments.differences(
        {"1": {"a": 1}, "2": {"a": 2}}, {"2": {"a": 3}, "3": {"a": 3}}
    )

    assert (found.only_left, found.only_right) == (["1"], ["3"])
    assert found.changed == {"2": {"a": (2, 3)}}
