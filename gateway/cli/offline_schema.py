"""Schemas that are looked at and not served: of a metadata document, under the settings."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config.profiles import ProfileSettings
from gateway.config.settings import Settings
from gateway.metadata.api_schema import build_api_schema
from gateway.metadata.document_loader import MetadataDocument
from gateway.metadata.model_builder import (
    LoadedModel,
    dialect_of,
    make_catalog,
    open_model,
    subset_for_profile,
)
from schema.types.build import ODataSchema
from schema.types.resolvers import NEVER_EXECUTED

from .schema_commands import quiet


def model_of(settings: Settings, document: MetadataDocument) -> LoadedModel:
    """Return the model of a document; no snapshot of it is kept. Raises SchemaError."""
    # A look must not push a snapshot that serves out of its folder.
    return open_model(settings.model_copy(update={"cache_dir": None}), document, observe=quiet)


def schema_of(settings: Settings, known: LoadedModel, labels: Mapping[str, str]) -> ODataSchema:
    """Make the schema that a model gives."""
    dialect = dialect_of(settings, known.model)
    catalog = make_catalog(settings, known.model, dialect, labels, known.naming)
    return build_api_schema(settings, catalog, NEVER_EXECUTED, subgraph=False)


def part_of(
    profile: ProfileSettings, settings: Settings, known: LoadedModel, labels: Mapping[str, str]
) -> ODataSchema:
    """Make the schema of a profile of that model; no snapshot of it is kept."""
    dialect = dialect_of(settings, known.model)
    whole = make_catalog(settings, known.model, dialect, labels, known.naming)
    not_kept = profile.model_copy(update={"cache_dir": None})
    return schema_of(profile, subset_for_profile(not_kept, whole, ""), labels)
