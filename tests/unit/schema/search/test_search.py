"""What a person who searches the schema finds, and in which order: tables over a small catalogue."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.catalog import Catalog
from schema.catalog.records import Verb
from schema.model.records import EntityType, Operation, OperationImport, OperationKind, TypeRef
from schema.search import Index, Root, complete, find, index_of, pack, unpack
from schema.search.words import searchable_text, words
from schema.types.build import build_schema
from schema.writes import Patterns, WriteRules, Writes
from tests.support.small_models import (
    FINOPS,
    DictResolvers,
    entity,
    enum,
    model,
    nav,
    prop,
    qualified,
)

KEY = prop("dataAreaId", nullable=False)
CODE = prop("Code", nullable=False)


def row(name: str, *more: str, label: str | None = None) -> EntityType:
    parts = [prop(one) for one in more]
    return entity(name, KEY, CODE, *parts, key=("dataAreaId", "Code"), label=label)


@pytest.fixture(scope="module")
def index() -> Index:
    lines = nav("SalesOrderLine", "SalesOrderLine", many=True)
    header = entity(
        "SalesOrderHeaderV2", KEY, CODE, prop("CreditNote"), lines, key=("dataAreaId", "Code")
    )
    made = model(
        row("CustomerV3", "CreditLimit", "CustomerAccount", label="Debtors and their limits"),
        row("CustomerGroup", label="@SYS1"),
        header,
        row("SalesOrderLine", "CreditLimit"),
        row("VendorV2", "VendorAccountNumber"),
        entity("AADClient", KEY, CODE, prop("State", "SalesStatus"), key=("dataAreaId", "Code")),
        row("Kunde", "Größe"),
        enum("SalesStatus", "Open", "Closed"),
        sets={
            "CustomersV3": "CustomerV3",
            "CustomerGroups": "CustomerGroup",
            "SalesOrderHeadersV2": "SalesOrderHeaderV2",
            "SalesOrderLines": "SalesOrderLine",
            "VendorsV2": "VendorV2",
            "AADClients": "AADClient",
            "Kunden": "Kunde",
        },
        operations=(
            Operation(name=qualified("postCustomers"), kind=OperationKind.ACTION, returns=None),
            Operation(
                name=qualified("CountCustomers"),
                kind=OperationKind.FUNCTION,
                returns=TypeRef("Edm.Int32"),
            ),
        ),
        imports={
            name: OperationImport(name=name, operation=qualified(name), kind=kind)
            for name, kind in (
                ("postCustomers", OperationKind.ACTION),
                ("CountCustomers", OperationKind.FUNCTION),
            )
        },
    )
    catalog = Catalog(made, FINOPS, labels={"@SYS1": "Classes of buyers"})
    return index_of(build_schema(catalog, DictResolvers(), writes=Writes(catalog)))


def found(index: Index, query: str, limit: int = 5) -> list[str]:
    return [f"{hit.kind} {hit.name}" for hit in find(index, query, limit)]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("customers", "set customersV3"),
        ("CustomersV3", "set customersV3"),
        ("customerV3", "set customersV3"),
        ("customer group", "set customerGroups"),
        ("group customer", "set customerGroups"),
        ("cust gr", "set customerGroups"),
        ("CuGr", "set customerGroups"),
        ("sohv2", "set salesOrderHeadersV2"),
        ("SOH", "set salesOrderHeadersV2"),
        ("orderline", "set salesOrderLines"),
        ("aad client", "set aadClients"),
        ("debtors", "set customersV3"),
        ("buyers", "set customerGroups"),
        ("credit limit", "field creditLimit"),
        ("creditLimit", "field creditLimit"),
        ("vendoraccountnumber", "field vendorAccountNumber"),
        ("sales status", "type SalesStatus"),
        ("kunde", "set kunden"),
        ("GRÖSSE", "field grosse"),
        ("count", "query countCustomers"),
        ("post", "mutation postCustomers"),
        ("create customer", "mutation createCustomerV3"),
        ("customer create", "mutation createCustomerV3"),
        ("deleteCustomerGroup", "mutation deleteCustomerGroup"),
        ("customersV3.credit", "field creditLimit"),
        ("salesorderheaders.line", "field salesOrderLine"),
    ],
)
def test_the_first_hit_is_what_was_meant(index: Index, query: str, first: str) -> None:
    assert found(index, query)[:1] == [first]


@pytest.mark.parametrize("query", ["xyzzy", "customer xyzzy", "customersV3.xyzzy", "xyzzy.credit"])
def test_nothing_is_found_where_a_word_is_nowhere(index: Index, query: str) -> None:
    assert found(index, query) == []


def test_a_set_offers_its_aggregates() -> None:
    catalog = Catalog(model(row("VendorV2"), sets={"VendorsV2": "VendorV2"}), FINOPS)
    index = index_of(build_schema(catalog, DictResolvers(), aggregates=True))

    assert find(index, "vendors", 1)[0].queries == ("vendorsV2", "vendorV2", "vendorsV2Aggregate")
    assert "vendorsV2Aggregate" in complete(index, "query", "vendorsV2", 5)
    assert complete(index, "query", "vendorsV2Agg", 5)[0] == "vendorsV2Aggregate"
    assert unpack(pack(index)) == index


def test_the_newest_version_comes_first() -> None:
    names = ("Vendor", "VendorV2", "VendorV10", "VendorV3")
    sets = {name.replace("Vendor", "Vendors"): name for name in names}
    catalog = Catalog(model(*(row(name) for name in names), sets=sets), FINOPS)
    index = index_of(build_schema(catalog, DictResolvers()))

    assert found(index, "vend")[:4] == [
        "set vendorsV10",
        "set vendorsV3",
        "set vendorsV2",
        "set vendors",
    ]
    assert found(index, "vendors")[0] == "set vendors"


def test_without_a_query_the_sets_come_by_name(index: Index) -> None:
    assert found(index, "", 3) == ["set aadClients", "set customerGroups", "set customersV3"]


def test_a_set_tells_what_can_be_done_with_its_rows(index: Index) -> None:
    (hit,) = find(index, "customersV3", 1)

    assert (hit.csdl, hit.type) == ("CustomersV3", "CustomerV3")
    assert hit.label == "Debtors and their limits"
    assert hit.queries == ("customersV3", "customerV3")
    assert hit.mutations[:2] == ("createCustomerV3", "createCustomersV3")
    assert len(hit.mutations) == 8


def test_a_field_tells_whose_it_is(index: Index) -> None:
    (hit,) = (hit for hit in find(index, "credit limit", 9) if hit.name == "creditLimit")

    assert (hit.sets, hit.count) == (("customersV3", "salesOrderLines"), 2)


@pytest.mark.parametrize(
    ("root", "typed", "first"),
    [
        ("query", "cust", ["customersV3", "customerV3", "customerGroups", "customerGroup"]),
        ("query", "salesOrderL", ["salesOrderLines", "salesOrderLine"]),
        ("query", "count", ["countCustomers"]),
        ("mutation", "createSalesOrderL", ["createSalesOrderLine", "createSalesOrderLines"]),
        ("mutation", "deleteV", ["deleteVendorV2", "deleteVendorsV2"]),
        ("mutation", "post", ["postCustomers"]),
        ("mutation", "vendor", ["createVendorV2", "createVendorsV2"]),
        ("query", "xyzzy", []),
    ],
)
def test_fields_that_are_typed_are_completed(
    index: Index, root: Root, typed: str, first: list[str]
) -> None:
    assert complete(index, root, typed, 20)[: len(first) or None] == first


def test_an_empty_place_is_completed_with_the_first_fields(index: Index) -> None:
    assert complete(index, "query", "", 2) == ["aadClients", "aadClient"]
    assert complete(index, "mutation", "", 1) == ["createAadClient"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("SalesOrderHeadersV2", ["sales", "order", "headers", "v2"]),
        ("AADClientId", ["aad", "client", "id"]),
        ("sales order", ["sales", "order"]),
        ("RAssetTrans_RU2", ["r", "asset", "trans", "ru2"]),
        ("客户 v3", ["客户", "v3"]),
        ("!?", []),
    ],
)
def test_names_are_split_at_humps_and_signs(name: str, parts: list[str]) -> None:
    assert words(name) == parts


def test_initials_and_the_whole_name_are_words_too() -> None:
    assert searchable_text(("SalesOrderV2",)) == " sales order v2 salesorderv2 sov2"


def test_an_index_is_found_as_it_was_packed(index: Index) -> None:
    again = unpack(pack(index))

    assert again is not None
    for query in ("customers", "credit", "create vendor", "customersV3.c"):
        assert find(again, query, 20) == find(index, query, 20)


@pytest.mark.parametrize("content", [b"", b"nonsense", pack(Index((), (), range(0), {}, ""))[:-1]])
def test_bytes_of_anything_else_are_no_index(content: bytes) -> None:
    assert unpack(content) is None


@pytest.mark.heavy
@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40))
def test_no_query_is_too_odd(index: Index, query: str) -> None:
    hits = find(index, query, 7)

    assert len(hits) <= 7
    assert all(re.fullmatch(r"\w+", hit.name) for hit in hits)
    for root in ("query", "mutation"):
        assert len(complete(index, root, query, 7)) <= 7


@pytest.mark.parametrize(
    ("writes", "mutations"),
    [
        (None, ()),
        (WriteRules(verbs={Verb.CREATE: Patterns(deny=("*",))}), ("update", "delete")),
    ],
)
def test_what_the_settings_forbid_is_not_found(
    writes: WriteRules | None, mutations: tuple[str, ...]
) -> None:
    made = model(row("CustomerV3", "Name"), sets={"CustomersV3": "CustomerV3"})
    catalog = Catalog(made, FINOPS)
    allowed = None if writes is None else Writes(catalog, writes)
    index = index_of(build_schema(catalog, DictResolvers(), writes=allowed))

    (hit,) = find(index, "customers", 1)
    verbs = dict.fromkeys(re.match("[a-z]+", name)[0] for name in hit.mutations)  # type: ignore[index]

    assert tuple(verbs) == mutations
    assert not [name for name in found(index, "create customer") if "mutation" in name]
