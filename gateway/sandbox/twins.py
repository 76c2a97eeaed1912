"""Keeps the rows of tables in step with the entities over them: `CustTableBiEntities` with customers, and so on.

A customer of ``CustomersV3`` is a record of the table CustTable (and of others), which ``CustTableBiEntity`` shows as
it is, with the system fields of the record. So a write of the one moves the stamp of the other, and a deleted customer
is gone from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from .store import ID, Store
from .values import Stored
from .world import COMPANY

Row = Mapping[str, Stored]


@dataclass(frozen=True, slots=True)
class _Twin:
    """A table, and the properties of the entity that it shows by other names."""

    table: str
    key: str
    columns: Mapping[str, str]
    """Property of the table → property of the entity."""


_TWINS = {
    "CustomersV3": _Twin(
        "CustTableBiEntities",
        "CustomerAccount",
        {
            "AccountNum": "CustomerAccount",
            "CustGroup": "CustomerGroupId",
            "Currency": "SalesCurrencyCode",
            "PaymTermId": "PaymentTerms",
            "PaymMode": "PaymentMethod",
            "DlvTerm": "DeliveryTerms",
            "InventSiteId": "SiteId",
            "InventLocation": "WarehouseId",
            "TaxGroup": "SalesTaxGroup",
            "CreditMax": "CreditLimit",
            "Blocked": "OnHoldStatus",
        },
    ),
    "VendorsV2": _Twin(
        "VendTableBiEntities",
        "VendorAccountNumber",
        {
            "AccountNum": "VendorAccountNumber",
            "VendGroup": "VendorGroupId",
            "Currency": "CurrencyCode",
            "PaymTermId": "DefaultPaymentTermsName",
            "PaymMode": "DefaultVendorPaymentMethodName",
            "TaxGroup": "SalesTaxGroupCode",
            "CreditMax": "CreditLimit",
            "Blocked": "OnHoldStatus",
        },
    ),
}


def follow(store: Store, storage: str, row: Row | None, before: Row | None) -> None:
    """Write the table's row for one that was created, changed or deleted; do nothing for other storages."""
    twin = _TWINS.get(storage)
    if twin is None:
        return
    table = store.storage(twin.table)
    known = before if row is None else row
    assert known is not None
    found = store.find(table, {COMPANY: known[COMPANY], "AccountNum": known[twin.key]}, limit=1)
    number = found[0][ID] if found else None
    assert number is None or isinstance(number, int)
    if row is None:
        if number is not None:
            store.remove(table, number)
        return
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    values: dict[str, Stored] = {
        **{name: row[source] for name, source in twin.columns.items() if source in row},
        "SysModifiedDateTime": table.fields["SysModifiedDateTime"].to_stored(now),
    }
    if number is not None:
        store.change(table, number, values)
        return
    own = {COMPANY: row[COMPANY], "SysDataAreaId": row[COMPANY], "SysModifiedBy": "Admin"}
    created = store.add(table, table.types[0], {**own, **values, "SysRecVersion": 1})
    store.change(table, created, {"SourceKey": created, "Party": created})
