"""Looks up what mapping files name in a catalogue: columns, conditions, values."""

from __future__ import annotations

from schema.catalog import Catalog
from schema.catalog.inputs import RESERVED_INPUTS, is_ordered
from schema.catalog.records import Clean, Field, FieldKind, InputRole, TypeKind, ValueType


class MissingError(Exception):
    """The environment lacks something that a mapping names."""


def column_of(catalog: Catalog, csdl: str, name: str) -> Field:
    """Return the field of a column with one plain value. Raises MissingError."""
    try:
        field = catalog.object(csdl).by_source(name)
    except KeyError:
        raise MissingError(f"{csdl.rpartition('.')[2]} has no {name}") from None
    if field.kind is not FieldKind.VALUE or field.many:
        raise MissingError(f"{name} is no plain value")
    return field


def where_input(catalog: Catalog, csdl: str, field: Field) -> tuple[str, str] | None:
    """Return name and type of the field of the ``where`` of a type that concerns a column, or a relation to one row.

    None if it has none. The other fields of the ``where`` are not made: those of relations depend on many types.
    """
    denied = catalog.denied_properties(csdl, "filterable", "non_filterable")
    if denied is None or field.source in denied or not catalog.can_filter(csdl):
        return None
    condition = catalog.where_condition(csdl, field)
    if condition is None or condition[0] not in (InputRole.VALUE, InputRole.TO_ONE):
        return None
    if RESERVED_INPUTS.isdisjoint(catalog.object(csdl).fields):
        return field.name, condition[1]
    inputs = catalog.inputs_of(catalog.name_of(TypeKind.WHERE, csdl)).values()
    return next((i.name, i.type_name) for i in inputs if i.of is not None and i.of == field)


def order_input(catalog: Catalog, csdl: str, field: Field) -> str | None:
    """Return the name of the field of the ``orderBy`` of a type that concerns a column; None if there is none."""
    denied = catalog.denied_properties(csdl, "sortable", "non_sortable")
    is_offered = denied is not None and field.source not in denied and is_ordered(field)
    return field.name if is_offered and catalog.can_order(csdl) else None


def operand_of(kind: ValueType, value: object) -> object:
    """Return a value of a mapping as an operand of ``where``. Raises MissingError."""
    if kind.scalar == "Boolean":
        return value in ("Yes", "true", True)
    if kind.enum is not None:
        member = kind.enum.to_graphql.get(str(value))
        if member is None:
            raise MissingError(f"{kind.enum.csdl.rpartition('.')[2]} has no {value}")
        return member
    return int(str(value)) if kind.scalar == "Int" else value


def wire_of(kind: ValueType, key: str) -> object:
    """Return a key of ``values`` as the service sends it."""
    if kind.enum is not None:
        return key
    if kind.edm == "Edm.Boolean":
        return key == "true"
    return int(key) if kind.scalar in ("Int", "Long") else key


def check_type(kind: ValueType, type_name: str, place: str) -> bool:
    """Return whether a column has the type of a field as it is. Raises MissingError if it cannot be converted."""
    if kind.scalar == type_name:
        return True
    if type_name == "ID" and kind.scalar == "String":
        return True
    if type_name == "String" and (kind.enum is not None or kind.scalar in ("UUID", "Long", "Int")):
        return False
    if {type_name, kind.scalar} == {"Date", "DateTime"} and kind.edm == "Edm.DateTimeOffset":
        return False
    raise MissingError(f"{place} is {kind.scalar}, not {type_name}")


def is_flag(kind: ValueType) -> bool:
    """Return whether a value is the enum NoYes, shown as a Boolean."""
    return kind.clean is Clean.NO_YES
