"""``_entities`` and ``_service``: what they cost, and that keys come back as they went out."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.explain.explain import explain
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA
from gateway.planning.entity_lookups import MAX_REPRESENTATIONS
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway
from schema.catalog import Catalog
from schema.catalog.records import RootKind
from schema.introspection import print_subgraph
from schema.model.records import EntitySet, EntityType, EnumType, Model, Property, TypeRef
from schema.types.build import build_schema
from schema.types.federation import Federation
from tests.support import zoo_model as zoo
from tests.support.cases import assert_requests, builtins_of, engine, requests_of
from tests.support.memory_odata import Tables
from tests.support.observers import raise_bugs

pytestmark = pytest.mark.anyio
WIDE = 60_000
TYPES = {
    "CustomerV3": ("customersV3", ("dataAreaId", "customerAccount")),
    "SalesOrderLine": ("salesOrderLines", ("dataAreaId", "inventoryLotId")),
    "VendorV2": ("vendorsV2", ("dataAreaId", "vendorAccountNumber")),
}
BELOW = """
  __typename
  ... on CustomerV3 { id organizationName }
  ... on SalesOrderLine { id lineAmount salesOrderHeaderV2 { salesOrderNumber } }
  ... on VendorV2 { id vendorOrganizationName }
"""
ENTITIES = f"query ($of: [_Any!]!) {{ _entities(representations: $of) {{ {BELOW} }} }}"
NODES = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ {BELOW} }} }}"


async def ask(gateway: Gateway, query: str, **asked: Any) -> Answer:
    variables = asked.pop("variables", {})
    companies = asked.pop("companies", None)
    request = GraphQLRequest(query=query, variables=variables, companies=companies)
    return await engine(gateway, **asked).execute(request)


async def rows_of(gateway: Gateway, name: str) -> list[dict[str, Any]]:
    """Rows as representations by natural key, with their ids."""
    root, key = TYPES[name]
    query = f"{{ {root}(first: 200) {{ nodes {{ id {' '.join(key)} }} }} }}"
    found = (await ask(gateway, query)).to_builtins()["data"][root]["nodes"]
    return [{"__typename": name, **row} for row in found]


@pytest.mark.heavy
@pytest.mark.parametrize(("expand", "most"), [("auto", 3), ("never", 4)])
async def test_500_representations_of_3_types_cost_a_request_a_type(
    sandboxed: Gateway, expand: str, most: int
) -> None:
    rows = [row for name in TYPES for row in await rows_of(sandboxed, name)]
    wanted = [rows[place % len(rows)] for place in range(0, 500 * 7, 7)]
    by_key = [{n: v for n, v in row.items() if n != "id"} for row in wanted]
    by_id = [{"__typename": row["__typename"], "id": row["id"]} for row in wanted]
    mixed = [pair[place % 2] for place, pair in enumerate(zip(by_key, by_id, strict=True))]

    assert len(mixed) == 500
    assert len({row["__typename"] for row in mixed}) == 3
    for given in (by_key, by_id, mixed):
        answer = await ask(
            sandboxed, ENTITIES, variables={"of": given}, expand=expand, max_url_length=WIDE
        )
        assert_requests(answer, most)
        found = answer.to_builtins()["data"]["_entities"]
        assert [row["id"] for row in found] == [row["id"] for row in wanted]


@pytest.mark.parametrize("expand", ["auto", "never"])
async def test_entities_cost_what_nodes_cost(sandboxed: Gateway, expand: str) -> None:
    rows = [row for name in TYPES for row in (await rows_of(sandboxed, name))[:150]]
    of = [{n: v for n, v in row.items() if n != "id"} for row in rows]
    nodes = await ask(
        sandboxed, NODES, variables={"ids": [row["id"] for row in rows]}, expand=expand
    )
    entities = await ask(sandboxed, ENTITIES, variables={"of": of}, expand=expand)

    assert sorted(requests_of(entities)) == sorted(requests_of(nodes))
    assert entities.to_builtins()["data"]["_entities"] == nodes.to_builtins()["data"]["nodes"]


@pytest.mark.heavy
async def test_natural_keys_of_all_sets_find_their_rows_again(
    sandboxed: Gateway,
) -> None:
    """Decimal, Long, DateTime and Date among them, in the form in which our own fields answer them."""
    catalog = sandboxed.catalog
    checked = 0
    for root in catalog.roots.values():
        if root.kind is not RootKind.LIST:
            continue
        name = catalog.reference_name(root.csdl)
        key = " ".join(f.name for f in catalog.object(root.csdl).key)
        query = f"{{ {root.name}(first: 3) {{ nodes {{ __typename id {key} }} }} }}"
        rows = (await ask(sandboxed, query)).to_builtins()["data"][root.name]["nodes"]
        of = [{n: v for n, v in row.items() if n != "id"} for row in rows]
        entities = f"query ($of: [_Any!]!) {{ _entities(representations: $of) {{ ... on {name} {{ id }} }} }}"
        answer = await ask(sandboxed, entities, variables={"of": of})
        assert answer.to_builtins() == {"data": {"_entities": [{"id": row["id"]} for row in rows]}}
        checked += len(rows)
    assert checked > 100


# Every kind of key

_KEYS: dict[str, Any] = {
    "Edm.String": "A*b'c",
    "Edm.Int32": -7,
    "Edm.Int64": 9_007_199_254_740_993,
    "Edm.Decimal": "12.50",
    "Edm.Boolean": True,
    "Edm.Date": "2024-02-29",
    "Edm.DateTimeOffset": "2024-02-29T12:00:00Z",
    "Edm.TimeOfDay": "12:30:00",
    "Edm.Guid": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "Zoo.NoYes": "Yes",
    "Zoo.Colour": "DarkGreen",
}


def keyed(kind: str) -> tuple[Engine, Tables]:
    """An engine over one set whose key is of that type."""
    declared = zoo.model().enum_types
    model = Model(
        namespace="Zoo",
        entity_types={
            "Zoo.Thing": EntityType(
                name="Zoo.Thing",
                key=("Kind",),
                properties=(
                    Property(name="Kind", type=TypeRef(kind), nullable=False),
                    Property(name="Name", type=TypeRef("Edm.String")),
                ),
            )
        },
        entity_sets={"Things": EntitySet(name="Things", type="Zoo.Thing")},
        enum_types={n: EnumType(name=n, members=e.members) for n, e in declared.items()},
    )
    catalog = Catalog(model, abilities_of(ODATA))
    schema = build_schema(catalog, LoadedResolvers(catalog), federation=Federation())
    tables = Tables({"Things": []}, {"Things": ("Kind",)})
    client = zoo.client_over(tables.answer, [])
    return Engine(schema, client, ODATA, ExecutionSettings(), raise_bugs), tables


@pytest.mark.parametrize("kind", _KEYS)
async def test_a_key_of_any_type_comes_back_as_it_went_out(kind: str) -> None:
    made, tables = keyed(kind)

    value = Decimal(_KEYS[kind]) if kind == "Edm.Decimal" else _KEYS[kind]
    tables.rows["Things"] = [{"Kind": value, "Name": "it"}]
    listed = await made.execute(
        GraphQLRequest(query="{ things { nodes { __typename kind name id } } }")
    )
    (row,) = listed.to_builtins()["data"]["things"]["nodes"]
    query = "query ($of: [_Any!]!) { _entities(representations: $of) { ... on Thing { kind name id __typename } } }"
    of = [{"__typename": "Thing", "kind": row["kind"]}]
    answer = await made.execute(GraphQLRequest(query=query, variables={"of": of}))

    assert answer.to_builtins() == {"data": {"_entities": [row]}}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("Edm.Int32", "1"),
        ("Edm.Int32", 1 << 40),
        ("Edm.Decimal", "many"),
        ("Edm.Guid", "1"),
        ("Edm.Date", "2024-02-30"),
        ("Zoo.Colour", "PINK"),
        ("Zoo.NoYes", "Yes"),
        ("Edm.Boolean", {"a": []}),
    ],
)
async def test_a_key_of_a_wrong_form_is_an_error_at_its_place(kind: str, wrong: Any) -> None:
    made, tables = keyed(kind)
    query = "query ($of: [_Any!]!) { _entities(representations: $of) { __typename } }"
    of = [{"__typename": "Thing", "kind": wrong}]
    answer = await made.execute(GraphQLRequest(query=query, variables={"of": of}))

    (error,) = answer.errors
    assert error["path"] == ["_entities", 0]
    assert error["extensions"]["code"] == "BAD_ARGUMENT"
    assert error["message"].startswith("kind: ")
    assert answer.data == {"_entities": [None]}
    assert tables.requests == []


# Families of types in one set


def parties(*, compiled: bool) -> zoo.Zoo:
    """A person, a firm and a plain party in one set."""
    catalog = Catalog(zoo.model(), abilities_of(ODATA))
    schema = build_schema(catalog, LoadedResolvers(catalog), federation=Federation())
    made = zoo.Zoo(ODATA, compiled=compiled, schema=schema)
    nothing = dict.fromkeys(("Nick", "Mood", "House", "Motto", "Revenue", "Since"))
    made.tables.rows["Parties"] = [
        {"Area": "a", "Name": "Ann", **nothing, "PartyId": "p", "Age": 1, "Steps": 2, "Grade": "A"},
        {"Area": "a", "Name": "Inc", **nothing, "PartyId": "f", "Listed": "No", "Grade": 3},
        {"Area": "a", "Name": "It", **nothing, "PartyId": "o"},
    ]
    for row, name in zip(made.tables.rows["Parties"], ("Person", "Firm"), strict=False):
        row["@odata.type"] = f"#Zoo.{name}"
    return made


_ANN = {"__typename": "Person", "age": 1}
_INC = {"__typename": "Firm", "listed": False}
_IT = {"__typename": "PartyObject", "name": "It"}


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "core"])
@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("Person:p Firm:f PartyObject:o", [_ANN, _INC, _IT]),
        ("Firm:f Person:f", [_INC, None]),
        ("Person:o Firm:p PartyObject:f", [None, None, None]),
        ("Person:p", [_ANN]),
        ("Firm:p", [None]),
    ],
)
async def test_a_row_of_another_type_is_none_of_that_name(
    named: str, found: list[Any], compiled: bool
) -> None:
    made = parties(compiled=compiled)
    of = [
        {"__typename": name, "area": "a", "partyId": key}
        for name, _, key in (one.partition(":") for one in named.split())
    ]
    answer = await made.execute(
        """query ($of: [_Any!]!) {
          _entities(representations: $of) {
            __typename ... on Person { age } ... on Firm { listed } ... on PartyObject { name }
          }
        }""",
        {"of": of},
    )

    assert answer.to_builtins() == {"data": {"_entities": found}}
    assert_requests(answer, 1)


# Limits and switches


@pytest.mark.heavy
async def test_so_many_representations_and_no_more(sandboxed: Gateway) -> None:
    query = "query ($of: [_Any!]!) { _entities(representations: $of) { __typename } }"
    of = [{"__typename": "CustomerV3", "dataAreaId": "usmf", "customerAccount": "US-001"}]
    most = await ask(sandboxed, query, variables={"of": of * MAX_REPRESENTATIONS})
    more = await ask(sandboxed, query, variables={"of": of * (MAX_REPRESENTATIONS + 1)})

    assert_requests(most, 1)
    assert len(most.to_builtins()["data"]["_entities"]) == MAX_REPRESENTATIONS
    assert more.errors[0]["extensions"]["code"] == "PAGE_LIMIT_EXCEEDED"


@pytest.mark.parametrize("bad", ["null", "[null]", "{}", '"x"'])
async def test_what_is_no_list_of_representations_is_refused(sandboxed: Gateway, bad: str) -> None:
    query = "query ($of: [_Any!]!) { _entities(representations: $of) { __typename } }"
    answer = await ask(sandboxed, query, variables={"of": json.loads(bad)})

    assert answer.errors
    assert_requests(answer, 0)


@pytest.mark.heavy
async def test_service_tells_what_is_printed(sandboxed: Gateway) -> None:
    schema = sandboxed.schema
    printed = "".join(print_subgraph(schema.copy_for(schema.catalog.fresh_copy())))
    alone = await ask(sandboxed, "{ _service { sdl } }")
    beside = await ask(
        sandboxed, "{ _service { sdl __typename } currencies(first: 1) { totalCount } }"
    )

    assert builtins_of(alone) == {"data": {"_service": {"sdl": printed}}}
    assert beside.to_builtins()["data"]["_service"] == {"sdl": printed, "__typename": "_Service"}
    assert beside.to_builtins()["data"]["currencies"]["totalCount"] > 1


@pytest.mark.parametrize(
    "query",
    ["{ _service { sdl } }", "{ _service { __typename } currencies(first: 1) { totalCount } }"],
)
async def test_the_switch_of_introspection_covers_service(sandboxed: Gateway, query: str) -> None:
    refused = await ask(sandboxed, query, introspection=False)
    of = [{"__typename": "CustomerV3", "dataAreaId": "usmf", "customerAccount": "US-001"}]
    answered = await ask(sandboxed, ENTITIES, variables={"of": of}, introspection=False)

    assert [e["extensions"]["code"] for e in refused.errors] == ["INTROSPECTION_DISABLED"]
    assert answered.to_builtins()["data"]["_entities"][0]["organizationName"]


async def test_explain_shows_the_key_batches(sandboxed: Gateway) -> None:
    of = [
        {"__typename": "CustomerV3", "dataAreaId": "usmf", "customerAccount": f"US-00{place}"}
        for place in range(1, 4)
    ]
    request = GraphQLRequest(query=ENTITIES, variables={"of": of})
    explanation = await explain(sandboxed, request)

    assert explanation.steps[0].how == "CustomersV3 by key"
    assert len(explanation.requests) == 1
    assert "CustomerAccount eq 'US-003'" in explanation.text()


async def test_only_named_fields_are_made(sandboxed: Gateway) -> None:
    schema = sandboxed.schema.copy_for(sandboxed.catalog.fresh_copy())
    made = engine(sandboxed, schema=schema)
    of = [{"__typename": "CustomerV3", "dataAreaId": "usmf", "customerAccount": "US-001"}]
    query = """
      query ($of: [_Any!]!) {
        _entities(representations: $of) { __typename ... on CustomerV3 { organizationName } ... on Node { id } }
      }
    """
    answer = await made.execute(GraphQLRequest(query=query, variables={"of": of}))

    assert not answer.errors
    assert "VendorV2" not in schema.schema_converter.type_map
    assert schema.made_types < 20


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{ _entities { __typename } }", "Argument 'Query._entities(representations:)' of type '[_Any!]!' is required"),
        ("{ _entities(representations: []) { id } }", "Cannot query field 'id' on type '_Entity'."),
        ("{ _entities(representations: []) }", "must have a selection of subfields"),
        (
            "{ _entities(representations: []) { ... on CustomerV3Connection { totalCount } } }",
            "objects of type '_Entity' can never be of type 'CustomerV3Connection'",
        ),
        ("{ _entitis(representations: []) { __typename } }", "Did you mean '_entities'"),
        ("{ _service { sld } }", "Did you mean 'sdl'?"),
        ("{ _services { sdl } }", "Did you mean '_service'"),
        ("{ __typename ... on _Entiti { __typename } }", "Unknown type '_Entiti'."),
    ],
)  # fmt: skip
async def test_mistakes_are_named(sandboxed: Gateway, query: str, said: str) -> None:
    answer = await ask(sandboxed, query)

    assert any(said in error["message"] for error in answer.errors), answer.errors
