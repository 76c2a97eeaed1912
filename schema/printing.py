"""The schema as text and in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql import GraphQLSchema, print_schema

from .catalog import Catalog
from .fields import RootKind, TypeKind


def print_sdl(schema: GraphQLSchema) -> str:
    """Write the SDL, types in the schema's order; makes every type, one after the other, whatever refers to what."""
    return print_schema(schema) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """How large an API is."""

    entity_sets: int
    singletons: int
    functions: int
    root_fields: int
    types: Mapping[str, int] = field(hash=False)
    """Family (``object``, ``connection``, ``where``…) → how many types of the schema."""
    fields: int
    """Fields of object and interface types."""
    enums: int
    enum_values: int
    findings: tuple[str, ...]


def stats(catalog: Catalog) -> Stats:
    """Count the API; touches all of it, so the findings are complete too."""
    entries = tuple(catalog.entries())
    roots = Counter(root.kind for root in catalog.roots.values())
    structured = {e.csdl for e in entries if e.kind in (TypeKind.OBJECT, TypeKind.INTERFACE)}
    enums = tuple(catalog.enum(e.csdl) for e in entries if e.kind is TypeKind.ENUM)
    return Stats(
        entity_sets=roots[RootKind.LIST],
        singletons=roots[RootKind.SINGLETON],
        functions=roots[RootKind.FUNCTION],
        root_fields=len(catalog.roots),
        types=dict(Counter(e.kind.value for e in entries)),
        fields=sum(len(catalog.object(csdl).fields) for csdl in structured),
        enums=len(enums),
        enum_values=sum(len(e.to_csdl) for e in enums),
        findings=catalog.findings,
    )
