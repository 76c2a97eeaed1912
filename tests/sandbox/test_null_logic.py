"""Comparisons with null: false by the specification, unknown in services that pass filters to a database."""

from __future__ import annotations

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway

pytestmark = pytest.mark.anyio
DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="Thing"><Key><PropertyRef Name="Id"/></Key>
    <Property Name="Id" Type="Edm.String" Nullable="false"/><Property Name="Size" Type="Edm.Int32"/>
    <Property Name="Note" Type="Edm.String"/><Property Name="Other" Type="Edm.Int32"/></EntityType>
  <EntityContainer Name="C"><EntitySet Name="Things" EntityType="N.Thing"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""
ROWS = (
    {"Id": "none", "Size": None, "Note": None, "Other": None},
    {"Id": "one", "Size": 1, "Note": "a", "Other": 1},
    {"Id": "two", "Size": 2, "Note": "b", "Other": None},
)


@pytest.fixture
def things(sandbox, tmp_path):
    path = tmp_path / "metadata.xml"
    path.write_text(DOCUMENT)

    def make(**settings: object):
        ask = sandbox(metadata=path, **settings)
        ask.app.state.store.rows("Things")
        for row in ask.app.state.store.rows("Things"):
            ask.app.state.store.delete("Things", Id=row["Id"])
        ask.app.state.store.insert("Things", ROWS)
        return ask

    return make


# filter; rows by the specification, URL Conventions 5.1.1.1; rows by SQL's three-valued logic
FILTERS = [
    ("Size gt 1", "two", "two"),
    ("not (Size gt 1)", "none one", "one"),
    ("not (Size le 1)", "none two", "two"),
    ("Size eq 1", "one", "one"),
    ("not (Size eq 1)", "none two", "two"),
    ("Size ne 1", "none two", "two"),
    ("not (Size ne 1)", "one", "one"),
    ("Size in (1,3)", "one", "one"),
    ("not (Size in (1,3))", "none two", "two"),
    ("Size in (1,null)", "none one", "one"),
    ("not (Size in (1,null))", "two", ""),
    ("Size eq null", "none", "none"),
    ("Size ne null", "one two", "one two"),
    ("not (Size eq null)", "one two", "one two"),
    ("Size ge null", "none", "none"),
    ("Size lt null", "", ""),
    ("not (Size lt null)", "none one two", "none one two"),
    ("Size eq Other", "none one", "one"),
    ("not (Size eq Other)", "two", ""),
    ("not (Size gt Other)", "none one two", "one"),
    ("not (Note eq 'a' or Note eq 'c')", "none two", "two"),
    # functions of null are null, and so is their negation
    ("not contains(Note,'a')", "two", "two"),
    ("not (Size lt 2 or Size ge 3)", "none two", "two"),
]


@pytest.mark.parametrize(("condition", "specified", "sql"), FILTERS)
async def test_comparisons_with_null_are_false_or_unknown(things, condition, specified, sql):
    for logic, expected in (("specification", specified), ("sql", sql)):
        answer = await things(null_logic=logic)("/data/Things", params={"$filter": condition})
        assert answer.status_code == 200, answer.text
        result = [row["Id"] for row in answer.json()["value"]]
        assert result == expected.split(), logic


@pytest.mark.parametrize("logic", ["specification", "sql"])
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("{ not: { size: { gt: 1 } } }", [None, 1]),
        ("{ not: { size: { lte: 1 } } }", [None, 2]),
        ("{ size: { gt: 1 } }", [2]),
        ("{ not: { not: { size: { gt: 1 } } } }", [2]),
    ],
)
async def test_the_gateway_answers_orderings_alike_under_both(things, logic, where, expected):
    settings = Settings(url="https://things.example/data", auth="none", cache_dir=None)
    transport = httpx.ASGITransport(things(null_logic=logic).app)
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as gateway:
        request = GraphQLRequest(query=f"{{ things(where: {where}) {{ nodes {{ size }} }} }}")
        answer = (await gateway.engine.execute(request)).to_builtins()

    assert "errors" not in answer
    assert [row["size"] for row in answer["data"]["things"]["nodes"]] == expected
