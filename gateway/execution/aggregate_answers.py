"""The answer of an aggregate: its groups filtered, sorted and laid out as the operation selects them.

Values are final, by response key, so that the compiled path and graphql-core answer the same.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from gateway.planning.aggregation import Aggregation, Condition, Function, Groups, Item, Measure
from schema.catalog.records import Field

from .group_states import Group, Grouping, number

_COMPARE: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def answer_of(grouping: Grouping, *, rows_read: int, complete: bool) -> dict[str, Any]:
    """Return the fields of an aggregate by response key."""
    aggregation = grouping.aggregation
    total = grouping.total()
    facts = {
        "groupCount": len(grouping.groups),
        "rowsRead": rows_read,
        "complete": complete,
        "__typename": "Aggregate",
    }

    def value(item: Item) -> Any:
        if isinstance(item, Measure):
            return _result(total, item, aggregation)
        if isinstance(item, Groups):
            groups = _chosen(grouping.groups.values(), item)
            return [_group(group, item, aggregation) for group in groups]
        return facts[item]

    return {key: value(item) for key, item in aggregation.items}


def _group(group: Group, groups: Groups, aggregation: Aggregation) -> dict[str, Any]:
    def shown(item: Item) -> Any:
        if isinstance(item, Measure):
            return _result(group, item, aggregation)
        if item == "keys":
            pairs = zip(aggregation.keys, group.keys, strict=True)
            return {key.name: _as_in_rows(key, value) for key, value in pairs}
        return "AggregateGroup"

    return {key: shown(item) for key, item in groups.items}


def _chosen(groups: Iterable[Group], requested: Groups) -> Sequence[Group]:
    passing = [g for g in groups if all(_passes(g, condition) for condition in requested.having)]
    passing.sort(key=lambda group: tuple(map(_placed, group.places)))
    # Sorts are stable, so the last term comes first.
    for term in reversed(requested.order):
        by = term.by
        if isinstance(by, int):
            index = by
            passing.sort(key=lambda g: _placed(g.places[index]), reverse=term.descending)
        else:
            measure = by
            passing.sort(key=lambda g: _placed(_place(g, measure)), reverse=term.descending)
    return passing[: requested.first]


def _place(group: Group, measure: Measure) -> Any:
    """Return a result in a form that compares."""
    if measure.field is not None and measure.function in (Function.MIN, Function.MAX):
        state = group.states[measure.field]
        value = state.lowest if measure.function is Function.MIN else state.highest
        return None if value is None else value[0]
    return group.read(measure)


def _placed(place: Any) -> tuple[bool, Any]:
    """Return a key that sorts null before all values."""
    return place is not None, 0 if place is None else place


def _passes(group: Group, condition: Condition) -> bool:
    result = group.read(condition.measure)
    # Nothing compares with null, as in SQL.
    return result is not None and all(
        _COMPARE[test](number(result), operand) for test, operand in condition.tests
    )


def _result(group: Group, measure: Measure, aggregation: Aggregation) -> Any:
    result = group.read(measure)
    if measure.field is not None and measure.function in (Function.MIN, Function.MAX):
        return _as_in_rows(aggregation.fields[measure.field].field, result)
    return format(result, "f") if isinstance(result, Decimal) else result


def _as_in_rows(field: Field, value: Any) -> Any:
    """Return a value as JSON, written as it is in rows: exact numbers are text."""
    is_text = value is not None and field.type_name in ("Decimal", "Long")
    return str(value) if is_text else value
