"""The arguments of unified lists as those of the rows that they are views of, and the conditions of their mappings.

Only what carries over exactly is in the input types, so nothing can be lost here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.errors import BadArgument
from gateway.odata.query import Expr, Path
from schema.unified.views import Condition, Filter, LookedUp, UnifiedType

from .filters import all_of, column_terms
from .unified_lookups import Lookup, Lookups

_TODAY = "$today"
_NOW = "$now"
_LOGIC = frozenset({"and", "or", "not"})


def row_arguments(
    bound: UnifiedType, arguments: Mapping[str, Any], lookups: Lookups
) -> Mapping[str, Any]:
    """Return coerced arguments of a unified list as those of the list of its rows. Raises BadArgument."""
    where, order = arguments.get("where"), arguments.get("orderBy")
    if not where and not order:
        return arguments
    changed = dict(arguments)
    if where:
        changed["where"] = where_arguments(bound, where, lookups)
    if order:
        changed["orderBy"] = [
            {bound.filters[name].order: direction}
            for item in order
            for name, direction in item.items()
        ]
    return changed


def where_arguments(
    bound: UnifiedType, where: Mapping[str, Any], lookups: Lookups
) -> dict[str, Any]:
    """Return a valid filter of a unified list as that of its rows. Raises BadArgument."""
    terms: list[dict[str, Any]] = []
    for name, value in where.items():
        if value is None:
            continue
        if name not in _LOGIC:
            terms.extend(_condition(bound.filters[name], value, name, lookups))
        elif name == "not":
            terms.append({"not": where_arguments(bound, value, lookups)})
        else:
            items = value if isinstance(value, list) else [value]
            terms.append({name: [where_arguments(bound, item, lookups) for item in items]})
    return terms[0] if len(terms) == 1 else {"and": terms}


def _condition(
    own: Filter, value: Mapping[str, Any], name: str, lookups: Lookups
) -> Iterator[dict[str, Any]]:
    if own.inverse is None:
        yield _nested(own.path, value)
        return
    for operator, operand in value.items():
        if operand is None:
            raise BadArgument(
                f"where.{name}.{operator} cannot be null.", hint="Name the values that it may have."
            )
        values = operand if isinstance(operand, list) else [operand]
        is_negated = operator in ("ne", "nin")
        if own.beyond is None:
            yield _mapped(own, values, is_negated=is_negated)
        else:
            term = _in_two_places(own, own.beyond, values, lookups)
            yield {"not": term} if is_negated else term


def _mapped(own: Filter, values: Sequence[str], *, is_negated: bool) -> dict[str, Any]:
    """Return the condition that the column holds one of the values that stand for some unified ones, or none."""
    assert own.inverse is not None
    if own.rest is not None and own.rest in values:
        # All operands but those that stand for other values.
        others = [o for value, each in own.inverse.items() if value not in values for o in each]
        return _one_of(own, others, is_negated=not is_negated)
    return _one_of(
        own, [o for value in values for o in own.inverse.get(value, ())], is_negated=is_negated
    )


def _in_two_places(
    own: Filter, beyond: LookedUp, values: Sequence[str], lookups: Lookups
) -> dict[str, Any]:
    """Return the condition that the column stands for one of some values, or else the row that is joined does."""
    assert own.inverse is not None
    terms = [_mapped(own, values, is_negated=False)]
    operands = tuple(o for value in values for o in beyond.inverse.get(value, ()))
    if operands:
        lookup = Lookup(beyond.list, beyond.where, beyond.column, beyond.key, operands)
        # Of rows whose own column decides, the other one does not count.
        undecided = _mapped(own, tuple(own.inverse), is_negated=True)
        keys = list(lookups.keys(lookup))
        terms.append({"and": [undecided, {beyond.own: {"in": keys}}]})
    return {"or": terms}


def _one_of(own: Filter, operands: Iterable[Any], *, is_negated: bool) -> dict[str, Any]:
    operator = "ne" if is_negated else "eq"
    terms = [_nested(own.path, {operator: operand}) for operand in operands]
    return {"and" if is_negated else "or": terms}


def _nested(path: Sequence[str], condition: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = dict(condition)
    for name in reversed(path):
        nested = {name: nested}
    return nested


def conditions(specs: Iterable[Condition]) -> Expr | None:
    """Return the expression of a mapping's conditions; None if it has none."""
    terms: list[Expr] = []
    for spec in specs:
        operators = {spec.operator: _operand(spec.operand, spec)}
        terms.extend(column_terms(spec.column, operators, Path((spec.column.source,))))
    return all_of(*terms)


def condition_arguments(specs: Iterable[Condition]) -> list[dict[str, Any]]:
    """Return a mapping's conditions as filters of the rows."""
    return [{spec.column.name: {spec.operator: _operand(spec.operand, spec)}} for spec in specs]


def are_dated(specs: Iterable[Condition]) -> bool:
    """Return whether the time of the operation is in a mapping's conditions."""
    return any(spec.operand in (_TODAY, _NOW) for spec in specs)


def _operand(operand: Any, spec: Condition) -> Any:
    if operand not in (_TODAY, _NOW):
        return operand
    now = datetime.now(UTC)
    assert spec.column.value is not None
    if spec.column.value.scalar == "Date":
        return now.date().isoformat()
    # The start of the day: the same filter all day long, so that cursors stay valid and answers can be shared.
    start = now.replace(hour=0, minute=0, second=0, microsecond=0) if operand == _TODAY else now
    return start.strftime("%Y-%m-%dT%H:%M:%SZ")
