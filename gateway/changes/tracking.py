"""Decides whether a service tracks the changes of a list: it must state so, also for the properties of the filter."""

from __future__ import annotations

from fnmatch import fnmatchcase

from gateway.config.change_models import ChangeOptions
from gateway.odata.dialect import Dialect
from gateway.odata.query import Expr, Query, Request, Resource
from gateway.odata.render import render
from gateway.odata.simplify import paths
from schema.catalog import Catalog


def tracked_request(
    catalog: Catalog, dialect: Dialect, options: ChangeOptions, entity_set: str, where: Expr | None
) -> Request | None:
    """Return the request of a list with this filter whose changes the service tracks; None if it does not."""
    of_set = catalog.model.entity_sets[entity_set]
    can = of_set.can
    if not (dialect.change_tracking and can.tracked):
        return None
    if not any(fnmatchcase(entity_set, pattern) for pattern in options.tracked):
        return None
    # The id of a deleted row has its type, which the answer does not name.
    if catalog.reference_name(of_set.type) != catalog.concrete_name(of_set.type):
        return None
    query = Query(resource=Resource(entity_set), where=where)
    lowered = dialect.lower(query)
    if lowered.residual is not None or lowered.empty:
        return None
    compared = () if where is None else paths(where)
    if not {"/".join(path.segments) for path in compared} <= set(can.tracked_filters):
        return None
    return render(lowered.query, options=dialect.options)
