"""``schema.catalog.naming``: a catalog over a snapshot is the catalog over the parsed document."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import Any

import pytest
from graphql import print_type

from schema.catalog import Catalog
from schema.catalog.naming import Naming, decode_naming, encode_naming
from schema.catalog.records import RootKind
from schema.model.snapshot import pack, unpack
from schema.types.build import build_schema
from tests.support.metadata_documents import (
    CATALOGUE,
    PROCUREMENT,
    REAL_CATALOGUE,
    REAL_DATAVERSE,
    REAL_SMALL,
    RELATIONSHIPS,
    TRADERS,
    TRIPS,
    catalogues,
    found,
    model_of,
)
from tests.support.small_models import (
    FINOPS,
    GENERIC,
    NO_YES,
    DictResolvers,
    entity,
    enum,
    model,
    nav,
    prop,
)
from tests.support.soak import bounded

SMALL = model(
    entity("Base", prop("Id"), key=("Id",), abstract=True),
    entity("Customer", prop("Name"), nav("Orders", "Order", many=True), base="Base"),
    entity("Order", prop("Paid", "NoYes"), key=("Id",)),
    entity("customer", prop("Clash")),
    NO_YES,
    sets={"Customers": "Customer", "Orders": "Order", "customers": "Order"},
)


@cache
def catalogs(name: str) -> tuple[Catalog, Catalog]:
    """The catalog of a document, and the one of its snapshot."""
    if name == "small":
        eager = Catalog(SMALL, FINOPS, renames={"Order": "Sale", "Query.Orders": "sales"})
    else:
        eager = Catalog(model_of(name), GENERIC)
    return eager, again(eager)


def again(eager: Catalog) -> Catalog:
    """What the next start makes of a catalog."""
    notes = encode_naming(eager.naming())
    unpacked = unpack(b"".join(pack(eager.model, fingerprint=b"", notes=notes)), fingerprint=b"")
    assert unpacked is not None
    naming = decode_naming(bytes(unpacked.notes))
    assert naming is not None
    return Catalog(unpacked.model, eager.abilities, renames=eager.renames, naming=naming)


def decoded(catalog: Catalog) -> int:
    held = catalog.model
    tables: tuple[Any, ...] = (
        held.entity_types,
        held.complex_types,
        held.enum_types,
        held.entity_sets,
    )
    return sum(table.decoded for table in tables)


FEW = ["small", TRIPS, TRADERS, PROCUREMENT, RELATIONSHIPS]
REAL = [pytest.param(name, marks=pytest.mark.heavy) for name in found(*REAL_SMALL)]
MANY = catalogues(*bounded((), (REAL_DATAVERSE, REAL_CATALOGUE)))


@pytest.mark.heavy
@pytest.mark.parametrize("name", [*FEW, *REAL, *MANY])
def test_names_roots_and_findings_are_those_of_the_document(name: str) -> None:
    eager, lazy = catalogs(name)

    assert list(lazy.known_names().items()) == list(eager.known_names().items())
    assert list(lazy.roots.items()) == list(eager.roots.items())
    assert list(lazy.entries()) == list(eager.entries())
    assert set(lazy.findings) >= set(eager.model.findings)
    assert lazy.naming() == eager.naming()


@pytest.mark.parametrize("name", [*FEW, *REAL])
def test_the_schema_is_that_of_the_document(name: str) -> None:
    eager, lazy = (build_schema(c, DictResolvers()) for c in catalogs(name))

    assert lazy.as_str() == eager.as_str()


@pytest.mark.parametrize("name", MANY)
def test_a_slice_of_the_schema_is_that_of_the_document(name: str) -> None:
    eager, lazy = (build_schema(c, DictResolvers()).core for c in catalogs(name))

    for one in islice(eager.type_map, 40, None, len(eager.type_map) // 40):
        made = lazy.type_map[one]
        assert print_type(made) == print_type(eager.type_map[one])


def test_the_clashes_and_renames_of_the_small_model_are_taken_over() -> None:
    eager, lazy = catalogs("small")

    assert lazy.findings == eager.findings
    assert len(lazy.findings) > 1
    assert "sales" in lazy.roots
    assert lazy.roots.get("orders") is None
    assert lazy.reference_name(f"{SMALL.namespace}.Order") == "Sale"


def test_a_catalog_over_a_snapshot_decodes_nothing() -> None:
    eager, _ = catalogs(TRIPS)

    lazy = again(eager)
    build_schema(lazy, DictResolvers())

    assert decoded(lazy) == 0
    assert len(lazy.roots) == len(eager.roots)
    assert lazy.entry("PersonConnection") is not None


@pytest.mark.catalogue
def test_the_first_query_decodes_what_it_touches() -> None:
    lazy = again(catalogs(CATALOGUE)[0])
    api = build_schema(lazy, DictResolvers({"customersV3": {"nodes": []}}))

    answer = api.execute_sync(
        '{ customersV3(where: {customerAccount: {eq: "1"}}) { nodes { customerAccount } } }'
    )

    assert answer.errors is None
    # itself, its some 80 enums, and the types beside it
    assert decoded(lazy) <= 150


def test_a_root_field_is_made_once() -> None:
    _, lazy = catalogs(TRIPS)

    assert lazy.roots["people"] is lazy.roots["people"]
    assert {root.kind for root in lazy.roots.values()} >= {
        RootKind.LIST,
        RootKind.BY_KEY,
        RootKind.SINGLETON,
        RootKind.FUNCTION,
        RootKind.NODE,
    }


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x95\x80\x90", b"{}"])
def test_notes_of_another_program_are_none(content: bytes) -> None:
    assert decode_naming(content) is None


def test_naming_is_plain_data() -> None:
    naming = catalogs("small")[0].naming()

    assert isinstance(naming, Naming)
    assert decode_naming(encode_naming(naming)) == naming


def test_what_leads_to_an_enum_is_found_without_naming_its_members() -> None:
    status, unused = enum("Status", "Open"), enum("Unused", "One")
    row = entity("Row", prop("Key"), prop("Status", "Status"), key=("Key",))
    catalog = Catalog(model(row, status, unused, sets={"Rows": "Row"}), FINOPS)

    assert {"Unused", "UnusedFilter"} <= {*catalog.naming().unreachable}
    assert {"Status", "StatusFilter"} <= {e.name for e in catalog.entries()}
    assert not catalog._enums
