"""The sets of the founding use cases: they have rows, and the rows are linked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.sandbox.catalogue import built_in
from gateway.sandbox.seed import SeedOptions, make, make_books

pytestmark = pytest.mark.anyio
SETS = [
    "ProductReceiptHeaders",
    "ProductReceiptLines",
    "ProductReceiptLinesV2",
    "UserGroups",
    "UserGroupUserLists",
    "PositionsV2",
    "PositionWorkerAssignmentsV2",
    "PositionHierarchies",
    "PositionHierarchyTypes",
    "AzureADWorkers",
    "Titles",
    "EssWorkerManagerRelations",
    "HcmWorkerBiEntities",
    "SecurityUserRoleOrganizations",
    "DimensionIntegrationFormats",
    "DimensionParameters",
    "CustTableBiEntities",
    "VendTableBiEntities",
    "TaxCodes",
    "SalesInvoiceHeadersV2",
    "SalesInvoiceV2Lines",
    "VendorPaymentJournalHeaders",
    "VendorPaymentJournalLines",
    "GeneralJournalEntryBiEntities",
    "GeneralJournalAccountEntryBiEntities",
    "TrialBalanceFiscalYearSnapshots",
    "MainAccountCategories",
    "AccountStructures",
    "AccountStructureConstraints",
    "TaxItemGroupHeadings",
    "TaxItemGroups",
    "TaxGroupDatas",
    "TaxCodeValuesV2",
    "VendInvoiceJourBiEntities",
    "VendTransBiEntities",
    "SalesInvoiceHeadersV4",
    "SalesInvoiceV4Lines",
    "FreeTextInvoiceHeaders",
    "FreeTextInvoiceLines",
    "CustTransactions",
    "CustTransOpens",
    "CustomerPaymentJournalHeaders",
    "CustomerPaymentJournalLines",
    "VendorInvoiceDocumentAttachments",
]
LINE = "/data/LedgerJournalLines"
SALES = {"SalesOrderNumber": "000001", "ItemNumber": "D0002", "OrderedSalesQuantity": 3}
PLACE = {"dataAreaId": "usmf", "ItemNumber": "D0002", "InventorySiteId": "1"}


@pytest.mark.parametrize("entity_set", SETS)
async def test_each_set_has_rows(get, entity_set):
    answer = await get(f"/data/{entity_set}", params={"cross-company": "true", "$top": "3"})

    assert answer.status_code == 200
    assert answer.json()["value"]


def every_row() -> dict[str, list[dict[str, Any]]]:
    return {**make(SeedOptions()), **make_books(SeedOptions())}


def value_of(row: dict[str, Any], name: str) -> str:
    return str(row.get(name, "")).casefold()


LINKS = [
    (name, navigation)
    for name in SETS
    for navigation in built_in().model.navigations_of(built_in().model.entity_sets[name].type)
    if not navigation.many
]


@pytest.mark.parametrize(("name", "navigation"), LINKS, ids=[f"{s}.{n.name}" for s, n in LINKS])
def test_every_link_to_one_row_finds_it(name, navigation):
    """A blank value leads nowhere, as in a row without a holder."""
    created, model = every_row(), built_in().model
    target = model.entity_sets[name].bindings[navigation.name]
    theirs = {
        tuple(value_of(row, c.referenced) for c in navigation.on)
        for row in created[built_in().storage_of(target)]
    }

    own = [
        tuple(value_of(row, c.property) for c in navigation.on)
        for row in created[built_in().storage_of(name)]
    ]

    assert own
    assert [values for values in own if all(values) and values not in theirs] == []
    assert any(all(values) for values in own)


def test_receipts_differ_from_orders_now_and_then():
    """Three-way matching must find something."""
    rows = make(SeedOptions())["ProductReceiptLinesV2"]
    short = [row for row in rows if row["RemainingPurchaseQuantity"]]

    assert 0 < len(short) < len(rows) / 2
    assert all(
        row["ReceivedPurchaseQuantity"] + row["RemainingPurchaseQuantity"]
        == row["OrderedPurchaseQuantity"]
        for row in rows
    )


def test_every_position_reports_to_an_earlier_one():
    rows = make(SeedOptions())["PositionHierarchies"]

    assert len(rows) == len(make(SeedOptions())["PositionsV2"]) - 1
    assert all(row["ParentPositionId"] < row["PositionId"] for row in rows)


def sums(rows: list[dict[str, Any]], by: str, amount: str) -> dict[Any, Decimal]:
    totals: dict[Any, Decimal] = {}
    for row in rows:
        totals[row[by]] = totals.get(row[by], Decimal()) + row.get(amount, Decimal())
    return totals


def test_posted_entries_balance_and_are_those_of_posted_journals():
    rows = every_row()
    posted = [r for r in rows["LedgerJournalHeaders"] if r["IsPosted"] == "Yes"]

    assert len(rows["GeneralJournalEntryBiEntities"]) == len(posted)
    assert set(
        sums(
            rows["GeneralJournalAccountEntryBiEntities"],
            "GeneralJournalEntry",
            "AccountingCurrencyAmount",
        ).values()
    ) == {Decimal()}


def test_balances_of_accounts_sum_up_their_entries():
    rows = every_row()
    entries = rows["GeneralJournalAccountEntryBiEntities"]
    balances = rows["TrialBalanceFiscalYearSnapshots"]

    net = sum(b["AmountDebit"] - b["AmountCredit"] for b in balances)

    assert net == sum(entry["AccountingCurrencyAmount"] for entry in entries)
    assert sum(b["AmountDebit"] for b in balances) > 0


def test_open_transactions_are_those_without_a_settlement():
    rows = every_row()
    unsettled = {r["SysRecId"] for r in rows["CustTransactions"] if not r["SettleAmountCur"]}

    assert unsettled
    assert {r["RefRecId"] for r in rows["CustTransOpens"]} == unsettled


def test_a_small_scale_has_users():
    assert make(SeedOptions(scale=0.01))["SystemUsers"]


@pytest.mark.parametrize("scale", [0.1, 0.5])
def test_books_exist_at_every_scale(scale):
    assert make_books(SeedOptions(scale=scale, seed=7))["GeneralJournalEntryBiEntities"]


async def test_an_attachment_is_written_and_read_in_base64(sandbox):
    ask = sandbox()
    (invoice, *_) = [
        row
        for row in make(SeedOptions())["VendorInvoiceHeaders"]
        if row["dataAreaId"] == "usmf"
        and row["HeaderReference"]
        not in {a["HeaderReference"] for a in every_row()["VendorInvoiceDocumentAttachments"]}
    ]
    content = {"HeaderReference": invoice["HeaderReference"], "FileContents": "JVBERi0xLjcK"}

    created = await ask("/data/VendorInvoiceDocumentAttachments", "POST", json=content)
    read = await ask(created.headers["location"])

    assert created.status_code == 201
    assert read.json()["FileContents"] == "JVBERi0xLjcK"


@pytest.mark.parametrize(
    ("account", "missing"),
    [
        ("605120-001-022", None),
        ("605120--022", None),
        ("605120", None),
        ("605120-NOPE-022", "NOPE"),
        ("605120-001-999", "999"),
        ("999999-001-022", "999999"),
    ],
)
async def test_segments_of_an_account_are_checked(sandbox, account, missing):
    ask = sandbox()
    (batch,) = ask.app.state.store.rows(
        "LedgerJournalHeaders", JournalBatchNumber="00001", dataAreaId="usmf"
    )

    answer = await ask(LINE, "POST", json={
        "JournalBatchNumber": batch["JournalBatchNumber"], "AccountType": "Ledger", "AccountDisplayValue": account,
        "DebitAmount": 1, "CurrencyCode": "USD",
    })  # fmt: skip

    if missing is None:
        assert answer.status_code == 201
    else:
        assert answer.status_code == 400
        assert f"'{missing}'" in answer.text


def stock(ask, view: str = "WarehousesOnHandV2", **more: str) -> dict[str, Decimal]:
    row = ask.app.state.store.rows(view, **PLACE, **more)[0]
    return {name: value for name, value in row.items() if isinstance(value, Decimal)}


def changed(before: dict[str, Decimal], after: dict[str, Decimal]) -> dict[str, Decimal]:
    return {name: after[name] - before[name] for name in before if after[name] != before[name]}


RESERVED = {
    "ReservedOnHandQuantity": 3,
    "AvailableOnHandQuantity": -3,
    "TotalAvailableQuantity": -3,
}


@pytest.mark.parametrize(
    ("view", "more"),
    [
        ("WarehousesOnHandV2", {"InventoryWarehouseId": "11"}),
        ("WarehouseInventoryStatusesOnHandV2", {"InventoryWarehouseId": "11"}),
        ("InventorySitesOnHandV2", {}),
    ],
)
async def test_a_sales_order_line_reserves_and_releases_stock(sandbox, view, more):
    ask = sandbox()
    before = stock(ask, view, **more)

    created = await ask(
        "/data/SalesOrderLines",
        "POST",
        json={**SALES, "ShippingSiteId": "1", "ShippingWarehouseId": "11"},
    )
    assert created.status_code == 201
    assert changed(before, stock(ask, view, **more)) == RESERVED
    address = created.headers["location"]

    assert (await ask(address, "PATCH", json={"OrderedSalesQuantity": 5})).status_code == 204
    assert changed(before, stock(ask, view, **more))["AvailableOnHandQuantity"] == -5

    assert (await ask(address, "DELETE")).status_code == 204
    assert changed(before, stock(ask, view, **more)) == {}


async def test_a_purchase_order_line_is_ordered_stock(sandbox):
    ask = sandbox()
    before = stock(ask, InventoryWarehouseId="11")
    header = await ask(
        "/data/PurchaseOrderHeadersV2", "POST", json={"OrderVendorAccountNumber": "US-001"}
    )
    line = {
        "PurchaseOrderNumber": header.json()["PurchaseOrderNumber"],
        "ItemNumber": "D0002", "OrderedPurchaseQuantity": 7,
    }  # fmt: skip

    assert (await ask("/data/PurchaseOrderLinesV2", "POST", json=line)).status_code == 201
    assert changed(before, stock(ask, InventoryWarehouseId="11")) == {
        "OrderedQuantity": 7, "AvailableOrderedQuantity": 7, "TotalAvailableQuantity": 7,
    }  # fmt: skip

    assert (await ask(header.headers["location"], "DELETE")).status_code == 204
    assert changed(before, stock(ask, InventoryWarehouseId="11")) == {}


async def test_an_undone_changeset_moves_no_stock(sandbox):
    ask = sandbox()
    before = stock(ask, InventoryWarehouseId="11")

    refused = await ask("/data/SalesOrderLines", "POST", json={**SALES, "SalesOrderNumber": "NOPE"})

    assert refused.status_code == 400
    assert changed(before, stock(ask, InventoryWarehouseId="11")) == {}
