"""Orders in which rows can be sorted here exactly as the upstream would.

Numbers and times sort alike everywhere. Text does if the dialect sorts letters and digits as Python does, and no other
character decides; so a list that is ordered by text is checked once it has been read.
"""

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
    """Return whether rows can be sorted here as the upstream would, at least if their texts allow it."""
    return all(
        not term.nullable and (term.edm in _NUMBERS | TIMES or _is_sorted_text(term, dialect))
        for term in terms
    )


def depends_on_text(terms: Sequence[OrderTerm], equal: Sequence[Field]) -> bool:
    """Return whether text decides the order of rows that are equal in the columns ``equal``."""
    return any(term.edm == _TEXT and term.field not in equal for term in terms)


def _is_sorted_text(term: OrderTerm, dialect: Dialect) -> bool:
    return term.edm == _TEXT and dialect.alphanumeric_order
