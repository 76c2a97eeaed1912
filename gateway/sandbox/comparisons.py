"""Builds comparisons as SQL conditions, with two ways to treat null.

By the specification a comparison with null is false, so its negation holds, and null equals null (URL Conventions
5.1.1.1, https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_LogicalOperators).
In services that pass filters to a database both are unknown. F&O has almost no nulls.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from odata_query import ast

Condition = sa.ColumnElement[bool]
ORDERINGS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Builds conditions by one of the two logics."""

    specified: bool
    """Whether null is compared as the specification says; otherwise as SQL does."""

    def with_value(self, comparator: Any, column: sa.ColumnElement[Any], value: Any) -> Condition:
        """Return ``column comparator value``; the value may be None."""
        if value is None:
            return _with_null(comparator, column)
        if isinstance(comparator, ast.Eq):
            equal = column.is_not_distinct_from(value)
            return equal if self.specified else column == value
        if isinstance(comparator, ast.NotEq):
            return column.is_distinct_from(value) if self.specified else column != value
        return self._ordered(comparator, column, value, (column,))

    def between_columns(
        self, comparator: Any, left: sa.ColumnElement[Any], right: sa.ColumnElement[Any]
    ) -> Condition:
        """Return ``left comparator right`` of two columns."""
        if isinstance(comparator, ast.Eq):
            return left.is_not_distinct_from(right) if self.specified else left == right
        if isinstance(comparator, ast.NotEq):
            return left.is_distinct_from(right) if self.specified else left != right
        ordered = self._ordered(comparator, left, right, (left, right))
        if self.specified and isinstance(comparator, ast.LtE | ast.GtE):
            return sa.or_(ordered, sa.and_(left.is_(None), right.is_(None)))
        return ordered

    def among(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> Condition:
        """Return ``column in (values)``."""
        if not self.specified:
            return column.in_(values)
        not_null = [value for value in values if value is not None]
        equal = sa.and_(column.is_not(None), column.in_(not_null))
        return equal if len(not_null) == len(values) else sa.or_(column.is_(None), equal)

    def _ordered(
        self, comparator: Any, left: Any, right: Any, nullable: tuple[Any, ...]
    ) -> Condition:
        ordered: Condition = ORDERINGS[type(comparator)](left, right)
        if not self.specified:
            return ordered
        return sa.and_(*(column.is_not(None) for column in nullable), ordered)


def _with_null(comparator: Any, column: sa.ColumnElement[Any]) -> Condition:
    """Return the comparison with null: only null equals it, and nothing is greater or less than it."""
    if isinstance(comparator, ast.NotEq):
        return column.is_not(None)
    if isinstance(comparator, ast.Lt | ast.Gt):
        return sa.false()
    return column.is_(None)
