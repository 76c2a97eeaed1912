"""Schemas that are inspected and not served: of a metadata document, under the settings."""

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


def load_model(settings: Settings, document: MetadataDocument) -> LoadedModel:
    """Return the model of a document without storing a snapshot. Raises SchemaError."""
    # A snapshot of an inspected document could evict that of the served one.
    return open_model(settings.model_copy(update={"cache_dir": None}), document, observe=quiet)


def build_schema(settings: Settings, loaded: LoadedModel, labels: Mapping[str, str]) -> ODataSchema:
    """Return the schema of a model."""
    dialect = dialect_of(settings, loaded.model)
    catalog = make_catalog(settings, loaded.model, dialect, labels, loaded.naming)
    return build_api_schema(settings, catalog, NEVER_EXECUTED, subgraph=False)


def build_profile_schema(
    profile: ProfileSettings, settings: Settings, loaded: LoadedModel, labels: Mapping[str, str]
) -> ODataSchema:
    """Return the schema of a profile of a model, without storing a snapshot."""
    dialect = dialect_of(settings, loaded.model)
    whole = make_catalog(settings, loaded.model, dialect, labels, loaded.naming)
    uncached = profile.model_copy(update={"cache_dir": None})
    return build_schema(profile, subset_for_profile(uncached, whole, ""), labels)
