"""Filters by text that contains a star, for products that read a star as wildcard: they are tested here.

``lower`` sends a *wider* filter (the star stays a wildcard; a negated test is left out), and the caller applies the
residual to the rows that come. No row can be missing: each replaced test is implied by the one it replaces, and ``and``
and ``or`` preserve that because ``not`` has been moved down to the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from .query import And, Compare, Expand, Expr, In, Literal, Matches, Operator, Query
from .simplify import conjunction, leaves, paths

if TYPE_CHECKING:
    from .dialect import Dialect


def has_star(dialect: Dialect, literal: Literal) -> bool:
    """Return whether the product would read a star in the text as wildcard."""
    return dialect.wildcard_eq and literal.type == "Edm.String" and "*" in str(literal.value)


def has_star_test(dialect: Dialect, expr: Expr) -> bool:
    """Return whether some test of the filter has such a text."""
    for leaf in leaves(expr):
        match leaf:
            case Compare(operator=Operator.EQ | Operator.NE, value=value) | Matches(value=value):
                if has_star(dialect, value):
                    return True
            case In(values=values):
                if any(has_star(dialect, v) for v in values):
                    return True
            case _:
                pass
    return False


def residual_of(dialect: Dialect, expr: Expr) -> Expr | None:
    """Return the terms that the product can only answer too widely; None if it answers the filter exactly."""
    if not dialect.wildcard_eq or not has_star_test(dialect, expr):
        return None
    if isinstance(expr, And):
        return conjunction(residual_of(dialect, term) for term in expr.terms)
    return expr


def read_every_row(dialect: Dialect, query: Query, residual: Expr) -> Query:
    """Return the query for all rows, with the columns that ``residual`` reads.

    Raises UnsupportedQuery if one of them is more than one navigation away.
    """
    counting = query.resource.count
    select = query.select
    expand = {e.navigation: e for e in query.expand}
    for path in paths(residual):
        *navigations, name = path.segments
        if not navigations:
            if (select or counting) and name not in select:
                select += (name,)
        elif len(navigations) > 1:
            raise dialect.refusal(
                f"filter {'/'.join(path.segments)} by text that contains a star",
                hint="Leave the star out, or filter by a nearer field.",
            )
        else:
            (navigation,) = navigations
            expand[navigation] = _with_column(expand.get(navigation), navigation, name)
    return structs.replace(
        query,
        resource=structs.replace(query.resource, count=False),
        select=select,
        expand=tuple(expand.values()),
        top=None,
        skip=None,
        count=False,
    )


def _with_column(expand: Expand | None, navigation: str, name: str) -> Expand:
    if expand is None:
        return Expand(navigation=navigation, select=(name,))
    if not expand.select or name in expand.select:
        return expand
    return structs.replace(expand, select=(*expand.select, name))
