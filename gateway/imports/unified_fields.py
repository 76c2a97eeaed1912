"""The fields of imported objects of unified types: by the names of the mapping, with values as the API has them.

A cell of CSV with a list, such as the lines of an order or dimensions, is JSON, as an export writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gateway.errors import BadArgument
from schema.errors import did_you_mean
from schema.unified.api import UnifiedKind
from schema.writes.unified import UnifiedWrites
from schema.writes.unified_inputs import WrittenField

from .cells import AS_TEXT, cell_value, decode_cell, plain_json


class UnifiedImportFields:
    """The fields of new objects of one unified type, and of the objects that are created below them."""

    def __init__(self, writes: UnifiedWrites, short: str) -> None:
        self._writes = writes
        self._short = short

    def of_json(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return an object as the input of a mutation. Raises BadArgument."""
        return self._object(UnifiedKind.CREATE_INPUT, self._short, values, "")

    def of_cells(self, cells: Mapping[str, str], *, empties: bool) -> dict[str, Any]:
        """Return a row of CSV likewise. Raises BadArgument.

        ``empties``: whether an empty cell is null; else it is left out.
        """
        return {
            name: self._cell(self._field(name), cell) if cell else None
            for name, cell in cells.items()
            if cell or empties
        }

    def column(self, name: str) -> tuple[str, ...]:
        """Return the field that a column of CSV sets. Raises BadArgument."""
        return (self._field(name).name,)

    def unique_name(self, name: str) -> str:
        """Return a field of one value that can tell objects apart. Raises BadArgument."""
        field = self._field(name)
        if field.many:
            raise BadArgument(f"uniqueBy: {name} is no plain field of a new object.")
        return field.name

    def _field(self, name: str) -> WrittenField:
        return self._named(UnifiedKind.CREATE_INPUT, self._short, name, name)

    def _named(self, kind: UnifiedKind, short: str, name: str, place: str) -> WrittenField:
        fields = self._writes.inputs(kind, short)
        field = fields.get(name)
        if field is None:
            text = f"Objects have no field {place} that can be written."
            raise BadArgument(f"{text}{did_you_mean(name, fields)}")
        return field

    def _object(
        self, kind: UnifiedKind, short: str, values: Mapping[str, Any], place: str
    ) -> dict[str, Any]:
        return {
            name: self._value(self._named(kind, short, name, f"{place}{name}"), value, place)
            for name, value in values.items()
        }

    def _value(self, field: WrittenField, value: Any, place: str) -> Any:
        if field.items and isinstance(value, list):
            below, kind = f"{place}{field.name}.", UnifiedKind.NESTED_INPUT
            return [
                self._object(kind, field.items, item, below) if isinstance(item, dict) else item
                for item in value
            ]
        if isinstance(value, dict | list):
            return plain_json(value)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return value
        if field.type_name in AS_TEXT:
            return str(value)
        return float(value) if isinstance(value, Decimal) else value

    def _cell(self, field: WrittenField, cell: str) -> Any:
        if field.many:
            return self._value(field, decode_cell(cell, field.name), "")
        return cell_value(field.type_name, cell, field.name)
