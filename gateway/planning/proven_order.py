"""Orders that are proven to be the upstream's: whether rows may be put in one here, and whether text decides it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.odata.dialect import Dialect
from schema.catalog.records import Field

from .page_window import OrderTerm

_TEXT = "Edm.String"
_NUMBERS = frozenset(
    {"Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.Decimal"}
)
TIMES = frozenset({"Edm.DateTimeOffset", "Edm.Date", "Edm.TimeOfDay"})


def may_sort_here(terms: Sequence[OrderTerm], dialect: Dialect) -> bool:
    """Return whether rows can be put in the upstream's order here, be it that their texts let it."""
    return all(
        not term.nullable and (term.edm in _NUMBERS | TIMES or _is_sorted_text(term, dialect))
        for term in terms
    )


def depends_on_text(terms: Sequence[OrderTerm], same: Sequence[Field]) -> bool:
    """Return whether text decides the order of rows that are equal in the columns ``same``."""
    return any(term.edm == _TEXT and term.field not in same for term in terms)


def _is_sorted_text(term: OrderTerm, dialect: Dialect) -> bool:
    return term.edm == _TEXT and dialect.alphanumeric_order
