"""Which columns make a relation: the fields of parent and target that are equal.

A navigation's referential constraints tell it, or those of its partner. In a product with companies a relation never
crosses one: where both sides have a company it is part of the join, said by the metadata or not.
"""

from __future__ import annotations

from schema.catalog import Catalog
from schema.fields import Field
from schema.model import Navigation

from .odata.dialect import Dialect
from .plan import Join


def join_of(field: Field, catalog: Catalog, dialect: Dialect) -> Join | None:
    """Give the columns that join parent and target; None where the metadata does not tell."""
    navigation = field.navigation
    assert navigation is not None
    pairs = [(c.property, c.referenced) for c in navigation.on]
    pairs = pairs or _from_partner(navigation, catalog)
    company = dialect.company_property
    parent, target = catalog.object(field.declared_by), catalog.object(field.target)
    both = parent.has_company and target.has_company and company is not None
    if pairs and both and all(company not in pair for pair in pairs):
        assert company is not None
        pairs.insert(0, (company, company))
    try:
        found = [(parent.by_source(p), target.by_source(t)) for p, t in pairs]
    except KeyError:
        return None
    return Join(tuple(p for p, _ in found), tuple(t for _, t in found)) if found else None


def _from_partner(navigation: Navigation, catalog: Catalog) -> list[tuple[str, str]]:
    for other in catalog.model.navigations_of(navigation.target):
        if other.name == navigation.partner:
            return [(c.referenced, c.property) for c in other.on]
    return []
