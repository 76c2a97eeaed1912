"""The schema that the settings give a catalogue: what may be written, subscriptions, federation."""

from __future__ import annotations

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from schema.catalog import Catalog
from schema.model.exposure import require_matches
from schema.model.records import short
from schema.types.build import ODataSchema, build_schema
from schema.types.resolvers import Resolvers
from schema.writes import Writes

from .federation_options import federation_options
from .write_rules import write_rules


def build_api_schema(
    settings: Settings, catalog: Catalog, resolvers: Resolvers, *, subgraph: bool = True
) -> ODataSchema:
    """Make the schema; without ``subgraph`` the API's own, without what only routers ask for.

    Raises SettingsError where what may be written is not what there is.
    """
    rules = write_rules(settings)
    return build_schema(
        catalog,
        resolvers,
        writes=None if rules is None else Writes(catalog, rules),
        subscriptions=settings.subscriptions.enabled,
        federation=federation_options(settings) if subgraph else None,
    )


def check_names(settings: Settings, catalog: Catalog) -> None:
    """See that what settings of federation and subscriptions name is served: a profile, a part of it, may lack it.

    Raises ExposureError, SettingsError.
    """
    _check_account_numbers(settings, catalog)
    if settings.federation.enabled:
        model = catalog.model
        names = (*model.entity_sets, *model.singletons)
        require_matches(names, **{"federation.tags": tuple(settings.federation.tags)})
    if settings.subscriptions.enabled and settings.subscriptions.stamps:
        # What serves subscriptions is imported where somebody has them.
        from gateway.planning.change_queries import check_stamps  # noqa: PLC0415

        check_stamps(catalog, settings.subscriptions.stamps)


def _check_account_numbers(settings: Settings, catalog: Catalog) -> None:
    """Raise SettingsError for a name that is no property of the metadata."""
    if not settings.account_numbers:
        return
    types = {short(name): name for name in catalog.model.entity_types}
    for place in settings.account_numbers:
        owner, _, name = place.partition(".")
        found = catalog.model.entity_types.get(types.get(owner, ""))
        properties = () if found is None else found.properties
        if not any(p.name == name and p.type.name == "Edm.String" for p in properties):
            raise SettingsError(
                f"account_numbers: {place!r} is no text of an entity type.",
                hint="Give Type.Property of the metadata, such as VendorPaymentJournalLine.AccountDisplayValue.",
            )
