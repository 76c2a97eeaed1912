"""Fields of unified types that can be filtered and sorted by: those whose conditions carry over to the rows."""

from __future__ import annotations

from typing import Any

from schema.catalog import Catalog

from .lookups import MissingError, check_type, operand_of, order_input, where_input
from .records import FieldSpec
from .views import Column, Filter

TEXT_FILTER = "UnifiedTextFilter"
UNIFIED_OPERATORS = ("eq", "ne", "in", "nin")
"""Operators of filters of mapped values."""


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
        relation = None if step.many else where_input(catalog, csdl, step.field)
        # A condition on what the row is not, because the mapping leaves out some related rows, would pass others.
        if relation is None or step.where:
            return None
        path.append(relation[0])
        csdl = step.field.target
    item = where_input(catalog, csdl, column.field)
    if item is None:
        return None
    name, filter_type = item
    path.append(name)
    if spec.values or spec.otherwise:
        return _mapped(spec, column, tuple(path), type_name, prefix)
    assert column.field.value is not None
    if not check_type(column.field.value, type_name, column.where):
        return None
    order = None if column.steps else order_input(catalog, csdl, column.field)
    return Filter(tuple(path), filter_type, order=order)


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
