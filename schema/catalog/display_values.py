"""Columns with display values of accounts and dimensions, which have a field with their parts beside them.

    AccountDisplayValue ``600150-001-022``  →  accountParts { mainAccount dimensions { name value } }

The names tell them apart, as real metadata has them: ``LedgerDimension`` and ``Account`` are accounts of the ledger
with their dimensions, ``DefaultLedgerDimension`` and any other ``Dimension`` are default dimensions, which have no
account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from schema.model.records import EntityType, EnumType, Property, short

from .names import field_name

PARTS, DIMENSION, PARTS_INPUT, DIMENSION_INPUT = (
    "DisplayValueParts",
    "DimensionValuePart",
    "DisplayValuePartsInput",
    "DimensionValuePartInput",
)
PARTS_TYPES = (PARTS, DIMENSION, PARTS_INPUT, DIMENSION_INPUT)
_SUFFIX = "DisplayValue"
_OF_JOURNALS = "ACType"
"""What the names of enums of account types have in them."""
_LEDGER = "Ledger"
Format = Literal["ledger", "default", "account"]


class DisplayValue(Struct, frozen=True):
    """A column with display values."""

    column: Property
    declared_by: str
    format: Format
    """``account``: the whole value is a customer or vendor."""
    account_type: str = ""
    """Column that says whether it is an account of the ledger; empty: it is always one."""
    may_be_masked: bool = False
    """Whether roles may see it masked."""

    @property
    def parts_name(self) -> str:
        """The name of the field with the parts."""
        return f"{field_name(self.column.name).removesuffix(_SUFFIX)}Parts"


def display_values(declaring: EntityType, enums: Mapping[str, EnumType]) -> Iterator[DisplayValue]:
    """Yield the columns of an entity type with display values of accounts and dimensions."""
    for prop in declaring.properties:
        if prop.name.endswith(_SUFFIX) and prop.type.name == "Edm.String" and not prop.type.many:
            stem = prop.name.removesuffix(_SUFFIX)
            kind = format_of(stem)
            if kind is not None:
                of_type = _account_type(stem, declaring, enums) if kind == "ledger" else ""
                yield DisplayValue(prop, declaring.name, kind, of_type)


def format_of(stem: str) -> Format | None:
    """Return the format of a column by its name without ``DisplayValue``; None if it is no account or dimension."""
    if "LedgerDimension" in stem:
        return "default" if "DefaultLedgerDimension" in stem else "ledger"
    if "Dimension" in stem:
        # A combination of values is an account of the ledger by the name of its table.
        return "ledger" if "DimensionAttributeValueCombination" in stem else "default"
    if "Account" not in stem:
        return None
    return "account" if stem in ("CustomerAccount", "VendorAccount") else "ledger"


def _account_type(stem: str, declaring: EntityType, enums: Mapping[str, EnumType]) -> str:
    """Return the column that says what an account is: its own, else the one of the row; empty if there is none."""
    if "Dimension" in stem or "MainAccount" in stem:
        return ""
    types = {
        p.name
        for p in declaring.properties
        if p.name.endswith("AccountType") and _is_account_type(enums.get(p.type.name))
    }
    own = (f"{stem}Type", f"{stem.replace('LedgerAccount', 'Account')}Type")
    return next((name for name in (*own, "AccountType") if name in types), "")


def _is_account_type(enum: EnumType | None) -> bool:
    if enum is None:
        return False
    return _OF_JOURNALS in short(enum.name) or any(m.name == _LEDGER for m in enum.members)
