"""Fields of unified types that can be filtered and sorted by: those whose conditions carry over to the rows."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from schema.catalog import Catalog
from schema.catalog.records import RootKind, TypeKind

from .lookups import MissingError, check_type, column_of, operand_of, order_input, where_input
from .records import FieldSpec
from .views import Column, Filter, LookedUp, Step

TEXT_FILTER = "UnifiedTextFilter"
_TWO = 2
UNIFIED_OPERATORS = ("eq", "ne", "in", "nin")
"""Operators of filters of mapped values."""


def filter_of(
    catalog: Catalog, spec: FieldSpec, columns: list[Column], root: str, type_name: str, prefix: str
) -> Filter | None:
    """Return how conditions on a field carry over to rows of the type ``root``; None if they do not."""
    if not spec.filter or spec.convert or spec.empty or spec.minus:
        return None
    if len(spec.paths) == len(columns) == _TWO and spec.values and not spec.otherwise:
        return _in_two_places(catalog, spec, columns, root, type_name, prefix)
    if len(spec.paths) != 1:
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
        return _member(column, tuple(path), type_name, prefix)
    order = None if column.steps else order_input(catalog, csdl, column.field)
    return Filter(tuple(path), filter_type, order=order)


def _member(column: Column, path: tuple[str, ...], type_name: str, prefix: str) -> Filter | None:
    """Return the filter of an enum whose members are shown as the service names them; None for any other column."""
    kind = column.field.value
    if kind is None or kind.enum is None or kind.many or type_name != "String":
        return None
    inverse = {wire: (member,) for wire, member in kind.enum.to_graphql.items()}
    return Filter(path, prefix + TEXT_FILTER, inverse=inverse)


def _in_two_places(
    catalog: Catalog, spec: FieldSpec, columns: list[Column], root: str, type_name: str, prefix: str
) -> Filter | None:
    """Return the filter of a mapped value of the row, or else of a row that it is joined with by the mapping only."""
    first, second = columns
    if first.steps or len(second.steps) != 1:
        return None
    (step,) = second.steps
    own = where_input(catalog, root, first.field)
    beyond = None if step.where or step.many else _looked_up(catalog, spec, second, step, root)
    if own is None or beyond is None:
        return None
    return structs.replace(_mapped(spec, first, (own[0],), type_name, prefix), beyond=beyond)


def _looked_up(
    catalog: Catalog, spec: FieldSpec, column: Column, step: Step, root: str
) -> LookedUp | None:
    """Return how rows behind a join are looked up; None if they cannot be: by one text, in a list with a filter."""
    navigation, target = step.field.navigation, step.field.target
    if navigation is None or not navigation.declared or len(navigation.on) != 1:
        return None
    (pair,) = navigation.on
    rows = (
        n
        for kind, of, n in catalog.set_roots()
        if kind is RootKind.LIST and of == step.field.target_set
    )
    name = next(rows, None)
    try:
        own = column_of(catalog, root, pair.property)
        theirs = column_of(catalog, target, pair.referenced)
    except MissingError:
        return None
    if name is None or own.value is None or own.value.edm != "Edm.String":
        return None
    ours, beyond = where_input(catalog, root, own), where_input(catalog, target, column.field)
    if ours is None or beyond is None:
        return None
    where = catalog.name_of(TypeKind.WHERE, target)
    return LookedUp(name, where, beyond[0], theirs.name, ours[0], _inverse(spec, column))


def _mapped(
    spec: FieldSpec, column: Column, path: tuple[str, ...], type_name: str, prefix: str
) -> Filter:
    # Texts have a filter of their own: of what stands in a table, no part can be looked for.
    name = f"{prefix}{TEXT_FILTER}" if type_name == "String" else f"{type_name}Filter"
    return Filter(path, name, inverse=_inverse(spec, column), rest=spec.otherwise)


def _inverse(spec: FieldSpec, column: Column) -> dict[str, tuple[Any, ...]]:
    """Return unified value → operands of its column."""
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
    return inverse
