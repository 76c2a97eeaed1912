"""The input types of the catalog as Strawberry definitions: ``where``, ``orderBy`` and the operators of each value type.

Values arrive as plain dicts keyed by GraphQL names: the planner looks each name up in the catalog (``Catalog.input_fields``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from . import describe
from .catalog import Catalog
from .fields import TypeEntry, TypeKind
from .lazy import GeneratedDefinition, GeneratedField, Ref, TypeTable

INPUT_KINDS = frozenset(
    {TypeKind.WHERE, TypeKind.COLLECTION_WHERE, TypeKind.ORDER_BY, TypeKind.FILTER}
)


class InputTypes:
    """Makes the definitions of input types, by name."""

    def __init__(self, catalog: Catalog, types: TypeTable) -> None:
        self._catalog = catalog
        self._types = types

    def make(self, entry: TypeEntry) -> GeneratedDefinition:
        """Make a generated input type."""
        return GeneratedDefinition(
            entry.name,
            partial(self._fields, entry.name),
            description=describe.input_type(entry),
            is_input=True,
            one_of=entry.kind is TypeKind.ORDER_BY,
        )

    def _fields(self, name: str) -> Iterator[GeneratedField]:
        for field in self._catalog.input_fields(name):
            yield GeneratedField(
                field.name,
                Ref(field.type_name, many=field.many),
                self._types,
                description=field.description,
                record=field,
            )
