"""Fields of unified types that can be filtered and sorted by: those whose conditions carry over to the rows."""

from __future__ import annotations

from typing import Any

from schema.catalog import Catalog
from schema.catalog.records import InputRole, TypeKind

from .lookups import MissingError, check_type, operand_of, where_input
from .records import FieldSpec
from .views import Column, Filter

TEXT_FILTER = "UnifiedTextFilter"


def filter_of(
    catalog: Catalog, spec: FieldSpec, columns: list[Column], root: str, type_name: str, prefix: str
) -> Filter | None:
    """Return how conditions on a field carry over to rows of the type ``root``; None if they do not."""
    if not spec.filter or spec.convert or spec.empty or spec.minus or len(spec.paths) != 1:
        return None
    (column,) = columns
    path: list[str] = []
    csdl = root
    for step in column.steps:
        relation = where_input(catalog, csdl, step.field.source, InputRole.TO_ONE)
        # A condition on what the row is not, because the mapping leaves out some related rows, would pass others.
        if relation is None or step.where:
            return None
        path.append(relation.name)
        csdl = step.field.target
    item = where_input(catalog, csdl, column.field.source, InputRole.VALUE)
    if item is None:
        return None
    path.append(item.name)
    if spec.values or spec.otherwise:
        return _mapped(spec, column, tuple(path), type_name, prefix)
    assert column.field.value is not None
    if not check_type(column.field.value, type_name, column.where):
        return None
    order = None if column.steps else _order(catalog, csdl, column.field.source)
    return Filter(tuple(path), item.type_name, order=order)


def _order(catalog: Catalog, csdl: str, source: str) -> str | None:
    if not catalog.can_order(csdl):
        return None
    inputs = catalog.inputs_of(catalog.name_of(TypeKind.ORDER_BY, csdl)).values()
    return next((i.name for i in inputs if i.of is not None and i.of.source == source), None)


def _mapped(
    spec: FieldSpec, column: Column, path: tuple[str, ...], type_name: str, prefix: str
) -> Filter:
    inverse: dict[str, tuple[Any, ...]] = {}
    kind = column.field.value
    assert kind is not None
    for key, value in spec.values.items():
        try:
            operand = operand_of(kind, key)
        except MissingError:  # this environment has fewer members
            continue
        if value:
            inverse[value] = (*inverse.get(value, ()), operand)
    # Texts have a filter of their own: of what stands in a table, no part can be looked for.
    name = f"{prefix}{TEXT_FILTER}" if type_name == "String" else f"{type_name}Filter"
    return Filter(path, name, inverse=inverse, rest=spec.otherwise)
