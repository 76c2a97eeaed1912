"""Values of services other than Finance & Operations: durations, binary, abstract types, links without columns."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway

pytestmark = pytest.mark.anyio
HEAD = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">"""
TAIL = "</Schema></edmx:DataServices></edmx:Edmx>"


def keyed(name: str, *members: str, key: str = "Edm.Int32", more: str = "") -> str:
    """An entity type with a key ``Id``."""
    return (
        f'<EntityType Name="{name}"{more}><Key><PropertyRef Name="Id"/></Key>'
        f'<Property Name="Id" Type="{key}" Nullable="false"/>{"".join(members)}</EntityType>'
    )


def container(*members: str) -> str:
    return f'<EntityContainer Name="C">{"".join(members)}</EntityContainer>'


@pytest.fixture
def serve(sandbox, tmp_path):
    def make(*schema: str, **settings: object):
        path = tmp_path / "metadata.xml"
        path.write_text(HEAD + "".join(schema) + TAIL)
        return sandbox(metadata=path, **settings)

    return make


TRACKS = (
    keyed("Track", '<Property Name="Took" Type="Edm.Duration"/>'),
    container('<EntitySet Name="Tracks" EntityType="N.Track"/>'),
)
LENGTHS = {1: "PT90M", 2: "PT2H", 3: "-PT1H", 4: "P1D", 5: "PT1.5S", 6: "PT10H", 7: None}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"$orderby": "Took"}, [7, 3, 5, 1, 2, 6, 4]),
        ({"$orderby": "Took desc"}, [4, 6, 2, 1, 5, 3, 7]),
        ({"$filter": "Took gt duration'PT2H'"}, [4, 6]),
        ({"$filter": "Took le duration'PT1.5S'"}, [3, 5]),
        ({"$filter": "Took eq duration'PT1H30M'"}, [1]),
        ({"$filter": "Took eq duration'PT24H'"}, [4]),
        ({"$filter": "Took in (duration'PT120M',duration'PT36000S')"}, [2, 6]),
        ({"$filter": "Took ne null"}, [1, 2, 3, 4, 5, 6]),
    ],
)
async def test_durations_compare_and_sort_by_length(serve, options, expected):
    ask = serve(*TRACKS)
    store = ask.app.state.store
    for row in store.rows("Tracks"):
        store.delete("Tracks", Id=row["Id"])
    store.insert("Tracks", [{"Id": n, "Took": took} for n, took in LENGTHS.items()])

    answer = await ask("/data/Tracks", params=options)

    assert answer.status_code == 200, answer.text
    ids = [row["Id"] for row in answer.json()["value"]]
    assert (ids if "$orderby" in options else sorted(ids)) == expected
    assert {row["Id"]: row["Took"] for row in answer.json()["value"]}.items() <= LENGTHS.items()


@pytest.mark.parametrize("key", ["Edm.Duration", "Edm.Binary"])
async def test_keys_of_durations_and_binary_are_found(serve, key):
    ask = serve(
        keyed("Thing", '<Property Name="Note" Type="Edm.String"/>', key=key),
        container('<EntitySet Name="Things" EntityType="N.Thing"/>'),
    )
    prefix = key.removeprefix("Edm.").lower()
    full = {"accept": "application/json;odata.metadata=full"}
    rows = (await ask("/data/Things", headers=full)).json()["value"]

    for row in rows:
        address = f"Things({prefix}'{quote(row['Id'], safe='')}')"
        assert row["@odata.id"].endswith(address)
        answer = await ask(f"/data/{address}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["Note"] == row["Note"]
    created = await ask("/data/Things", "POST", json={"Id": rows[0]["Id"], "Note": "again"})
    assert created.status_code == 400, "a key that is taken"


ABSTRACT = (
    """
    <ComplexType Name="Fault" Abstract="true"><Property Name="Code" Type="Edm.String"/></ComplexType>
    <ComplexType Name="Late" BaseType="N.Fault"><Property Name="Days" Type="Edm.Int32"/></ComplexType>
    <ComplexType Name="Very" BaseType="N.Late"><Property Name="Years" Type="Edm.Int32"/></ComplexType>
    <ComplexType Name="Alone" Abstract="true"><Property Name="Text" Type="Edm.String"/></ComplexType>""",
    keyed(
        "Contact",
        '<Property Name="Fault" Type="N.Fault" Nullable="false"/>',
        '<Property Name="Faults" Type="Collection(N.Fault)"/>',
        '<Property Name="Plain" Type="N.Late" Nullable="false"/>',
        '<Property Name="Alone" Type="N.Alone"/>',
    ),
    container('<EntitySet Name="Contacts" EntityType="N.Contact"/>'),
)


async def test_values_of_abstract_complex_types_name_their_type(serve):
    rows = (await serve(*ABSTRACT)("/data/Contacts")).json()["value"]

    values = [value for row in rows for value in (row["Fault"], *row["Faults"])]
    assert {value["@odata.type"] for value in values} == {"#N.Late", "#N.Very"}
    assert all(("Years" in value) == (value["@odata.type"] == "#N.Very") for value in values)
    assert all("@odata.type" not in row["Plain"] for row in rows)
    assert all(row["Alone"] is None for row in rows), "no value can be of a type that nothing is of"


DERIVED = (
    keyed("Object", more=' Abstract="true"'),
    """
    <EntityType Name="User" BaseType="N.Object"><Property Name="Mail" Type="Edm.String"/></EntityType>
    <EntityType Name="Grant" BaseType="N.Object"><Property Name="Role" Type="Edm.String"/></EntityType>
    <EntityType Name="SpecialGrant" BaseType="N.Grant"><Property Name="Why" Type="Edm.String"/></EntityType>
    <EntityType Name="App" BaseType="N.Object">
      <NavigationProperty Name="Grants" Type="Collection(N.Grant)"/>
      <NavigationProperty Name="Main" Type="N.Grant"/>
      <NavigationProperty Name="Creator" Type="N.Object"/>
    </EntityType>""",
    container(
        '<EntitySet Name="Objects" EntityType="N.Object"/>',
        '<EntitySet Name="Apps" EntityType="N.App">'
        '<NavigationPropertyBinding Path="Creator" Target="Users"/></EntitySet>',
        '<EntitySet Name="Users" EntityType="N.User"/>',
    ),
)


@pytest.mark.parametrize(
    "options",
    ["$expand=Grants($select=Role),Main($select=Role)", "$expand=Grants,Main",
     "$expand=Grants($count=true;$orderby=Role;$filter=Role ne null),Main"],
)  # fmt: skip
async def test_a_navigation_to_a_derived_type_has_rows_of_it(serve, options):
    answer = await serve(*DERIVED)(f"/data/Apps?{options}")

    assert answer.status_code == 200, answer.text
    result = [grant for app in answer.json()["value"] for grant in (*app["Grants"], app["Main"])]
    assert result
    assert all("Role" in grant for grant in result)
    assert {grant.get("@odata.type") for grant in result} <= {None, "#N.SpecialGrant"}


async def test_a_base_type_may_be_bound_to_a_set_of_a_derived_one(serve):
    answer = await serve(*DERIVED)("/data/Apps?$expand=Creator")

    assert answer.status_code == 200, answer.text
    assert {app["Creator"]["@odata.type"] for app in answer.json()["value"]} == {"#N.User"}


async def test_a_path_to_a_derived_type_has_rows_of_it(serve):
    ask = serve(*DERIVED)
    app = (await ask("/data/Apps?$expand=Grants,Main")).json()["value"][0]

    grants = await ask(f"/data/Apps({app['Id']})/Grants")
    main = await ask(f"/data/Apps({app['Id']})/Main")

    assert [g["Id"] for g in grants.json()["value"]] == [g["Id"] for g in app["Grants"]]
    assert main.json()["Id"] == app["Main"]["Id"]
    assert all("Role" in grant for grant in grants.json()["value"])


UNJOINED = (
    keyed("Product", '<Property Name="Name" Type="Edm.String"/>'),
    keyed(
        "Category",
        '<NavigationProperty Name="Products" Type="Collection(N.Product)"/>',
        '<NavigationProperty Name="Best" Type="N.Product"/>',
    ),
    container(
        '<EntitySet Name="Products" EntityType="N.Product"/>',
        '<EntitySet Name="Categories" EntityType="N.Category"/>',
    ),
)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("Products/any()", lambda names, _: bool(names)),
        ("not Products/any()", lambda names, _: not names),
        ("Products/any(p:p/Name gt 'Name 2')", lambda names, _: any(n and n > "Name 2" for n in names)),
        ("Products/all(p:p/Name gt 'Name 2')", lambda names, _: all(n and n > "Name 2" for n in names)),
        ("Best/Name gt 'Name 2'", lambda _, best: bool(best) and best > "Name 2"),
        ("Best/Name eq null", lambda _, best: best is None),
    ],
)  # fmt: skip
async def test_filters_over_navigations_without_join_columns(serve, condition, holds):
    ask = serve(*UNJOINED)
    all_rows = (await ask("/data/Categories?$expand=Products,Best")).json()["value"]
    expected = {
        row["Id"]
        for row in all_rows
        if holds([p["Name"] for p in row["Products"]], row["Best"]["Name"])
    }

    answer = await ask("/data/Categories", params={"$filter": condition})

    assert answer.status_code == 200, answer.text
    assert {row["Id"] for row in answer.json()["value"]} == expected


@pytest.mark.parametrize("order", ["Best/Name", "Best/Name desc"])
async def test_orders_over_navigations_without_join_columns(serve, order):
    answer = await serve(*UNJOINED)(f"/data/Categories?$expand=Best&$orderby={order}")

    names = [row["Best"]["Name"] or "" for row in answer.json()["value"]]
    assert names == sorted(names, reverse="desc" in order, key=str.casefold)


@pytest.mark.parametrize(
    ("schema", "query"),
    [
        (ABSTRACT, "{ contacts { nodes { fault { __typename code ... on Very { years } } faults { code } } } }"),
        (DERIVED, "{ apps { nodes { grants { nodes { role } } main { role } creator { __typename } } } }"),
        (UNJOINED, "{ categories(where: { products: { some: {} } }) { nodes { best { name } } } }"),
        (UNJOINED, '{ categories(where: { not: { best: { name: { gt: "Name 2" } } } }) { nodes { best { name } } } }'),
        (TRACKS, '{ tracks(where: { took: { gt: "PT2H" } }, orderBy: [{ took: DESC }]) { nodes { took } } }'),
    ],
    ids=["abstract", "derived", "some", "path", "duration"],
)  # fmt: skip
async def test_the_gateway_reads_them(serve, schema, query):
    settings = Settings(url="https://things.example/data", auth="none", cache_dir=None)
    transport = httpx.ASGITransport(serve(*schema).app)
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as gateway:
        answer = (await gateway.engine.execute(GraphQLRequest(query=query))).to_builtins()

    assert "errors" not in answer
    (root,) = answer["data"].values()
    assert root["nodes"]
