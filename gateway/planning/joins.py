"""Which columns make a relation: the fields of parent and target that are equal.

A navigation's referential constraints tell it, or those of its partner. In a product with companies a relation never
crosses one: where both sides have a company it is part of the join, said by the metadata or not.
"""

from __future__ import annotations

from gateway.odata.dialect import Dialect
from schema.catalog import Catalog
from schema.catalog.records import Field
from schema.model.joins import Pairs, join_pairs

from .plan import Join


def join_of(field: Field, catalog: Catalog, dialect: Dialect) -> Join | None:
    """Return the columns that join parent and target; None where the metadata does not tell."""
    parent, target = catalog.object(field.declared_by), catalog.object(field.target)
    pairs = pairs_of(field, catalog, dialect)
    try:
        found = [(parent.by_source(p), target.by_source(t)) for p, t in pairs]
    except KeyError:
        return None
    return Join(tuple(p for p, _ in found), tuple(t for _, t in found)) if found else None


def pairs_of(field: Field, catalog: Catalog, dialect: Dialect) -> Pairs:
    """Return (property of the parent, property of the target), the company among them; empty where unknown."""
    assert field.navigation is not None
    pairs = join_pairs(field.navigation, catalog.model)
    company = dialect.company_property
    if not pairs or company is None or any(company in pair for pair in pairs):
        return pairs
    sides = (field.declared_by, field.target)
    both = all(catalog.object(side).has_company for side in sides)
    return ((company, company), *pairs) if both else pairs
