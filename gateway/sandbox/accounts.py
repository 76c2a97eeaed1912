r"""Looks up display values of ledger accounts: ``600150-001-022``, ``US\-101`` (section 5.4).

Segments are joined by the delimiter; one inside a number is escaped by a backslash. A ledger account
begins with a main account of the company's chart, followed by values of the dimensions that the active format names;
customers, vendors and banks stand alone.
"""

from __future__ import annotations

import re

from .rules import Lookup
from .store import Store
from .values import Stored, fold
from .world import COMPANY, World

_DELIMITER = re.compile(r"(?<!\\)-")
_HOLDERS = {
    "Cust": Lookup("CustomersV3", ((COMPANY, COMPANY), ("", "CustomerAccount")), ""),
    "Vend": Lookup("VendorsV2", ((COMPANY, COMPANY), ("", "VendorAccountNumber")), ""),
    "Bank": Lookup("BankAccounts", ((COMPANY, COMPANY), ("", "BankAccountId")), ""),
}


def segments(display: str) -> list[str]:
    """Split a display value at the delimiters that are not escaped, and unescape."""
    return [part.replace("\\-", "-") for part in _DELIMITER.split(display)]


class Accounts:
    """Looks up the parts of display values."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store

    def missing(self, kind: str, display: str, company: Stored) -> tuple[str, str] | None:
        """Return (value, set that lacks it) of the first value that does not exist; None if all do."""
        parts = segments(display)
        if kind == "Ledger":
            chart = self.ledger(company).get("ChartOfAccounts")
            tests = {"ChartOfAccounts": chart, "MainAccountId": parts[0]}
            if not self._exists("MainAccounts", tests):
                return parts[0], "MainAccounts"
            return self._missing_dimension(parts[1:])
        holder = _HOLDERS.get(kind)
        if holder is None:
            return None
        own = holder.pairs[-1][1]
        if len(parts) == 1 and self._exists(holder.target, {COMPANY: company, own: parts[0]}):
            return None
        return display, holder.target

    def _missing_dimension(self, values: list[str]) -> tuple[str, str] | None:
        """Return the first value that its dimension lacks; blank segments and those without a dimension are valid."""
        for dimension, value in zip(self._dimensions(), values, strict=False):
            tests: dict[str, Stored] = {"FinancialDimension": dimension, "DimensionValue": value}
            if value and not self._exists("FinancialDimensionValues", tests):
                return value, "FinancialDimensionValues"
        return None

    def _dimensions(self) -> list[str]:
        """Return the dimensions that follow the main account, as the active format for ledger accounts says."""
        storage = self._store.storage("DimensionIntegrationFormats")
        kind = storage.fields["DimensionFormatType"].to_stored("DataEntityLedgerDimensionFormat")
        active = storage.fields["IsActive"].to_stored("Yes")
        tests = {"DimensionFormatType": kind, "IsActive": active}
        formats = self._store.find(storage, tests, limit=1)
        return str(formats[0]["FinancialDimensionFormat"]).split("-")[1:] if formats else []

    def ledger(self, company: Stored) -> dict[str, Stored]:
        """Return the ledger of a company; empty if it has none."""
        storage = self._store.storage("Ledgers")
        ledgers = self._store.find(storage, {"LegalEntityId": company}, limit=1)
        return ledgers[0] if ledgers else {}

    def company(self, company: str) -> str | None:
        """Return a company's id as rows hold it (section 1.2: lower case); None if it does not exist."""
        storage = self._store.storage("LegalEntities")
        exists = self._store.find(storage, {"LegalEntityId": company}, limit=1)
        return fold(company) if exists else None

    def _exists(self, entity_set: str, values: dict[str, Stored]) -> bool:
        storage = self._store.storage(self._world.storage_of_set(entity_set))
        return bool(self._store.find(storage, values, limit=1))
