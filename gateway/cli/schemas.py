"""Schemas that are looked at and not served: of a metadata document, under the settings."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.metadata import MetadataDocument
from gateway.models import Known, dialect_of, make_catalog, narrowed, open_model
from gateway.profiles import ProfileSettings
from gateway.resolvers import LoadedResolvers
from gateway.settings import Settings
from gateway.writes.allowed import rules_of
from schema.build import ODataSchema, build_schema
from schema.writes import Writes

from .inspect import quiet


def model_of(settings: Settings, document: MetadataDocument) -> Known:
    """Give the model of a document; no snapshot of it is kept. Raises SchemaError."""
    # A look must not push a snapshot that serves out of its folder.
    return open_model(settings.model_copy(update={"cache_dir": None}), document, observe=quiet)


def schema_of(settings: Settings, known: Known, labels: Mapping[str, str]) -> ODataSchema:
    """Make the schema that a model gives."""
    dialect = dialect_of(settings, known.model)
    catalog = make_catalog(settings, known.model, dialect, labels, known.naming)
    rules = rules_of(settings)
    writes = None if rules is None else Writes(catalog, rules)
    return build_schema(
        catalog,
        LoadedResolvers(catalog),
        writes=writes,
        subscriptions=settings.subscriptions.enabled,
    )


def part_of(
    profile: ProfileSettings, settings: Settings, known: Known, labels: Mapping[str, str]
) -> ODataSchema:
    """Make the schema of a profile of that model; no snapshot of it is kept."""
    dialect = dialect_of(settings, known.model)
    whole = make_catalog(settings, known.model, dialect, labels, known.naming)
    not_kept = profile.model_copy(update={"cache_dir": None})
    return schema_of(profile, narrowed(not_kept, whole, ""), labels)
