"""``where`` operators of the GraphQL API and the OData tests that they stand for.

URL Conventions 4.01 sections 5.1.1.1 and 5.1.1.7,
https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from schema.operators import WhereOperator

from .query import Operator, TextMatch


def odata_operator(operator: WhereOperator) -> Operator | TextMatch | None:  # noqa: C901 - a flat table
    """Return the OData counterpart; None for operators with an expression of their own (``In``, ``IsNull``, …)."""
    match operator:
        case WhereOperator.EQ:
            return Operator.EQ
        case WhereOperator.NE:
            return Operator.NE
        case WhereOperator.GT:
            return Operator.GT
        case WhereOperator.GTE:
            return Operator.GE
        case WhereOperator.LT:
            return Operator.LT
        case WhereOperator.LTE:
            return Operator.LE
        case WhereOperator.CONTAINS:
            return TextMatch.CONTAINS
        case WhereOperator.STARTS_WITH:
            return TextMatch.STARTS_WITH
        case WhereOperator.ENDS_WITH:
            return TextMatch.ENDS_WITH
        case WhereOperator.IN | WhereOperator.NIN | WhereOperator.HAS | WhereOperator.IS_NULL:
            return None
        case _:
            assert_never(operator)


# Computed once: plans look operators up per request.
_COUNTERPARTS = {operator: odata_operator(operator) for operator in WhereOperator}

COMPARISONS: Mapping[WhereOperator, Operator] = MappingProxyType(
    {where: odata for where, odata in _COUNTERPARTS.items() if isinstance(odata, Operator)}
)
TEXT_MATCHES: Mapping[WhereOperator, TextMatch] = MappingProxyType(
    {where: odata for where, odata in _COUNTERPARTS.items() if isinstance(odata, TextMatch)}
)
WHERE_OPERATORS: Mapping[Operator, WhereOperator] = MappingProxyType(
    {odata: where for where, odata in COMPARISONS.items()}
)
"""How messages to callers spell a comparison of OData."""
