"""How relations are asked for: the ways that are left where ``$expand`` cannot carry one, and what ``$expand`` says.

OData URL Conventions 4.01, 5.1.3 (``$expand``) and 4.11 (casts): a navigation or property
that only a derived type declares is named with that type in front.
"""

from __future__ import annotations

from msgspec import structs

from gateway.errors import UnsupportedQuery
from gateway.odata.dialect import Dialect
from gateway.odata.query import Expand
from schema.catalog.records import Field, ObjectInfo

from .page_window import bounded, orders
from .plan import ChildPlan, Join, Via


def fallback_strategy(
    field: Field, parent: ObjectInfo, set_name: str | None, join: Join | None
) -> Via:
    """Return the way of a relation that is not expanded. Raises UnsupportedQuery where there is none."""
    if join is not None and field.target_set is not None:
        return Via.KEYS
    if set_name is not None and parent.key:
        return Via.PATH
    assert not has_other_way(field, parent, set_name, join)
    raise UnsupportedQuery(
        f"{field.name} cannot be read from here: the metadata does not say what joins it.",
        hint="Declare the relation in the settings, or read it from the row's own root field.",
    )


def has_other_way(
    field: Field, parent: ObjectInfo, set_name: str | None, join: Join | None
) -> bool:
    """Return whether a relation can be read without ``$expand``."""
    by_keys = join is not None and field.target_set is not None
    return by_keys or (set_name is not None and bool(parent.key))


def qualified(declared_by: str, name: str, bases: frozenset[str]) -> str:
    """Return the name as rows of types with these bases are asked for it."""
    return name if declared_by in bases else f"{declared_by}/{name}"


def expand_item(child: ChildPlan, dialect: Dialect) -> Expand:
    """Return the ``$expand`` item of a child: with its window where the dialect takes one and it is paged there."""
    query, window = child.plan.query, child.plan.window
    if window is not None and dialect.expand_options:
        if not child.paged:
            query = structs.replace(query, order=orders(window.order, backward=False))
        elif window.count_only:
            query = structs.replace(bounded(query, window, dialect), top=0)
        else:
            query = bounded(query, window, dialect)
    return Expand(
        navigation=child.name,
        select=query.select,
        expand=query.expand,
        where=query.where,
        order=query.order,
        top=query.top,
        skip=query.skip,
        count=query.count,
    )
