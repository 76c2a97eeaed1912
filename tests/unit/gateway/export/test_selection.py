"""The columns that an export has, and what no column can hold."""

from __future__ import annotations

import pytest

from gateway.errors import BadArgument
from gateway.export.selection import find_list, select
from schema.catalog import Catalog
from tests.support.shop import shop


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return shop().catalog


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("CustomersV3", "customersV3"),
        ("customersV3", "customersV3"),
        ("customerV3", None),
        ("me", None),
        ("Nothing", None),
    ],
)
def test_a_list_has_two_names(catalog: Catalog, name: str, field: str | None) -> None:
    root = find_list(catalog, name)

    assert (None if root is None else root.name) == field


@pytest.mark.parametrize(
    ("fields", "text", "names"),
    [
        ("dataAreaId,status", "dataAreaId status", ["dataAreaId", "status"]),
        ("id etag", "id etag", ["id", "etag"]),
        ("account: customerAccount", "account:customerAccount", ["account"]),
        ("status group{name}", "status group{name}", ["status", "group.name"]),
        ("g:group{n:name}", "g:group{n:name}", ["g.n"]),
        ("home{zip}", "home{zip}", ["home.zip"]),
        (
            None,
            "dataAreaId customerAccount creditLimit version onHold status since home{zip spot} tags",
            [
                *("dataAreaId", "customerAccount", "creditLimit", "version", "onHold", "status"),
                *("since", "home.zip", "home.spot", "tags"),
            ],
        ),
    ],
)
def test_fields_become_columns(
    catalog: Catalog, fields: str | None, text: str, names: list[str]
) -> None:
    selection = select(catalog, catalog.roots["customersV3"].csdl, fields)

    assert (selection.text, [column.name for column in selection.columns]) == (text, names)


def test_a_value_below_an_absent_object_is_absent(catalog: Catalog) -> None:
    csdl = catalog.roots["customersV3"].csdl

    own, below = select(catalog, csdl, "dataAreaId group{name}").columns

    assert (own.nullable, below.nullable, below.field.nullable) == (False, True, False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("", "no values"),
        ("status}", "no selection of GraphQL"),
        ("status} query B {status", "no selection of GraphQL"),
        ("status} fragment B on C {d", "no selection of GraphQL"),
        ("{" * 20_000, "no selection of GraphQL"),
        ("...A", "more than names"),
        ("status @skip(if: true)", "more than names"),
        ("orders(first: 1){nodes{number}}", "more than names"),
        ("credit", "no field credit"),
        ("statu", "Did you mean status?"),
        ("status status", "there twice"),
        ("status:version status", "there twice"),
        ("orders{nodes{number}}", "list of rows"),
        ("group", "needs fields"),
        ("status{a}", "has no fields"),
    ],
)
def test_other_fields_are_refused(catalog: Catalog, fields: str, message: str) -> None:
    with pytest.raises(BadArgument, match=message.replace("?", r"\?")):
        select(catalog, catalog.roots["customersV3"].csdl, fields)
