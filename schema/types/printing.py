"""The schema as text and in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql import GraphQLSchema, print_schema

from schema.catalog import Catalog
from schema.catalog.records import RootKind, TypeEntry, TypeKind
from schema.writes import Writes

from .inputs import INPUT_KINDS


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
    """Fields of ``Query``."""
    mutations: int
    types: Mapping[str, int] = field(hash=False)
    """Family (``object``, ``connection``, ``where``…) → how many types of the schema."""
    fields: int
    """Fields of object and interface types."""
    input_fields: int
    """Fields of the types that mutations take."""
    enums: int
    enum_values: int
    findings: tuple[str, ...]


def stats(catalog: Catalog, writes: Writes | None = None) -> Stats:
    """Count the API; touches all of it, so the findings are complete too."""
    written = () if writes is None else tuple(writes.entries())
    entries = (*catalog.entries(), *written)
    roots = Counter(root.kind for root in catalog.roots.values())
    structured = {e.csdl for e in entries if e.kind in (TypeKind.OBJECT, TypeKind.INTERFACE)}
    enums = tuple(catalog.enum(e.csdl) for e in entries if e.kind is TypeKind.ENUM)
    return Stats(
        entity_sets=roots[RootKind.LIST],
        singletons=roots[RootKind.SINGLETON],
        functions=roots[RootKind.FUNCTION],
        root_fields=len(catalog.roots),
        mutations=0 if writes is None else len(writes),
        types=dict(Counter(e.kind.value for e in entries)),
        fields=sum(len(catalog.object(csdl).fields) for csdl in structured),
        input_fields=sum(_inputs(writes, e) for e in written) if writes is not None else 0,
        enums=len(enums),
        enum_values=sum(len(e.to_csdl) for e in enums),
        findings=(*catalog.findings, *(() if writes is None else writes.findings)),
    )


def _inputs(writes: Writes, entry: TypeEntry) -> int:
    return len(writes.inputs.fields(entry)) if entry.kind in INPUT_KINDS else 0
