"""The size of an API: counted on the way through its types, against graphql-core's."""

from __future__ import annotations

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    build_schema,
)

from schema.catalog import Catalog
from schema.compare.sizes import sizes_of
from schema.model.exposure import expose
from schema.model.records import Model
from schema.types.build import ODataSchema
from schema.types.build import build_schema as build_api
from schema.writes import Writes
from tests.support import zoo_model as zoo
from tests.support.metadata_documents import ESSENTIAL, PROCUREMENT, TRADERS, model_of
from tests.support.small_models import FINOPS, DictResolvers


def api(model: Model, *, writes: bool) -> ODataSchema:
    catalog = Catalog(model, FINOPS)
    return build_api(catalog, DictResolvers(), writes=Writes(catalog) if writes else None)


@pytest.mark.parametrize("writes", [False, True], ids=["reads", "writes"])
@pytest.mark.parametrize("name", [pytest.param(ESSENTIAL, marks=pytest.mark.heavy), TRADERS, "zoo"])
def test_the_counts_are_those_of_the_sdl(name: str, writes: bool) -> None:
    model = zoo.model() if name == "zoo" else model_of(name)

    found = sizes_of(api(model, writes=writes))

    sdl = api(model, writes=writes).as_str()
    types = build_schema(sdl).type_map.values()
    generated = [t for t in types if not t.name.startswith("__") and t.ast_node is not None]
    objects = [t for t in generated if isinstance(t, GraphQLObjectType | GraphQLInterfaceType)]
    assert found.sdl_bytes == len(sdl.encode())
    assert found.types == len(generated)
    assert found.fields == sum(len(t.fields) for t in objects)
    assert found.input_fields == sum(
        len(t.fields) for t in generated if isinstance(t, GraphQLInputObjectType)
    )
    assert found.enum_values == sum(
        len(t.values) for t in generated if isinstance(t, GraphQLEnumType)
    )
    roots = {t.name: len(t.fields) for t in objects if t.name in ("Query", "Mutation")}
    assert (found.queries, found.mutations) == (roots["Query"], roots.get("Mutation", 0))
    assert (found.mutations > 0) == writes


def test_what_is_weighed_is_left_as_it_was() -> None:
    schema = api(model_of(ESSENTIAL), writes=True)
    before = schema.made_types

    sizes_of(schema)

    assert schema.made_types == before


def test_the_memory_of_a_type_does_not_hang_on_how_many_there_are() -> None:
    whole = model_of(PROCUREMENT)
    some = expose(whole, include=list(whole.entity_sets)[:2], exclude=[])

    few, many = sizes_of(api(some, writes=False)), sizes_of(api(whole, writes=False))

    assert few.types < many.types
    assert 0.3 < few.type_bytes / many.type_bytes < 3
    assert many.type_bytes > 1_000
