"""Evaluates filters and sorts rows here, by the upstream's rules.

Needed for residuals (``wildcard_residual``) and for rows merged from several answers.

Values are those of the upstream's JSON, *not* cleaned ones: an empty date is still ``1900-01-01``, so a comparison has
the result that it would have upstream. Nulls follow URL Conventions 5.1.1.1
(https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_LogicalOperators):
comparisons with null are true or false, functions and ``has`` of null are null, and ``and``, ``or``, ``not``
are three-valued.

This is not the database's collation: letters compare by code point once case is folded, which can differ in *order*.
Residuals therefore contain no test that the upstream has answered exactly, if that can be avoided.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import total_ordering
from types import MappingProxyType
from typing import Any, TypeAlias, assert_never

from msgspec import Struct

from gateway.errors import UnsupportedQuery

from .literals import duration_seconds, parse_value
from .query import (
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
    Path,
    Rule,
    Some,
    TextMatch,
    Value,
    Wildcard,
)

Get: TypeAlias = Callable[[Path], Value]
"""Returns the value of one row at a path."""

_NO_SENTINELS: Mapping[str, tuple[Operator, Value]] = MappingProxyType({})


def _comparison(of: Operator) -> Callable[[Any, Any], bool]:
    match of:
        case Operator.EQ:
            return operator.eq
        case Operator.NE:
            return operator.ne
        case Operator.GT:
            return operator.gt
        case Operator.GE:
            return operator.ge
        case Operator.LT:
            return operator.lt
        case Operator.LE:
            return operator.le
        case _:
            assert_never(of)


def _text_test(of: TextMatch) -> Callable[[str, str], bool]:
    match of:
        case TextMatch.CONTAINS:
            return operator.contains
        case TextMatch.STARTS_WITH:
            return str.startswith
        case TextMatch.ENDS_WITH:
            return str.endswith
        case _:
            assert_never(of)


# Tables for the loop over rows, computed from exhaustive matches.
_COMPARE = {compared: _comparison(compared) for compared in Operator}
_MATCH = {text_match: _text_test(text_match) for text_match in TextMatch}


def evaluate(
    expr: Expr,
    get: Get,
    *,
    case_insensitive: bool,
    absent: Mapping[str, tuple[Operator, Value]] = _NO_SENTINELS,
) -> bool | None:
    """Return whether the row that ``get`` reads passes; None, OData's null, means that it does not.

    ``case_insensitive`` and ``absent`` are the dialect's. Raises UnsupportedQuery for ``any``.
    """
    return _Row(get, case_insensitive, absent).passes(expr)


def order_key(
    values: Sequence[Value],
    types: Sequence[str],
    descending: Sequence[bool],
    *,
    case_insensitive: bool,
    nulls_last: bool = False,
) -> tuple[object, ...]:
    """Return a key that sorts rows as ``$orderby`` does; ``nulls_last`` says where nulls are in ascending order."""
    return tuple(
        _Descending(key) if reverse else key
        for value, edm_type, reverse in zip(values, types, descending, strict=True)
        for key in [
            _placed(comparable(edm_type, value, case_insensitive=case_insensitive), nulls_last)
        ]
    )


def comparable(edm_type: str, value: Value, *, case_insensitive: bool) -> Any:
    """Return the value in a form that compares as its type: ``("Edm.Guid", "6F1A…")`` → ``"6f1a…"``. None: None."""
    if value is None or not isinstance(value, str):
        return value
    match edm_type:
        case "Edm.String":
            return value.rstrip(" ").casefold() if case_insensitive else value
        case "Edm.DateTimeOffset":
            # Without the Z, text sorts as time does: a fraction only makes it longer.
            return str(parse_value(edm_type, value))[:-1]
        case "Edm.Duration":
            return duration_seconds(value)
        case name if name.startswith("Edm."):
            return parse_value(edm_type, value)
        case _:
            return value


class _Row(Struct, frozen=True):
    get: Get
    case_insensitive: bool
    absent: Mapping[str, tuple[Operator, Value]]

    def passes(self, expr: Expr) -> bool | None:
        match expr:
            case And(terms):
                return all_of_three(self.passes(term) for term in terms)
            case Or(terms):
                return not_of_three(all_of_three(not_of_three(self.passes(term)) for term in terms))
            case Not(term):
                return not_of_three(self.passes(term))
            case Rule(term):
                return self.passes(term)
            case Some():
                raise UnsupportedQuery(
                    "A filter by rows of a list cannot be combined with text that contains a star."
                )
            case Compare() | Matches() | Wildcard() | In() | IsNull() | Has():
                return self.test(expr, self.get(expr.path))
            case _:
                assert_never(expr)

    def test(
        self, expr: Compare | Matches | Wildcard | In | IsNull | Has, value: Value
    ) -> bool | None:
        match expr:
            case Compare(operator=compared, value=literal):
                return self.compares(value, compared, literal)
            case In(values=literals):
                return any(self.compares(value, Operator.EQ, literal) for literal in literals)
            case IsNull(type=edm_type):
                return self.is_null(value, edm_type)
            case _:
                return None if value is None else self.text(expr, str(value))

    def text(self, expr: Matches | Wildcard | Has, value: str) -> bool:
        match expr:
            case Matches(match=match, value=literal):
                return _MATCH[match](self.folded(value), self.folded(str(literal.value)))
            case Wildcard(pattern=pattern, negated=negated):
                parts = map(re.escape, self.folded(pattern).split("*"))
                is_match = re.fullmatch(".*".join(parts), self.folded(value), re.DOTALL) is not None
                return is_match != negated
            case Has(value=literal):
                # JSON separates the flags by ", ", a literal by ",".
                return set(str(literal.value).split(",")) <= set(re.split(", *", value))
            case _:
                assert_never(expr)

    def compares(self, value: Value, compared: Operator, literal: Literal) -> bool:
        if literal.value is None:
            null = self.is_null(value, literal.type)
            equal = compared in (Operator.EQ, Operator.GE, Operator.LE)
            return null if equal else compared is Operator.NE and not null
        if value is None:  # null differs from every value, and is neither less nor greater
            return compared is Operator.NE
        left, right = (
            comparable(literal.type, side, case_insensitive=self.case_insensitive)
            for side in (value, literal.value)
        )
        return _COMPARE[compared](left, right)

    def is_null(self, value: Value, edm_type: str) -> bool:
        if value is None or edm_type not in self.absent:
            return value is None
        compared, sentinel = self.absent[edm_type]
        return self.compares(value, compared, Literal(sentinel, edm_type))

    def folded(self, text: str) -> str:
        return text.casefold() if self.case_insensitive else text


def all_of_three(answers: Iterable[bool | None]) -> bool | None:
    """Return ``and`` of three-valued answers (URL Conventions 5.1.1.1.6)."""
    result: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        result = result if answer else None
    return result


def not_of_three(answer: bool | None) -> bool | None:
    """Return ``not`` of a three-valued answer (URL Conventions 5.1.1.1.8)."""
    return None if answer is None else not answer


def _placed(key: Any, nulls_last: bool) -> tuple[bool, Any]:
    is_null = key is None
    return is_null == nulls_last, Decimal(0) if is_null else key


@total_ordering
class _Descending(Struct, frozen=True):
    key: Any

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.key < self.key)
