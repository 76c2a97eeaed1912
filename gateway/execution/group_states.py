"""The groups of an aggregate while rows come in: counts, exact sums, smallest and largest values. Pure.

Nulls are left out of everything but the number of rows, and make a group of their own, as in SQL. Values are equal if
the service takes them as equal: text of Finance & Operations regardless of case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from typing import Any

from gateway.errors import BudgetExceeded, UpstreamMalformed
from gateway.odata.dialect import Dialect
from gateway.odata.local_filter import comparable
from gateway.operations.value_conversion import from_upstream
from gateway.planning.aggregation import AggregatedField, Aggregation, Function, Measure
from schema.catalog.records import Clean, Field

_EXACT = Context(prec=1_000, traps=[Inexact, InvalidOperation, Overflow])
"""No sum of real numbers has so many digits; one that has is an error and not rounded."""
_ROUNDED = Context(prec=34)
"""Of averages: as many digits as a decimal of 128 bits has (IEEE 754)."""


class FieldState:
    """What is known of the values of one field in one group."""

    __slots__ = ("count", "distinct", "highest", "lowest", "total")

    def __init__(self) -> None:
        self.count = 0
        """Values that are not null."""
        self.total = Decimal(0)
        self.lowest: tuple[Any, Any] | None = None
        """(place in the order, value)"""
        self.highest: tuple[Any, Any] | None = None
        self.distinct: set[Any] | int | None = None
        """Different values, or the number of them."""

    def merge(self, other: FieldState) -> None:
        """Take in the state of further rows."""
        self.count += other.count
        self.total = add(self.total, other.total)
        for value in (other.lowest, other.highest):
            if value is not None:
                self.extend(value)
        if isinstance(other.distinct, int):
            self.distinct = other.distinct
        elif other.distinct is not None:
            own = self.distinct if isinstance(self.distinct, set) else set()
            self.distinct = own | other.distinct

    def extend(self, value: tuple[Any, Any]) -> None:
        """Take in a value with its place in the order."""
        if self.lowest is None or value[0] < self.lowest[0]:
            self.lowest = value
        if self.highest is None or value[0] > self.highest[0]:
            self.highest = value

    def read(self, function: Function) -> Decimal | int | Any | None:
        """Return the result of a function; None if there is no value."""
        match function:
            case Function.COUNT:
                return self.count
            case Function.COUNT_DISTINCT:
                distinct = self.distinct or 0
                return distinct if isinstance(distinct, int) else len(distinct)
            case Function.MIN:
                return None if self.lowest is None else self.lowest[1]
            case Function.MAX:
                return None if self.highest is None else self.highest[1]
        if not self.count:
            return None
        if function is Function.SUM:
            return self.total
        return _ROUNDED.divide(self.total, Decimal(self.count))


class Group:
    """The rows with one combination of keys."""

    __slots__ = ("keys", "places", "rows", "states")

    def __init__(self, keys: tuple[Any, ...], places: tuple[Any, ...], fields: int) -> None:
        self.keys = keys
        """Values as they are answered."""
        self.places = places
        """Values as they compare."""
        self.rows = 0
        self.states = tuple(FieldState() for _ in range(fields))

    def read(self, measure: Measure) -> Decimal | int | Any | None:
        """Return the result of a measure; None if there is no value."""
        if measure.field is None:
            return self.rows
        return self.states[measure.field].read(measure.function)

    def merge(self, other: Group) -> None:
        """Take in the rows of another group."""
        self.rows += other.rows
        for own, further in zip(self.states, other.states, strict=True):
            own.merge(further)


class Column:
    """One column of the rows that are aggregated."""

    __slots__ = ("_insensitive", "_value", "adds", "counts", "sorts")

    def __init__(self, field: Field, dialect: Dialect, of: AggregatedField | None = None) -> None:
        assert field.value is not None
        self._value = field.value
        self._insensitive = dialect.case_insensitive
        self.adds = of is not None and of.has(Function.SUM, Function.AVG)
        self.sorts = of is not None and of.has(Function.MIN, Function.MAX)
        self.counts = of is not None and of.has(Function.COUNT_DISTINCT)

    def value(self, raw: object) -> Any:
        """Return a value as it is answered. Raises UpstreamError if it is not of its type."""
        return from_upstream(self._value, raw)

    def place(self, raw: object, value: Any) -> Any:
        """Return a value in a form that compares as its type; None for null."""
        if value is None:
            return None
        kind = self._value.kind
        if kind == "number":
            return number(value)
        # Names of enum values are no OData, and a day has no time; the rest compares as the upstream wrote it.
        if kind in ("enum", "boolean") or self._value.clean in (Clean.DATE, Clean.KEY_DATE):
            return value
        return comparable(self._value.edm, str(raw), case_insensitive=self._insensitive)

    def take(self, state: FieldState, raw: object) -> None:
        """Take a value of a row into the state of its group."""
        value = self.value(raw)
        if value is None:
            return
        state.count += 1
        if self.adds:
            state.total = add(state.total, number(value))
        if self.sorts or self.counts:
            place = self.place(raw, value)
            if self.sorts:
                state.extend((place, value))
            if self.counts:
                if not isinstance(state.distinct, set):
                    state.distinct = set()
                state.distinct.add(place)


class Grouping:
    """The groups of one aggregate."""

    def __init__(self, aggregation: Aggregation, dialect: Dialect) -> None:
        self.aggregation = aggregation
        self.keys = tuple(Column(key, dialect) for key in aggregation.keys)
        self.columns = tuple(Column(f.field, dialect, f) for f in aggregation.fields)
        self.groups: dict[tuple[Any, ...], Group] = {}
        if not self.keys:
            self.group(())

    def group(self, raws: Sequence[object]) -> Group:
        """Return the group with these values of the keys. Raises BudgetExceeded, UpstreamError."""
        values = tuple(c.value(raw) for c, raw in zip(self.keys, raws, strict=True))
        places = tuple(
            c.place(raw, value) for c, raw, value in zip(self.keys, raws, values, strict=True)
        )
        group = self.groups.get(places)
        if group is None:
            most = self.aggregation.max_groups
            if len(self.groups) >= most:
                raise BudgetExceeded(
                    f"The aggregate has more than the {most:,} groups that are held at a time.",
                    hint="Filter more narrowly, group by fewer fields, or raise D365_AGGREGATES__MAX_GROUPS.",
                )
            group = self.groups[places] = Group(values, places, len(self.columns))
        return group

    def add(self, rows: Iterable[Any], read: Reader) -> None:
        """Take in rows. Raises BudgetExceeded, UpstreamError."""
        columns = self.columns
        try:
            for row in rows:
                group = self.group(read.keys(row))
                group.rows += 1
                for column, state, raw in zip(columns, group.states, read.values(row), strict=True):
                    column.take(state, raw)
        except (TypeError, ValueError, AttributeError) as error:
            raise UpstreamMalformed(
                "The upstream sent rows that cannot be aggregated: a value is not of its type."
            ) from error

    def total(self) -> Group:
        """Return all rows as one group."""
        if not self.keys:
            return self.groups[()]
        total = Group((), (), len(self.columns))
        for group in self.groups.values():
            total.merge(group)
        return total


class Reader:
    """Reads the columns of an aggregate from rows."""

    def __init__(
        self,
        keys: Sequence[Callable[[Any], object]],
        values: Sequence[Callable[[Any], object]],
    ) -> None:
        self._keys = tuple(keys)
        self._values = tuple(values)

    def keys(self, row: Any) -> list[object]:
        """Return the values of the keys."""
        return [read(row) for read in self._keys]

    def values(self, row: Any) -> list[object]:
        """Return the values of the aggregated fields."""
        return [read(row) for read in self._values]


def number(value: object) -> Decimal:
    """Return a number exactly; of a double, the shortest digits that identify it."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def add(one: Decimal, other: Decimal) -> Decimal:
    """Return an exact sum. Raises UpstreamMalformed if it has more digits than any real one."""
    try:
        return _EXACT.add(one, other)
    except DecimalException as error:
        raise UpstreamMalformed(
            "The upstream sent numbers whose sum cannot be represented."
        ) from error
