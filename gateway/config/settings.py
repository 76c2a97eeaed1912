"""The settings table.

Each field of :class:`Settings` has a type, a default and a description, which feed the parser, the documentation and
``d365-graphql settings``. ``loading`` reads the values; ``setting_models`` holds settings that are tables themselves.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from schema.errors import did_you_mean

from .admission_models import AdmissionOptions
from .aggregate_models import AggregateOptions
from .audit_models import AdminOptions, AuditOptions
from .cache_models import CacheOptions
from .change_models import ChangeOptions
from .cost_models import CostOptions
from .credential_models import CredentialOptions
from .document_models import DocumentOptions
from .encryption_keys import EncryptionKey, EncryptionKeys
from .environment_models import Environments, HostPattern
from .hook_models import HookOptions
from .inbound_models import InboundOptions
from .job_models import JobOptions
from .linking_models import LinkingOptions
from .package_models import PackageOptions
from .replica_models import ReplicaOptions
from .role_models import Roles
from .scim_models import ScimOptions
from .server_settings import ServerSettings
from .setting_checks import (
    check_certificates,
    check_companies,
    check_documents,
    check_environments,
    check_lane_credentials,
    check_profiles,
    derived_defaults,
)
from .setting_models import (
    FederationOptions,
    Profiles,
    SandboxOptions,
    SubscriptionOptions,
)
from .shutdown_models import ShutdownOptions
from .telemetry_models import LogOptions, MetricsOptions, TracingOptions
from .unified_models import UnifiedOptions
from .value_types import (
    DocsUrl,
    Folder,
    Origins,
    PageAccess,
    SecretKey,
    SecretKeys,
    Store,
)
from .webhook_models import WebhookOptions
from .write_models import WriteOptions

PREFIX = "D365_"
NESTED = "__"


class Settings(ServerSettings):
    """Effective values. ``load_settings`` makes them; in tests, keywords do, and nothing else is read."""

    model_config = SettingsConfigDict(
        defer_build=False,
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter=NESTED,
        hide_input_in_errors=True,
    )

    cache_dir: Folder = Field(
        default=None,
        description="Folder that caches metadata, labels and introspection; none: no cache. Not set: the cache"
        " folder of the platform.",
    )
    metadata_max_age: float = Field(
        default=86_400.0,
        ge=0,
        description="Seconds for which cached metadata is used if the service sends no ETag.",
    )
    metadata_poll: float = Field(
        default=900.0,
        ge=0,
        description="Seconds between checks for new metadata (±10 % jitter); 0: never. The sandbox is not"
        " checked.",
    )
    admin_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Token of the administrator: POST /admin/reload (Authorization: Bearer …) and pages"
        " restricted to admin. Not set: there is no /admin/reload.",
    )
    max_types: int = Field(
        default=3_000,
        ge=1,
        description="GraphQL types kept in memory; beyond, the schema is replaced by a fresh one.",
    )
    data_dir: Folder = Field(
        default=None,
        description="Folder of what the gateway stores and cannot make again (API keys, environments, audit, its own"
        " keys); none: nothing is stored. Not set: the data folder of the platform.",
    )
    store: Store = Field(
        default="sqlite",
        description="Where API keys, environments and idempotency keys are stored: sqlite: a database in data_dir;"
        " postgresql://USER:PASSWORD@HOST/DATABASE: PostgreSQL, for several replicas; none: there are none.",
    )
    secret_key: SecretKey | None = Field(
        default=None,
        description="Secret that encrypts answers under idempotency keys and, if roles are configured, seals cursors"
        " and hashes masked values; equal in all replicas. Not set: a key of its own in data_dir.",
    )
    secret_key_old: SecretKeys = Field(
        default=(),
        description="Earlier values of secret_key: what they sealed can still be read.",
    )
    encryption_key: EncryptionKey | None = Field(
        default=None,
        description="Key that encrypts the keys of secrets in the store: base64 of 32 bytes, or the address of a key"
        " in Key Vault (https://VAULT.vault.azure.net/keys/NAME); equal in all replicas, read at start. Not set: a key"
        " of its own in data_dir; with PostgreSQL it must be set.",
    )
    encryption_key_old: EncryptionKeys = Field(
        default=(),
        description="Further values of encryption_key: what they encrypted can be read, and they encrypt nothing."
        " `secrets rotate` encrypts it anew.",
    )
    introspection: bool = Field(
        default=True,
        description="Whether clients may introspect the schema (__schema, __type, _service) and errors suggest"
        " names.",
    )
    graphiql: PageAccess = Field(
        default=True,
        description="Whether /graphiql is served; admin: only to clients that send admin_token as the password"
        " (HTTP Basic).",
    )
    environment_kind: Literal["production", "test", "development"] | None = Field(
        default=None,
        description="Kind of environment shown in GraphiQL's badge. Not set: derived from the host name.",
    )
    docs_url: DocsUrl | None = Field(
        default=None,
        description="Address or path at which this documentation is published; GraphiQL then links to its chapters.",
    )
    explain: PageAccess | None = Field(
        default=None,
        description="Whether clients may see plans, upstream requests and timings; admin: only with admin_token."
        " Not set: as graphiql.",
    )
    cors_origins: Origins = Field(
        default=(), description="Origins whose web pages may call the API; *: all."
    )
    log_format: Literal["console", "json"] = Field(default="console", description="Log format.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Minimum level of log events."
    )
    max_body_bytes: int = Field(
        default=1_000_000, ge=1_000, description="Maximum size of a request body, in bytes."
    )
    max_query_tokens: int = Field(
        default=15_000, ge=100, description="Maximum length of a document, in tokens."
    )
    max_depth: int = Field(default=15, ge=1, description="Maximum nesting of selections.")
    max_root_fields: int = Field(
        default=250, ge=1, description="Maximum fields of Query in one operation."
    )
    max_selections: int = Field(
        default=10_000,
        ge=1,
        description="Maximum fields of an operation; those of a fragment count wherever it is spread.",
    )
    max_aliases: int = Field(
        default=500, ge=0, description="Maximum aliases of an operation, counted in the same way."
    )
    max_directives: int = Field(default=500, ge=0, description="Maximum directives of a document.")
    read_only: bool = Field(default=False, description="Serve no mutations.")
    profiles: Profiles = Field(
        default={},
        description="Parts of the catalogue, each served as an API of its own at /graphql/NAME.",
    )
    serve_all: bool = Field(
        default=True,
        description="Whether /graphql serves the whole catalogue; false: only profiles are served.",
    )
    roles: Roles = Field(
        default={},
        validate_default=True,
        description="Roles of callers: the entity sets, columns, rows and rights of each. Not set: every caller may"
        " do what the settings allow.",
    )
    roles_file: Folder = Field(
        default=None, description="TOML file with further roles, as tables [roles.NAME]."
    )
    environments: Environments = Field(
        default={},
        description="Further environments, each served at /e/NAME/graphql: url, tenant_id, credentials, companies,"
        " limits and others of their own.",
    )
    stored_environments: bool = Field(
        default=False,
        description="Whether environments in the store are served besides those of the settings. They are added and"
        " changed while the gateway runs.",
    )
    environment_host: HostPattern | None = Field(
        default=None,
        description="Host names that name environments: {environment}.erp.example.com. They are allowed_hosts, too.",
    )
    environment_idle: float = Field(
        default=600.0,
        gt=0,
        description="Seconds after its last request or subscription until an environment is closed. The next request"
        " opens it again.",
    )
    default_environment: bool = Field(
        default=True,
        description="Whether requests that name no environment are answered by that of the settings (url, or the"
        " sandbox); false: only environments are served.",
    )
    credentials: CredentialOptions = Field(
        default=CredentialOptions.model_construct(),
        description="Credentials other than the client secret.",
    )
    writes: WriteOptions = Field(
        default=WriteOptions.model_construct(),
        description="Which writes are allowed, and how they are sent.",
    )
    aggregates: AggregateOptions = Field(
        default=AggregateOptions.model_construct(),
        description="Counts, sums and groups of the rows of lists.",
    )
    unified: UnifiedOptions = Field(
        default=UnifiedOptions.model_construct(), description="Unified models, such as `directory`."
    )
    scim: ScimOptions = Field(
        default=ScimOptions.model_construct(),
        description="Users and groups for programs that speak SCIM.",
    )
    subscriptions: SubscriptionOptions = Field(
        default=SubscriptionOptions.model_construct(), description="Subscriptions."
    )
    changes: ChangeOptions = Field(
        default=ChangeOptions.model_construct(), description="Changes of lists since a cursor."
    )
    documents: DocumentOptions = Field(
        default=DocumentOptions.model_construct(),
        description="Trusted documents, which clients name.",
    )
    federation: FederationOptions = Field(
        default=FederationOptions.model_construct(),
        description="The API as an Apollo Federation subgraph.",
    )
    cache: CacheOptions = Field(
        default=CacheOptions.model_construct(),
        description="Answers of the environment that are cached for a while.",
    )
    replicas: ReplicaOptions = Field(
        default=ReplicaOptions.model_construct(),
        description="What the replicas of a deployment share, and where.",
    )
    inbound: InboundOptions = Field(
        default=InboundOptions.model_construct(), description="Callers: how they sign in."
    )
    admission: AdmissionOptions = Field(
        default=AdmissionOptions.model_construct(),
        description="Admission: who is next while the environment is busy.",
    )
    audit: AuditOptions = Field(
        default=AuditOptions.model_construct(), description="The audit log: who did what."
    )
    admin: AdminOptions = Field(
        default=AdminOptions.model_construct(),
        description="The second listener, for those who run the gateway.",
    )
    metrics: MetricsOptions = Field(
        default=MetricsOptions.model_construct(),
        description="Metrics, for Prometheus and for people.",
    )
    log: LogOptions = Field(default=LogOptions.model_construct(), description="What is logged.")
    tracing: TracingOptions = Field(
        default=TracingOptions.model_construct(),
        description="Traces, for a collector of OpenTelemetry.",
    )
    shutdown: ShutdownOptions = Field(
        default=ShutdownOptions.model_construct(),
        description="From SIGTERM to the end of the process.",
    )
    linking: LinkingOptions = Field(
        default=LinkingOptions.model_construct(),
        description="Environments that are added at run time: their addresses, and the page on which customers link"
        " theirs.",
    )
    hooks: HookOptions = Field(
        default=HookOptions.model_construct(),
        description="Events that environments report to the gateway.",
    )
    webhooks: WebhookOptions = Field(
        default=WebhookOptions.model_construct(), description="Webhooks of the changes of lists."
    )
    jobs: JobOptions = Field(
        default=JobOptions.model_construct(), description="Jobs, which run in the background."
    )
    packages: PackageOptions = Field(
        default=PackageOptions.model_construct(),
        description="Exports as data packages of Finance & Operations.",
    )
    cost: CostOptions = Field(
        default=CostOptions.model_construct(),
        description="What operations may cost the environment.",
    )
    sandbox: SandboxOptions = Field(
        default=SandboxOptions.model_construct(), description="Behaviour of the embedded sandbox."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic-settings' signature, by keyword)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (likewise)
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (likewise)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (likewise)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return keywords as the only source: ``load_settings`` has merged the layers, to know each value's place."""
        return (init_settings,)

    @property
    def is_sandbox(self) -> bool:
        """Whether the embedded sandbox is the upstream, with its own metadata."""
        return self.url is None and self.metadata is None and self.sandbox.metadata is None

    @property
    def explains(self) -> bool | Literal["admin"]:
        """Who may see plans and upstream requests: the setting ``explain``, by default as ``graphiql``."""
        return self.graphiql if self.explain is None else self.explain

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Derive defaults that depend on other values."""
        return {**values, **derived_defaults(values)}

    @field_validator("company_limit_shared")
    @classmethod
    def _is_within_limit(cls, value: object, info: ValidationInfo) -> object:
        check_companies(info.data)
        return value

    @field_validator("max_page_size")
    @classmethod
    def _is_not_below_default(cls, value: int, info: ValidationInfo) -> int:
        default = info.data.get("default_page_size")
        if default is not None and value < default:
            raise ValueError(f"expected at least default_page_size ({default})")
        return value

    @field_validator("graphiql", "explain")
    @classmethod
    def _has_password(cls, value: bool | str | None, info: ValidationInfo) -> bool | str | None:
        if value == "admin" and info.data.get("admin_token") is None:
            raise ValueError("admin needs the setting admin_token, which is the password")
        return value

    @field_validator("profiles")
    @classmethod
    def _fits_service(cls, value: Profiles, info: ValidationInfo) -> Profiles:
        check_profiles(value, info.data)
        return value

    @field_validator("roles")
    @classmethod
    def _has_roles_of_profiles(cls, value: Roles, info: ValidationInfo) -> Roles:
        for name, profile in info.data.get("profiles", {}).items():
            for role in profile.roles:
                if role not in value:
                    raise ValueError(
                        f"profiles.{name}.roles: there is no role {role}.{did_you_mean(role, value)}"
                    )
        return value

    @field_validator("admission")
    @classmethod
    def _signs_in(cls, value: AdmissionOptions, info: ValidationInfo) -> AdmissionOptions:
        check_lane_credentials(value, info.data)
        return value

    @field_validator("documents")
    @classmethod
    def _has_manifest(cls, value: DocumentOptions, info: ValidationInfo) -> DocumentOptions:
        check_documents(value, info.data)
        return value

    @field_validator("inbound")
    @classmethod
    def _has_proxies(cls, value: InboundOptions, info: ValidationInfo) -> InboundOptions:
        check_certificates(value, info.data)
        return value

    @field_validator("default_environment", "stored_environments", "linking")
    @classmethod
    def _has_environments(cls, value: Any, info: ValidationInfo) -> Any:
        check_environments(info.field_name, value, info.data)
        return value

    @field_validator("serve_all")
    @classmethod
    def _serves_something(cls, value: bool, info: ValidationInfo) -> bool:
        if not value and not info.data.get("profiles"):
            raise ValueError("false needs profiles: nothing else would be served")
        return value


def _groups() -> dict[str, type[BaseModel]]:
    types = ((name, field.annotation) for name, field in Settings.model_fields.items())
    return {n: t for n, t in types if inspect.isclass(t) and issubclass(t, BaseModel)}


GROUPS: Mapping[str, type[BaseModel]] = _groups()
"""Settings that are tables of settings."""
