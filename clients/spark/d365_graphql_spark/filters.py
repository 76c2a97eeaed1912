"""Filters of Spark as conditions of ``where``: as many as can be answered without losing a row.

The gateway's list may match more rows than Spark's filter, never fewer; then Spark filters again. So texts are passed
on though services such as Finance & Operations compare them without case and trailing blanks, but not their negation:
it would lose the rows that differ in case. Null tests stay with Spark, for whom an empty text is no null.

    exact                 = < <= > >= in      Int, Long, Decimal; = in of enums, = of Boolean
    more rows are read    <>                  Int, Long, Decimal
                          = in, like 'x%' …   String
                          = < <= > >= in      Date, DateTime
    not passed on         all else
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from pyspark.sql.datasource import (
    EqualNullSafe,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
    Not,
    StringContains,
    StringEndsWith,
    StringStartsWith,
)

from .columns import Column

_COMPARISONS: dict[type[Filter], str] = {
    EqualTo: "eq",
    EqualNullSafe: "eq",
    GreaterThan: "gt",
    GreaterThanOrEqual: "gte",
    LessThan: "lt",
    LessThanOrEqual: "lte",
}
_TEXT_TESTS: dict[type[Filter], str] = {
    StringStartsWith: "startsWith",
    StringEndsWith: "endsWith",
    StringContains: "contains",
}
_NUMBERS = {"Int": 1 << 31, "Long": 1 << 63}
_MAX_VALUES = 100
"""Of ``in``."""
_MAX_SIZE = 4000
"""Characters of all conditions, which are part of an address."""
_MAX_TEXT = 200
_FRACTION_DIGITS, _DIGITS = 16, 32
_FIRST_YEAR, _LAST_YEAR = 1901, 2153
"""Other dates are null or the end of time to some services, or none at all."""
_SECOND = datetime.timedelta(seconds=1)


class _NotPassed(Exception):
    """A filter stays with Spark."""


def push(
    columns: Iterable[Column], filters: Iterable[Filter]
) -> tuple[list[dict[str, Any]], list[Filter]]:
    """Return conditions of ``where``, and the filters that Spark must test all the same."""
    by_name = {column.name: column for column in columns if column.where is not None}
    conditions: list[dict[str, Any]] = []
    left: list[Filter] = []
    size = 0
    for each in filters:
        try:
            condition, is_exact = _condition(by_name, each)
        except _NotPassed:
            left.append(each)
            continue
        more = len(json.dumps(condition))
        if size + more > _MAX_SIZE:
            left.append(each)
            continue
        size += more
        conditions.append(condition)
        if not is_exact:
            left.append(each)
    return conditions, left


def _condition(columns: Mapping[str, Column], of: Filter) -> tuple[dict[str, Any], bool]:
    """Return a condition, and whether it matches no other rows. Raises _NotPassed."""
    if isinstance(of, Not):
        return _negation(columns, of.child), False
    column = _column(columns, of)
    if type(of) in _COMPARISONS:
        operator, value, is_exact = _compared(column, _COMPARISONS[type(of)], of.value)
    elif type(of) in _TEXT_TESTS and column.type == "String":
        operator, value, is_exact = _TEXT_TESTS[type(of)], _text(of.value), False
    elif isinstance(of, In) and 0 < len(of.value) <= _MAX_VALUES:
        operator = "in"
        value, is_exact = _listed(column, of.value)
    else:
        raise _NotPassed
    return _where(column, operator, value), is_exact


def _negation(columns: Mapping[str, Column], child: Filter) -> dict[str, Any]:
    """Return the condition of a filter that must not hold. Raises _NotPassed."""
    column = _column(columns, child)
    if column.type not in _NUMBERS and column.type != "Decimal":
        raise _NotPassed
    if isinstance(child, EqualTo):
        return _where(column, "ne", _value(column, child.value))
    if isinstance(child, In) and 0 < len(child.value) <= _MAX_VALUES:
        return _where(column, "nin", [_value(column, value) for value in child.value])
    raise _NotPassed


def _column(columns: Mapping[str, Column], of: Any) -> Column:
    """Return the column that a filter tests. Raises _NotPassed."""
    path: tuple[str, ...] = getattr(of, "attribute", ())
    column = columns.get(path[0]) if len(path) == 1 else None
    if column is None:
        raise _NotPassed
    return column


def _where(column: Column, operator: str, value: Any) -> dict[str, Any]:
    if operator not in column.operators or column.where is None:
        raise _NotPassed
    return {column.where: {operator: value}}


def _compared(column: Column, operator: str, value: Any) -> tuple[str, Any, bool]:
    """Return operator and value of a comparison, and whether it is exact. Raises _NotPassed."""
    if column.type == "DateTime":
        return *_instant(operator, value), False
    if operator != "eq" and column.type not in ("Date", "Decimal", *_NUMBERS):
        raise _NotPassed
    return operator, _value(column, value), _is_exact(column)


def _listed(column: Column, values: Iterable[Any]) -> tuple[list[Any], bool]:
    """Return the values of a list, and whether it is exact. Raises _NotPassed."""
    if column.type == "DateTime":
        return [_instant("eq", value)[1] for value in values], False
    if column.values is not None:
        # No row has another one.
        values = [value for value in values if value in column.values]
        if not values:
            raise _NotPassed
    return [_value(column, value) for value in values], _is_exact(column)


def _is_exact(column: Column) -> bool:
    return column.type not in ("String", "Date")


def _value(column: Column, value: Any) -> Any:
    """Return a value as JSON. Raises _NotPassed."""
    if column.values is not None:
        if value not in column.values:
            raise _NotPassed
        return value
    convert = _VALUES.get(column.type)
    if convert is None:
        raise _NotPassed
    return convert(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _NotPassed
    return value


def _integer(limit: int) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not -limit <= value < limit:
            raise _NotPassed
        # JSON readers take larger ones for floating-point numbers.
        return value if abs(value) < 1 << 31 else str(value)

    return convert


def _decimal(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _NotPassed
    number = Decimal(value)
    if not number.is_finite():
        raise _NotPassed
    text = format(number, "f")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > _FRACTION_DIGITS or len(whole.lstrip("-")) + len(fraction) > _DIGITS:
        raise _NotPassed
    return f"{whole}.{fraction}" if fraction else whole


def _text(value: Any) -> str:
    # Wildcards, blanks at the ends and empty texts mean something of their own to some services.
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= _MAX_TEXT
        or value != value.strip()
        or not value.isprintable()
        or "*" in value
    ):
        raise _NotPassed
    return value


def _date(value: Any) -> str:
    if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date):
        raise _NotPassed
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise _NotPassed
    return value.isoformat()


def _instant(operator: str, value: Any) -> tuple[str, str]:
    """Return a comparison with a whole second that matches no fewer rows. Raises _NotPassed.

    Services that store seconds round the value, one this way and one that way.
    """
    if not isinstance(value, datetime.datetime) or value.tzinfo is None:
        raise _NotPassed
    instant = value.astimezone(datetime.UTC)
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise _NotPassed
    if instant.microsecond:
        if operator == "eq":
            raise _NotPassed
        instant = instant.replace(microsecond=0)
        if operator in ("lt", "lte"):
            operator, instant = "lte", instant + _SECOND
        else:
            operator = "gte"
    return operator, instant.strftime("%Y-%m-%dT%H:%M:%SZ")


_VALUES: dict[str, Callable[[Any], Any]] = {
    "Boolean": _boolean,
    "Int": _integer(_NUMBERS["Int"]),
    "Long": _integer(_NUMBERS["Long"]),
    "Decimal": _decimal,
    "String": _text,
    "Date": _date,
}
