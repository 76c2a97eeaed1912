"""Builds the GraphQL schema of a catalog, with the mutations, subscriptions and federation of the settings."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.planning.done_checks import find_done_check
from schema.catalog import Catalog
from schema.errors import did_you_mean
from schema.model.exposure import require_matches
from schema.model.records import short
from schema.types.build import ODataSchema, build_schema
from schema.types.resolvers import Resolvers
from schema.writes import Writes

from .federation_options import federation_options
from .model_builder import dialect_of
from .unified_models import unified_models
from .write_rules import service_info, write_rules


def changes_text(settings: Settings) -> str:
    """Describe the field ``changes``, with what it guarantees."""
    options = settings.changes
    swept = "".join(f", {name}" for name in options.swept)
    return (
        "What has changed in a list since a cursor; without one, the whole list first. If its rows, or those of another"
        " set over the same table, have the time of their last change, deleted rows are not noticed (`NONE`). Other"
        f" lists{swept} are swept: `DELETES_WITHIN` {options.sweep_interval:g} seconds."
    )


def build_api_schema(
    settings: Settings, catalog: Catalog, resolvers: Resolvers, *, subgraph: bool = True
) -> ODataSchema:
    """Return the schema; without ``subgraph``, without the fields that only federation routers use.

    Raises SettingsError if a write rule names an entity set or action that is not served.
    """
    rules = write_rules(settings)
    return build_schema(
        catalog,
        resolvers,
        writes=None if rules is None else Writes(catalog, rules),
        subscriptions=settings.subscriptions.enabled,
        changes=changes_text(settings) if settings.changes.enabled else None,
        aggregates=settings.aggregates.enabled,
        unified=unified_models(settings),
        unified_prefix=settings.federation.unified == "own" or bool(catalog.type_prefix),
        federation=federation_options(settings) if subgraph else None,
    )


def check_names(settings: Settings, catalog: Catalog) -> None:
    """Check that what the settings of federation, subscriptions, writes, packages and account numbers name exists.

    Only for the whole catalogue: a profile may lack it. Raises ExposureError, SettingsError.
    """
    _check_account_numbers(settings, catalog)
    _check_natural_keys(settings, catalog)
    _check_packages(settings, catalog)
    dialect = dialect_of(settings, catalog.model)
    for service in settings.writes.services:
        find_done_check(catalog, dialect, service_info(service))
    if settings.federation.enabled:
        model = catalog.model
        names = (*model.entity_sets, *model.singletons)
        require_matches(names, **{"federation.tags": tuple(settings.federation.tags)})
    if settings.subscriptions.enabled and settings.subscriptions.stamps:
        from gateway.planning.change_queries import check_stamps  # noqa: PLC0415 - few have stamps

        check_stamps(catalog, settings.subscriptions.stamps)
    if settings.changes.enabled and settings.changes.twins:
        from gateway.planning.twins import check_twins  # noqa: PLC0415 - likewise

        check_twins(catalog, settings.changes.twins)


def _check_natural_keys(settings: Settings, catalog: Catalog) -> None:
    """Raise SettingsError for an entity set or a property that does not exist."""
    for set_name, names in settings.writes.natural_keys.items():
        _check_properties(catalog, "writes.natural_keys", set_name, names)


def _check_packages(settings: Settings, catalog: Catalog) -> None:
    """Raise SettingsError for an entity set or a property that does not exist."""
    for set_name, declared in settings.packages.sets.items():
        _check_properties(catalog, "packages.sets", set_name, declared.columns)


def _check_properties(catalog: Catalog, setting: str, set_name: str, names: Iterable[str]) -> None:
    """Raise SettingsError for an entity set or a property of it that does not exist."""
    entity_set = catalog.model.entity_sets.get(set_name)
    if entity_set is None:
        raise SettingsError(
            f"{setting}: there is no entity set {set_name}."
            + did_you_mean(set_name, catalog.model.entity_sets)
        )
    properties = {p.name for p in catalog.model.properties_of(entity_set.type)}
    for name in names:
        if name not in properties:
            raise SettingsError(
                f"{setting}: {set_name} has no property {name}." + did_you_mean(name, properties)
            )


def _check_account_numbers(settings: Settings, catalog: Catalog) -> None:
    """Raise SettingsError for a name that is not a text property of the metadata."""
    if not settings.account_numbers:
        return
    types = {short(name): name for name in catalog.model.entity_types}
    for place in settings.account_numbers:
        owner, _, name = place.partition(".")
        entity_type = catalog.model.entity_types.get(types.get(owner, ""))
        properties = () if entity_type is None else entity_type.properties
        if not any(p.name == name and p.type.name == "Edm.String" for p in properties):
            raise SettingsError(
                f"account_numbers: {place!r} is not a text property of an entity type.",
                hint="Use Type.Property of the metadata, such as VendorPaymentJournalLine.AccountDisplayValue.",
            )
