"""``$select`` of the rows of a plan, and the casts in it.

A property or navigation that only a derived type declares is named with that type in front:
``Fleet.Truck/Load`` (OData URL Conventions 4.01, section 4.11).
"""

from __future__ import annotations

from gateway.operations.row_types import RowType
from gateway.operations.shapes import RowRequirements
from schema.catalog import Catalog
from schema.catalog.records import ETAG


def uncast_types(
    level: RowRequirements, set_name: str | None, catalog: Catalog, *, is_expanded: bool
) -> frozenset[str]:
    """Return the types whose properties need no cast: the set's type and its bases.

    The set's type may be a base of the level's type. Rows inside an ``$expand`` are of the navigation's type, which is
    the level's.
    """
    entity_set = None if is_expanded else catalog.model.entity_sets.get(set_name or "")
    if entity_set is None or entity_set.type == level.info.csdl:
        return level.bases
    return frozenset(t.name for t in catalog.model.lineage(entity_set.type))


def cast_path(declared_by: str, name: str, uncast: frozenset[str]) -> str:
    """Return a property or navigation as the upstream is asked for it: ``Load``, or ``Fleet.Truck/Load``."""
    return name if declared_by in uncast else f"{declared_by}/{name}"


def select_of(row_type: RowType, uncast: frozenset[str]) -> tuple[str, ...]:
    """Return the ``$select``: empty for everything, and the key if no property is needed."""
    level = row_type.level
    if level.needs_rest:
        return ()
    if uncast is level.bases and row_type.select:
        return row_type.select
    places = [place for place in row_type.attributes if place[1] != ETAG]
    # An empty $select would mean every property, so the smallest one is asked for.
    names = places or [(f.declared_by, f.source) for f in level.info.key]
    return tuple(cast_path(declared_by, name, uncast) for declared_by, name in names)
