"""The generic dialect: metadata of other services with generated rows, and scripted answers for the rest."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.operations.global_ids import node_id
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.sandbox import SandboxSettings, create_sandbox
from tests.support.cases import builtins_of, engine, requests_of
from tests.support.metadata_documents import BOOKKEEPING, TRADERS, TRIPS, found, path_of

pytestmark = pytest.mark.anyio
ROOT = "http://x.invalid/data"


@asynccontextmanager
async def opened(transport: httpx.AsyncBaseTransport) -> AsyncIterator[Gateway]:
    settings = Settings(url=ROOT, dialect="odata", auth="none", cache_dir=None)
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as gateway:
        yield gateway


@asynccontextmanager
async def service(document: str) -> AsyncIterator[Gateway]:
    """Return a gateway over generated rows of a document."""
    sandbox = create_sandbox(SandboxSettings(metadata=path_of(document)))
    async with opened(httpx.ASGITransport(sandbox)) as gateway:
        yield gateway


async def ask(gateway: Gateway, query: str, **settings: Any) -> Answer:
    settings = {"url": ROOT, "dialect": "odata", "auth": "none", **settings}
    return await engine(gateway, **settings).execute(GraphQLRequest(query=query))


# --- documents of other services ------------------------------------------------------------------


ORDERS_OF_THREE = "customers(first: 3) { nodes { %s } }"


@pytest.mark.parametrize(
    "fields",
    [
        "customers(first: 3) { totalCount nodes { id companyName } pageInfo { hasNextPage endCursor } }",
        "customers(last: 3, orderBy: [{ companyName: DESC }]) { nodes { companyName } pageInfo { hasPreviousPage } }",
        ORDERS_OF_THREE % "orders { totalCount nodes { orderID freight } }",
        ORDERS_OF_THREE
        % """orders(first: 2, orderBy: [{ orderID: DESC }]) {
          edges { cursor node { orderID } } pageInfo { hasNextPage hasPreviousPage } }""",
        ORDERS_OF_THREE
        % """orders(last: 1, where: { freight: { lt: "1000" } }) {
          totalCount nodes { orderID } pageInfo { hasNextPage hasPreviousPage } }""",
        ORDERS_OF_THREE
        % """orders(first: 2) { nodes { orderID employee { lastName } order_Details {
          nodes { productID quantity product { productName category { categoryName } } } } } }""",
        ORDERS_OF_THREE
        % "a: orders(first: 1) { nodes { orderID } } b: orders(last: 1) { nodes { orderID } }",
        """orders(where: { customer: { companyName: { contains: "1" } } }) {
          nodes { orderID customer { companyName } } }""",
        "orders(first: 9, orderBy: [{ shipRegion: ASC }]) { nodes { orderID shipper { companyName } } }",
        "orders(first: 9, where: { shipRegion: { isNull: true } }) { totalCount nodes { shipRegion } }",
        "employees(first: 4) { nodes { employee1 { lastName } employees1 { nodes { employeeID } } } }",
    ],
)
async def test_expanded_or_not_traders_answer_the_same(fields: str):
    query = f"{{ {fields} }}"
    async with service(TRADERS) as gateway:
        expanded = await ask(gateway, query)
        batched = await ask(gateway, query, expand="never")

        assert "errors" not in expanded.to_builtins()
        assert builtins_of(expanded) == builtins_of(batched)
        assert len(expanded.requests) <= len(batched.requests)


async def test_a_service_that_expands_any_depth_needs_one_request():
    query = """{ customers(first: 2) { totalCount nodes { companyName
      orders(first: 2, where: { freight: { gt: "0" } }, orderBy: [{ orderDate: DESC }]) {
        totalCount
        nodes { orderID order_Details(first: 1) { nodes { quantity product { productName } } } } } } } }"""
    async with service(TRADERS) as gateway:
        answer = await ask(gateway, query)

    details = (
        "Order_Details($select=Quantity,OrderID,ProductID;$expand=Product($select=ProductName);"
        "$orderby=OrderID,ProductID;$top=1)"
    )
    orders = (
        f"Orders($select=OrderID,OrderDate;$expand={details};"
        "$filter=Freight gt 0;$orderby=OrderDate desc,OrderID;$top=2;$count=true)"
    )
    assert requests_of(answer) == [
        f"Customers?$select=CompanyName&$expand={orders}&$orderby=CustomerID&$top=2&$count=true"
    ]
    assert not answer.errors


async def test_keyset_pages_reach_every_row_where_values_are_null():
    """Null sorts first, so pages in either direction have to step over it."""
    page = "orders(%s: 4, %s, orderBy: [{ shipRegion: %s }]) { edges { cursor node { orderID } } pageInfo { %s } }"
    async with service(TRADERS) as gateway:
        everything = await ask(gateway, "{ orders(first: 1000) { nodes { orderID } } }")
        expected = {row["orderID"] for row in everything.to_builtins()["data"]["orders"]["nodes"]}
        for size, place, more in (
            ("first", "after", "hasNextPage"),
            ("last", "before", "hasPreviousPage"),
        ):
            for direction in ("ASC", "DESC"):
                seen: list[int] = []
                cursor, going = "null", True
                while going:
                    text = page % (size, f"{place}: {cursor}", direction, more)
                    result = (await ask(gateway, f"{{ {text} }}")).to_builtins()["data"]["orders"]
                    seen += [edge["node"]["orderID"] for edge in result["edges"]]
                    edge = result["edges"][-1 if size == "first" else 0]
                    cursor, going = f'"{edge["cursor"]}"', result["pageInfo"][more]
                assert len(seen) == len(set(seen))
                assert set(seen) == expected


async def test_lists_are_filtered_by_their_rows():
    async with service(TRADERS) as gateway:
        answer = await ask(
            gateway,
            """{
              some: customers(where: { orders: { some: { freight: { gt: "1" } } } }) { totalCount }
              none: customers(where: { orders: { none: { freight: { gt: "1" } } } }) { totalCount }
              all: customers { totalCount }
            }""",
        )
    data = answer.to_builtins()["data"]

    assert data["some"]["totalCount"] + data["none"]["totalCount"] == data["all"]["totalCount"]
    assert [url.partition("$filter=")[2] for url in requests_of(answer)] == [
        "Orders/any(x0:x0/Freight gt 1)",
        "not Orders/any(x0:x0/Freight gt 1)",
        "",
    ]


async def test_children_without_join_columns_are_read_by_path():
    """The document of trips does not say what joins people: where expand is taken, each parent is asked."""
    query = """{ people(first: 2) { nodes { userName
      few: friends(first: 1) { nodes { userName } } more: friends(first: 2) { nodes { userName } } } } }"""
    async with service(TRIPS) as gateway:
        expanded, paths = await ask(gateway, query), await ask(gateway, query, expand="never")

    assert builtins_of(expanded) == builtins_of(paths)
    assert not expanded.errors
    assert requests_of(expanded) == [
        "People?$select=UserName&$expand=Friends($select=UserName;$orderby=UserName;$top=1)&$orderby=UserName&$top=2",
        "People('UN-0001')/Friends?$select=UserName&$orderby=UserName&$top=2",
        "People('UN-0002')/Friends?$select=UserName&$orderby=UserName&$top=2",
    ]


async def test_complex_values_collections_and_undeclared_properties():
    query = """{ people(first: 1) { nodes { emails additionalProperties
      addressInfo { __typename address city { name region } } } }
      airports(first: 1) { nodes { location { address city { name } } } } }"""
    async with service(TRIPS) as gateway:
        answer = await ask(gateway, query)
    (person,) = answer.to_builtins()["data"]["people"]["nodes"]

    assert not answer.errors
    assert all(isinstance(text, str) for text in person["emails"])
    assert {info["__typename"] for info in person["addressInfo"]} == {"LocationObject"}
    assert isinstance(person["additionalProperties"], dict)
    assert requests_of(answer)[0] == "People?$orderby=UserName&$top=1"


async def test_a_singleton_and_its_relations():
    async with service(TRIPS) as gateway:
        answer = await ask(
            gateway, "{ me { userName photo { name } trips(first: 1) { nodes { name } } } }"
        )

    assert answer.to_builtins()["data"]["me"]["trips"]["nodes"]
    assert requests_of(answer) == [
        "Me?$select=UserName&$expand=Photo($select=Name),Trips($select=Name,TripId;$orderby=TripId;$top=1)"
    ]


@pytest.mark.heavy
@pytest.mark.parametrize("name", [BOOKKEEPING, *found("businesscentral-api-v2.0-common")])
async def test_lists_of_companies_and_contained_rows_answer(name: str):
    async with service(name) as gateway:
        lists = [r for r in gateway.catalog.roots.values() if r.kind.name == "LIST"][:40]
        for root in lists:
            answer = await ask(
                gateway, f"{{ {root.name}(first: 2) {{ totalCount nodes {{ __typename }} }} }}"
            )

            assert not answer.errors, (root.name, answer.errors)
            assert len(answer.requests) == 1


# --- written answers ------------------------------------------------------------------------------

FLEET = """<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Fleet" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EnumType Name="Feature" IsFlags="true">
    <Member Name="Gps" Value="1"/><Member Name="Tow" Value="2"/><Member Name="Ads" Value="4"/>
  </EnumType>
  <EntityType Name="Asset" Abstract="true"><Key><PropertyRef Name="Id"/></Key>
    <Property Name="Id" Type="Edm.Int32" Nullable="false"/><Property Name="Name" Type="Edm.String"/>
  </EntityType>
  <EntityType Name="Vehicle" BaseType="Fleet.Asset">
    <Property Name="Wheels" Type="Edm.Int32" Nullable="false"/>
    <Property Name="Features" Type="Fleet.Feature" Nullable="false"/>
  </EntityType>
  <EntityType Name="Truck" BaseType="Fleet.Vehicle">
    <Property Name="Load" Type="Edm.Decimal" Scale="2"/>
    <NavigationProperty Name="Driver" Type="Fleet.Person"/>
  </EntityType>
  <EntityType Name="Building" BaseType="Fleet.Asset" OpenType="true">
    <Property Name="Floors" Type="Edm.Int32"/>
  </EntityType>
  <EntityType Name="Tariff"><Key><PropertyRef Name="Kind"/></Key>
    <Property Name="Kind" Type="Fleet.Kind" Nullable="false"/><Property Name="Price" Type="Edm.Decimal"/></EntityType>
  <EnumType Name="Kind"><Member Name="Short" Value="0"/><Member Name="Long" Value="1"/></EnumType>
  <ComplexType Name="Address"><Property Name="City" Type="Edm.String"/></ComplexType>
  <EntityType Name="Person"><Key><PropertyRef Name="Id"/></Key>
    <Property Name="Id" Type="Edm.Int32" Nullable="false"/><Property Name="Name" Type="Edm.String"/>
    <Property Name="Home" Type="Fleet.Address"/>
    <NavigationProperty Name="Assets" Type="Collection(Fleet.Asset)"/>
  </EntityType>
  <Function Name="CountAssets">
    <Parameter Name="minimum" Type="Edm.Int32" Nullable="false"/><ReturnType Type="Edm.Int64"/></Function>
  <Function Name="Cities"><ReturnType Type="Collection(Edm.String)"/></Function>
  <Function Name="Nearest"><Parameter Name="city" Type="Edm.String"/><ReturnType Type="Fleet.Asset"/></Function>
  <Function Name="Free" IsBound="true"><Parameter Name="person" Type="Fleet.Person" Nullable="false"/>
    <Parameter Name="day" Type="Edm.Date" Nullable="false"/><ReturnType Type="Collection(Fleet.Person)"/></Function>
  <EntityContainer Name="Container">
    <EntitySet Name="Assets" EntityType="Fleet.Asset">
      <NavigationPropertyBinding Path="Fleet.Truck/Driver" Target="People"/></EntitySet>
    <EntitySet Name="Tariffs" EntityType="Fleet.Tariff"/>
    <EntitySet Name="People" EntityType="Fleet.Person">
      <NavigationPropertyBinding Path="Assets" Target="Assets"/></EntitySet>
    <FunctionImport Name="CountAssets" Function="Fleet.CountAssets"/>
    <FunctionImport Name="Cities" Function="Fleet.Cities"/>
    <FunctionImport Name="Nearest" Function="Fleet.Nearest" EntitySet="Assets"/>
  </EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""

TRUCK = {
    "@odata.type": "#Fleet.Truck",
    "Id": 1,
    "Name": "Big",
    "Wheels": 6,
    "Features": "Gps,Tow",
    "Load": 7.50,
    "Driver": {"Id": 5, "Name": "Ann"},
}
CAR = {"@odata.type": "#Fleet.Vehicle", "Id": 2, "Name": "Small", "Wheels": 4, "Features": "Ads"}
HOUSE = {"@odata.type": "#Fleet.Building", "Id": 3, "Name": None, "Floors": 2, "Colour": "red"}


async def fleet(query: str, answers: Mapping[str, Any]) -> Answer:
    """Ask the fleet service, which answers these addresses only."""

    def respond(request: httpx.Request) -> httpx.Response:
        address = unquote(str(request.url)).removeprefix(f"{ROOT}/")
        if address == "$metadata":
            return httpx.Response(200, text=FLEET, headers={"Content-Type": "application/xml"})
        assert address in answers, address
        return httpx.Response(200, content=json.dumps(answers[address]))

    async with opened(httpx.MockTransport(respond)) as gateway:
        return await ask(gateway, query)


async def test_rows_of_derived_types_answer_by_their_own():
    derived = "Fleet.Vehicle/Wheels,Fleet.Vehicle/Features,Fleet.Truck/Load"
    address = f"Assets?$select=Id,Name,{derived}&$expand=Fleet.Truck/Driver($select=Name)&$orderby=Id&$top=50"
    answer = await fleet(
        """{ assets { nodes { __typename id: id name
          ... on Vehicle { wheels features } ... on Truck { load driver { name } } } } }""",
        {address: {"value": [TRUCK, CAR, HOUSE]}},
    )
    result = answer.to_builtins()

    assert "errors" not in result
    assert [
        {k: v for k, v in row.items() if k != "id"} for row in result["data"]["assets"]["nodes"]
    ] == [
        {
            "__typename": "Truck",
            "name": "Big",
            "wheels": 6,
            "features": ["GPS", "TOW"],
            "load": "7.5",
            "driver": {"name": "Ann"},
        },
        {"__typename": "VehicleObject", "name": "Small", "wheels": 4, "features": ["ADS"]},
        {"__typename": "Building", "name": None},
    ]


async def test_functions_of_every_shape():
    answer = await fleet(
        """{
          countAssets(minimum: 2)
          cities
          nearest(city: "O'Hare/1") { __typename name }
          personFree(rowId: 5, day: "2024-02-29") { name home { city } }
        }""",
        {
            "CountAssets(minimum=2)": {"value": 12345678901},
            "Cities()": {"value": ["Oslo", "Rome"]},
            "Nearest(city='O''Hare/1')?$select=Name": {**CAR, "@odata.context": "x"},
            "People(5)/Fleet.Free(day=2024-02-29)?$select=Name,Home": {
                "value": [{"Name": "Ann", "Home": {"City": "Oslo"}}, {"Name": None, "Home": None}]
            },
        },
    )

    assert answer.to_builtins() == {
        "data": {
            "countAssets": "12345678901",
            "cities": ["Oslo", "Rome"],
            "nearest": {"__typename": "VehicleObject", "name": "Small"},
            "personFree": [{"name": "Ann", "home": {"city": "Oslo"}}, {"name": None, "home": None}],
        }
    }


async def test_a_key_may_be_an_enum_and_a_forged_one_is_refused():
    good, forged = node_id("Tariff", "Long"), node_id("Tariff", "Long' or 1 eq 1")
    answer = await fleet(
        f'{{ tariff(kind: LONG) {{ price }} nodes(ids: ["{good}", "{forged}"]) {{ id }} }}',
        {"Tariffs(Fleet.Kind'Long')?$select=Price,Kind": {"Kind": "Long", "Price": 0.10}},
    )
    result = answer.to_builtins()

    assert result["data"] == {"tariff": {"price": "0.1"}, "nodes": [{"id": good}, None]}
    assert [(e["path"], e["extensions"]["code"]) for e in result["errors"]] == [
        (["nodes", 1], "INVALID_ID")
    ]


async def test_an_open_type_gives_the_rest():
    answer = await fleet(
        "{ assets(first: 1) { nodes { ... on Building { floors additionalProperties } } } }",
        {
            "Assets?$orderby=Id&$top=1": {
                "value": [{**HOUSE, "Size@odata.type": "#Double", "Size": 1.5}]
            }
        },
    )

    assert answer.to_builtins() == {
        "data": {
            "assets": {
                "nodes": [{"floors": 2, "additionalProperties": {"Colour": "red", "Size": 1.5}}]
            }
        }
    }


async def test_an_unknown_derived_type_is_an_upstream_error():
    rows = [{**CAR, "@odata.type": "#Fleet.Ship"}, CAR]
    answer = await fleet(
        "{ people(first: 1) { nodes { assets(first: 2) { nodes { name } } } } }",
        {
            "People?$select=Id&$expand=Assets($select=Name,Id;$orderby=Id;$top=2)&$orderby=Id&$top=1": {
                "value": [{"Id": 1, "Assets": rows}]
            }
        },
    )

    assert [e["extensions"]["code"] for e in answer.errors] == ["UPSTREAM_MALFORMED"]
    assert answer.errors[0]["path"] == ["people", "nodes", 0, "assets", "nodes", 0]


async def test_expanded_lists_are_continued_by_their_next_links():
    first = (
        "People?$select=Id&$expand=Assets($select=Name,Id;$orderby=Id;$top=51)&$orderby=Id&$top=1"
    )
    answer = await fleet(
        "{ people(first: 1) { nodes { assets { nodes { name } pageInfo { hasNextPage } } } } }",
        {
            first: {
                "value": [
                    {
                        "Id": 1,
                        "Assets": [CAR],
                        "Assets@odata.nextLink": f"{ROOT}/People(1)/Assets?$skiptoken=1",
                    }
                ]
            },
            "People(1)/Assets?$skiptoken=1": {"value": [TRUCK]},
        },
    )

    assert answer.to_builtins() == {
        "data": {
            "people": {
                "nodes": [
                    {
                        "assets": {
                            "nodes": [{"name": "Small"}, {"name": "Big"}],
                            "pageInfo": {"hasNextPage": False},
                        }
                    }
                ]
            }
        }
    }
