"""Every global id that the API returns is accepted and leads to its row: keys of every Edm type, alone and in pairs."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.model.records import (
    EntitySet,
    EntityType,
    EnumMember,
    EnumType,
    Model,
    Property,
    TypeDefinition,
    TypeRef,
)
from schema.types.build import build_schema
from tests.support.memory_odata import answer_batch
from tests.support.observers import raise_bugs
from tests.support.zoo_model import client_over

encode = msgspec.json.Encoder(decimal_format="number").encode
fraction = st.sampled_from(["", ".5", ".1230000", ".0000001"])
offset = st.sampled_from(["Z", "+02:00", "-11:30", "z"])
instant = st.builds(
    lambda moment, part, zone: f"{moment.isoformat()[:19]}{part}{zone}",
    st.datetimes(
        min_value=datetime.fromisoformat("0002-01-01"),
        max_value=datetime.fromisoformat("9998-01-01"),
    ),
    fraction,
    offset,
)
guid = st.uuids().map(str)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "Edm.String": st.text(max_size=40)
    | st.text("/\\%&#+?'\"*. \u00e9\u4e2d\U0001f600", max_size=12)
    | st.text("x", min_size=3_000, max_size=4_000),
    "Edm.Boolean": st.booleans(),
    "Edm.Byte": st.integers(0, 255),
    "Edm.SByte": st.integers(-128, 127),
    "Edm.Int16": st.integers(-(2**15), 2**15 - 1),
    "Edm.Int32": st.integers(-(2**31), 2**31 - 1),
    "Edm.Int64": st.integers(-(2**63), 2**63 - 1),
    "Edm.Decimal": st.decimals(-(10**20), 10**20, places=4) | st.integers(-(10**20), 10**20),
    "Edm.Double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    "Edm.Single": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "Edm.Guid": guid | guid.map(str.upper),
    "Edm.Date": st.dates().map(str),
    "Edm.DateTimeOffset": instant,
    "Edm.TimeOfDay": st.builds(
        lambda time, part: time.isoformat()[:8] + part, st.times(), fraction
    ),
    "Edm.Duration": st.sampled_from(["PT0S", "P1DT2H30M", "-PT0.5S", "PT60M", "P400D", "PT1.50S"]),
    "Edm.Binary": st.sampled_from(["", "AQID", "-_-_", "+/+/", "AQ==", "AQI"]),
    "K.Colour": st.sampled_from(["Red", "DarkRed"]),
    "K.NoYes": st.sampled_from(["No", "Yes"]),
    "K.Right": st.sampled_from(["Read", "Read,Write", "Read, Write", "0"]),
    "K.Number": st.sampled_from(["00-1", "a/b"]),
    "X++ date": st.dates().map(lambda day: f"{day}T12:00:00Z"),
}
ENUMS = {"Colour": ("Red", "DarkRed"), "NoYes": ("No", "Yes"), "Right": ("Read", "Write")}


def _key(name: str, kind: str) -> Property:
    is_x = kind == "X++ date"
    edm = "Edm.DateTimeOffset" if is_x else kind
    return Property(name=name, type=TypeRef(edm), nullable=False, ax_type="Date" if is_x else None)


class Keyed:
    """A service of one row, whose key has these types; it refuses nothing that is a well-formed address."""

    def __init__(self, *kinds: str) -> None:
        names = [f"K{i}" for i in range(len(kinds))]
        properties = tuple(map(_key, names, kinds))
        row = EntityType(name="K.Row", key=tuple(names), properties=properties)
        model = Model(
            namespace="K",
            entity_types={"K.Row": row},
            entity_sets={"Rows": EntitySet(name="Rows", type="K.Row")},
            enum_types={
                f"K.{name}": EnumType(
                    name=f"K.{name}",
                    flags=name == "Right",
                    members=tuple(EnumMember(name=m, value=i + 1) for i, m in enumerate(members)),
                )
                for name, members in ENUMS.items()
            },
            type_definitions={"K.Number": TypeDefinition(name="K.Number", underlying="Edm.String")},
        )
        catalog = Catalog(model, abilities_of(ODATA))
        schema = build_schema(catalog, LoadedResolvers(catalog))
        self.row: dict[str, Any] = {}
        client = client_over(self._answer, [])
        self.engine = Engine(schema, client, ODATA, ExecutionSettings(), raise_bugs)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/$batch"):  # the address of a long key
            return answer_batch(request, lambda url: self._read(f"/{url.partition('?')[0]}"))
        return self._read(request.url.path)

    def _read(self, path: str) -> httpx.Response:
        by_key = path.endswith(")")
        content = encode(self.row if by_key else {"value": [self.row]})
        return httpx.Response(200, content=content, headers={"Content-Type": "application/json"})

    async def ask(self, query: str, **variables: Any) -> Any:
        request = GraphQLRequest(query=query, variables=variables)
        return (await self.engine.execute(request)).to_builtins()

    async def returns(self, *key: Any) -> None:
        self.row = {f"K{i}": part for i, part in enumerate(key)}
        listed = await self.ask("{ rows { nodes { id } } }")
        assert "errors" not in listed
        (node,) = listed["data"]["rows"]["nodes"]
        result = await self.ask(
            "query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } }", id=node["id"]
        )
        assert result == {"data": {"node": node, "nodes": [node]}}


KEYED = {kind: Keyed(kind) for kind in VALUES}
PAIRED = {kind: Keyed("Edm.String", kind) for kind in VALUES}


@pytest.mark.parametrize("kind", VALUES)
def test_an_id_leads_to_the_row_that_it_was_made_of(kind: str) -> None:
    @settings(max_examples=25, derandomize=True, deadline=None, database=None)
    @given(VALUES[kind])
    def check(key: Any) -> None:
        asyncio.run(KEYED[kind].returns(key))

    check()


@pytest.mark.parametrize("kind", VALUES)
def test_an_id_of_several_parts_leads_to_its_row(kind: str) -> None:
    @settings(max_examples=10, derandomize=True, deadline=None, database=None)
    @given(st.text(max_size=9), VALUES[kind])
    def check(first: str, second: Any) -> None:
        asyncio.run(PAIRED[kind].returns(first, second))

    check()
