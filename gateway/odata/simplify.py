"""Simplifies filters and lists their tests and paths, for any product.

Separate from lowering because widening a filter (a term becomes TRUE) and empty lists (FALSE) both leave constants
behind, which are folded in one place only. Every rule here holds in OData's three-valued
logic (URL Conventions 5.1.1.1.6 to 5.1.1.1.8,
https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html#sec_LogicalOperators).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from msgspec import structs

from .query import (
    FALSE,
    TRUE,
    And,
    Compare,
    Expr,
    Has,
    In,
    IsNull,
    Matches,
    Not,
    Or,
    Path,
    Rule,
    Some,
    Wildcard,
)


def simplify(expr: Expr) -> Expr:
    """Return an equivalent filter without constants, nested joins and repeated terms.

    ``(a and true) or (false or b)`` → ``a or b``
    """
    match expr:
        case And(terms):
            return _joined(And, map(simplify, terms), unit=TRUE, zero=FALSE)
        case Or(terms):
            return _joined(Or, map(simplify, terms), unit=FALSE, zero=TRUE)
        case Not(term):
            return _negation(simplify(term))
        case In(values=()):
            return FALSE
        case Some(where=Compare() | And() | Or() | Not() | In() | Rule() as where):
            return _some(expr, simplify(where))
        case Compare() | Matches() | Wildcard() | In() | IsNull() | Has() | Some():
            return expr
        case Rule(term):
            return _rule(simplify(term))
        case _:
            assert_never(expr)


def with_prefix(expr: Expr, prefix: tuple[str, ...]) -> Expr:
    """Return a filter for the rows behind single-valued navigations; paths inside ``any`` start at its rows."""
    match expr:
        case And(terms):
            return And(tuple(with_prefix(term, prefix) for term in terms))
        case Or(terms):
            return Or(tuple(with_prefix(term, prefix) for term in terms))
        case Not(term):
            return Not(with_prefix(term, prefix))
        case Rule(term):
            return Rule(with_prefix(term, prefix))
        case Compare() | Matches() | Wildcard() | In() | IsNull() | Has() | Some():
            return structs.replace(expr, path=Path((*prefix, *expr.path.segments)))
        case _:
            assert_never(expr)


def conjunction(terms: Iterable[Expr | None]) -> Expr:
    """Return ``and`` of the terms that are not None, simplified."""
    return simplify(And(tuple(term for term in terms if term is not None)))


def leaves(expr: Expr) -> Iterator[Compare | Matches | Wildcard | In | IsNull | Has | Some]:
    """Yield the tests that ``and``, ``or`` and ``not`` join, from left to right."""
    match expr:
        case And(terms) | Or(terms):
            for term in terms:
                yield from leaves(term)
        case Not(term) | Rule(term):
            yield from leaves(term)
        case Compare() | Matches() | Wildcard() | In() | IsNull() | Has() | Some():
            yield expr
        case _:
            assert_never(expr)


def paths(expr: Expr) -> tuple[Path, ...]:
    """Return every path that is read, once, from left to right; paths inside ``any`` are not included."""
    return tuple(dict.fromkeys(leaf.path for leaf in leaves(expr)))


def _joined(kind: type[And | Or], terms: Iterable[Expr], *, unit: Expr, zero: Expr) -> Expr:
    distinct: dict[Expr, None] = {}
    for term in terms:
        # Even beside a term that is null: ``false and null`` is false, ``true or null`` is true.
        if term == zero:
            return zero
        parts = term.terms if isinstance(term, And | Or) and isinstance(term, kind) else (term,)
        distinct.update(dict.fromkeys(parts))
    if len(distinct) == 1:
        return next(iter(distinct))
    return kind(tuple(distinct)) if distinct else unit


def _negation(term: Expr) -> Expr:
    # Exact for null, too: ``not null`` is null.
    if isinstance(term, Not):
        return term.term
    if term in (TRUE, FALSE):
        return FALSE if term == TRUE else TRUE
    return Not(term)


def _rule(term: Expr) -> Expr:
    return term if isinstance(term, Rule) or term in (TRUE, FALSE) else Rule(term)


def _some(expr: Some, where: Expr) -> Expr:
    # ``any`` over no row is false and never null, so ``not any`` stays exact.
    if where == FALSE:
        return FALSE
    return structs.replace(expr, where=None if where == TRUE else where)
