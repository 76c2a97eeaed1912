"""Small models and what is needed to make an API of them: abilities by hand, resolvers over plain dicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    is_object_type,
    validate_schema,
)

from schema.catalog import Catalog
from schema.catalog.display_values import PARTS_TYPES
from schema.catalog.records import CUSTOM_FIELDS, Field, MutationField, PayloadField, RootField
from schema.catalog.values import Abilities
from schema.model.records import (
    EntitySet,
    EntityType,
    EnumMember,
    EnumType,
    Model,
    Navigation,
    Property,
    TypeRef,
)
from schema.operators import OperatorKind, WhereOperator, operators_of
from schema.types.scalars import DEFINITIONS

NS = "Microsoft.Dynamics.DataEntities"

_EQUALITY = operators_of(OperatorKind.EQUALITY)
_LISTED = _EQUALITY + operators_of(OperatorKind.LIST)
_ORDERED = _EQUALITY + operators_of(OperatorKind.ORDER) + operators_of(OperatorKind.LIST)
_IS_NULL = WhereOperator.IS_NULL
FINOPS = Abilities(
    operators={
        "string": (*_ORDERED, *operators_of(OperatorKind.TEXT), _IS_NULL),
        "number": _ORDERED,
        "temporal": (*_ORDERED, _IS_NULL),
        "date": (*_ORDERED, _IS_NULL),
        "enum": _LISTED,
        "boolean": _EQUALITY,
        "guid": _LISTED,
    },
    company_property="dataAreaId",
    has_nulls=False,
)
GENERIC = Abilities(
    operators={
        **{kind: (*names, _IS_NULL) for kind, names in FINOPS.operators.items()},
        "duration": (*_ORDERED, _IS_NULL),
        "flags": (*_EQUALITY, _IS_NULL),
    },
    filter_to_many=True,
)


def prop(name: str, type_name: str = "Edm.String", **facts: Any) -> Property:
    """A property; ``Collection(X)`` makes a list of X, a bare name is of the namespace."""
    many = type_name.startswith("Collection(")
    inner = type_name.removeprefix("Collection(").removesuffix(")") if many else type_name
    return Property(name=name, type=TypeRef(qualified(inner), many), **facts)


def nav(name: str, target: str, **facts: Any) -> Navigation:
    return Navigation(name=name, target=qualified(target), **facts)


def qualified(name: str) -> str:
    return name if "." in name else f"{NS}.{name}"


def entity(name: str, *parts: Property | Navigation, **facts: Any) -> EntityType:
    base = facts.pop("base", None)
    return EntityType(
        name=qualified(name),
        properties=tuple(p for p in parts if isinstance(p, Property)),
        navigations=tuple(p for p in parts if isinstance(p, Navigation)),
        base=None if base is None else qualified(base),
        **facts,
    )


def enum(name: str, *members: str, **facts: Any) -> EnumType:
    made = tuple(EnumMember(name=m, value=i) for i, m in enumerate(members))
    return EnumType(name=qualified(name), members=made, **facts)


NO_YES = enum("NoYes", "No", "Yes")


def model(
    *types: EntityType | EnumType,
    sets: Mapping[str, str] | Iterable[EntitySet] = (),
    **parts: Any,
) -> Model:
    """A model of the given types; ``sets`` maps set names to type names."""
    made = (
        [EntitySet(name=n, type=qualified(t)) for n, t in sets.items()]
        if isinstance(sets, Mapping)
        else list(sets)
    )
    return Model(
        namespace=NS,
        entity_types={t.name: t for t in types if isinstance(t, EntityType)},
        enum_types={t.name: t for t in types if isinstance(t, EnumType)},
        entity_sets={s.name: s for s in made},
        **parts,
    )


class DictResolvers:
    """Resolvers over rows as dicts of GraphQL names; a row tells its type by ``__typename``."""

    def __init__(self, roots: Mapping[str, Any] | None = None) -> None:
        self.roots = roots or {}
        self.asked: list[str] = []

    def root(self, field: RootField, info: GraphQLResolveInfo[Any]) -> object:
        self.asked.append(field.name)
        return self.roots.get(field.name)

    def unified_root(self, info: GraphQLResolveInfo[Any]) -> object:
        return self.roots.get(info.field_name)

    def unified(self, source: object, info: GraphQLResolveInfo[Any]) -> object:
        assert isinstance(source, dict)
        return source.get(info.field_name)

    def field(self, field: Field, source: object, info: GraphQLResolveInfo[Any]) -> object:
        assert isinstance(source, dict)
        return source.get(field.name)

    def connection(self, name: str, source: object, info: GraphQLResolveInfo[Any]) -> object:
        assert isinstance(source, dict)
        return source.get(name)

    def aggregate(self, source: object, info: GraphQLResolveInfo[Any]) -> object:
        assert isinstance(source, dict)
        return source.get(info.field_name)

    def mutation(self, field: MutationField, info: GraphQLResolveInfo[Any]) -> object:
        self.asked.append(field.name)
        return self.roots.get(field.name)

    def payload(self, field: PayloadField, source: object, info: GraphQLResolveInfo[Any]) -> object:
        assert isinstance(source, dict)
        return source.get(field.name)

    def subgraph(self, info: GraphQLResolveInfo[Any]) -> object:
        return self.roots.get("_service")

    def type_name(self, value: object) -> str:
        assert isinstance(value, dict)
        return str(value["__typename"])


def faults(schema: GraphQLSchema) -> list[GraphQLError]:
    """Return what graphql-core finds wrong with a schema, even if it was made to be assumed valid."""
    parts: dict[str, Any] = {**schema.to_kwargs(), "assume_valid": False}
    return validate_schema(GraphQLSchema(**parts))


def eager(core: GraphQLSchema) -> GraphQLSchema:
    """The schema that graphql-core makes eagerly of the same types; it must hold the same types and no others.

    Named for it are the types that no field need lead to: the scalars, the parts of display values, and the possible
    types of interfaces.
    """
    parts = (name for name in PARTS_TYPES if name in core.type_map)
    fixed = ("Int", "Float", "ID", "PageInfo", "SortDirection", *DEFINITIONS, *parts)
    implementers = (t for t in core.type_map.values() if is_object_type(t) and t.interfaces)
    query, mutation = (
        made and GraphQLObjectType(made.name, dict(made.fields), description=made.description)
        for made in (core.query_type, core.mutation_type)
    )
    made = GraphQLSchema(
        query=query,
        mutation=mutation,
        types=[*(core.type_map[name] for name in fixed), *implementers],
        directives=core.directives,
    )
    assert set(made.type_map) == set(core.type_map)
    # graphql-core's order is that of its walk; given all types, it keeps the order of the list
    roots = {root.name: root for root in (query, mutation) if root is not None}
    kept = [roots.get(name, found) for name, found in core.type_map.items()]
    return GraphQLSchema(query=query, mutation=mutation, types=kept, directives=core.directives)


def fields_of(catalog: Catalog, name: str) -> dict[str, str]:
    """Fields of a type with their types as SDL, without the one that rows of all types have."""
    found = [f for f in catalog.object(qualified(name)).fields.values() if f.name != CUSTOM_FIELDS]
    return {
        f.name: (f"[{f.type_name}!]" if f.many else f.type_name) + ("" if f.nullable else "!")
        for f in found
    }
