"""Small models that can be written, and whether the schema made of them holds together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import GraphQLSchema, print_schema

from schema.catalog import Catalog
from schema.model.records import (
    ComplexType,
    EntitySet,
    Operation,
    OperationImport,
    OperationKind,
    Parameter,
    ReferentialConstraint,
)
from schema.types.build import ODataSchema, build_schema
from schema.types.printing import print_sdl
from schema.writes import WriteRules, Writes
from tests.support.introspections import (
    EVERYTHING,
    assert_same,
    introspect_with_gateway,
    introspect_with_graphql_core,
)
from tests.support.small_models import (
    FINOPS,
    DictResolvers,
    eager,
    entity,
    faults,
    model,
    prop,
    qualified,
)

ROW_VERBS = ("create", "update", "upsert", "delete")
IN_THINGS = {"Things": "Thing"}
CODE = prop("Code", nullable=False)
NAME = prop("Name")
PLAIN = entity("Thing", CODE, NAME, key=("Code",))


def writes(
    *types: Any,
    sets: Mapping[str, str] | Iterable[EntitySet] = (),
    rules: WriteRules | None = None,
    renames: Mapping[str, str] | None = None,
    abilities: Any = FINOPS,
    **parts: Any,
) -> Writes:
    """What may be written of a model; complex types go among ``types``."""
    plain = [t for t in types if not isinstance(t, ComplexType)]
    complex_types = {t.name: t for t in types if isinstance(t, ComplexType)}
    shop = model(*plain, sets=sets, complex_types=complex_types, **parts)
    return Writes(Catalog(shop, abilities, renames=renames), rules)


def value_type(name: str, *parts: Any, **facts: Any) -> ComplexType:
    return ComplexType(name=qualified(name), properties=parts, **facts)


def action(name: str, *parameters: Parameter, **facts: Any) -> Operation:
    return Operation(
        name=qualified(name), kind=OperationKind.ACTION, parameters=parameters, **facts
    )


def imports(*names: str) -> dict[str, OperationImport]:
    return {
        n: OperationImport(name=n, kind=OperationKind.ACTION, operation=qualified(n)) for n in names
    }


def on(*pairs: tuple[str, str]) -> tuple[ReferentialConstraint, ...]:
    return tuple(ReferentialConstraint(own, theirs) for own, theirs in pairs)


def of_rows(field: str, verbs: Iterable[str] = ROW_VERBS) -> list[str]:
    return [verb + field for verb in verbs]


def fields(found: Writes, name: str) -> list[str]:
    """The fields of an input type as SDL writes them."""
    return [
        f.name
        + ": "
        + (f"[{f.type_name}!]" if f.many else f.type_name)
        + ("" if f.nullable else "!")
        for f in found.inputs_of(name).values()
    ]


def schema_of(found: Writes, **extra: Any) -> ODataSchema:
    return build_schema(found.catalog, DictResolvers(), writes=found, **extra)


def check(found: Writes) -> GraphQLSchema:
    """The whole schema is valid, is what graphql-core makes eagerly, and is told so."""
    schema = schema_of(found)
    other = eager(schema.core)

    assert faults(other) == []
    assert print_sdl(schema.core) == print_schema(other) + "\n"
    assert_same(
        introspect_with_gateway(schema, EVERYTHING), introspect_with_graphql_core(other, EVERYTHING)
    )
    return schema.core
