"""The API as a subgraph: what its SDL says to composers, and the types that make it one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import strawberry
from graphql import (
    REMOVE,
    DocumentNode,
    GraphQLUnionType,
    Visitor,
    build_client_schema,
    parse,
    print_ast,
    print_schema,
    validate,
    visit,
)

from schema.catalog import Catalog
from schema.catalog.naming import decode_naming, encode_naming
from schema.catalog.records import ServiceInfo
from schema.errors import NameCollisionError
from schema.introspection import introspect, is_whole, print_subgraph, print_types
from schema.model.records import ComplexType, EnumMember, EnumType
from schema.types.build import ODataSchema, build_schema
from schema.types.federation import Federation
from schema.why.reads import why
from schema.writes import Writes
from schema.writes.rules import WriteRules
from tests.support import zoo_model as zoo
from tests.support.introspections import (
    EVERYTHING,
    assert_same,
    build_eagerly,
    introspect_with_gateway,
    introspect_with_graphql_core,
    introspection_selection,
)
from tests.support.metadata_documents import PROCUREMENT, TRIPS, is_finance, model_of
from tests.support.small_models import (
    FINOPS,
    GENERIC,
    DictResolvers,
    entity,
    model,
    nav,
    prop,
    qualified,
)

RIGHTS = EnumType(
    name=qualified("Rights"),
    members=(EnumMember(name="Read", value=1), EnumMember(name="Write", value=2)),
    flags=True,
)
SHOP = model(
    entity(
        "Customer",
        prop("dataAreaId", nullable=False),
        prop("Account", nullable=False),
        prop("Address", "Address"),
        nav("Orders", "Order", many=True),
        key=("dataAreaId", "Account"),
    ),
    entity("Order", prop("Number", "Edm.Int64", nullable=False), key=("Number",)),
    entity("Permit", prop("Rights", "Rights", nullable=False), key=("Rights",)),
    entity("Log", prop("Text")),
    RIGHTS,
    sets={"Customers": "Customer", "Orders": "Order", "Permits": "Permit", "Logs": "Log"},
    complex_types={
        qualified("Address"): ComplexType(name=qualified("Address"), properties=(prop("City"),))
    },
)
KEYLESS = model(entity("Log", prop("Text")), sets={"Logs": "Log"})


def api(found: Any = SHOP, federation: Federation | None = None, **extra: Any) -> ODataSchema:
    catalog = Catalog(found, extra.pop("abilities", FINOPS), prefix=extra.pop("prefix", ""))
    rules = WriteRules(services=(ServiceInfo("post", "a/b/post"),))
    writes = Writes(catalog, rules) if extra.pop("writes", False) else None
    made = federation or Federation()
    return build_schema(catalog, DictResolvers(), writes=writes, federation=made, **extra)


def subgraph(schema: ODataSchema) -> str:
    return "".join(print_subgraph(schema.copy_for(schema.catalog.fresh_copy())))


def plain(schema: ODataSchema) -> str:
    return "".join(print_types(schema.copy_for(schema.catalog.fresh_copy(), federated=False)))


def directives(sdl: str) -> dict[str, str]:
    """Type, or type.field, with the directives that stand behind it."""
    by_name: dict[str, str] = {}
    for definition in parse(sdl).definitions:
        name = getattr(getattr(definition, "name", None), "value", "")
        marks = " ".join(map(print_ast, getattr(definition, "directives", None) or ()))
        if name and marks:
            by_name[name] = marks
        for field in getattr(definition, "fields", None) or ():
            if field.directives:
                by_name[f"{name}.{field.name.value}"] = " ".join(map(print_ast, field.directives))
    return by_name


LIST = (
    '@listSize(assumedSize: 50, slicingArguments: ["first", "last"],'
    ' sizedFields: ["nodes", "edges"], requireOneSlicingArgument: false)'
)
MARKED = {
    "Query.customers": f"@cost(weight: 10) {LIST}",
    "Query.orders": f"@cost(weight: 10) {LIST}",
    "Query.permits": f"@cost(weight: 10) {LIST}",
    "Query.logs": f"@cost(weight: 10) {LIST}",
    "Query.customer": "@cost(weight: 10)",
    "Query.order": "@cost(weight: 10)",
    "Query.permit": "@cost(weight: 10)",
    "Query.node": "@inaccessible @shareable",
    "Query.nodes": "@inaccessible @shareable",
    "Node": "@inaccessible",
    "PageInfo": "@shareable",
    "UserError": "@shareable",
    "FieldConflict": "@shareable",
    "PostPayload": "@shareable",
    "Address": "@shareable",
    "Customer": '@key(fields: "dataAreaId account") @key(fields: "id")',
    "Customer.orders": LIST,
    "Order": '@key(fields: "number") @key(fields: "id")',
    "Permit": '@key(fields: "id")',
}


def test_keys_lists_and_what_is_shared_or_hidden_are_marked() -> None:
    applied = directives(subgraph(api(writes=True)))

    own = ("@oneOf", "@specifiedBy")
    assert {place: marks for place, marks in applied.items() if not marks.startswith(own)} == MARKED


@pytest.mark.parametrize(
    ("federation", "link"),
    [
        (Federation(), 'v2.9", import: ["@key", "@shareable", "@inaccessible", "@cost", "@listSize"]'),
        (Federation(version="2.14", node="omit"), 'v2.14", import: ["@key", "@shareable", "@cost", "@listSize"]'),
        (Federation(version="2.0", node="shared"), 'v2.0", import: ["@key", "@shareable"]'),
        (
            Federation(version="2.8", tags={"C*": ("sales",)}),
            'v2.8", import: ["@key", "@shareable", "@inaccessible", "@tag"]',
        ),
    ],
)  # fmt: skip
def test_what_is_imported_is_what_is_used(federation: Federation, link: str) -> None:
    sdl = subgraph(api(federation=federation))

    assert sdl.startswith(
        f'extend schema\n  @link(url: "https://specs.apollo.dev/federation/{link})'
        "\n\ndirective @oneOf on INPUT_OBJECT\n\n"
    )
    used = {mark.split("(")[0] for marks in directives(sdl).values() for mark in marks.split(" @")}
    used = {f"@{name.removeprefix('@')}" for name in used} - {"@oneOf", "@specifiedBy"}
    assert used == {name for name in link.split('"') if name.startswith("@")}


@pytest.mark.parametrize(
    ("node", "marks"),
    [("inaccessible", "@inaccessible @shareable"), ("shared", "@shareable"), ("omit", None)],
)
def test_what_becomes_of_node(node: Any, marks: str | None) -> None:
    sdl = subgraph(api(federation=Federation(node=node)))
    applied = directives(sdl)

    assert applied.get("Query.node") == applied.get("Query.nodes") == marks
    assert applied.get("Node") == ("@inaccessible" if node == "inaccessible" else None)
    assert ("interface Node" in sdl) == ("implements Node" in sdl) == (node != "omit")


def test_tags_follow_the_rows_wherever_they_are_told() -> None:
    tags = {"Cust*": ("sales", "public"), "Customers": ("sales",), "Nothing*": ("never",)}
    applied = directives(
        subgraph(api(federation=Federation(version="2.8", tags=tags), writes=True))
    )
    tagged = {place for place, marks in applied.items() if "@tag" in marks}

    assert applied["CustomerWhere"] == '@tag(name: "sales") @tag(name: "public")'
    assert {place.replace("Customers", "Customer") for place in tagged} == {
        *("Customer", "CustomerConnection", "CustomerEdge", "CustomerWhere", "CustomerOrderBy"),
        *("CustomerCreateInput", "CustomerPatch", "CustomerKey", "CustomerUpdateInput"),
        *("CustomerDeleteInput", "CustomerPayload", "CustomerPayloads"),
        *("Query.customers", "Query.customer"),
        *(f"Mutation.{verb}Customer" for verb in ("create", "update", "upsert", "delete")),
    }


class Bare(Visitor):
    """Takes out what the subgraph's SDL has beyond the API's."""

    def enter_schema_extension(self, *_: Any) -> Any:
        return REMOVE

    def enter_directive_definition(self, node: Any, *_: Any) -> Any:
        return REMOVE if node.name.value == "oneOf" else None

    def enter_directive(self, node: Any, *_: Any) -> Any:
        kept = ("oneOf", "specifiedBy", "deprecated")
        return None if node.name.value in kept else REMOVE


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["zoo", PROCUREMENT, TRIPS])
def test_but_for_directives_the_subgraph_is_the_api(name: str) -> None:
    found = zoo.model() if name == "zoo" else model_of(name)
    abilities = FINOPS if is_finance(name) else GENERIC
    schema = api(found, Federation(tags={"*": ("all",)}), abilities=abilities, writes=True)
    document: DocumentNode = visit(parse(subgraph(schema), no_location=True), Bare())

    assert print_ast(document) == print_ast(parse(plain(schema), no_location=True))


# What makes it a subgraph


@pytest.mark.parametrize("found", [SHOP, KEYLESS, zoo.model()], ids=["shop", "keyless", "zoo"])
def test_introspection_is_that_of_the_eager_schema(found: Any) -> None:
    schema = api(found, abilities=GENERIC, writes=True)
    answer = introspect_with_gateway(schema, EVERYTHING)
    core = build_eagerly(schema.core)

    assert_same(answer, introspect_with_graphql_core(core, EVERYTHING))
    assert print_schema(build_client_schema(answer)) == print_schema(core)


def test_the_types_of_federation_are_as_the_specification_has_them() -> None:
    printed = print_schema(build_eagerly(api().core))

    for line in (
        "union _Entity = Customer | Order | Permit\n",
        "scalar _Any\n",
        "  ): [_Entity]!\n",
        "    representations: [_Any!]!\n",
        "  _service: _Service!\n",
        "  sdl: String!\n",
    ):
        assert line in printed


def test_without_a_keyed_type_there_are_no_entities() -> None:
    core = api(KEYLESS).core

    assert [name for name in core.type_map if name.startswith("_") and name[1] != "_"] == [
        "_Service"
    ]
    assert core.query_type is not None
    assert list(core.query_type.fields) == ["logs", "_service"]


def test_without_federation_there_is_nothing_of_it() -> None:
    catalog = Catalog(SHOP, FINOPS)
    core = build_schema(catalog, DictResolvers()).core

    assert not [name for name in core.type_map if name in ("_Any", "_Entity", "_Service")]
    assert core.query_type is not None
    assert not {"_service", "_entities"} & set(core.query_type.fields)


def test_a_member_of_the_union_is_made_when_it_is_named() -> None:
    schema = api()
    core = schema.core
    made = "_Entity", "_Any", "Customer"
    query = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Customer { id } } }"

    assert "_Entity" not in schema.schema_converter.type_map
    assert core.type_map["_Entity"] is core.type_map["_Entity"]
    assert validate(core, parse(query)) == []
    assert {"Order", "Permit"}.isdisjoint(schema.schema_converter.type_map)
    assert set(made) <= set(schema.schema_converter.type_map)


@pytest.mark.parametrize(
    ("name", "is_member"),
    [("Customer", True), ("Permit", True), ("Log", False), ("Node", False), ("Address", False)],
)
def test_the_union_holds_what_has_an_id(name: str, is_member: bool) -> None:
    core = api().core
    union = core.type_map["_Entity"]
    assert isinstance(union, GraphQLUnionType)

    assert core.is_sub_type(union, core.type_map[name]) is is_member
    assert (name in [made.name for made in core.get_possible_types(union)]) is is_member
    assert union.types[0].name == "Customer"
    assert len(union.types) == 3


def test_service_answers_the_printed_text_escaped() -> None:
    schema = api(writes=True)
    query = "{ a: _service { __typename text: sdl } }"

    assert introspect_with_gateway(schema, query) == {
        "a": {"__typename": "_Service", "text": subgraph(schema)}
    }
    assert is_whole(introspection_selection(schema.core, query))
    assert not is_whole(introspection_selection(schema.core, "{ _service { __typename } }"))
    assert b"".join(
        introspect(schema, introspection_selection(schema.core, "{ _service { __typename } }"))
    )


@pytest.mark.parametrize("field", ["_service", "_entities"])
def test_hand_written_fields_cannot_take_their_place(field: str) -> None:
    extra = strawberry.type(
        type("Extra", (), {"__annotations__": {"mine": int}, "mine": strawberry.field(name=field)})
    )

    with pytest.raises(NameCollisionError):
        api(extra_query=extra)


def test_names_of_the_metadata_give_way() -> None:
    odd = model(
        entity("_Entity", prop("Id", nullable=False), key=("Id",)), sets={"_entities": "_Entity"}
    )
    catalog = Catalog(odd, FINOPS)

    assert list(catalog.roots) == ["_entities_2", "_Entity_2", "node", "nodes"]
    assert catalog.reference_name(qualified("_Entity")) == "_Entity_2"


# The prefix


def test_the_prefix_begins_every_field_but_node_and_nodes() -> None:
    schema = api(writes=True, prefix="erp")
    query, mutation = schema.core.query_type, schema.core.mutation_type
    assert query is not None
    assert mutation is not None
    fields = [*query.fields, *mutation.fields]

    assert {name for name in fields if not name.startswith("erp")} == {
        *("node", "nodes", "_entities", "_service")
    }
    for name in ("erpCustomers", "erpCustomer", "erpCreateCustomers", "erpDeleteOrder", "erpPost"):
        assert name in fields
    assert set(schema.core.type_map) == set(api(writes=True).core.type_map)
    for name in mutation.fields:
        assert mutation.fields[name] is not None


def test_the_prefix_goes_before_clashes_renames_and_kept_names() -> None:
    types = entity("Cat", prop("Id", nullable=False), key=("Id",))
    cats = model(types, sets={"Cats": "Cat", "cats": "Cat", "Cat": "Cat"})
    renames = {"Query.Cats": "Felines"}
    made = Catalog(cats, FINOPS, prefix="zoo", renames=renames)
    again = decode_naming(encode_naming(made.naming()))

    assert list(made.roots) == [
        *("zooFelines", "zooCats", "zooCat", "zooFelinesByKey", "zooCatsByKey", "zooCatByKey"),
        *("node", "nodes"),
    ]
    kept = Catalog(cats, FINOPS, prefix="zoo", renames=renames, naming=again)
    assert list(kept.roots) == list(made.roots)
    assert [m for m in Writes(kept) if "Feline" in m][:2] == [
        "zooCreateFelines",
        "zooDeleteFelines",
    ]
    assert all(Writes(kept)[name].name == name for name in Writes(kept))


def test_why_knows_prefixed_names() -> None:
    schema = api(writes=True, prefix="erp")

    assert why(schema.catalog, "erpCustomers").startswith("Query.erpCustomers\n")
    assert why(schema.catalog, "Customers").startswith("Query.erpCustomers\n")
    assert why(schema.catalog, "erpCreateOrder", schema.writes).startswith(
        "Mutation.erpCreateOrder\n"
    )


def test_the_subgraph_has_the_prefix_too() -> None:
    applied = directives(subgraph(api(writes=True, prefix="erp")))
    expected = {
        place
        if "." not in place or place.endswith(("node", "nodes"))
        else place.replace("Query.", "Query.erp").lower(): marks
        for place, marks in MARKED.items()
    }
    folded = {
        p if "." not in p or p.endswith(("node", "nodes")) else p.lower(): m
        for p, m in applied.items()
        if not m.startswith(("@oneOf", "@specifiedBy"))
    }

    assert folded == expected


def test_a_smaller_page_is_told() -> None:
    sdl = subgraph(api(federation=replace(Federation(), page=7)))

    assert "assumedSize: 7," in sdl
    assert "assumedSize: 50," not in sdl
