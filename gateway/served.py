"""The schema that the settings give a catalogue: what may be written, subscriptions, federation."""

from __future__ import annotations

from schema.build import ODataSchema, build_schema
from schema.catalog import Catalog
from schema.writes import Writes

from .federation import federation_of
from .resolvers import LoadedResolvers
from .settings import Settings
from .writes.allowed import rules_of


def schema_served(settings: Settings, catalog: Catalog, *, subgraph: bool = True) -> ODataSchema:
    """Make the schema; without ``subgraph`` the API's own, without what only routers ask for.

    Raises SettingsError where what may be written is not what there is.
    """
    rules = rules_of(settings)
    return build_schema(
        catalog,
        LoadedResolvers(catalog),
        writes=None if rules is None else Writes(catalog, rules),
        subscriptions=settings.subscriptions.enabled,
        federation=federation_of(settings) if subgraph else None,
    )
