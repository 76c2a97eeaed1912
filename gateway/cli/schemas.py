"""Schemas that are looked at and not served: of a metadata document, under the settings."""

from __future__ import annotations

from gateway.metadata import MetadataDocument
from gateway.models import dialect_of, make_catalog, open_model
from gateway.resolvers import LoadedResolvers
from gateway.settings import Settings
from gateway.writes.allowed import rules_of
from schema.build import ODataSchema, build_schema
from schema.writes import Writes

from .inspect import quiet


def schema_of(settings: Settings, document: MetadataDocument) -> ODataSchema:
    """Make the schema that a document would give; no snapshot of it is kept. Raises SchemaError."""
    # A look must not push a snapshot that serves out of its folder.
    chosen = settings.model_copy(update={"cache_dir": None})
    known = open_model(chosen, document, observe=quiet)
    catalog = make_catalog(chosen, known.model, dialect_of(chosen, known.model), {}, known.naming)
    rules = rules_of(chosen)
    writes = None if rules is None else Writes(catalog, rules)
    return build_schema(catalog, LoadedResolvers(catalog), writes=writes)
