"""Builds comparisons as SQL conditions, with two ways to treat null.

By the specification a comparison with null is false, so its negation holds, and null equals null (URL Conventions
5.1.1.1, https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_LogicalOperators).
In services that pass filters to a database both are unknown. F&O has almost no nulls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from odata_query import ast

from . import sql
from .sql import Sql

ORDERINGS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Builds conditions by one of the two logics."""

    specified: bool
    """Whether null is compared as the specification says; otherwise as SQL does."""

    def with_value(self, comparator: Any, column: Sql, value: Any) -> Sql:
        """Return ``column comparator value``; the value may be None."""
        if value is None:
            return _with_null(comparator, column)
        if isinstance(comparator, ast.Eq):
            return sql.compare(column, "IS" if self.specified else "=", value)
        if isinstance(comparator, ast.NotEq):
            return sql.compare(column, "IS NOT" if self.specified else "!=", value)
        return self._ordered(comparator, column, value, (column,))

    def between_columns(self, comparator: Any, left: Sql, right: Sql) -> Sql:
        """Return ``left comparator right`` of two columns."""
        if isinstance(comparator, ast.Eq):
            return sql.compare(left, "IS" if self.specified else "=", right)
        if isinstance(comparator, ast.NotEq):
            return sql.compare(left, "IS NOT" if self.specified else "!=", right)
        ordered = self._ordered(comparator, left, right, (left, right))
        if self.specified and isinstance(comparator, ast.LtE | ast.GtE):
            return sql.any_of(ordered, sql.all_of(sql.is_null(left), sql.is_null(right)))
        return ordered

    def among(self, column: Sql, values: Sequence[Any]) -> Sql:
        """Return ``column in (values)``."""
        if not self.specified:
            return sql.among(column, values)
        not_null = [value for value in values if value is not None]
        equal = sql.all_of(sql.is_not_null(column), sql.among(column, not_null))
        return equal if len(not_null) == len(values) else sql.any_of(sql.is_null(column), equal)

    def _ordered(self, comparator: Any, left: Any, right: Any, nullable: tuple[Any, ...]) -> Sql:
        ordered = sql.compare(left, ORDERINGS[type(comparator)], right)
        if not self.specified:
            return ordered
        return sql.all_of(*map(sql.is_not_null, nullable), ordered)


def _with_null(comparator: Any, column: Sql) -> Sql:
    """Return the comparison with null: only null equals it, and nothing is greater or less than it."""
    if isinstance(comparator, ast.NotEq):
        return sql.is_not_null(column)
    if isinstance(comparator, ast.Lt | ast.Gt):
        return sql.FALSE
    return sql.is_null(column)
