"""The input types of the catalogue as Strawberry definitions: ``where``, ``orderBy``, filters and inputs of mutations.

Values arrive as plain dicts keyed by GraphQL names: the planner looks each name up in the catalogue
(``Catalog.input_fields``).
"""

from __future__ import annotations

from schema.catalog import Catalog
from schema.catalog import descriptions as describe
from schema.catalog.records import InputField, TypeEntry, TypeKind
from schema.writes import Writes
from schema.writes import descriptions as texts

from .strawberry_definitions import GeneratedField, GeneratedInput, Ref, TypeTable

_READING = frozenset(
    {TypeKind.WHERE, TypeKind.COLLECTION_WHERE, TypeKind.ORDER_BY, TypeKind.FILTER}
)
_WRITING = frozenset(
    {
        TypeKind.CREATE_INPUT,
        TypeKind.PATCH,
        TypeKind.KEY,
        TypeKind.UPDATE_INPUT,
        TypeKind.DELETE_INPUT,
        TypeKind.NESTED_INPUT,
        TypeKind.NESTED_CREATE,
        TypeKind.VALUE_INPUT,
    }
)
INPUT_KINDS = _READING | _WRITING


class InputTypes:
    """Creates the definitions of input types, by name."""

    def __init__(self, catalog: Catalog, types: TypeTable, writes: Writes | None = None) -> None:
        self._catalog = catalog
        self._types = types
        self._writes = writes

    def make(self, entry: TypeEntry) -> GeneratedInput:
        """Return the definition of a generated input type."""
        writes = self._writes
        if writes is not None and entry.kind in _WRITING:
            return GeneratedInput(
                entry.name,
                lambda: writes.inputs_of(entry.name),
                self._field,
                description=texts.companion(entry),
                required=lambda: writes.required_of(entry.name),
            )
        return GeneratedInput(
            entry.name,
            lambda: self._catalog.inputs_of(entry.name),
            self._field,
            description=describe.input_type(entry),
            one_of=entry.kind is TypeKind.ORDER_BY,
        )

    def _field(self, field: InputField) -> GeneratedField:
        return GeneratedField(
            field.name,
            Ref(field.type_name, field.nullable, field.many),
            self._types,
            description=field.description,
        )
