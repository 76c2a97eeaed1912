"""The business logic of the built-in documents: vouchers, amounts, totals, posted journals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from .infolog import Infolog
from .numbers import Numbers
from .stock import move
from .store import Store
from .twins import follow
from .values import Stored, decimal_text
from .world import COMPANY

if TYPE_CHECKING:
    from .writing import Row

_CENT = Decimal("0.01")
_POSTED = 1  # NoYes


@dataclass(frozen=True, slots=True)
class Business:
    """Derives values, and refuses writes that a document's state forbids."""

    store: Store
    numbers: Numbers
    active: bool
    """False for other services' metadata: their logic is not known."""

    def derive(self, storage: str, row: Row, given: Collection[str]) -> None:
        """Compute properties that follow from others, unless the caller set them (``given``)."""
        if not self.active:
            return
        if storage == "LedgerJournalLines" and not row.get("Voucher"):
            row["Voucher"] = self._voucher(row)
        derived = _DERIVED.get(storage)
        if derived is None:
            return
        for name, needs, compute in derived:
            if name not in given and (
                name not in row or needs & set(given) or not _number(row, name)
            ):
                row[name] = decimal_text(compute(row).quantize(_CENT, ROUND_HALF_UP))

    def check(self, infolog: Infolog, storage: str, row: Mapping[str, Stored], op: str) -> None:
        """Raise Refusal if the state of a document forbids a write (section 5.3, business rules)."""
        if not self.active:
            return
        if storage in ("LedgerJournalHeaders", "LedgerJournalLines") and self._is_posted(row):
            number = row.get("JournalBatchNumber")
            raise infolog.write_failed(
                f"Journal {number} is posted and cannot be changed", operation=op
            )
        if storage == "SalesOrderLines" and op == "create" and not row.get("ShippingSiteId"):
            raise infolog.failed(
                "Warning: Inventory dimension Site is mandatory and must consequently be specified",
                "Error: Update has been canceled",
                operation=op,
            )

    def parent_changes(self, storage: str, parent: Row, row: Row | None, before: Row | None) -> Row:
        """Return what a write of a line changes in its header; its RecVersion changes anyway."""
        if storage != "LedgerJournalLines":
            return {}
        totals = {"JournalTotalDebit": "DebitAmount", "JournalTotalCredit": "CreditAmount"}
        return {
            total: decimal_text(
                _number(parent, total) + _number(row or {}, name) - _number(before or {}, name)
            )
            for total, name in totals.items()
        }

    def update_tables(self, storage: str, row: Row | None, before: Row | None) -> None:
        """Update what depends on a row that was created, changed or deleted: stock, and tables that show it, too."""
        if not self.active:
            return
        follow(self.store, storage, row, before)
        if before is not None:
            move(self.store, storage, before, -1)
        if row is not None:
            move(self.store, storage, row, 1)

    def _voucher(self, row: Row) -> Stored:
        """Return the voucher of the journal's last line, or the next number."""
        storage = self.store.storage("LedgerJournalLines")
        journal = {name: row[name] for name in (COMPANY, "JournalBatchNumber")}
        last = self.store.find(storage, journal, greatest="LineNumber", limit=1)
        if last and last[0]["Voucher"]:
            return last[0]["Voucher"]
        return self.numbers.next(storage, "Voucher", row[COMPANY])

    def _is_posted(self, row: Mapping[str, Stored]) -> bool:
        storage = self.store.storage("LedgerJournalHeaders")
        names = (COMPANY, "JournalBatchNumber")
        if not all(name in row for name in names):
            return False
        headers = self.store.find(storage, {name: row[name] for name in names}, limit=1)
        return bool(headers) and headers[0]["IsPosted"] == _POSTED


def _number(row: Mapping[str, Stored], name: str) -> Decimal:
    return Decimal(str(row.get(name) or 0))


def _sales_amount(row: Row) -> Decimal:
    full = _number(row, "OrderedSalesQuantity") * _number(row, "SalesPrice")
    return full * (100 - _number(row, "LineDiscountPercentage")) / 100


def _purchase_amount(row: Row) -> Decimal:
    return _number(row, "OrderedPurchaseQuantity") * _number(row, "PurchasePrice")


def _invoice_amount(row: Row) -> Decimal:
    return _number(row, "ReceiveNow") * _number(row, "AdjustedUnitPrice")


_Derived = tuple[tuple[str, frozenset[str], Callable[["Row"], Decimal]], ...]
_DERIVED: dict[str, _Derived] = {
    "SalesOrderLines": (
        (
            "LineAmount",
            frozenset({"OrderedSalesQuantity", "SalesPrice", "LineDiscountPercentage"}),
            _sales_amount,
        ),
    ),
    "PurchaseOrderLinesV2": (
        ("LineAmount", frozenset({"OrderedPurchaseQuantity", "PurchasePrice"}), _purchase_amount),
    ),
    "VendorInvoiceLines": (
        ("Amount", frozenset({"ReceiveNow", "AdjustedUnitPrice"}), _invoice_amount),
        ("NetAmount", frozenset({"ReceiveNow", "AdjustedUnitPrice"}), _invoice_amount),
    ),
}
