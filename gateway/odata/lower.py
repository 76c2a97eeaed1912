"""Lowering: rewrites a query into what a dialect's product can answer, or refuses it. ``render`` then only prints.

Three rewritings:

* Operators that the product lacks become ones that it has (``in`` → ``or`` of ``eq``, ``contains`` → a wildcard).
* ``not`` moves down to the tests, most of which have an opposite, so that the product needs no ``not``. If
  values may be null only ``eq``/``ne`` are opposites: ``not (x gt 5)`` holds for null and ``x le 5`` does not
  (https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_LogicalOperators).
  Services that pass a filter on to a database leave nulls out of both, so null is named: ``x le 5 or x eq null``.
* A test that the product cannot answer exactly is sent in a wider form, and its ``residual`` left to the caller
  (``wildcard_residual``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct, structs

from schema.operators import WhereOperator

from .query import (
    FALSE,
    TRUE,
    And,
    Compare,
    Expand,
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
    Query,
    Resource,
    Rule,
    Some,
    TextMatch,
    Wildcard,
)
from .simplify import simplify
from .where_operators import WHERE_OPERATORS
from .wildcard_residual import has_star, has_star_test, read_every_row, residual_of

if TYPE_CHECKING:
    from .dialect import Dialect


def _opposite(operator: Operator) -> Operator:
    match operator:
        case Operator.EQ:
            return Operator.NE
        case Operator.NE:
            return Operator.EQ
        case Operator.GT:
            return Operator.LE
        case Operator.LE:
            return Operator.GT
        case Operator.GE:
            return Operator.LT
        case Operator.LT:
            return Operator.GE
        case _:
            assert_never(operator)


def _pattern(text_match: TextMatch) -> str:
    match text_match:
        case TextMatch.CONTAINS:
            return "*{}*"
        case TextMatch.STARTS_WITH:
            return "{}*"
        case TextMatch.ENDS_WITH:
            return "*{}"
        case _:
            assert_never(text_match)


# Tables for the request path, computed from exhaustive matches.
OPPOSITE = {operator: _opposite(operator) for operator in Operator}
_PATTERN = {text_match: _pattern(text_match) for text_match in TextMatch}
_EQUALITY = (Operator.EQ, Operator.NE)
_NAMED_IN_HINTS = (WhereOperator.EQ, WhereOperator.NE, WhereOperator.GT, WhereOperator.LT)


class Lowered(Struct, frozen=True):
    """What to send, and what is then left to do."""

    query: Query
    residual: Expr | None = None
    """Filter that each row must still pass here (``local_filter.evaluate``); None if the product answers exactly. With
    one, ``query`` requests *all* rows that may pass, with the columns that it reads: the caller must apply ``top``,
    ``skip`` and every count afterwards."""
    empty: bool = False
    """Whether no row can match, so that nothing needs to be sent."""
    keyed_by_filter: bool = False
    """Whether a key became a filter: the answer is then a collection of at most one row instead of a row or 404."""


def lower_query(dialect: Dialect, query: Query) -> Lowered:
    """Return the query as the dialect's product can answer it. Raises UnsupportedQuery."""
    keyed = bool(query.resource.key) and _key_needs_filter(dialect, query.resource)
    if keyed:
        query = _by_filter(query)
    if query.where is None and not query.expand:
        return Lowered(query, keyed_by_filter=keyed)
    requested = TRUE if query.where is None else query.where
    where = simplify(lower_where(dialect, requested))
    expand = tuple(_lower_expand(dialect, e, depth=1) for e in query.expand)
    lowered = structs.replace(query, where=None if where == TRUE else where, expand=expand)
    if where == FALSE:
        return Lowered(lowered, empty=True, keyed_by_filter=keyed)
    residual = residual_of(dialect, requested)
    if residual is not None:
        lowered = read_every_row(dialect, lowered, residual)
    return Lowered(lowered, residual, keyed_by_filter=keyed)


def lower_where(dialect: Dialect, expr: Expr, *, negated: bool = False) -> Expr:
    """Return a filter, or its negation, in the product's operators. Raises UnsupportedQuery."""
    match expr:
        case And(terms) | Or(terms):
            joined = And if isinstance(expr, And) != negated else Or
            return joined(tuple(lower_where(dialect, t, negated=negated) for t in terms))
        case Not(term):
            return lower_where(dialect, term, negated=not negated)
        case Wildcard():
            return structs.replace(expr, negated=expr.negated != negated)
        case Compare() | Matches() | In() | IsNull() | Has() | Some():
            _check_path(dialect, expr.path)
            return _lower_test(dialect, expr, negated)
        case Rule(term):
            return Rule(lower_where(dialect, term, negated=negated))
        case _:
            assert_never(expr)


def _check_path(dialect: Dialect, path: Path) -> None:
    crossed = len(path.segments) - 1
    if crossed and not dialect.filter_to_one:
        raise dialect.refusal("filter by fields of a related row")
    if crossed > dialect.filter_depth:
        raise dialect.refusal(
            f"filter through {crossed} relations in a row ({'/'.join(path.segments)})",
            hint="Filter the nearer rows, and read the others by their keys.",
        )


def _lower_test(
    dialect: Dialect, expr: Compare | Matches | In | IsNull | Has | Some, negated: bool
) -> Expr:
    match expr:
        case Compare():
            return _lower_compare(dialect, expr, negated)
        case Matches():
            return _lower_matches(dialect, expr, negated)
        case In():
            return _lower_in(dialect, expr, negated)
        case IsNull():
            return _lower_null(dialect, expr, negated)
        case Has():
            if not dialect.has_has:
                raise dialect.refusal("test single flags of an enum", hint="Use eq or in.")
            return _signed(expr, negated)
        case Some():
            return _lower_some(dialect, expr, negated)
        case _:
            assert_never(expr)


def _signed(expr: Expr, negated: bool) -> Expr:
    return Not(expr) if negated else expr


def _lower_compare(dialect: Dialect, expr: Compare, negated: bool) -> Expr:
    operator, literal = expr.operator, expr.value
    if literal.value is None:
        return _lower_null_comparison(dialect, expr, negated)
    _check_operator(dialect, literal, operator)
    if operator in _EQUALITY and has_star(dialect, literal):
        is_equality = (operator is Operator.EQ) != negated
        # The product ignores trailing blanks in an equality, but not in a pattern.
        return _wildcard(expr.path, str(literal.value).rstrip(" ")) if is_equality else TRUE
    if not negated:
        return expr
    opposite = structs.replace(expr, operator=OPPOSITE[operator])
    if operator in _EQUALITY or not dialect.has_nulls:
        return opposite
    return Or((opposite, _equals_null(expr.path, literal.type)))


def _equals_null(path: Path, edm_type: str) -> Compare:
    return Compare(path, Operator.EQ, Literal(None, edm_type))


def _check_operator(dialect: Dialect, literal: Literal, operator: Operator) -> None:
    where_operator = WHERE_OPERATORS[operator]
    if not dialect.compares(literal.type, where_operator):
        accepted = [o for o in _NAMED_IN_HINTS if dialect.answers(literal.type, o)]
        hint = f"It answers {', '.join(accepted)}." if accepted else "Filter by another field."
        raise dialect.refusal(f"compare values of {literal.type} with {where_operator}", hint=hint)


def _lower_null_comparison(dialect: Dialect, expr: Compare, negated: bool) -> Expr:
    """Nothing is greater or less than null, and only null equals it (URL Conventions 5.1.1.1.1 to 5.1.1.1.6)."""
    match expr.operator:
        case Operator.EQ | Operator.GE | Operator.LE:
            return _lower_null(dialect, IsNull(expr.path, expr.value.type), negated)
        case Operator.NE:
            return _lower_null(dialect, IsNull(expr.path, expr.value.type), not negated)
        case Operator.GT | Operator.LT:
            return TRUE if negated else FALSE
        case _:
            assert_never(expr.operator)


def _lower_null(dialect: Dialect, expr: IsNull, negated: bool) -> Expr:
    if dialect.has_nulls:
        return Compare(expr.path, Operator.NE if negated else Operator.EQ, Literal(None, expr.type))
    if expr.type not in dialect.absent:
        raise dialect.refusal(
            f"tell whether a value of {expr.type} is absent",
            hint="Such fields always hold a value there: compare with 0, or with the first member.",
        )
    operator, value = dialect.absent[expr.type]
    operator = OPPOSITE[operator] if negated else operator
    return Compare(expr.path, operator, Literal(value, expr.type))


def _lower_matches(dialect: Dialect, expr: Matches, negated: bool) -> Expr:
    if dialect.has_text_functions:
        return _signed(expr, negated)
    if not dialect.wildcard_eq:
        raise dialect.refusal("search for a part of a text", hint="Use eq or in.")
    if negated and has_star(dialect, expr.value):
        return TRUE
    return _wildcard(expr.path, _PATTERN[expr.match].format(expr.value.value), negated)


def _wildcard(path: Path, pattern: str, negated: bool = False) -> Expr:
    # Several stars mean the same as one; a pattern of stars alone matches every text, for products without nulls.
    pattern = re.sub(r"\*+", "*", pattern)
    if pattern == "*":
        return FALSE if negated else TRUE
    return Wildcard(path, pattern, negated)


def _lower_in(dialect: Dialect, expr: In, negated: bool) -> Expr:
    if dialect.has_in and len(expr.values) > 1:
        return _lower_whole_in(dialect, expr, negated)
    terms = (Compare(expr.path, Operator.EQ, v) for v in dict.fromkeys(expr.values))
    # not (a or b) is (not a) and (not b): the negation goes into the terms.
    joined = And if negated else Or
    return joined(tuple(_lower_compare(dialect, term, negated) for term in terms))


def _lower_whole_in(dialect: Dialect, expr: In, negated: bool) -> Expr:
    signed = _signed(expr, negated)
    if not negated or not dialect.has_nulls or any(v.value is None for v in expr.values):
        return signed
    return Or((signed, _equals_null(expr.path, expr.values[0].type)))


def _lower_some(dialect: Dialect, expr: Some, negated: bool) -> Expr:
    if not dialect.has_any_all:
        raise dialect.refusal("filter by rows of a list")
    where = None if expr.where is None else lower_where(dialect, expr.where)
    return _signed(structs.replace(expr, where=where), negated)


def _key_needs_filter(dialect: Dialect, resource: Resource) -> bool:
    """Return whether the key must become a filter.

    It stays in the path if no filter can replace it: before a navigation or function, or with a type without ``eq``.
    """
    is_last = resource.navigation is None and resource.call is None
    comparable = all(dialect.answers(part.value.type, WhereOperator.EQ) for part in resource.key)
    return is_last and comparable and not dialect.key_is_safe(resource.key, resource.name)


def _by_filter(query: Query) -> Query:
    # A key finds one row at most; top=1 lets the service stop there.
    key = [Compare(Path((p.name,)), Operator.EQ, p.value) for p in query.resource.key]
    where = And((*key, *(() if query.where is None else (query.where,))))
    return structs.replace(
        query, resource=structs.replace(query.resource, key=()), where=where, top=1
    )


def _lower_expand(dialect: Dialect, expand: Expand, *, depth: int) -> Expand:
    if depth > dialect.expand_depth:
        raise dialect.refusal(f"expand beyond level {dialect.expand_depth}")
    options = (expand.where, expand.top, expand.skip)
    if not dialect.expand_options and (
        expand.order or expand.count or any(o is not None for o in options)
    ):
        raise dialect.refusal("filter, order, page or count expanded rows")
    inner = tuple(_lower_expand(dialect, e, depth=depth + 1) for e in expand.expand)
    if expand.where is None:
        return structs.replace(expand, expand=inner)
    # Rows inside an expansion arrive with their parent's page: none could be read in place of one that does not match.
    if has_star_test(dialect, expand.where):
        raise dialect.refusal("filter expanded rows by text that contains a star")
    where = simplify(lower_where(dialect, expand.where))
    return structs.replace(expand, expand=inner, where=None if where == TRUE else where)
