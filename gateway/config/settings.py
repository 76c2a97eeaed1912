"""What can be set.

:class:`Settings` is the one table: each field's type, default and help text feed the parser, the settings' table
(README, the ``settings`` command) and what ``d365-graphql settings`` prints. Where values come from is
``setting_sources``; settings that are tables of settings are ``setting_groups``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from .setting_models import (
    FederationOptions,
    Profiles,
    Relation,
    SandboxOptions,
    SubscriptionOptions,
    WriteOptions,
)
from .value_types import (
    Authority,
    Folder,
    HostNames,
    Json,
    Names,
    NamesOrAll,
    Origins,
    PageAccess,
    ProxyAddresses,
    RootPath,
    ServiceRoot,
    Text,
)

PREFIX = "D365_"
NESTED = "__"


class Settings(BaseSettings):
    """Effective values; build them with ``load_settings``, or by keyword in tests (nothing else is read then)."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter=NESTED,
        hide_input_in_errors=True,
    )

    url: ServiceRoot | None = Field(
        default=None,
        description="Service root, e.g. https://x.operations.dynamics.com/data. Not set: the embedded sandbox.",
    )
    dialect: Literal["finops", "odata"] | None = Field(
        default=None,
        description="How the service speaks OData. Not set: guessed from the metadata.",
    )
    null_order: Literal["first", "last", "unknown"] | None = Field(
        default=None,
        description="Where the service sorts nulls in ascending order. Not set: as the dialect knows; unknown: first is"
        " assumed, and checked.",
    )
    guid_order: bool | None = Field(
        default=None,
        description="Whether the service compares Guids (gt, lt) in the order in which it sorts them; cursors then hold"
        " them. Not set: as the dialect knows.",
    )
    unkeyed_paging: Literal["auto", "links", "skip"] | None = Field(
        default=None,
        description="How lists go on whose order no cursor can hold (Guids, enums): links: the service's next links;"
        " skip: positions; auto: links where they come, else positions. Not set: as the dialect knows.",
    )
    page_limit: int | None = Field(
        default=None,
        ge=1,
        description="Rows that an upstream page has at most. Not set: as the dialect knows.",
    )
    metadata: str | None = Field(
        default=None,
        description="File (.xml, .xml.gz) or address of the metadata document. Not set: {url}/$metadata.",
    )
    auth: Literal["client_credentials", "none"] = Field(
        default="none",
        description="How to sign in upstream. Not set: client_credentials for a url, none for the sandbox.",
    )
    tenant_id: str | None = Field(
        default=None, description="Microsoft Entra tenant (id or domain)."
    )
    client_id: str | None = Field(default=None, description="Application (client) id.")
    client_secret: SecretStr | None = Field(default=None, description="Secret of the application.")
    authority: Authority = Field(
        default="https://login.microsoftonline.com",
        description="Login host; sovereign clouds have their own.",
    )
    scope: str | None = Field(
        default=None, description="Scope of the token. Not set: the url's origin + /.default."
    )
    companies: Names = Field(
        default=(),
        description="Legal entities served by default. Empty: all that the account may read.",
    )
    company_limit: Names = Field(
        default=(),
        description="Legal entities outside which nothing is read or written, whatever is asked. Empty: no bound.",
    )
    company_limit_shared: NamesOrAll = Field(
        default=True,
        description="Whether data without a legal entity are served under company_limit; or patterns of such sets.",
    )
    default_page_size: int = Field(
        default=50, ge=1, description="Rows of a list without first or last."
    )
    max_page_size: int = Field(default=1_000, ge=1, description="Highest first or last.")
    operation_timeout: float = Field(
        default=120.0, gt=0, description="Seconds for an operation; no limit to writes under way."
    )
    max_url_length: int = Field(
        default=2_000,
        ge=200,
        le=60_000,
        description="Longest encoded address sent upstream, counted behind the service root.",
    )
    max_rows: int = Field(
        default=100_000,
        ge=1,
        description="Rows that may be followed over upstream pages for one list.",
    )
    max_filtered_rows: int = Field(
        default=100_000,
        ge=1,
        description="Rows that an operation may read to filter them in the gateway (text that holds a star).",
    )
    max_upstream_bytes: int = Field(
        default=256_000_000, ge=1_000, description="Largest upstream answer, in bytes."
    )
    concurrency: int = Field(default=16, ge=1, le=52, description="Upstream requests at a time.")
    connect_timeout: float = Field(default=10.0, gt=0, description="Seconds to connect.")
    read_timeout: float = Field(
        default=60.0, gt=0, description="Seconds between two pieces of an answer."
    )
    answer_timeout: float = Field(
        default=300.0, gt=0, description="Seconds for a whole upstream answer, writes included."
    )
    retries: int = Field(default=4, ge=0, le=20, description="Further attempts at a read.")
    retry_wait_max: float = Field(
        default=30.0,
        ge=0,
        description="Longest wait before an attempt, in seconds, where the service names none.",
    )
    expand: Literal["auto", "never"] = Field(
        default="auto", description="Whether $expand may be used; never: key batches only."
    )
    clean_noyes: bool = Field(default=True, description="The enum NoYes is a Boolean.")
    clean_null_dates: bool = Field(default=True, description="1900-01-01 is null.")
    clean_dates: bool = Field(default=True, description="X++ dates are Date, not DateTime.")
    account_numbers: Names = Field(
        default=(),
        description="Display values that hold customer, vendor or bank accounts only, as Type.Property: shown and"
        " taken as US-009 instead of US\\-009.",
    )
    language: Text = Field(
        default=None,
        description="Language of label texts in descriptions, e.g. en-US; none: names only. Not set: none, for the"
        " sandbox en-US. F&O may want one request for each label, once.",
    )
    names: Annotated[dict[str, str], NoDecode, Json] = Field(
        default={}, description="Renames: qualified CSDL path = GraphQL name."
    )
    include: Names = Field(default=(), description="Patterns of entity sets to serve. Empty: all.")
    exclude: Names = Field(default=(), description="Patterns of entity sets to leave out.")
    relations: Annotated[tuple[Relation, ...], NoDecode, Json] = Field(
        default=(),
        description="Relations beside the metadata's: from_set, fields, to_set, to_fields, name, inverse, many.",
    )
    relation_presets: bool = Field(
        default=True,
        description="Whether relations that the product is known to have are added where sets and fields are served.",
    )
    cache_dir: Folder = Field(
        default=None,
        description="Folder for metadata and labels; none: no cache. Not set: the platform's cache folder.",
    )
    metadata_max_age: float = Field(
        default=86_400.0,
        ge=0,
        description="Seconds for which cached metadata without an ETag are used.",
    )
    metadata_poll: float = Field(
        default=900.0,
        ge=0,
        description="Seconds between two looks for new metadata, give or take a tenth; 0: none. The sandbox is never"
        " looked at.",
    )
    admin_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Token for POST /admin/reload (Authorization: Bearer …). Not set: there is no such path.",
    )
    max_types: int = Field(
        default=3_000,
        ge=1,
        description="GraphQL types in memory before a fresh schema takes the place of the old one.",
    )
    host: str = Field(default="127.0.0.1", description="Interface to listen on.")
    port: int = Field(
        default=8_000, ge=0, le=65_535, description="Port to listen on; 0: any free one."
    )
    keep_alive: float = Field(
        default=75.0,
        gt=0,
        description="Seconds for which a connection stays open between two requests; more than a load balancer's.",
    )
    send_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Seconds in which a client must take 64 KiB of what waits for it, or be cut.",
    )
    max_connections: int = Field(
        default=2_000, ge=1, description="Connections at a time, of a worker; beyond: 503."
    )
    max_connections_per_peer: int = Field(
        default=500, ge=1, description="The same of one client; trusted_proxies name theirs."
    )
    max_waiting_bytes: int = Field(
        default=256_000_000,
        ge=1_000_000,
        description="Bytes of answers that wait for clients to take them, of a worker; beyond: 503. A WebSocket may"
        " hold a quarter.",
    )
    allowed_hosts: HostNames = Field(
        default=(),
        description="Names by which clients call the gateway: api.example.com, *.example.com; *: any. Addresses,"
        " localhost and the name in host always pass.",
    )
    trusted_proxies: ProxyAddresses = Field(
        default=(),
        description="Addresses or networks of proxies whose Forwarded and X-Forwarded-* headers are believed.",
    )
    root_path: RootPath = Field(
        default="", description="Path below which a proxy serves the gateway, e.g. /erp."
    )
    introspection: bool = Field(
        default=True,
        description="Whether __schema, __type and _service are answered, and errors suggest names.",
    )
    compression: bool = Field(
        default=True, description="Whether answers are compressed (zstd, br, gzip)."
    )
    compress_over: int = Field(
        default=1_024, ge=0, description="Bytes above which an answer is compressed."
    )
    graphiql: PageAccess = Field(
        default=True,
        description="Whether /graphiql is served; admin: to who gives admin_token as the password (HTTP Basic).",
    )
    environment_kind: Literal["production", "test", "development"] | None = Field(
        default=None,
        description="What GraphiQL's badge calls the environment. Not set: what its host tells.",
    )
    explain: PageAccess | None = Field(
        default=None,
        description="Whether plans, upstream requests and their timings are told; admin: to who gives admin_token."
        " Not set: as graphiql.",
    )
    cors_origins: Origins = Field(
        default=(), description="Origins whose pages may call the API from a browser; *: all."
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="Form of the log."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    max_body_bytes: int = Field(
        default=1_000_000, ge=1_000, description="Largest request body, in bytes."
    )
    max_query_tokens: int = Field(
        default=15_000, ge=100, description="Longest document, in tokens."
    )
    max_depth: int = Field(default=15, ge=1, description="Deepest nesting of selections.")
    max_root_fields: int = Field(default=250, ge=1, description="Most fields of Query at a time.")
    max_selections: int = Field(
        default=10_000, ge=1, description="Most fields; a fragment's count wherever it is spread."
    )
    max_aliases: int = Field(default=500, ge=0, description="Most aliases, counted likewise.")
    max_directives: int = Field(default=500, ge=0, description="Most directives of a document.")
    read_only: bool = Field(default=False, description="Serves no mutations at all.")
    profiles: Profiles = Field(
        default={},
        description="Slices of the catalogue, each with an API of its own at /graphql/NAME.",
    )
    serve_all: bool = Field(
        default=True, description="Whether /graphql serves the whole catalogue beside profiles."
    )
    writes: WriteOptions = Field(
        default=WriteOptions(), description="What may be written, and how."
    )
    subscriptions: SubscriptionOptions = Field(
        default=SubscriptionOptions(), description="Subscriptions."
    )
    federation: FederationOptions = Field(
        default=FederationOptions(), description="The API as a subgraph."
    )
    sandbox: SandboxOptions = Field(
        default=SandboxOptions(), description="The embedded sandbox's behaviour."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic-settings' signature, by keyword)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keywords only: ``load_settings`` has merged the layers, so that it can say where a bad value stands."""
        return (init_settings,)

    @property
    def is_sandbox(self) -> bool:
        """Whether the embedded sandbox answers, with its own metadata."""
        return self.url is None and self.metadata is None and self.sandbox.metadata is None

    @property
    def explains(self) -> bool | Literal["admin"]:
        """Who is told plans and upstream requests."""
        return self.graphiql if self.explain is None else self.explain

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill in what follows from other values."""
        derived: dict[str, Any] = {}
        if values.get("auth") is None:
            signs_in = bool(values.get("url") and values.get("tenant_id"))
            derived["auth"] = "client_credentials" if signs_in else "none"
        if "language" not in values and not values.get("url"):
            derived["language"] = "en-US"
        if values.get("scope") is None and isinstance(values.get("url"), str):
            parts = urlsplit(values["url"].strip())
            derived["scope"] = f"{parts.scheme}://{parts.netloc.lower()}/.default"
        return {**values, **derived}

    @field_validator("company_limit_shared")
    @classmethod
    def _within(cls, value: object, info: ValidationInfo) -> object:
        inside = {company.casefold() for company in info.data.get("company_limit", ())}
        companies = info.data.get("companies", ())
        outside = [c for c in companies if inside and c.casefold() not in inside]
        if outside:
            raise ValueError(f"companies names {', '.join(outside)}, outside company_limit")
        return value

    @field_validator("max_page_size")
    @classmethod
    def _not_below_default(cls, value: int, info: ValidationInfo) -> int:
        default = info.data.get("default_page_size")
        if default is not None and value < default:
            raise ValueError(f"at least default_page_size ({default}) was expected")
        return value

    @field_validator("graphiql", "explain")
    @classmethod
    def _has_password(cls, value: bool | str | None, info: ValidationInfo) -> bool | str | None:
        if value == "admin" and info.data.get("admin_token") is None:
            raise ValueError("admin needs admin_token: it is the password")
        return value

    @field_validator("profiles")
    @classmethod
    def _fit(cls, value: Profiles, info: ValidationInfo) -> Profiles:
        pages = [info.data.get(name) for name in ("default_page_size", "max_page_size")]
        known = info.data.get("company_limit", ()) or info.data.get("companies", ())
        companies = {company.casefold() for company in known}
        for name, profile in value.items():
            default, most = profile.default_page_size or pages[0], profile.max_page_size or pages[1]
            if default is not None and most is not None and most < default:
                raise ValueError(
                    f"{name}: max_page_size {most} is less than default_page_size {default}"
                )
            named = (*profile.companies, *profile.company_limit)
            beyond = [c for c in named if companies and c.casefold() not in companies]
            if beyond:
                raise ValueError(
                    f"{name}: {', '.join(beyond)} is not among the service's companies"
                )
        return value

    @field_validator("serve_all")
    @classmethod
    def _serves_something(cls, value: bool, info: ValidationInfo) -> bool:
        if not value and not info.data.get("profiles"):
            raise ValueError("without profiles there is nothing else to serve")
        return value


def _groups() -> dict[str, type[BaseModel]]:
    fields = Settings.model_fields.items()
    found = ((name, field.annotation) for name, field in fields)
    return {n: a for n, a in found if inspect.isclass(a) and issubclass(a, BaseModel)}


GROUPS: Mapping[str, type[BaseModel]] = _groups()
"""Settings that are tables of settings."""
