"""Every document that lies beside the project becomes a valid schema, and the lazy one is the eager one."""

from __future__ import annotations

import pytest
from graphql import (
    GraphQLSchema,
    build_client_schema,
    introspection_from_schema,
    parse,
    print_schema,
    validate,
    validate_schema,
)
from graphql import (
    build_schema as schema_of_sdl,
)

from schema.catalog import Catalog
from schema.catalog.records import RootKind
from schema.model.exposure import expose
from schema.model.records import Model
from schema.types.build import build_schema
from schema.types.printing import print_sdl
from schema.writes import Writes
from tests.support.metadata_documents import (
    CATALOGUE,
    REAL_CATALOGUE,
    REAL_DATAVERSE,
    REAL_SMALL,
    RELATIONSHIPS,
    SMALL,
    catalogues,
    found,
    is_finance,
    model_of,
)
from tests.support.small_models import FINOPS, GENERIC, DictResolvers, eager, faults
from tests.support.soak import bounded

SLICE = bounded(40, 200)
"""Entity sets of a slice of the full catalogue; what they lead to comes on top."""


def api(name: str, model: Model) -> Catalog:
    return Catalog(model, FINOPS if is_finance(name) else GENERIC)


def check(catalog: Catalog) -> GraphQLSchema:
    """Valid, and its SDL accepted."""
    core = build_schema(catalog, DictResolvers(), writes=Writes(catalog)).core

    assert faults(core) == []
    assert validate_schema(schema_of_sdl(print_sdl(core))) == []
    return core


def check_exactly(catalog: Catalog) -> None:
    """The same, introspectable, and equal to what graphql-core makes eagerly."""
    core = check(catalog)
    other = eager(core)

    assert print_sdl(core) == print_schema(other) + "\n"
    introspected = introspection_from_schema(core)
    assert introspected == introspection_from_schema(other)
    assert validate_schema(build_client_schema(introspected)) == []


def test_a_schema_without_writes_has_no_mutation_directives() -> None:
    """What reading alone has is checked where it differs: all else is the same code."""
    catalog = api(SMALL[0], model_of(SMALL[0]))
    core = build_schema(catalog, DictResolvers()).core
    other = eager(core)

    assert print_sdl(core) == print_schema(other) + "\n"
    assert core.mutation_type is None
    assert {d.name for d in core.directives}.isdisjoint({"atomic", "valueOf"})
    assert not {"UserError", "FieldConflict"} & set(core.type_map)


@pytest.mark.heavy
@pytest.mark.parametrize("name", [*SMALL, *bounded((), found(*REAL_SMALL))])
def test_a_whole_document_becomes_a_valid_schema(name: str) -> None:
    check_exactly(api(name, model_of(name)))


@pytest.mark.heavy
@pytest.mark.parametrize("name", [RELATIONSHIPS, *bounded((), found(REAL_DATAVERSE))])
def test_a_document_like_dataverse_becomes_a_valid_schema(name: str) -> None:
    check(api(name, model_of(name)))


@pytest.fixture(scope="module", params=catalogues(*bounded((), (REAL_CATALOGUE,))))
def full(request: pytest.FixtureRequest) -> Model:
    """The full catalogue, read once and not kept for other modules."""
    return model_of(request.param)


def cut(model: Model, index: int) -> Model:
    names = list(model.entity_sets)[index * SLICE : (index + 1) * SLICE]
    return expose(model, include=names, exclude=[])


@pytest.mark.heavy
@pytest.mark.parametrize("index", [0, bounded(64, 19)])
def test_a_slice_of_the_full_catalogue_becomes_a_valid_schema(full: Model, index: int) -> None:
    check(api(CATALOGUE, cut(full, index)))


@pytest.mark.heavy
def test_a_part_of_the_catalogue_equals_graphql_cores_schema(full: Model) -> None:
    check_exactly(api(CATALOGUE, cut(full, bounded(33, 10))))


def test_every_root_field_of_the_full_catalogue_validates(full: Model) -> None:
    """The whole document in one schema, each root field validated in an operation of its own, sampled."""
    catalog = api(CATALOGUE, full)
    schema = build_schema(catalog, DictResolvers())
    lists = [r for r in catalog.roots.values() if r.kind is RootKind.LIST]

    assert len(lists) == 3_868
    for root in lists[::40]:
        field = next(iter(catalog.object(root.csdl).fields.values()))
        leaf = field.name if field.value is not None or field.name == "id" else "__typename"
        query = f"{{ {root.name}(first: 1) {{ totalCount nodes {{ {leaf} }} }} }}"
        assert validate(schema.core, parse(query)) == []
    assert schema.made_types < 1_500
