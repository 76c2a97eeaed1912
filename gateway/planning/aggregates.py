"""Plans of aggregates: their arguments name fields, which are looked up here in what the caller may see.

What a caller sees of a column in some rows only, or masked, is not aggregated at all: a sum or a group would tell what
rows hide. Such columns are refused like those that do not exist. Rows are those of the roles with the right
``aggregate``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from graphql import GraphQLObjectType
from msgspec import structs

from gateway.documents.collect_fields import Nodes
from gateway.errors import BadArgument, UnsupportedQuery
from gateway.odata.dialect import Dialect
from gateway.odata.query import Apply, Order, Path, Query, Total
from gateway.operations.prepared_operation import RootShape
from schema.catalog.records import Clean, Field, FieldKind, ObjectInfo
from schema.errors import did_you_mean
from schema.policy.records import Right
from schema.types.aggregates import AGGREGATE, GROUP

from .aggregation import (
    AggregatedField,
    Aggregation,
    Condition,
    Function,
    GroupOrder,
    Groups,
    Item,
    Measure,
)
from .filters import all_of
from .plan import AggregateRoot, ReadPlan

if TYPE_CHECKING:
    from .planner import OperationPlanner

MAX_FIELDS = 50
"""Fields that one aggregate may aggregate, and that it may group by."""
MAX_TERMS = 50
"""Sorts and tests of all groups, for all ``groups`` of one aggregate together: nothing else runs meanwhile."""
MAX_VALUES = 100
"""Values of each group in the answer, for all ``groups`` of one aggregate together."""
MAX_DISTINCT = 10
"""Fields of which one aggregate may count the different values, which are held in memory."""
_OF_NAMES: Mapping[str, Function] = {
    "count": Function.COUNT,
    "countDistinct": Function.COUNT_DISTINCT,
    "sum": Function.SUM,
    "avg": Function.AVG,
    "min": Function.MIN,
    "max": Function.MAX,
}
_TESTS = ("eq", "ne", "gt", "gte", "lt", "lte")
_SORTED = frozenset({"number", "string", "temporal", "date", "duration"})
_PLAIN = frozenset({*_SORTED, "boolean", "enum", "guid"})
_NUMBERS = frozenset({"number"})
_KINDS: Mapping[Function, frozenset[str]] = {
    Function.COUNT: _PLAIN,
    Function.COUNT_DISTINCT: _PLAIN,
    Function.SUM: _NUMBERS,
    Function.AVG: _NUMBERS,
    Function.MIN: _SORTED,
    Function.MAX: _SORTED,
}
_TEXTS: Mapping[frozenset[str], str] = {
    _NUMBERS: "a field with numbers",
    _SORTED: "a field with numbers, dates, times or text",
    _PLAIN: "a field with single values",
}
_METHODS: Mapping[Function, str] = {
    Function.COUNT_DISTINCT: "countdistinct",
    Function.SUM: "sum",
    Function.AVG: "sum",
    Function.MIN: "min",
    Function.MAX: "max",
}
"""Function → method of ``$apply``; an average is a sum divided here, because services round it as they like."""


def plan_aggregate(
    operation: OperationPlanner, shape: RootShape, arguments: Mapping[str, Any]
) -> AggregateRoot:
    """Return the plan of a field that aggregates a list. Raises GatewayError."""
    assert shape.level is not None
    assert shape.root.entity_set is not None
    name, info = shape.root.entity_set.name, shape.level.info
    reader = _Reader(operation, info)
    aggregation = reader.aggregation(shape.nodes, arguments.get("groupBy") or ())
    scope = operation.bounds.scoped_predicate(
        info, name, operation.companies, right=Right.AGGREGATE
    )
    where = all_of(scope, operation.where(info.csdl, arguments.get("where")))
    extras = dict.fromkeys((*aggregation.keys, *(f.field for f in aggregation.fields)))
    plan = operation.read(shape.level, name, where=where, extras=tuple(extras))
    is_exact = operation.dialect.lower(plan.query).residual is None
    if is_exact and aggregation.counts_only:
        return AggregateRoot(shape, plan, aggregation)
    apply = _apply(plan, aggregation, operation.dialect) if is_exact else None
    # Pages follow each other only in a total order, and how many there are is worth knowing before they are read.
    order = tuple(Order(Path((part.source,))) for part in info.key)
    plan = structs.replace(plan, query=structs.replace(plan.query, order=order, count=True))
    return AggregateRoot(shape, plan, structs.replace(aggregation, counts_only=False, apply=apply))


class _Reader:
    """Reads the selection of one aggregate."""

    def __init__(self, operation: OperationPlanner, info: ObjectInfo) -> None:
        self._operation = operation
        self._info = info
        self._fields: dict[str, tuple[int, Field, set[Function]]] = {}
        self._keys: dict[str, Field] = {}
        self._takes_part = False
        self._terms = 0
        self._values = 0

    def aggregation(self, nodes: Nodes, group_by: Sequence[str]) -> Aggregation:
        """Return what is computed. Raises BadArgument, UnsupportedQuery."""
        for name in group_by:
            self._keys[name] = self._field(name, _PLAIN, "groupBy")
        items = self._items(nodes, AGGREGATE)
        distinct = [f for _, f, of in self._fields.values() if Function.COUNT_DISTINCT in of]
        if max(len(self._keys), len(self._fields)) > MAX_FIELDS or len(distinct) > MAX_DISTINCT:
            raise BadArgument(
                f"An aggregate takes {MAX_FIELDS} fields at most, and {MAX_DISTINCT} in countDistinct."
            )
        limits = self._operation.planner.limits
        return Aggregation(
            keys=tuple(self._keys.values()),
            fields=tuple(AggregatedField(f, frozenset(of)) for _, f, of in self._fields.values()),
            items=items,
            takes_part=self._takes_part,
            counts_only=not self._keys and not self._fields,
            max_rows=limits.aggregate_rows,
            max_groups=limits.aggregate_groups,
        )

    def _field(self, name: str, kinds: frozenset[str], what: str) -> Field:
        """Return a field that the caller may aggregate."""
        fields = self._info.fields
        field = fields.get(name)
        if field is None:
            similar = (
                did_you_mean(name, fields) if self._operation.planner.limits.suggestions else ""
            )
            raise BadArgument(f"{what}: {self._info.name} has no field {name}.{similar}")
        kind = None if field.value is None else field.value.kind
        if field.kind is not FieldKind.VALUE or field.many or kind not in kinds:
            raise BadArgument(
                f"{what}: {name} has no values of such a kind.", hint=f"Use {_TEXTS[kinds]}."
            )
        if not self._operation.catalog.shows_plain(field):
            raise UnsupportedQuery(
                f"{what}: {name} cannot be aggregated.",
                hint="Not all of your roles give its values in plain.",
            )
        return field

    def _measure(self, function: Function, name: str | None, what: str) -> Measure:
        if name is None:
            if function is not Function.COUNT:
                raise BadArgument(f"{what}: field is missing.", hint="Name a field of the rows.")
            return Measure(function)
        known = self._fields.get(name)
        field = self._field(name, _KINDS[function], what)
        if known is None:
            known = self._fields[name] = (len(self._fields), field, set())
        known[2].add(function)
        return Measure(function, known[0])

    def _items(self, nodes: Nodes, type_name: str) -> tuple[tuple[str, Item], ...]:
        prepared = self._operation.prepared
        collected = prepared.shaper.selection.subfields(nodes, frozenset((type_name,)))
        return tuple((key, self._item(own, type_name)) for key, own in collected.items())

    def _item(self, nodes: Nodes, type_name: str) -> Item:
        name = nodes[0].name.value
        match name:
            case "keys" | "groupCount" | "rowsRead" | "__typename":
                return name
            case "complete":
                self._takes_part = True
                return name
            case "groups":
                return self._groups(nodes, self._arguments(nodes, type_name))
        arguments = self._arguments(nodes, type_name)
        return self._measure(_OF_NAMES[name], arguments.get("field"), name)

    def _arguments(self, nodes: Nodes, type_name: str) -> Mapping[str, Any]:
        parent = self._operation.planner.core.type_map[type_name]
        assert isinstance(parent, GraphQLObjectType)
        return self._operation.arguments(parent.fields[nodes[0].name.value], nodes[0])

    def _groups(self, nodes: Nodes, arguments: Mapping[str, Any]) -> Groups:
        first = arguments.get("first")
        if first is not None and first < 0:
            raise BadArgument(f"first is {first}; it cannot be negative.")
        terms = (len(arguments.get(name) or ()) for name in ("having", "orderBy"))
        self._terms += 1 + sum(terms)
        if self._terms > MAX_TERMS:
            raise BadArgument(
                f"groups: there are more than {MAX_TERMS} terms in having and orderBy."
            )
        items = self._items(nodes, GROUP)
        self._values += len(items)
        if self._values > MAX_VALUES:
            raise BadArgument(f"groups: there are more than {MAX_VALUES} values of each group.")
        return Groups(
            items=items,
            having=tuple(map(self._condition, arguments.get("having") or ())),
            order=tuple(map(self._order, arguments.get("orderBy") or ())),
            first=first,
        )

    def _condition(self, having: Mapping[str, Any]) -> Condition:
        measure = self._measure(Function(having["function"]), having.get("field"), "having")
        if measure.field is not None and measure.function in (Function.MIN, Function.MAX):
            self._field(having["field"], _NUMBERS, "having")
        tests = [(name, having[name]) for name in _TESTS if having.get(name) is not None]
        return Condition(measure, tuple((name, Decimal(value)) for name, value in tests))

    def _order(self, order: Mapping[str, Any]) -> GroupOrder:
        descending, name = order.get("direction") == "DESC", order.get("field")
        if order.get("function") is not None:
            by = self._measure(Function(order["function"]), name, "orderBy")
            return GroupOrder(by, descending)
        if name not in self._keys:
            raise BadArgument(
                f"orderBy: {name} is no field of groupBy.",
                hint="To sort by an aggregate of it, name the function, too.",
            )
        return GroupOrder(list(self._keys).index(name), descending)


def _apply(plan: ReadPlan, aggregation: Aggregation, dialect: Dialect) -> Query | None:
    """Return the query by which the service computes an aggregate; None if its result might be another one.

    A service that sums doubles rounds; whether it counts nulls among the different values is its own matter; and
    numbers of different values of groups do not add up.
    """
    # Groups whose texts differ in case only are one group, whose different values are not known then.
    if not dialect.apply or dialect.case_insensitive:
        return None
    fields = (*aggregation.keys, *(f.field for f in aggregation.fields))
    if not all(map(_is_as_sent, fields)) or not all(map(_can_apply, aggregation.fields)):
        return None
    if aggregation.keys and any(
        isinstance(item, Measure) and item.function is Function.COUNT_DISTINCT
        for _, item in aggregation.items
    ):
        return None
    names = {f.source for f in plan.level.info.fields.values()}
    prefix = "total"
    while any(name.startswith(prefix) for name in names):
        prefix += "_"
    totals = [Total(f"{prefix}0")]
    for number, aggregated in enumerate(aggregation.fields):
        methods = dict.fromkeys(
            _METHODS[f] for f in Function if f in aggregated.functions and f in _METHODS
        )
        source = aggregated.field.source
        totals += [Total(f"{prefix}{number}_{method}", source, method) for method in methods]
    keys = tuple(key.source for key in aggregation.keys)
    query = plan.query
    return structs.replace(
        query,
        select=(),
        order=(),
        count=False,
        apply=Apply(keys, tuple(totals)),
        top=aggregation.max_groups + 1 if keys else None,
    )


def _is_as_sent(field: Field) -> bool:
    """Return whether values are answered as the service sends them, and no value stands for null."""
    assert field.value is not None
    return field.value.clean in (Clean.NONE, Clean.NO_YES) and field.value.kind != "duration"


def _can_apply(aggregated: AggregatedField) -> bool:
    assert aggregated.field.prop is not None
    if aggregated.has(Function.SUM, Function.AVG) and aggregated.field.type_name == "Float":
        return False
    if not aggregated.field.prop.nullable:
        return True
    return not aggregated.has(Function.COUNT, Function.AVG, Function.COUNT_DISTINCT)
