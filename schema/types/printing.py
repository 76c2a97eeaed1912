"""The schema as SDL, and its statistics."""

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
    """Return the SDL, types in the schema's order; creates every type."""
    return print_schema(schema) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Size figures of an API."""

    entity_sets: int
    singletons: int
    functions: int
    root_fields: int
    """Fields of ``Query``."""
    mutations: int
    types: Mapping[str, int] = field(hash=False)
    """Family (``object``, ``connection``, ``where``…) → number of types."""
    fields: int
    """Fields of object and interface types."""
    input_fields: int
    """Fields of the input types of mutations."""
    enums: int
    enum_values: int
    findings: tuple[str, ...]


def stats(catalog: Catalog, writes: Writes | None = None) -> Stats:
    """Return the figures of the whole API; reads every record, so the findings are complete too."""
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
