"""Rows generated for a metadata document follow relations that the settings declare, or that are preset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from gateway.config.settings import Settings
from gateway.odata.finops import FINOPS
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway
from schema.model.records import Model
from schema.model.relations import preset
from tests.support.metadata_documents import PROCUREMENT, REAL_CATALOGUE, catalogues, path_of
from tests.support.soak import bounded

pytestmark = pytest.mark.anyio


class Side(NamedTuple):
    entity_set: str
    fields: tuple[str, ...]


def lost(store: Any, child: Side, parent: Side) -> list[tuple[Any, ...]]:
    """The join values of children that no parent has."""
    known = {tuple(row[name] for name in parent.fields) for row in store.rows(parent.entity_set)}
    children = store.rows(child.entity_set)
    assert children
    values = [tuple(row[name] for name in child.fields) for row in children]
    return [value for value in values if value not in known]


def declared_joins(model: Model) -> Iterator[tuple[Side, Side]]:
    """Child and parent of each navigation that a relation made; the children of one to many are its targets."""
    for name, entity_set in model.entity_sets.items():
        for navigation in model.navigations_of(entity_set.type):
            if navigation.declared:
                assert navigation.target_set is not None
                own = Side(name, tuple(pair.property for pair in navigation.on))
                theirs = Side(navigation.target_set, tuple(p.referenced for p in navigation.on))
                yield (theirs, own) if navigation.many else (own, theirs)


@pytest.mark.parametrize(
    "name",
    [
        PROCUREMENT,
        *catalogues(*bounded((), (REAL_CATALOGUE,))),
    ],
)
async def test_rows_follow_every_preset_that_fits_the_document(sandbox, name):
    app = sandbox(metadata=path_of(name), relations=FINOPS.relations).app
    model, store = app.state.world.model, app.state.store
    joins = list(declared_joins(preset(model, FINOPS.relations)))

    assert joins
    assert {join: missing for join in joins if (missing := lost(store, *join))} == {}


DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="Owner"><Key><PropertyRef Name="Code"/></Key>
    <Property Name="Code" Type="Edm.String" Nullable="false"/><Property Name="Mail" Type="Edm.String"/></EntityType>
  <EntityType Name="House"><Key><PropertyRef Name="Street"/><PropertyRef Name="Number"/></Key>
    <Property Name="Street" Type="Edm.String" Nullable="false"/>
    <Property Name="Number" Type="Edm.Int32" Nullable="false"/>
    <Property Name="OwnedBy" Type="Edm.String"/></EntityType>
  <EntityType Name="Room"><Key><PropertyRef Name="Id"/></Key>
    <Property Name="Id" Type="Edm.Int32" Nullable="false"/>
    <Property Name="InStreet" Type="Edm.String"/><Property Name="AtNumber" Type="Edm.Int32"/>
    <Property Name="Tenant" Type="Edm.String"/></EntityType>
  <EntityContainer Name="C"><EntitySet Name="Owners" EntityType="N.Owner"/>
  <EntitySet Name="Houses" EntityType="N.House"/><EntitySet Name="Rooms" EntityType="N.Room"/>
  </EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"""
HOUSE = {
    "from_set": "Rooms",
    "fields": ["InStreet", "AtNumber"],
    "to_set": "Houses",
    "name": "House",
    "inverse": "Rooms",
}
OWNER = {"from_set": "Houses", "fields": ["OwnedBy"], "to_set": "Owners", "name": "Owner"}
RENTER = {"from_set": "Rooms", "fields": ["Tenant"], "to_set": "Owners", "to_fields": ["Mail"], "name": "Renter",
          "inverse": "Rented"}  # fmt: skip


async def test_declared_relations_lead_to_rows_that_exist(tmp_path):
    path = tmp_path / "metadata.xml"
    path.write_text(DOCUMENT)
    settings = Settings.model_validate(
        {"sandbox": {"metadata": path}, "relations": [HOUSE, OWNER, RENTER], "cache_dir": None}
    )
    query = """{
      rooms { nodes { house { owner { mail } rooms { nodes { inStreet } } } renter { nodes { mail } } } }
    }"""
    async with open_gateway(settings, observe=lambda _: None) as gateway:
        answer = (await gateway.engine.execute(GraphQLRequest(query=query))).to_builtins()

    assert "errors" not in answer
    rooms = answer["data"]["rooms"]["nodes"]
    assert rooms
    assert all(room["house"]["owner"]["mail"] for room in rooms)
    assert all(room["house"]["rooms"]["nodes"] for room in rooms)
    assert all(room["renter"]["nodes"] for room in rooms)
    assert len({room["house"]["owner"]["mail"] for room in rooms}) > 1
