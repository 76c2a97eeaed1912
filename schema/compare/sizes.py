"""The size of an API, computed before it is served."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from graphql import GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType
from graphql.utilities import print_directive, print_type
from graphql.utilities.print_schema import print_schema_definition

from schema.types.build import ODataSchema
from schema.types.printing import stats

from . import ServedSource
from .shapes import core_directive, core_type

FAMILIES = 40
"""Families of types that are created to measure the memory of a type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Counts and bytes of an API."""

    entity_sets: int
    singletons: int
    queries: int
    mutations: int
    types: int
    """All types in the SDL."""
    fields: int
    """Fields of object and interface types, those of root types included."""
    input_fields: int
    enum_values: int
    sdl_bytes: int
    type_bytes: int
    """Average memory of a type with all its fields, in bytes, measured on a sample of families."""
    findings: tuple[str, ...]


def number_of_types(schema: ODataSchema) -> int:
    """Return the number of types in the SDL of ``schema print``, creating none."""
    fresh = schema.copy_for(schema.catalog.fresh_copy(), federated=False)
    return len(ServedSource(fresh).names())


def sizes_of(schema: ODataSchema) -> Sizes:
    """Return the sizes by a walk through all types of a copy of the schema."""
    fresh = schema.copy_for(schema.catalog.fresh_copy())
    source = ServedSource(fresh)
    types = fields = inputs = values = sdl = 0
    if (definition := print_schema_definition(fresh.core)) is not None:
        sdl += _printed(definition)
    for directive in source.directives:
        sdl += _printed(print_directive(core_directive(directive)))
    for name in source.names():
        shape = source.shape(name)
        types += 1
        fields += len(shape.fields)
        inputs += len(shape.inputs)
        values += len(shape.values)
        sdl += _printed(print_type(core_type(name, shape)))
    core = fresh.core
    counted = stats(schema.catalog.fresh_copy())
    return Sizes(
        entity_sets=counted.entity_sets,
        singletons=counted.singletons,
        queries=0 if core.query_type is None else len(core.query_type.fields),
        mutations=0 if core.mutation_type is None else len(core.mutation_type.fields),
        types=types,
        fields=fields,
        input_fields=inputs,
        enum_values=values,
        sdl_bytes=sdl - 1,  # one line feed at the end, two between types
        type_bytes=_type_bytes(schema),
        findings=(*counted.findings, *(fresh.writes.findings if fresh.writes is not None else ())),
    )


def _printed(text: str) -> int:
    return len(text.encode()) + len("\n\n")


def _type_bytes(schema: ODataSchema) -> int:
    """Return the average memory of a type: creates every n-th family, with shared parts shared as in use."""
    fresh = schema.copy_for(schema.catalog.fresh_copy())
    families = [[e.name for e in of] for _, of in groupby(fresh.entries(), lambda e: e.csdl)]
    step = max(1, len(families) // FAMILIES)
    tracemalloc.start()
    try:
        made_before, taken_before = fresh.made_types, tracemalloc.get_traced_memory()[0]
        for name in _some(families, step):
            made = fresh.core.get_type(name)
            if isinstance(made, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
                for field in made.fields.values():
                    assert field.type
        taken = tracemalloc.get_traced_memory()[0] - taken_before
        return max(0, taken) // max(1, fresh.made_types - made_before)
    finally:
        tracemalloc.stop()


def _some(families: list[list[str]], step: int) -> Iterator[str]:
    for family in islice(families, 0, None, step):
        yield from family
