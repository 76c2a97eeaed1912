"""Assembles a gateway from settings: client, metadata, model, catalog, schema, engine, in this order.

If no environment is configured, the upstream is the embedded sandbox in this process.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import httpx

from gateway.admission.lanes import LaneChoice
from gateway.admission.work import Lane
from gateway.audit.log import AuditLog
from gateway.cache.answer_store import AnswerStore
from gateway.cache.environment_answers import EnvironmentAnswers
from gateway.cache.operation_reads import ReadSharing
from gateway.cache.touched_sets import TouchedSets
from gateway.changes.memory_sweeps import MemorySweeps
from gateway.changes.operations import ChangeFeeds
from gateway.changes.sweep_book import SweepBook
from gateway.config.profiles import ProfileSettings, environment_in, profile_in
from gateway.config.setting_models import SandboxOptions
from gateway.config.settings import Settings
from gateway.cost.learned_file import learned_file
from gateway.cost.operation_costs import CostGate, Costs
from gateway.cost.price import Pricing
from gateway.dimensions.formats import LIFETIME, EnvironmentFormats
from gateway.engine import Engine
from gateway.errors import SettingsError
from gateway.events import CompaniesLimited, Observer, SchemaBuilt, log_event
from gateway.execution.trace import with_attempts
from gateway.fallback_resolvers import LoadedResolvers
from gateway.idempotency.ledger import Ledger
from gateway.introspection.answers import IntrospectionStore, introspection_store
from gateway.metadata.api_schema import build_api_schema, check_names
from gateway.metadata.cached_sets import cached_sets
from gateway.metadata.document_loader import DocumentOrigin, MetadataDocument, load_metadata
from gateway.metadata.labels import load_labels
from gateway.metadata.model_builder import (
    LoadedModel,
    Progress,
    dialect_of,
    sandbox_relations,
    subset_for_profile,
)
from gateway.metadata.preset_services import with_preset_services
from gateway.metadata.profile_sets import load_profile_settings
from gateway.metadata.role_policy import load_policy, policy_problems
from gateway.metadata.shared_catalogs import catalog_of
from gateway.metadata.shared_models import first_model
from gateway.metadata.write_rules import write_rules
from gateway.odata.client import CallerTokens, ODataClient
from gateway.odata.dialect import Dialect
from gateway.odata.environment_users import EnvironmentUsers
from gateway.planning.company_limit import CompanyLimit
from gateway.planning.row_bounds import ViewRules
from gateway.planning.row_rules import check_row_rules
from gateway.unified.account_combinations import AccountCombinations
from gateway.writes.audit_trail import WriteAudit
from gateway.writes.idempotent import IdempotentWrites
from gateway.writes.presets import preset_problems
from schema.catalog import Catalog
from schema.model.relations import Relation
from schema.policy.records import Policy
from schema.policy.view import RoleView
from schema.types.build import ODataSchema
from schema.types.combinations import COMBINATION

from .early_refusal import EarlyRefusal
from .execution_limits import execution_settings
from .lasting import Lasting

if TYPE_CHECKING:  # it imports the client of Redis, which is optional
    from gateway.replicas.shared_builds import SharedBuilds

SANDBOX_ROOT = "http://sandbox.invalid/data"
"""Service root of the embedded sandbox. Nothing is sent to it: ``.invalid`` never resolves (RFC 2606, section 2)."""
_SOUND = "`d365-graphql policy check` checks roles; sets and columns have the metadata's names."


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One generation: everything that is needed to serve the API of a metadata document."""

    settings: Settings
    catalog: Catalog
    schema: ODataSchema
    engine: Engine
    client: ODataClient
    dialect: Dialect
    metadata: DocumentOrigin
    observe: Observer
    introspection_store: IntrospectionStore
    """Introspection answers, shared by the generations of the same metadata."""
    profiles: Mapping[str, ProfileSettings] = field(default_factory=dict)
    """The settings of each profile, with its entity sets."""
    policy: Policy | None = None
    """The roles of callers; None: all callers may do the same."""
    view: RoleView | None = None
    """The roles whose view it is; None: it serves all that the settings allow."""
    users: EnvironmentUsers | None = None
    """Tells which users of the environment callers are; None if nothing depends on that."""
    since: float = field(default_factory=time.time)
    """When this metadata began to be served, in seconds since the epoch."""

    def tables(self) -> Iterator[MutableMapping[Any, Any]]:
        """Yield the tables that hold most memory, to be cleared after retirement."""
        yield from self.engine.tables()
        yield from self.schema.tables()

    @property
    def is_sandbox(self) -> bool:
        """Whether the upstream is the embedded sandbox."""
        return self.settings.url is None


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    observe: Observer = log_event,
    progress: Progress | None = None,
    builds: SharedBuilds | None = None,
    audit: AuditLog | None = None,
) -> AsyncIterator[Gateway]:
    """Yield a gateway, and close its connections at the end. ``transport`` replaces the network in tests.

    ``builds``: models that replicas make for each other. ``audit`` records its writes.

    Raises SettingsError, SchemaError, AuthError or UpstreamError if the gateway cannot start.
    """
    async with open_client(settings, transport=transport, observe=observe, audit=audit) as client:
        yield await first_gateway(settings, client, observe, progress, builds)


async def first_gateway(
    settings: Settings,
    client: ODataClient,
    observe: Observer = log_event,
    progress: Progress | None = None,
    builds: SharedBuilds | None = None,
) -> Gateway:
    """Return the gateway of the current metadata. Raises as ``open_gateway`` does."""
    document = await load_metadata(settings, client, progress=progress, observe=observe)
    return await assemble(settings, client, document, observe, progress, builds)


def open_client(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    observe: Observer = log_event,
    audit: AuditLog | None = None,
    answers: AnswerStore | None = None,
    lasting: Lasting | None = None,
) -> ODataClient:
    """Return the client of the configured environment, or of the embedded sandbox.

    ``audit`` records its writes, ``answers`` caches what it reads; by default it has a store of its own. ``lasting``:
    what an earlier client may have left.
    """
    lasting = lasting or Lasting()
    if settings.url is None and transport is None:
        relations = sandbox_relations(settings)
        transport = lasting.sandbox(
            settings, relations, lambda: sandbox_transport(settings.sandbox, relations)
        )
    root = settings.url or SANDBOX_ROOT
    costs = lasting.of_environment(
        settings, "costs", lambda: Costs(learned_file(settings, observe)), settings.cache_dir
    )
    client = ODataClient(
        settings,
        root=root,
        auth=_auth(settings, observe),
        transport=transport,
        observe=costs.observer(with_attempts(observe), root),
    )
    client.inherit(lasting.shutdown, lasting.admissions_of(settings))
    client.costs = costs
    if settings.url is None:
        client.files = transport
    client.callers = _callers(settings, observe)
    if settings.admission.credentials:
        from gateway.odata.auth import lane_sign_ins  # noqa: PLC0415 - importing msal takes 0.1 s

        client.use_credentials(lane_sign_ins(settings, observe))
    client.formats = EnvironmentFormats(settings.cache.ttl or LIFETIME)
    client.audit = audit
    client.ledger = Ledger(settings, observe)
    memory = lasting.of_environment(settings, "sweeps", MemorySweeps)
    client.sweeps = SweepBook(settings, memory)
    client.answers = environment_answers(settings, answers)
    return client


def environment_answers(
    settings: Settings, store: AnswerStore | None = None
) -> EnvironmentAnswers | None:
    """Return what the operations of an environment share; None if that is nothing."""
    options = settings.cache
    if not options.ttl and not options.coalesce:
        return None
    return EnvironmentAnswers(
        environment_in(settings),
        store or AnswerStore(options.max_bytes),
        options,
        apart=frozenset(Lane[name.upper()] for name in settings.admission.credentials),
    )


def _auth(settings: Settings, observe: Observer) -> httpx.Auth | None:
    if settings.auth == "none":
        return None
    from gateway.odata.auth import auth_of  # noqa: PLC0415 - importing msal takes 0.1 s

    return auth_of(settings, observe)


def _callers(settings: Settings, observe: Observer) -> CallerTokens | None:
    if settings.identity == "app":
        return None
    from gateway.odata.auth import callers_of  # noqa: PLC0415 - importing msal takes 0.1 s

    return callers_of(settings, observe)


def sandbox_transport(
    options: SandboxOptions, relations: tuple[Relation, ...] = ()
) -> httpx.AsyncBaseTransport:
    """Return a transport to a new embedded sandbox.

    If it generates rows for a metadata document, these follow the relations that fit the document.
    """
    # Importing SQLAlchemy and the filter grammar takes 0.4 s, and a real environment needs neither.
    from gateway.sandbox import SandboxSettings, create_sandbox  # noqa: PLC0415 - see above

    sandbox_settings = SandboxSettings(**options.knobs(), relations=relations)
    return httpx.ASGITransport(create_sandbox(sandbox_settings))


async def assemble(
    settings: Settings,
    client: ODataClient,
    document: MetadataDocument,
    observe: Observer,
    progress: Progress | None = None,
    builds: SharedBuilds | None = None,
) -> Gateway:
    """Return the gateway of a metadata document. Raises SettingsError, SchemaError, UpstreamError."""
    started = time.perf_counter()
    loaded = await first_model(settings, document, progress, observe, builds)
    settings = await with_preset_services(settings, client, loaded)
    client.formats.forget()
    labels = await read_labels(settings, client, loaded, observe)
    profiles = await read_profiles(settings, client, loaded, document.digest, observe)
    gateway = build(settings, client, document.origin, loaded, labels, observe, profiles)
    gateway = await with_policy(gateway)
    await choose_cached_sets(gateway)
    check_names(settings, gateway.catalog)
    observe(schema_built_event(gateway, time.perf_counter() - started))
    return gateway


def build(
    settings: Settings,
    client: ODataClient,
    metadata: DocumentOrigin,
    loaded: LoadedModel,
    labels: Mapping[str, str],
    observe: Observer,
    profiles: Mapping[str, ProfileSettings] = MappingProxyType({}),
) -> Gateway:
    """Return the gateway of a loaded model. Sends no request, and may run in any thread."""
    dialect = dialect_of(settings, loaded.model)
    client = client.for_dialect(dialect)
    catalog = catalog_of(settings, loaded, dialect, labels, metadata.digest)
    if settings.company_limit:
        observe(company_limit_event(settings, catalog, dialect))
    texts, sets = catalog.labels, len(loaded.model.entity_sets)  # the catalogue's may be shared
    store = introspection_store(settings, metadata.digest, texts, sets)
    schema, engine = executable(catalog, settings, client, dialect, observe, store)
    return Gateway(
        settings=settings,
        catalog=catalog,
        schema=schema,
        engine=engine,
        client=client,
        dialect=dialect,
        metadata=metadata,
        observe=observe,
        introspection_store=store,
        profiles=profiles,
        users=users_of(settings, client, dialect),
    )


def users_of(settings: Settings, client: ODataClient, dialect: Dialect) -> EnvironmentUsers | None:
    """Return the users of the environment, if callers act as these or a role depends on them."""
    if dialect.account is None:
        return None
    is_needed = settings.identity == "caller" or "$user." in settings.model_dump_json(
        include={"roles"}
    )
    return EnvironmentUsers(client, dialect, dialect.account) if is_needed else None


async def with_policy(gateway: Gateway) -> Gateway:
    """Return a gateway with the policy of its settings. Raises SettingsError, UpstreamError."""
    policy = await load_policy(
        gateway.settings,
        gateway.client,
        gateway.dialect,
        gateway.metadata.digest,
        gateway.observe,
    )
    if policy is None:
        return gateway
    require_sound(policy, gateway)
    return replace(gateway, policy=policy)


async def choose_cached_sets(gateway: Gateway) -> None:
    """Decide which sets' answers are cached, by names and categories. Raises SettingsError for a pattern of nothing."""
    answers = gateway.client.answers
    if isinstance(answers, EnvironmentAnswers) and answers.options.ttl:
        answers.cached = await cached_sets(
            gateway.settings,
            gateway.client,
            gateway.dialect,
            gateway.catalog.model,
            gateway.metadata.digest,
            gateway.observe,
        )


def require_sound(policy: Policy, gateway: Gateway) -> None:
    """Raise SettingsError with all problems of a policy over a gateway's metadata."""
    problems = policy_problems(policy, gateway.catalog, gateway.settings)
    # Of a copy: the checks make input types.
    core = fresh_copy(gateway).schema.core
    problems += preset_problems(policy, gateway.catalog, core, gateway.dialect)
    try:
        check_row_rules(policy, gateway.catalog, core, gateway.dialect)
    except SettingsError as error:
        first, *others = error.message.split("\n  ")
        problems += others or [f"{first} {error.hint or ''}".rstrip()]
    if len(problems) == 1:
        raise SettingsError(problems[0], hint=_SOUND)
    if problems:
        lines = "\n  ".join([f"{len(problems)} rules of roles are invalid:", *problems])
        raise SettingsError(lines, hint=_SOUND)


def build_profile(whole: Gateway, name: str) -> Gateway:
    """Return the gateway of a profile of ``whole``. Sends no request, and may run in any thread.

    Raises KeyError for an unknown profile.
    """
    settings = whole.profiles[name]
    loaded = subset_for_profile(settings, whole.catalog, whole.metadata.digest)
    labels = whole.catalog.labels
    profile = build(settings, whole.client, whole.metadata, loaded, labels, whole.observe)
    return replace(profile, since=whole.since, policy=whole.policy)


def executable(
    catalog: Catalog,
    settings: Settings,
    client: ODataClient,
    dialect: Dialect,
    observe: Observer,
    store: IntrospectionStore,
    rules: ViewRules | None = None,
) -> tuple[ODataSchema, Engine]:
    """Return the schema of a catalogue, and what executes its operations; ``rules``: of the roles whose view it is."""
    schema = build_api_schema(settings, catalog, LoadedResolvers(catalog))
    limits = execution_settings(settings)
    engine = Engine(schema, client, dialect, limits, observe, store, rules, formats=client.formats)
    engine.lanes = LaneChoice.of(settings)
    if client.callers is not None:
        engine.reads.identities = client
    if client.audit is not None:
        engine.audit = write_audit(client.audit, settings, dialect)
    engine.once = IdempotentWrites(client.ledger, profile_in(settings))
    if isinstance(client.answers, EnvironmentAnswers):
        touched = TouchedSets(catalog.model)
        engine.reads.sharing = ReadSharing(answers=client.answers, touched=touched)
    if isinstance(client.costs, Costs):
        engine.gate = EarlyRefusal(client, cost_gate(client.costs, settings, engine, observe))
    if isinstance(client.sweeps, SweepBook):
        feeds = engine.changes = ChangeFeeds(engine, settings, client, client.sweeps)
        feeds.others[COMBINATION] = AccountCombinations(engine)
    return schema, engine


def cost_gate(costs: Costs, settings: Settings, engine: Engine, observe: Observer) -> CostGate:
    """Return the gate of an engine, with the limits of its settings."""
    pricing = Pricing(
        dialect=engine.dialect,
        max_url_length=settings.max_url_length,
        seconds=costs.learned.seconds,
        formats=engine.formats,
    )
    return CostGate(costs, pricing, settings.cost, engine.mutations, observe)


def write_audit(log: AuditLog, settings: Settings, dialect: Dialect) -> WriteAudit:
    """Return what the writes of an environment are recorded with."""
    return WriteAudit(
        log=log,
        environment=environment_in(settings) or settings.url or "sandbox",
        company_property=dialect.company_property,
        values=settings.audit.values,
    )


def company_limit_event(settings: Settings, catalog: Catalog, dialect: Dialect) -> CompaniesLimited:
    """Return how many sets ``company_limit`` restricts. Raises SettingsError if the product has no companies."""
    if dialect.company_property is None:
        raise SettingsError(
            f"company_limit: rows of {dialect.title} have no company.",
            hint="Remove company_limit, or set dialect if it was detected wrongly.",
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
    """Return the event for a gateway that took so many seconds to build."""
    catalog = gateway.catalog
    return SchemaBuilt(
        seconds=seconds,
        metadata=gateway.metadata.digest,
        sets=len(catalog.model.entity_sets),
        root_fields=len(catalog.roots),
        findings=catalog.findings,
    )


def fresh_copy(gateway: Gateway) -> Gateway:
    """Return the same gateway without types in memory. May run in any thread."""
    catalog = gateway.catalog.fresh_copy()
    schema, engine = executable(
        catalog,
        gateway.settings,
        gateway.client,
        gateway.dialect,
        gateway.observe,
        gateway.introspection_store,
    )
    return replace(gateway, catalog=catalog, schema=schema, engine=engine)


async def read_labels(
    settings: Settings, client: ODataClient, loaded: LoadedModel, observe: Observer
) -> Mapping[str, str]:
    """Return label texts by id; none if the metadata comes from a file or the product has no label service."""
    language = settings.language
    if language is None or settings.metadata is not None:
        return {}
    dialect = dialect_of(settings, loaded.model)
    if not dialect.has_label_service:
        return {}
    folder = None if settings.url is None else settings.cache_dir
    return await load_labels(
        client,
        dialect.environment_root(client.root),
        loaded.label_ids(),
        language,
        cache_dir=folder,
        observe=observe,
    )


async def read_profiles(
    settings: Settings, client: ODataClient, loaded: LoadedModel, digest: str, observe: Observer
) -> Mapping[str, ProfileSettings]:
    """Return the settings of each profile, with its sets. Raises SettingsError, ExposureError, UpstreamError."""
    if not settings.profiles:
        return {}
    dialect = dialect_of(settings, loaded.model)
    profiles = await load_profile_settings(settings, client, loaded.model, dialect, digest, observe)
    for profile in profiles.values():
        write_rules(profile)  # so that its errors stop the start, not the first request
    return profiles
