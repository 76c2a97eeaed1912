"""From settings to a running gateway: upstream, metadata, model, catalogue, schema, engine, in this order.

Without a configured environment the upstream is the embedded sandbox, reached in process.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import msgspec

from schema.build import ODataSchema, build_schema
from schema.catalog import Catalog
from schema.catalog.naming import Naming, decode_naming, encode_naming
from schema.csdl import parse_csdl
from schema.exposure import expose
from schema.model import ComplexType, EntityType, Model
from schema.relations import Relation, declare
from schema.values import Abilities, Cleaning

from . import settings as settings_of
from .bind import Limits
from .documents import DocumentLimits
from .events import Observer, SchemaBuilt, log_event
from .execute import Engine, ExecutionSettings
from .labels import load_labels
from .metadata import MetadataDocument, load_metadata
from .odata.client import ODataClient
from .odata.dialect import Dialect
from .odata.finops import FINOPS, dialect_for
from .resolvers import LoadedResolvers
from .settings import SandboxOptions, Settings
from .snapshots import Snapshots, fingerprint_of

SANDBOX_ROOT = "http://sandbox.invalid/data"
"""Service root of the embedded sandbox; no packet ever goes there."""

SANDBOX_RELATIONS = (
    Relation(
        from_set="CustomersV3",
        fields=("dataAreaId", "CustomerAccount"),
        to_set="SalesOrderHeadersV2",
        to_fields=("dataAreaId", "OrderingCustomerAccountNumber"),
        name="SalesOrders",
        inverse="Customer",
        many=True,
    ),
    Relation(
        from_set="CustomersV3",
        fields=("dataAreaId", "CustomerGroupId"),
        to_set="CustomerGroups",
        name="CustomerGroup",
    ),
    Relation(
        from_set="SalesOrderLines",
        fields=("dataAreaId", "ItemNumber"),
        to_set="ReleasedProductsV2",
        name="ReleasedProduct",
    ),
)
"""Relations that F&O's metadata lacks, declared for the sandbox as a user would in the settings."""

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway that is ready to serve."""

    settings: Settings
    catalog: Catalog
    schema: ODataSchema
    engine: Engine
    client: ODataClient
    dialect: Dialect
    metadata: MetadataDocument

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
        document = await load_metadata(settings, client, progress=progress, observe=observe)
        yield await assemble(settings, client, document, observe, progress)


def open_client(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    observe: Observer = log_event,
) -> ODataClient:
    """Give the client of the configured environment, or of the embedded sandbox."""
    if settings.url is None and transport is None:
        transport = sandbox_transport(settings.sandbox)
    return ODataClient(
        settings,
        root=settings.url or SANDBOX_ROOT,
        auth=_auth(settings, observe),
        transport=transport,
        observe=observe,
    )


def _auth(settings: Settings, observe: Observer) -> httpx.Auth | None:
    if settings.auth == "none":
        return None
    # msal takes 0.1 s to import: it is imported where it is used.
    from .auth import auth_of  # noqa: PLC0415

    return auth_of(settings, observe)


def sandbox_transport(options: SandboxOptions) -> httpx.AsyncBaseTransport:
    """Make an embedded sandbox with these knobs, and give the way to it."""
    # SQLAlchemy and the filter grammar take 0.4 s to import, and a real environment needs neither.
    from .sandbox import SandboxSettings, create_sandbox  # noqa: PLC0415

    chosen = SandboxSettings(
        scale=options.scale,
        seed=options.seed,
        metadata=options.metadata,
        database=":memory:" if options.database is None else str(options.database),
        latency_ms=options.latency_ms,
        page_limit=options.page_limit,
        throttle=options.throttle,
    )
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
    model, naming = open_model(settings, document, progress)
    dialect = dialect_of(settings, model)
    labels = await read_labels(settings, client, model, dialect, observe)
    catalog = make_catalog(settings, model, dialect, labels, naming)
    schema = build_schema(catalog, LoadedResolvers(catalog))
    engine = Engine(schema, client, dialect, execution_settings(settings), observe)
    observe(
        SchemaBuilt(
            seconds=time.perf_counter() - started,
            sets=len(model.entity_sets),
            types=len(catalog.known_names()),
            findings=catalog.findings,
        )
    )
    return Gateway(
        settings=settings,
        catalog=catalog,
        schema=schema,
        engine=engine,
        client=client,
        dialect=dialect,
        metadata=document,
    )


def open_model(
    settings: Settings, document: MetadataDocument, progress: Progress | None = None
) -> tuple[Model, Naming | None]:
    """Give the model with its names from the snapshot of exactly this document, settings and program.

    Where there is none, the document is read and a snapshot made. Raises SchemaError.
    """
    decided_by = _decided_by(settings)
    key, fingerprint = decided_by.decode(), fingerprint_of(document.digest, decided_by)
    # The sandbox's document is at hand anyway, and changes with its options.
    configured = settings.url or settings.metadata
    folder = settings.cache_dir if configured else None
    snapshots = Snapshots(folder / "models" if folder is not None else None)
    found = snapshots.open(key, fingerprint)
    naming = None if found is None else decode_naming(found.notes)
    if found is not None and naming is not None:
        return found.model, naming
    model = read_model(settings, document, progress)
    if folder is None:
        return model, None
    naming = make_catalog(settings, model, dialect_of(settings, model), {}).naming()
    if snapshots.write(key, fingerprint, model, encode_naming(naming)):
        # From here on as any later start: what was read is let go.
        found = snapshots.open(key, fingerprint)
    return model if found is None else found.model, naming


def _decided_by(settings: Settings) -> bytes:
    """Put the settings on which the model and its names depend into bytes."""
    return msgspec.json.encode(
        [
            settings.url,
            settings.metadata,
            settings.dialect,
            settings.include,
            settings.exclude,
            [relation.model_dump() for relation in settings.relations],
            settings.names,
            settings.clean_noyes,
            settings.clean_null_dates,
            settings.clean_dates,
        ]
    )


def read_model(
    settings: Settings, document: MetadataDocument, progress: Progress | None = None
) -> Model:
    """Parse the document, then apply exposure and declared relations. Raises SchemaError."""
    model = parse_csdl(document.pieces(progress), name=document.source)
    exposed = expose(model, include=settings.include, exclude=settings.exclude)
    relations = [_relation(r) for r in settings.relations]
    if settings.url is None and settings.sandbox.metadata is None and settings.metadata is None:
        relations.extend(_of_sandbox(exposed, {(r.from_set, r.name) for r in relations}))
    return declare(exposed, relations) if relations else exposed


def dialect_of(settings: Settings, model: Model) -> Dialect:
    """Give the configured dialect, or the one that address and metadata tell."""
    return dialect_for(settings.dialect, settings.url or "", model.namespace)


def _relation(declared: settings_of.Relation) -> Relation:
    return Relation(**declared.model_dump())


def _of_sandbox(model: Model, taken: set[tuple[str, str]]) -> Iterator[Relation]:
    for relation in SANDBOX_RELATIONS:
        served = {relation.from_set, relation.to_set} <= model.entity_sets.keys()
        if served and (relation.from_set, relation.name) not in taken:
            yield relation


async def read_labels(
    settings: Settings, client: ODataClient, model: Model, dialect: Dialect, observe: Observer
) -> Mapping[str, str]:
    """Give label texts; where metadata come from a file or the product has no label service, there are none."""
    language = settings.language
    if dialect is not FINOPS or language is None or settings.metadata is not None:
        return {}
    folder = None if settings.url is None else settings.cache_dir
    return await load_labels(
        client, client.root, label_ids(model), language, cache_dir=folder, observe=observe
    )


def label_ids(model: Model) -> list[str]:
    """Give every label id of a model, in document order."""
    found: dict[str, None] = {}
    structured: list[EntityType | ComplexType] = [
        *model.entity_types.values(),
        *model.complex_types.values(),
    ]
    for declared in structured:
        _keep(found, declared.label, *(n.label for n in declared.navigations))
        _keep(found, *(p.label for p in declared.properties))
    for enum in model.enum_types.values():
        _keep(found, enum.label, *(m.label for m in enum.members))
    return list(found)


def _keep(found: dict[str, None], *labels: str | None) -> None:
    found.update((label, None) for label in labels if label is not None and label.startswith("@"))


def make_catalog(
    settings: Settings,
    model: Model,
    dialect: Dialect,
    labels: Mapping[str, str],
    naming: Naming | None = None,
) -> Catalog:
    """Decide every name and operator; with ``naming``, take the names over."""
    return Catalog(
        model,
        abilities_of(dialect),
        cleaning=Cleaning(
            no_yes=settings.clean_noyes,
            null_dates=settings.clean_null_dates,
            dates=settings.clean_dates,
        ),
        renames=settings.names,
        labels=labels,
        naming=naming,
    )


def abilities_of(dialect: Dialect) -> Abilities:
    """Say to the schema what the dialect can be asked."""
    return Abilities(
        operators=dialect.operators,
        filter_to_one=dialect.filter_to_one,
        filter_to_many=dialect.has_any_all,
        company_property=dialect.company_property,
        has_nulls=dialect.has_nulls,
    )


def execution_settings(settings: Settings) -> ExecutionSettings:
    """Pick what execution needs of the settings."""
    return ExecutionSettings(
        plans=Limits(
            default_page=settings.default_page_size,
            max_page=settings.max_page_size,
            can_expand=settings.expand != "never",
            companies=settings.companies or None,
        ),
        documents=DocumentLimits(tokens=settings.max_query_tokens, depth=settings.max_depth),
        max_rows=settings.max_rows,
        max_url_length=settings.max_url_length,
    )
