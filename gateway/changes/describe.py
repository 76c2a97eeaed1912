"""Says of a list how its changes are found, and what is known of deleted rows: for ``schema why``."""

from __future__ import annotations

from fnmatch import fnmatchcase

from gateway.config.settings import Settings
from gateway.errors import BadArgument, UnsupportedQuery
from gateway.odata.dialect import Dialect
from gateway.planning.change_queries import find_change_query
from gateway.planning.twins import find_twin
from schema.catalog import Catalog

from .tracking import tracked_request


def describe_changes(
    catalog: Catalog, settings: Settings, dialect: Dialect, name: str
) -> str | None:
    """Return how the changes of a list are found, with the guarantee; None if it cannot be followed."""
    options = settings.changes
    if not options.enabled:
        return None
    try:
        query = find_change_query(catalog, name, settings.subscriptions.stamps)
    except (BadArgument, UnsupportedQuery):
        return None
    if tracked_request(catalog, dialect, options, query.entity_set, None) is not None:
        return "by the service's change tracking, guarantee EXACT_DELETES"
    twin = None
    if query.stamp is None:
        twin = find_twin(catalog, query, (*options.twins, *dialect.twins))
    swept = f"DELETES_WITHIN {options.sweep_interval:g} s"
    if query.stamp is None and twin is None:
        by_values = any(fnmatchcase(query.entity_set, p) for p in options.by_values)
        return f"by sweeps over {'values' if by_values else 'etags'}, guarantee {swept}"
    is_swept = any(fnmatchcase(query.entity_set, pattern) for pattern in options.swept)
    guarantee = swept if is_swept else "NONE (setting changes.swept)"
    if twin is not None:
        return f"by {twin.query.stamp} of {twin.query.entity_set}, guarantee {guarantee}"
    return f"by {query.stamp}, guarantee {guarantee}"
