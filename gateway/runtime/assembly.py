"""From settings to a running gateway: upstream, metadata, model, catalogue, schema, engine, in this order.

Without a configured environment the upstream is the embedded sandbox, reached in process.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import httpx

from gateway.config.profiles import ProfileSettings
from gateway.config.setting_models import SandboxOptions
from gateway.config.settings import Settings
from gateway.documents.store import DocumentLimits
from gateway.engine import Engine, ExecutionSettings
from gateway.errors import SettingsError
from gateway.events import CompaniesLimited, Observer, SchemaBuilt, log_event
from gateway.execution.trace import heard
from gateway.fallback_resolvers import LoadedResolvers
from gateway.introspection.answers import IntrospectionStore, introspection_store
from gateway.metadata.api_schema import build_api_schema, check_names
from gateway.metadata.document_loader import DocumentOrigin, MetadataDocument, load_metadata
from gateway.metadata.labels import load_labels
from gateway.metadata.model_builder import (
    LoadedModel,
    Progress,
    dialect_of,
    make_catalog,
    open_model,
    sandbox_relations,
    subset_for_profile,
)
from gateway.metadata.preset_services import with_preset_services
from gateway.metadata.profile_sets import load_profile_settings
from gateway.metadata.write_rules import write_rules
from gateway.odata.client import ODataClient
from gateway.odata.dialect import Dialect
from gateway.planning.company_limit import CompanyLimit
from gateway.planning.limits import PlanLimits
from gateway.writes.operations import WriteLimits
from schema.catalog import Catalog
from schema.model.relations import Relation
from schema.types.build import ODataSchema

SANDBOX_ROOT = "http://sandbox.invalid/data"
"""Service root of the embedded sandbox; no packet ever goes there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway that is ready to serve."""

    settings: Settings
    catalog: Catalog
    schema: ODataSchema
    engine: Engine
    client: ODataClient
    dialect: Dialect
    metadata: DocumentOrigin
    observe: Observer
    aside: IntrospectionStore
    """Long answers about the schema; those that are generations over the same metadata share them."""
    profiles: Mapping[str, ProfileSettings] = field(default_factory=dict)
    """The settings of each profile of these metadata, with its sets."""
    since: float = field(default_factory=time.time)
    """When these metadata began to serve, in seconds of the epoch."""

    def tables(self) -> Iterator[MutableMapping[Any, Any]]:
        """Return what keeps nearly all of its memory, for whoever empties them once nobody uses it."""
        yield from self.engine.tables()
        yield from self.schema.tables()

    @property
    def is_sandbox(self) -> bool:
        """Whether the embedded sandbox answers."""
        return self.settings.url is None


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    observe: Observer = log_event,
    progress: Progress | None = None,
) -> AsyncIterator[Gateway]:
    """Build everything, and close the connections at the end. ``transport`` stands in for the network in tests.

    Raises SettingsError, SchemaError, AuthError or UpstreamError where the start cannot go on.
    """
    async with open_client(settings, transport=transport, observe=observe) as client:
        yield await first_gateway(settings, client, observe, progress)


async def first_gateway(
    settings: Settings,
    client: ODataClient,
    observe: Observer = log_event,
    progress: Progress | None = None,
) -> Gateway:
    """Get the metadata and build everything. Raises what ``open_gateway`` raises."""
    document = await load_metadata(settings, client, progress=progress, observe=observe)
    return await assemble(settings, client, document, observe, progress)


def open_client(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    observe: Observer = log_event,
) -> ODataClient:
    """Return the client of the configured environment, or of the embedded sandbox."""
    if settings.url is None and transport is None:
        transport = sandbox_transport(settings.sandbox, sandbox_relations(settings))
    return ODataClient(
        settings,
        root=settings.url or SANDBOX_ROOT,
        auth=_auth(settings, observe),
        transport=transport,
        observe=heard(observe),
    )


def _auth(settings: Settings, observe: Observer) -> httpx.Auth | None:
    if settings.auth == "none":
        return None
    # msal takes 0.1 s to import: it is imported where it is used.
    from gateway.odata.auth import auth_of  # noqa: PLC0415

    return auth_of(settings, observe)


def sandbox_transport(
    options: SandboxOptions, relations: tuple[Relation, ...] = ()
) -> httpx.AsyncBaseTransport:
    """Make an embedded sandbox with these knobs, and give the way to it.

    Rows that it generates for a document of its own follow those of the relations that fit the document.
    """
    # SQLAlchemy and the filter grammar take 0.4 s to import, and a real environment needs neither.
    from gateway.sandbox import SandboxSettings, create_sandbox  # noqa: PLC0415

    chosen = SandboxSettings(**options.knobs(), relations=relations)
    return httpx.ASGITransport(create_sandbox(chosen))


async def assemble(
    settings: Settings,
    client: ODataClient,
    document: MetadataDocument,
    observe: Observer,
    progress: Progress | None = None,
) -> Gateway:
    """Make catalogue, schema and engine from a metadata document."""
    started = time.perf_counter()
    known = open_model(settings, document, progress, observe)
    settings = await with_preset_services(settings, client, known)
    labels = await read_labels(settings, client, known, observe)
    profiles = await read_profiles(settings, client, known, document.digest, observe)
    gateway = build(settings, client, document.origin, known, labels, observe, profiles)
    check_names(settings, gateway.catalog)
    observe(schema_built_event(gateway, time.perf_counter() - started))
    return gateway


def build(
    settings: Settings,
    client: ODataClient,
    metadata: DocumentOrigin,
    known: LoadedModel,
    labels: Mapping[str, str],
    observe: Observer,
    profiles: Mapping[str, ProfileSettings] = MappingProxyType({}),
) -> Gateway:
    """Put the parts together. Asks nobody, and may run in any thread."""
    dialect = dialect_of(settings, known.model)
    client = client.for_dialect(dialect)
    catalog = make_catalog(settings, known.model, dialect, labels, known.naming)
    if settings.company_limit:
        observe(company_limit_event(settings, catalog, dialect))
    aside = introspection_store(settings, metadata.digest, labels, len(known.model.entity_sets))
    schema, engine = _executable(catalog, settings, client, dialect, observe, aside)
    return Gateway(
        settings=settings,
        catalog=catalog,
        schema=schema,
        engine=engine,
        client=client,
        dialect=dialect,
        metadata=metadata,
        observe=observe,
        aside=aside,
        profiles=profiles,
    )


def build_profile(whole: Gateway, name: str) -> Gateway:
    """Make the gateway of a profile, of a part of what the whole serves. Asks nobody, and may run in any thread.

    Raises KeyError where there is no such profile.
    """
    settings = whole.profiles[name]
    known = subset_for_profile(settings, whole.catalog, whole.metadata.digest)
    labels = whole.catalog.labels
    made = build(settings, whole.client, whole.metadata, known, labels, whole.observe)
    return replace(made, since=whole.since)


def _executable(
    catalog: Catalog,
    settings: Settings,
    client: ODataClient,
    dialect: Dialect,
    observe: Observer,
    aside: IntrospectionStore,
) -> tuple[ODataSchema, Engine]:
    schema = build_api_schema(settings, catalog, LoadedResolvers(catalog))
    limits = execution_settings(settings)
    return schema, Engine(schema, client, dialect, limits, observe, aside)


def company_limit_event(settings: Settings, catalog: Catalog, dialect: Dialect) -> CompaniesLimited:
    """Return how many sets ``company_limit`` bounds. Raises SettingsError where the product has no companies."""
    if dialect.company_property is None:
        raise SettingsError(
            f"company_limit: rows of {dialect.title} have no company that could be bounded.",
            hint="Leave company_limit out, or set dialect where it was guessed wrongly.",
        )
    limit = CompanyLimit(catalog, dialect, settings.company_limit, settings.company_limit_shared)
    counts = limit.counts()
    return CompaniesLimited(
        companies=limit.companies,
        by_company=counts.by_company,
        by_other=counts.by_other,
        shared=counts.shared,
        refused=counts.refused,
    )


def schema_built_event(gateway: Gateway, seconds: float) -> SchemaBuilt:
    """Tell what was made."""
    catalog = gateway.catalog
    return SchemaBuilt(
        seconds=seconds,
        metadata=gateway.metadata.digest,
        sets=len(catalog.model.entity_sets),
        root_fields=len(catalog.roots),
        findings=catalog.findings,
    )


def fresh_copy(gateway: Gateway) -> Gateway:
    """Make the same gateway with nothing of its types in memory. May run in any thread."""
    catalog = gateway.catalog.twin()
    schema, engine = _executable(
        catalog,
        gateway.settings,
        gateway.client,
        gateway.dialect,
        gateway.observe,
        gateway.aside,
    )
    return replace(gateway, catalog=catalog, schema=schema, engine=engine)


async def read_labels(
    settings: Settings, client: ODataClient, known: LoadedModel, observe: Observer
) -> Mapping[str, str]:
    """Return label texts; where metadata come from a file or the product has no label service, there are none."""
    language = settings.language
    if language is None or settings.metadata is not None:
        return {}
    dialect = dialect_of(settings, known.model)
    if not dialect.has_label_service:
        return {}
    folder = None if settings.url is None else settings.cache_dir
    return await load_labels(
        client,
        dialect.environment_root(client.root),
        known.label_ids(),
        language,
        cache_dir=folder,
        observe=observe,
    )


async def read_profiles(
    settings: Settings, client: ODataClient, known: LoadedModel, digest: str, observe: Observer
) -> Mapping[str, ProfileSettings]:
    """Return the settings of each profile with its sets. Raises as ``load_profile_settings`` and ``write_rules`` do."""
    if not settings.profiles:
        return {}
    dialect = dialect_of(settings, known.model)
    found = await load_profile_settings(settings, client, known.model, dialect, digest, observe)
    for profile in found.values():
        write_rules(profile)  # now, not at the first request
    return found


def execution_settings(settings: Settings) -> ExecutionSettings:
    """Pick what execution needs of the settings."""
    return ExecutionSettings(
        plans=PlanLimits(
            default_page=settings.default_page_size,
            max_page=settings.max_page_size,
            can_expand=settings.expand != "never",
            companies=settings.companies or None,
            company_limit=settings.company_limit,
            company_limit_shared=settings.company_limit_shared,
        ),
        documents=DocumentLimits(
            tokens=settings.max_query_tokens,
            depth=settings.max_depth,
            root_fields=settings.max_root_fields,
            selections=settings.max_selections,
            aliases=settings.max_aliases,
            directives=settings.max_directives,
            suggestions=settings.introspection,
        ),
        introspection=settings.introspection,
        writes=WriteLimits(
            max_rows=settings.writes.max_rows, changeset_size=settings.writes.changeset_size
        ),
        max_rows=settings.max_rows,
        max_filtered_rows=settings.max_filtered_rows,
        max_url_length=settings.max_url_length,
        timeout=settings.operation_timeout,
    )
