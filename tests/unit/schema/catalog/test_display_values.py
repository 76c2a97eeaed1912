"""Which columns have display values of accounts and dimensions: by names, as real metadata has them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace

import pytest

from schema.catalog import Catalog
from schema.catalog.display_values import DisplayValue, display_values, format_of
from schema.model.records import (
    ComplexType,
    EntitySet,
    EntityType,
    EnumMember,
    EnumType,
    Model,
    Property,
)
from tests.support.metadata_documents import real_file
from tests.support.small_models import FINOPS, NS, prop, qualified

FORMATS = {
    "Account": "ledger",
    "OffsetAccount": "ledger",
    "MainAccountId": "ledger",
    "LedgerDimension": "ledger",
    "DiscountAccountLedgerDimension": "ledger",
    "DefaultAccrualLedgerDimension": "ledger",
    "LedgerDimensionGiftCardCompany": "ledger",
    "DimensionAttributeValueCombination": "ledger",
    "DefaultLedgerDimension": "default",
    "DefaultDimension": "default",
    "Dimension": "default",
    "DefaultDimensionsForAccount": "default",
    "DimensionDefault": "default",
    "FixedDimensions": "default",
    "CustomerAccount": "account",
    "FinTag": None,
    "PostdatedCheckCashier": None,
}
ACCOUNT_TYPE = EnumType(
    name=f"{NS}.LedgerJournalACType",
    members=(EnumMember(name="Ledger", value=0), EnumMember(name="Vend", value=2)),
)
OTHER_TYPE = EnumType(
    name=f"{NS}.DimensionLedgerAccountType", members=(EnumMember(name="Asset", value=0),)
)
ENUMS = {enum.name: enum for enum in (ACCOUNT_TYPE, OTHER_TYPE)}


@pytest.mark.parametrize(("stem", "expected"), FORMATS.items(), ids=FORMATS)
def test_a_column_has_the_format_of_its_name(stem: str, expected: str | None) -> None:
    assert format_of(stem) == expected


def values_of(*columns: Property) -> dict[str, DisplayValue]:
    entity = EntityType(name=qualified("Row"), key=("Id",), properties=(prop("Id"), *columns))
    return {value.column.name: value for value in display_values(entity, ENUMS)}


TYPED: dict[str, tuple[str, dict[str, str], str]] = {
    "its own": ("AccountDisplayValue", {"AccountType": "LedgerJournalACType"}, "AccountType"),
    "its own beside others": (
        "OffsetAccountDisplayValue",
        {"AccountType": "LedgerJournalACType", "OffsetAccountType": "LedgerJournalACType"},
        "OffsetAccountType",
    ),
    "without Ledger in its name": (
        "DefaultOffsetLedgerAccountDisplayValue",
        {"DefaultOffsetAccountType": "LedgerJournalACType"},
        "DefaultOffsetAccountType",
    ),
    "that of the row": (
        "PaymentAccountDisplayValue",
        {"AccountType": "LedgerJournalACType"},
        "AccountType",
    ),
    "none of a main account": (
        "MainAccountDisplayValue",
        {"AccountType": "LedgerJournalACType"},
        "",
    ),
    "none that means something else": (
        "LedgerAccountDisplayValue",
        {"AccountType": "DimensionLedgerAccountType"},
        "",
    ),
    "none": ("AccountDisplayValue", {}, ""),
}


@pytest.mark.parametrize(("name", "types", "expected"), TYPED.values(), ids=TYPED)
def test_the_type_of_the_account_is_found(name: str, types: dict[str, str], expected: str) -> None:
    columns = (prop(column, enum) for column, enum in types.items())

    assert values_of(prop(name), *columns)[name].account_type == expected


def test_only_texts_are_display_values() -> None:
    names = ("AccountDisplayValue", "AccountDisplayValues", "AccountId", "DisplayValue")
    assert list(values_of(*map(prop, names))) == ["AccountDisplayValue"]
    assert values_of(prop("AccountDisplayValue", "Edm.Int64")) == {}


def test_a_column_called_as_the_field_gives_way_to_it() -> None:
    entity = EntityType(
        name=qualified("Row"),
        key=("Id",),
        properties=(prop("Id"), prop("AccountParts"), prop("AccountDisplayValue")),
    )
    model = Model(
        entity_types={entity.name: entity},
        entity_sets={"Rows": EntitySet(name="Rows", type=entity.name)},
    )
    fields = Catalog(model, replace(FINOPS, display_values=True)).object(entity.name).fields

    assert fields["accountParts"].parts is not None
    assert fields["accountPartsColumn"].source == "AccountParts"
    assert "accountParts" in Catalog(model, FINOPS).object(entity.name).fields
    assert Catalog(model, FINOPS).object(entity.name).fields["accountParts"].parts is None


def test_complex_values_have_no_display_values() -> None:
    home = ComplexType(name=qualified("Home"), properties=(prop("AccountDisplayValue"),))
    catalog = Catalog(Model(complex_types={home.name: home}), replace(FINOPS, display_values=True))

    assert list(catalog.display_values(home.name)) == []


def test_real_metadata_is_told_apart() -> None:
    """The whole of a real environment: 3,868 sets, 655 display values."""
    whole = json.loads(gzip.decompress(real_file("finops-entities.json.gz").read_bytes()))
    enums = {
        qualified(name): EnumType(
            name=qualified(name), members=tuple(EnumMember(name=n, value=v) for n, v in members)
        )
        for name, members in whole["enums"].items()
    }
    found: Counter[str] = Counter()
    typed: Counter[str] = Counter()
    for entity in whole["entities"].values():
        columns = (prop(name, kind) for name, kind, _ in entity["props"])
        row = EntityType(name=qualified(entity["type"]), properties=tuple(columns))
        for value in display_values(row, enums):
            found[value.format] += 1
            typed[value.account_type] += 1

    assert found == {"ledger": 376, "default": 229, "account": 1}
    assert typed == {
        "": 562,
        "AccountType": 24,
        "OffsetAccountType": 16,
        "DefaultOffsetAccountType": 3,
        "ExpenseOffsetAccountType": 1,
    }
