"""Updates stock for open order lines.

An open sales line reserves its whole quantity in its warehouse, an open purchase line adds to what is ordered there.
The views of stock (by site, by warehouse, by inventory status) move alike; an item without a row there has no stock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from .store import ID, Store
from .values import Stored, decimal_text
from .world import COMPANY

Line = Mapping[str, Stored]
_VIEWS = ("WarehousesOnHandV2", "WarehouseInventoryStatusesOnHandV2", "InventorySitesOnHandV2")
_VARIANT = (
    *("ProductColorId", "ProductConfigurationId", "ProductSizeId"),
    *("ProductStyleId", "ProductVersionId"),
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Names of the properties of one kind of order line, and the quantities that one unit changes."""

    quantity: str
    status: str
    site: str
    warehouse: str
    changes: Mapping[str, int]


_KINDS = {
    "SalesOrderLines": _Kind(
        "OrderedSalesQuantity",
        "SalesOrderLineStatus",
        "ShippingSiteId",
        "ShippingWarehouseId",
        {"ReservedOnHandQuantity": 1, "AvailableOnHandQuantity": -1, "TotalAvailableQuantity": -1},
    ),
    "PurchaseOrderLinesV2": _Kind(
        "OrderedPurchaseQuantity",
        "PurchaseOrderLineStatus",
        "ReceivingSiteId",
        "ReceivingWarehouseId",
        {"OrderedQuantity": 1, "AvailableOrderedQuantity": 1, "TotalAvailableQuantity": 1},
    ),
}


def move(store: Store, storage: str, line: Line, sign: int) -> None:
    """Change stock by an open line that has come (``sign`` 1) or gone (-1); other rows move none."""
    kind = _KINDS.get(storage)
    if kind is None or line.get(kind.status) != _open(store, storage, kind):
        return
    quantity = sign * Decimal(str(line.get(kind.quantity) or 0))
    for view in _VIEWS if quantity else ():
        _move_view(store, view, kind, line, quantity)


def _open(store: Store, storage: str, kind: _Kind) -> Stored:
    return store.storage(storage).fields[kind.status].to_stored("Backorder")


def _move_view(store: Store, view: str, kind: _Kind, line: Line, quantity: Decimal) -> None:
    storage = store.storage(view)
    place = {
        COMPANY: line[COMPANY],
        "ItemNumber": line["ItemNumber"],
        "InventorySiteId": line[kind.site],
        **{name: line.get(name) or "" for name in _VARIANT},
    }
    if "InventoryWarehouseId" in storage.fields:
        place["InventoryWarehouseId"] = line[kind.warehouse]
    for row in store.find(storage, place, limit=1):
        number = row[ID]
        assert isinstance(number, int)
        changed = {
            name: decimal_text(Decimal(str(row[name])) + quantity * times)
            for name, times in kind.changes.items()
        }
        store.change(storage, number, changed)
