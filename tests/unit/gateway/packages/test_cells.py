"""``gateway.packages.cells``: the cells of a file become what the service's JSON has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.config.package_models import PackageSet
from gateway.packages.cells import converter
from schema.model.records import EnumMember, EnumType, Model, Property, TypeRef

ENUM = EnumType(
    name="N.Status", members=(EnumMember(name="None", value=0), EnumMember(name="Open", value=1))
)
MODEL = Model(
    entity_types={},
    complex_types={},
    enum_types={"N.Status": ENUM},
    entity_sets={},
    singletons={},
    operations=(),
)


def read(
    edm: str, cell: str, *, ax: str | None = None, has_nulls: bool = False, **declared: Any
) -> object:
    prop = Property(name="P", type=TypeRef(edm), ax_type=ax)
    file = PackageSet(project="p", **declared)
    return converter(prop, MODEL, file, has_nulls=has_nulls)(cell)


@pytest.mark.parametrize(
    ("edm", "cell", "value"),
    [
        ("Edm.String", " as it is ", " as it is "),
        ("Edm.String", "", ""),
        ("Edm.Int32", "-12", -12),
        ("Edm.Int64", "5637144576", 5_637_144_576),
        ("Edm.Int32", "", 0),
        ("Edm.Decimal", "1234567890123456789.123456", Decimal("1234567890123456789.123456")),
        ("Edm.Decimal", ".5", Decimal("0.5")),
        ("Edm.Decimal", " ", 0),
        ("Edm.Double", "1.5e3", Decimal("1.5e3")),
        ("Edm.Boolean", "Yes", True),
        ("Edm.Boolean", "", False),
        (
            "Edm.Guid",
            "{6F1A0000-0000-0000-0000-00000000000B}",
            "6f1a0000-0000-0000-0000-00000000000b",
        ),
        ("N.Status", "Open", "Open"),
        ("N.Status", "open", "Open"),
        ("N.Status", "1", "Open"),
        ("N.Status", "", None),
        ("Edm.TimeOfDay", "08:30:00", "08:30:00"),
        ("Edm.DateTimeOffset", "2024-01-31 08:30:15", "2024-01-31T08:30:15Z"),
        ("Edm.DateTimeOffset", "2024-01-31T23:30:00.25+02:00", "2024-01-31T21:30:00.250000Z"),
        ("Edm.DateTimeOffset", "2024-01-31 12:05:00 AM", "2024-01-31T00:05:00Z"),
        ("Edm.DateTimeOffset", "2024-1-3", "2024-01-03T00:00:00Z"),
        ("Edm.DateTimeOffset", "", "1900-01-01T00:00:00Z"),
        ("Edm.Date", "2024-01-31 00:00:00", "2024-01-31"),
    ],
)
def test_a_cell_is_read_by_the_type_of_its_property(edm: str, cell: str, value: object) -> None:
    assert read(edm, cell) == value


def test_an_x_plus_plus_date_is_noon() -> None:
    assert read("Edm.DateTimeOffset", "2024-01-31 00:00:00", ax="Date") == "2024-01-31T12:00:00Z"
    assert read("Edm.DateTimeOffset", "", ax="Date") == "1900-01-01T12:00:00Z"


@pytest.mark.parametrize(
    ("cell", "dates", "value"),
    [
        ("1/2/2024 01:30:00 PM", "mdy", "2024-01-02T13:30:00Z"),
        ("1.2.2024", "dmy", "2024-02-01T00:00:00Z"),
        ("31/12/2024 23:59", "dmy", "2024-12-31T23:59:00Z"),
    ],
)
def test_dates_have_the_order_of_the_format(cell: str, dates: str, value: str) -> None:
    assert read("Edm.DateTimeOffset", cell, dates=dates) == value


def test_numbers_have_the_separator_of_the_format() -> None:
    assert read("Edm.Decimal", "1234,50", decimal=",") == Decimal("1234.50")


def test_an_empty_cell_is_null_where_there_are_nulls() -> None:
    for edm in ("Edm.Int32", "Edm.Decimal", "Edm.Guid", "Edm.DateTimeOffset", "Edm.Boolean"):
        assert read(edm, "", has_nulls=True) is None


@pytest.mark.parametrize(
    ("edm", "cell", "declared"),
    [
        ("Edm.Int32", "1.5", {}),
        ("Edm.Int32", "1_000", {}),
        ("Edm.Int32", "\u0661", {}),
        ("Edm.Decimal", "1,234.50", {}),
        ("Edm.Decimal", "1.234,50", {"decimal": ","}),
        ("Edm.Decimal", "NaN", {}),
        ("Edm.Decimal", "1e9999", {}),
        ("Edm.Boolean", "maybe", {}),
        ("Edm.Guid", "no", {}),
        ("N.Status", "Open order", {}),
        ("Edm.DateTimeOffset", "31/12/2024", {}),
        ("Edm.DateTimeOffset", "2024-02-30", {}),
        ("Edm.DateTimeOffset", "24-02-20", {}),
        ("Edm.DateTimeOffset", "2024-02-20 13:00 PM", {}),
        ("Edm.DateTimeOffset", "yesterday", {}),
    ],
)
def test_a_cell_that_is_not_of_its_type_is_an_error(
    edm: str, cell: str, declared: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(edm, cell, **declared)
