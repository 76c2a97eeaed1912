"""Schemas that are looked at and not served: of a metadata document, under the settings."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.metadata import MetadataDocument
from gateway.models import Known, dialect_of, make_catalog, narrowed, open_model
from gateway.profiles import ProfileSettings
from gateway.served import schema_served
from gateway.settings import Settings
from schema.build import ODataSchema
from schema.resolvers import NEVER_EXECUTED

from .inspect import quiet


def model_of(settings: Settings, document: MetadataDocument) -> Known:
    """Give the model of a document; no snapshot of it is kept. Raises SchemaError."""
    # A look must not push a snapshot that serves out of its folder.
    return open_model(settings.model_copy(update={"cache_dir": None}), document, observe=quiet)


def schema_of(settings: Settings, known: Known, labels: Mapping[str, str]) -> ODataSchema:
    """Make the schema that a model gives."""
    dialect = dialect_of(settings, known.model)
    catalog = make_catalog(settings, known.model, dialect, labels, known.naming)
    return schema_served(settings, catalog, NEVER_EXECUTED, subgraph=False)


def part_of(
    profile: ProfileSettings, settings: Settings, known: Known, labels: Mapping[str, str]
) -> ODataSchema:
    """Make the schema of a profile of that model; no snapshot of it is kept."""
    dialect = dialect_of(settings, known.model)
    whole = make_catalog(settings, known.model, dialect, labels, known.naming)
    not_kept = profile.model_copy(update={"cache_dir": None})
    return schema_of(profile, narrowed(not_kept, whole, ""), labels)
