"""Actions of every kind are mutations with typed arguments and results; functions stay queries."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway

pytestmark = pytest.mark.anyio
ROOT = "https://garage.example/odata"
GARAGE = """<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="G" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EnumType Name="Speed"><Member Name="Slow" Value="0"/><Member Name="Fast" Value="1"/></EnumType>
  <ComplexType Name="Place"><Property Name="City" Type="Edm.String" Nullable="false"/>
    <Property Name="Since" Type="Edm.Date"/></ComplexType>
  <EntityType Name="Car"><Key><PropertyRef Name="No"/></Key>
    <Property Name="No" Type="Edm.Int32" Nullable="false"/><Property Name="Name" Type="Edm.String"/>
    <NavigationProperty Name="Parts" Type="Collection(G.Part)"/>
  </EntityType>
  <EntityType Name="Part"><Key><PropertyRef Name="Code"/></Key>
    <Property Name="Code" Type="Edm.String" Nullable="false"/></EntityType>
  <Action Name="Move" IsBound="true"><Parameter Name="car" Type="G.Car" Nullable="false"/>
    <Parameter Name="To" Type="G.Place" Nullable="false"/><Parameter Name="Speed" Type="G.Speed"/>
    <ReturnType Type="G.Car"/></Action>
  <Action Name="Wash" IsBound="true"><Parameter Name="cars" Type="Collection(G.Car)" Nullable="false"/>
    <Parameter Name="Litres" Type="Edm.Decimal" Scale="2" Nullable="false"/>
    <ReturnType Type="Collection(G.Car)"/></Action>
  <Action Name="Count"><Parameter Name="Names" Type="Collection(Edm.String)" Nullable="false"/>
    <ReturnType Type="Edm.Int64"/></Action>
  <EnumType Name="Right" IsFlags="true"><Member Name="Read" Value="1"/><Member Name="Write" Value="2"/></EnumType>
  <Action Name="Ratio"><ReturnType Type="Edm.Double"/></Action>
  <Action Name="Share"><ReturnType Type="Edm.Single"/></Action>
  <Action Name="Ratios"><ReturnType Type="Collection(Edm.Double)"/></Action>
  <Action Name="Grant"><Parameter Name="Each" Type="Collection(G.Right)"/><Parameter Name="All" Type="G.Right"/>
    <Parameter Name="Speeds" Type="Collection(G.Speed)"/><Parameter Name="Weights" Type="Collection(Edm.Double)"/>
    <ReturnType Type="Collection(G.Right)"/></Action>
  <Action Name="Outline"><ReturnType Type="Edm.GeographyPoint"/></Action>
  <Action Name="Swap"><Parameter Name="With" Type="G.Car" Nullable="false"/></Action>
  <Function Name="Fastest"><ReturnType Type="G.Car"/></Function>
  <EntityContainer Name="C">
    <EntitySet Name="Cars" EntityType="G.Car"><NavigationPropertyBinding Path="Parts" Target="Parts"/></EntitySet>
    <EntitySet Name="Parts" EntityType="G.Part"/>
    <ActionImport Name="CountCars" Action="G.Count"/>
    <ActionImport Name="SwapCars" Action="G.Swap"/>
    <ActionImport Name="Ratio" Action="G.Ratio"/>
    <ActionImport Name="Share" Action="G.Share"/>
    <ActionImport Name="Ratios" Action="G.Ratios"/>
    <ActionImport Name="Grant" Action="G.Grant"/>
    <ActionImport Name="Outline" Action="G.Outline"/>
    <FunctionImport Name="Fastest" Function="G.Fastest" EntitySet="Cars"/>
  </EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


@dataclass
class Garage:
    """A service with the given answers; what it was asked is kept."""

    gateway: Gateway
    answers: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    async def ask(self, query: str) -> Any:
        return (await self.gateway.engine.execute(GraphQLRequest(query=query))).to_builtins()


@pytest.fixture
async def garage(tmp_path: Path) -> AsyncIterator[Garage]:
    document = tmp_path / "metadata.xml"
    document.write_text(GARAGE, "utf-8")

    def respond(request: httpx.Request) -> httpx.Response:
        address = unquote(str(request.url)).removeprefix(f"{ROOT}/")
        body = json.loads(request.content) if request.content else None
        actual.requests.append((request.method, address, body))
        return httpx.Response(200, json=actual.answers[address])

    settings = Settings(
        url=ROOT, metadata=str(document), dialect="odata", auth="none", cache_dir=None
    )
    transport = httpx.MockTransport(respond)
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as gateway:
        actual = Garage(gateway)
        yield actual


async def test_a_bound_action_takes_a_key_and_returns_rows(
    garage: Garage,
) -> None:
    garage.answers["Cars(7)/G.Move"] = {"No": 7, "Name": "Beetle"}
    garage.answers["Cars(7)/Parts?$select=Code&$orderby=Code&$top=50"] = {"value": [{"Code": "x"}]}

    actual = await garage.ask("""mutation {
      carMove(no: 7, to: {city: "Bonn", since: "2024-02-01"}, speed: FAST) {
        result { no name parts { nodes { code } } }
        userErrors { code }
      }
    }""")

    row = {"no": 7, "name": "Beetle", "parts": {"nodes": [{"code": "x"}]}}
    assert actual == {"data": {"carMove": {"result": row, "userErrors": []}}}
    body = {"To": {"City": "Bonn", "Since": "2024-02-01"}, "Speed": "Fast"}
    assert garage.requests[0] == ("POST", "Cars(7)/G.Move", body)


async def test_an_action_of_a_set_gives_rows(garage: Garage) -> None:
    garage.answers["Cars/G.Wash"] = {"value": [{"No": 1, "Name": "A"}, {"No": 2, "Name": "B"}]}

    actual = await garage.ask('mutation { carsWash(litres: "12.50") { result { no name } } }')

    rows = [{"no": 1, "name": "A"}, {"no": 2, "name": "B"}]
    assert actual == {"data": {"carsWash": {"result": rows}}}
    assert garage.requests == [("POST", "Cars/G.Wash", {"Litres": 12.5})]


async def test_an_unbound_action_is_called_as_it_is_imported(garage: Garage) -> None:
    garage.answers["CountCars"] = {"value": 9007199254740993}

    actual = await garage.ask('mutation { countCars(names: ["A", "B"]) { result } }')

    assert actual == {"data": {"countCars": {"result": "9007199254740993"}}}
    assert garage.requests == [("POST", "CountCars", {"Names": ["A", "B"]})]


async def test_a_parameter_that_may_be_left_out_is_not_sent(garage: Garage) -> None:
    garage.answers["Cars(7)/G.Move"] = {"No": 7, "Name": "Beetle"}

    await garage.ask('mutation { carMove(no: 7, to: {city: "Bonn"}) { result { no } } }')

    assert garage.requests == [("POST", "Cars(7)/G.Move", {"To": {"City": "Bonn"}})]


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("mutation { fastest { no } }", "Mutation"),
        ('{ carMove(no: 7, to: {city: "Bonn"}) { result { no } } }', "Query"),
        ('{ countCars(names: ["A"]) { result } }', "Query"),
        ("mutation { swapCars(with: {no: 1}) { userErrors { code } } }", "Mutation"),
    ],
    ids=[
        "a-function-is-no-mutation",
        "an-action-of-a-row-is-no-query",
        "an-unbound-action-is-no-query",
        "an-action-that-takes-entities-is-not-offered",
    ],
)
async def test_what_is_on_the_other_side_is_not_served(
    garage: Garage, query: str, kind: str
) -> None:
    actual = await garage.ask(query)

    assert f"on type '{kind}'" in actual["errors"][0]["message"]
    assert garage.requests == []


async def test_a_function_is_a_query(garage: Garage) -> None:
    garage.answers["Fastest()?$select=No"] = {"No": 3}

    actual = await garage.ask("{ fastest { no } }")

    assert actual == {"data": {"fastest": {"no": 3}}}
    assert [method for method, _, _ in garage.requests] == ["GET"]


@pytest.mark.parametrize(
    ("name", "sent", "result"),
    [
        ("ratio", 1.25, 1.25),
        ("ratio", 3, 3),
        ("share", 0.5, 0.5),
        ("ratios", [1.25, 2], [1.25, 2]),
        ("grant", ["Read,Write", "Read"], ["Read,Write", "Read"]),
        (
            "outline",
            {"type": "Point", "coordinates": [1.5, 2]},
            {"type": "Point", "coordinates": [1.5, 2]},
        ),
    ],
)
async def test_a_result_of_an_action_is_shown_whatever_its_type(
    garage: Garage, name: str, sent: Any, result: Any
) -> None:
    garage.answers[name.title()] = {"value": sent}

    actual = await garage.ask(f"mutation {{ {name} {{ result }} }}")

    assert actual == {"data": {name: {"result": result}}}


@pytest.mark.parametrize(("name", "sent"), [("ratio", "INF"), ("share", "-INF"), ("ratio", "NaN")])
async def test_an_unrepresentable_result_is_an_error_at_its_field(
    garage: Garage, name: str, sent: str
) -> None:
    garage.answers[name.title()] = {"value": sent}

    actual = await garage.ask(f"mutation {{ {name} {{ result userErrors {{ code }} }} }}")

    assert actual["data"] == {name: {"result": None, "userErrors": []}}
    (error,) = actual["errors"]
    assert (error["path"], error["extensions"]["code"]) == ([name, "result"], "NOT_FINITE")
    assert len(garage.requests) == 1


async def test_actions_take_lists_of_enums_flags_and_numbers(
    garage: Garage,
) -> None:
    garage.answers["Grant"] = {"value": []}

    actual = await garage.ask("""mutation {
      grant(each: ["Read,Write", "Read"], all: [READ, WRITE], speeds: [SLOW, FAST], weights: [1, 2.5]) { result }
    }""")

    assert actual == {"data": {"grant": {"result": []}}}
    body = {
        "Each": ["Read,Write", "Read"],
        "All": "Read,Write",
        "Speeds": ["Slow", "Fast"],
        "Weights": [1.0, 2.5],
    }
    assert garage.requests == [("POST", "Grant", body)]


async def test_an_item_that_is_no_list_of_flags_is_refused_unsent(
    garage: Garage,
) -> None:
    actual = await garage.ask("mutation { grant(each: [5]) { result } }")

    (error,) = actual["errors"]
    assert error["extensions"]["code"] == "BAD_ARGUMENT"
    assert error["message"].startswith("each[0]: ")
    assert garage.requests == []
