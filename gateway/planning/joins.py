"""Join columns of a relation: the fields of parent and target that are equal.

They follow from the referential constraints of a navigation or of its partner (CSDL XML 4.01, section 8.5). In a
product with companies a relation never crosses them: if both sides have a company it is part of the join, even if the
metadata does not say so.
"""

from __future__ import annotations

from gateway.odata.dialect import Dialect
from schema.catalog import Catalog
from schema.catalog.records import Field
from schema.model.joins import Pairs, join_pairs

from .plan import Join


def join_of(field: Field, catalog: Catalog, dialect: Dialect) -> Join | None:
    """Return the columns that join parent and target; None if the metadata does not say."""
    parent, target = catalog.object(field.declared_by), catalog.object(field.target)
    pairs = pairs_of(field, catalog, dialect)
    try:
        columns = [(parent.by_source(p), target.by_source(t)) for p, t in pairs]
    # A column of the join is not a field, for example because the settings do not expose it.
    except KeyError:
        return None
    return Join(tuple(p for p, _ in columns), tuple(t for _, t in columns)) if columns else None


def pairs_of(field: Field, catalog: Catalog, dialect: Dialect) -> Pairs:
    """Return pairs of properties (of the parent, of the target), with the company; empty if unknown."""
    assert field.navigation is not None
    pairs = join_pairs(field.navigation, catalog.whole.model)
    company = dialect.company_property
    if not pairs or company is None or any(company in pair for pair in pairs):
        return pairs
    sides = (field.declared_by, field.target)
    both = all(catalog.object(side).has_company for side in sides)
    return ((company, company), *pairs) if both else pairs
