"""The fields of imported rows: by their names in GraphQL or in the metadata, with values in the form of either.

JSON values are those of the API; besides, numbers may stand for ``Decimal`` and ``Long``, and the members of enums may
have their names of the metadata. The cells of CSV are read by the type of their field.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gateway.errors import BadArgument
from schema.catalog.records import InputField, InputRole, ValueType
from schema.errors import did_you_mean
from schema.writes import Writes

from .cells import AS_TEXT, boolean, cell_value, decode_cell, plain_json

DISPLAY_PARTS = ("mainAccount", "dimensions", "account")
_JSON = frozenset({"JSON"})


class ImportFields:
    """The fields of one input type, and of the types below it."""

    def __init__(self, writes: Writes, type_name: str) -> None:
        self._writes = writes
        self._type = type_name
        self._names: dict[str, Mapping[str, InputField]] = {}

    def of_json(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row as the input object of a mutation. Raises BadArgument."""
        return self._object(self._type, values, "")

    def of_cells(self, cells: Mapping[str, str], *, empties: bool) -> dict[str, Any]:
        """Return a row of CSV likewise; ``address.city`` is a field of a complex value. Raises BadArgument.

        ``empties``: whether an empty cell is null; else it is left out.
        """
        row: dict[str, Any] = {}
        for name, cell in cells.items():
            if not (cell or empties):
                continue
            part = self._part(name)
            if part is not None:
                of, own = part
                value = decode_cell(cell, name) if own == "dimensions" and cell else cell or None
                row.setdefault(of.name, {})[own] = value
                continue
            path = self._path(name)
            below = row
            for field in path[:-1]:
                below = below.setdefault(field.name, {})
            below[path[-1].name] = self._cell(path[-1], cell, name) if cell else None
        return row

    def column(self, name: str) -> tuple[str, ...]:
        """Return the field that a column of CSV sets, with those above it. Raises BadArgument."""
        part = self._part(name)
        if part is not None:
            return part[0].name, part[1]
        return tuple(field.name for field in self._path(name))

    def _part(self, name: str) -> tuple[InputField, str] | None:
        """Return the field and the part of a column such as ``accountParts.mainAccount``, as exports have them.

        None for any other column. Raises BadArgument.
        """
        above, _, part = name.rpartition(".")
        field = self._fields(self._type).get(above)
        if field is None or field.of is None or field.of.parts is None:
            return None
        if part not in DISPLAY_PARTS:
            raise BadArgument(f"{above} has no {part}.{did_you_mean(part, DISPLAY_PARTS)}")
        return field, part

    def unique_name(self, name: str) -> str:
        """Return a field of one value that can tell rows apart. Raises BadArgument."""
        *above, field = self._path(name)
        if above:
            raise BadArgument(f"uniqueBy: {name} is no plain field of a new row.")
        return field.name

    def _path(self, name: str) -> tuple[InputField, ...]:
        """Return the field that a column names, with those above it. Raises BadArgument."""
        type_name, path = self._type, []
        for part in name.split("."):
            field = self._field(type_name, part, name)
            path.append(field)
            type_name = field.type_name
        last = path[-1]
        is_plain = last.of is not None and last.of.value is not None
        if not is_plain or any(field.many or field.role is InputRole.NESTED for field in path[:-1]):
            raise BadArgument(f"{name} is no field of one value.", hint="Import it as NDJSON.")
        return tuple(path)

    def _field(self, type_name: str, name: str, what: str) -> InputField:
        fields = self._fields(type_name)
        field = fields.get(name)
        if field is None:
            raise BadArgument(
                f"Rows have no field {what} that can be written.{did_you_mean(name, fields)}"
            )
        return field

    def _fields(self, type_name: str) -> Mapping[str, InputField]:
        """Return the fields of an input type by both of their names; none for a type of plain values."""
        fields = self._names.get(type_name)
        if fields is None:
            try:
                own = dict(self._writes.inputs_of(type_name))
            except KeyError:
                own = {}
            sources = {f.of.source: f for f in own.values() if f.of is not None and f.of.source}
            fields = self._names[type_name] = {**sources, **own}
        return fields

    def _object(self, type_name: str, values: Mapping[str, Any], place: str) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for name, value in values.items():
            field = self._field(type_name, name, f"{place}{name}")
            if field.name in row:
                raise BadArgument(f"{place}{name} is there twice, by both of its names.")
            row[field.name] = self._value(field, value, f"{place}{name}")
        return row

    def _value(self, field: InputField, value: Any, place: str) -> Any:
        if isinstance(value, list):
            return [self._value(field, item, place) for item in value]
        if isinstance(value, dict):
            if self._fields(field.type_name):
                return self._object(field.type_name, value, f"{place}.")
            return plain_json(value)
        kind = None if field.of is None else field.of.value
        return value if kind is None else _json_value(kind, value)

    def _cell(self, field: InputField, cell: str, name: str) -> Any:
        kind = None if field.of is None else field.of.value
        assert kind is not None
        if field.many or kind.many or kind.scalar in _JSON:
            return self._value(field, decode_cell(cell, name), name)
        if kind.enum is not None and kind.scalar != "Boolean":
            return _member(kind, cell)
        return cell_value(kind.scalar, cell, name)


def _json_value(kind: ValueType, value: Any) -> Any:
    """Return a JSON value as GraphQL takes it for a type; one that does not fit is left to GraphQL."""
    if isinstance(value, Decimal):
        return str(value) if kind.scalar in AS_TEXT else float(value)
    if isinstance(value, int) and not isinstance(value, bool) and kind.scalar in AS_TEXT:
        return str(value)
    if isinstance(value, str) and kind.enum is not None:
        return _member(kind, value)
    return value


def _member(kind: ValueType, text: str) -> Any:
    """Return the value of an enum: by its name in GraphQL or in the metadata."""
    assert kind.enum is not None
    if kind.scalar == "Boolean":
        return boolean(text)
    return kind.enum.to_graphql.get(text, text)
