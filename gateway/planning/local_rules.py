"""Decides from the values of one row whether it passes a rule, exactly as the upstream would.

Rows that are read are bounded by the upstream. A row that is about to be written is not there yet, and one that was
read may be another after its change: these are decided here. What cannot be decided exactly counts as not passed.

    a path over a relation, ``any``      undecided
    the order of texts, parts of texts   undecided: that is up to the database's collation
    texts beyond printable ASCII         equal if they are the same, else undecided: collations ignore some characters
    a column without a value             undecided, but passes a test for null
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gateway.errors import GatewayError
from gateway.odata.dialect import Dialect
from gateway.odata.local_filter import all_of_three, evaluate, not_of_three
from gateway.odata.query import (
    And,
    Compare,
    Expr,
    Has,
    In,
    IsNull,
    Literal,
    Matches,
    Not,
    Operator,
    Or,
    Rule,
    Some,
    Value,
    Wildcard,
)
from schema.model.records import Model

_EQUALITY = (Operator.EQ, Operator.NE)


def known_value(value: object) -> Value:
    """Return a value of a row as filters take it. Raises TypeError for one that no filter can read."""
    if value is None or isinstance(value, str | int | float | bool | Decimal):
        return value
    raise TypeError


def is_exact(leaf: Expr, model: Model) -> bool:
    """Return whether the columns of a row tell what the upstream would say of a test."""
    match leaf:
        case Some() | Has() | Matches() | Wildcard():
            return False
        case Compare(path=path, operator=operator, value=value):
            is_ordered = operator not in _EQUALITY
            return (
                len(path.segments) == 1
                and not (is_ordered and not _has_order(value.type))
                and not _is_flags(value.type, model)
            )
        case In(path=path, values=values):
            return len(path.segments) == 1 and not any(_is_flags(v.type, model) for v in values)
        case IsNull(path=path):
            return len(path.segments) == 1
        case _:
            return False


def _has_order(edm: str) -> bool:
    """Return whether values of a type have an order that is the same everywhere: not texts, not enum members."""
    return edm != "Edm.String" and edm.startswith("Edm.")


def _is_flags(edm: str, model: Model) -> bool:
    enum = model.enum_types.get(edm)
    return enum is not None and enum.flags


def decide(rule: Expr, values: Mapping[str, Any], dialect: Dialect, model: Model) -> bool | None:
    """Return whether a row with these values (JSON, by property) passes a rule; None if they do not decide it."""
    return _Decision(values, dialect, model).of(rule)


class _Decision:
    """The decision about one row, in three-valued logic: what is undecided behaves as OData's null."""

    def __init__(self, values: Mapping[str, Any], dialect: Dialect, model: Model) -> None:
        self._values = values
        self._dialect = dialect
        self._model = model

    def of(self, expr: Expr) -> bool | None:
        match expr:
            case And(terms):
                return all_of_three(self.of(term) for term in terms)
            case Or(terms):
                return not_of_three(all_of_three(not_of_three(self.of(term)) for term in terms))
            case Not(term):
                return not_of_three(self.of(term))
            case Rule(term):
                return self.of(term)
            case In(path=path, values=literals):
                return self.of(Or(tuple(Compare(path, Operator.EQ, v) for v in literals)))
            case _:
                return self._leaf(expr) if is_exact(expr, self._model) else None

    def _leaf(self, expr: Expr) -> bool | None:
        assert isinstance(expr, Compare | IsNull)
        name = expr.path.segments[0]
        if name not in self._values:
            return True if _tests_for_null(expr) else None
        try:
            value = known_value(self._values[name])
            if isinstance(expr, Compare) and not self._compares_alike(value, expr.value):
                return None
            dialect = self._dialect
            return evaluate(
                expr,
                lambda _: value,
                case_insensitive=dialect.case_insensitive,
                absent=dialect.absent,
            )
        except (TypeError, ValueError, ArithmeticError, GatewayError):
            return None

    def _compares_alike(self, value: Value, literal: Literal) -> bool:
        """Return whether every collation agrees with this program on whether two values are equal."""
        other = literal.value
        if literal.type != "Edm.String" or value is None or other is None or value == other:
            return True
        if not isinstance(value, str) or not isinstance(other, str):
            return False
        if not all(text.isascii() and text.isprintable() for text in (value, other)):
            return False
        # Whether an unknown service distinguishes letters by case is its own matter.
        return self._dialect.case_insensitive or _plain(value) != _plain(other)


def _plain(text: str) -> str:
    return text.strip().casefold()


def _tests_for_null(expr: Compare | IsNull) -> bool:
    if isinstance(expr, IsNull):
        return True
    return expr.operator is Operator.EQ and expr.value.value is None
