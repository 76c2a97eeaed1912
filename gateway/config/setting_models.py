"""Settings that are tables: relations, profiles, subscriptions, federation, the sandbox."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import NoDecode

from .custom_field_models import CustomFields
from .document_models import DocumentMode
from .value_types import Json, Names, split


class Relation(BaseModel):
    """A relation that the metadata lacks: from rows of ``from_set`` to the rows of ``to_set`` with equal fields."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    from_set: str
    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    to_set: str
    to_fields: tuple[str, ...] = ()
    """Empty: the fields of the same names, or the key of ``to_set``."""
    name: str
    inverse: str | None = None
    many: bool | None = None
    """None: to one exactly if ``to_fields`` cover the key of ``to_set``."""

    @model_validator(mode="after")
    def _has_as_many_to_fields(self) -> Relation:
        if self.to_fields and len(self.fields) != len(self.to_fields):
            raise ValueError(
                f"fields and to_fields must be equally long, not {len(self.fields)} and {len(self.to_fields)}"
            )
        return self


class Profile(BaseModel):
    """A part of the catalogue with an API of its own. Fields that are not set are as in the settings of the service.

    It serves the entity sets that match ``include`` (empty: all), are in one of the ``categories`` (empty: any) and do
    not match ``exclude``. It also serves ``sets``, and only these if ``include`` and ``categories`` are empty.
    """

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    title: str | None = None
    description: str | None = None
    include: Names = ()
    exclude: Names = ()
    categories: Names = ()
    """Categories of data entities: Master, Reference, Transaction, Document, Parameters, Configuration."""
    sets: Names = ()
    services: Names = ()
    """Names of custom services. A profile has no others."""
    roles: Names = ()
    """Roles of the callers who may use it; to others it does not exist. Empty: all callers."""
    companies: Names = ()
    company_limit: Names = ()
    """Narrower than the service's."""
    read_only: bool | None = None
    introspection: bool | None = None
    default_page_size: int | None = Field(default=None, ge=1)
    max_page_size: int | None = Field(default=None, ge=1)
    max_rows: int | None = Field(default=None, ge=1)
    operation_timeout: float | None = Field(default=None, gt=0)
    max_depth: int | None = Field(default=None, ge=1)
    max_root_fields: int | None = Field(default=None, ge=1)
    max_selections: int | None = Field(default=None, ge=1)
    max_aliases: int | None = Field(default=None, ge=0)
    max_directives: int | None = Field(default=None, ge=0)
    documents: DocumentMode | None = None
    """Which documents run."""


_PROFILE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
RESERVED = frozenset(
    {
        *("assets", "callback", "config", "documents", "explain"),
        *("schema", "search", "slice", "stream"),
    }
)
"""Path segments after ``/graphql/`` and ``/graphiql/`` that the gateway itself uses."""


def _check_names(profiles: dict[str, Profile]) -> dict[str, Profile]:
    for name in profiles:
        if not _PROFILE_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a profile name: lower-case letters, digits, - and _, starting with a letter"
            )
        if name in RESERVED:
            raise ValueError(
                f"{name!r} is part of the gateway's own addresses; choose another profile name"
            )
    return profiles


Profiles: TypeAlias = Annotated[dict[str, Profile], NoDecode, Json, AfterValidator(_check_names)]
"""Profiles by name, which is the last segment of their address."""


# https://specs.apollo.dev/tag/v0.3/#@tag
_TAG = re.compile(r"[_A-Za-z][_0-9A-Za-z/-]{0,127}")


def _federation_version(value: str) -> str:
    if not re.fullmatch(r"2\.(\d|1[0-4])", value):
        raise ValueError("accepted: 2.0 to 2.14")
    return value


def _root_prefix(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z][0-9A-Za-z]*", value):
        raise ValueError("accepted: letters and digits, starting with a letter")
    return value


def _type_prefix(value: str) -> str:
    if value and not re.fullmatch(r"[A-Z][0-9A-Za-z]*", value):
        raise ValueError("accepted: letters and digits, starting with a capital letter")
    return value


def _tags(values: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for tag in (tag for tags in values.values() for tag in tags):
        if not _TAG.fullmatch(tag):
            raise ValueError(
                f"{tag!r} is not a tag: letters, digits, _, - and /, at most 128, starting with a letter or _"
            )
    return values


class FederationOptions(BaseModel):
    """The API as a subgraph of Apollo Federation v2."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    enabled: bool = Field(default=True, description="Whether _service and _entities are served.")
    version: Annotated[str, AfterValidator(_federation_version)] = Field(
        default="2.9",
        description="Version of the federation specification that the subgraph links, 2.0 to 2.14. @cost and"
        " @listSize need 2.9, the latest that The Guild's composer accepts; Apollo's accepts all.",
    )
    prefix: Annotated[str, AfterValidator(_root_prefix)] = Field(
        default="",
        description="Prefix of the fields of Query and Mutation, except node and nodes: erp gives erpCustomersV3.",
    )
    type_prefix: Annotated[str, AfterValidator(_type_prefix)] = Field(
        default="",
        description="Prefix of entity, complex and enum types and of types derived from them: Eu gives"
        " EuCustomerV3.",
    )
    node: Literal["inaccessible", "omit", "shared"] = Field(
        default="inaccessible",
        description="Node, node and nodes in a supergraph: inaccessible hides them, omit leaves them out, shared"
        " shares them with other subgraphs.",
    )
    unified: Literal["own", "shared"] = Field(
        default="own",
        description="Unified models in a supergraph: own for the only gateway that has them there, or with a"
        " type_prefix; shared if several gateways of different entity sets have them.",
    )
    tags: Annotated[dict[str, Names], NoDecode, Json, AfterValidator(_tags)] = Field(
        default={},
        description="Pattern of entity sets = @tag names of their types and root fields.",
    )


class SandboxOptions(BaseModel):
    """Behaviour of the embedded sandbox, which imitates Finance & Operations."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    scale: float = Field(default=1.0, gt=0, description="Factor for the number of rows.")
    seed: int = Field(default=1, description="Seed of the generated data.")
    hostile_rows: bool = Field(
        default=False,
        description="Whether to add rows with difficult texts (quotes, wildcards, blanks, other scripts).",
    )
    latency_ms: float = Field(default=0.0, ge=0, description="Milliseconds added to each response.")
    throttle: str | None = Field(
        default=None,
        pattern=r"^every=[1-9]\d*(,retry-after=\d+)?$",
        description="Answer every n-th request with 429: every=5 or every=5,retry-after=1.",
    )
    capacity: str | None = Field(
        default=None,
        pattern=r"^[1-9]\d*(,[1-9]\d*)*$",
        description="Requests answered at a time: 8, or 8,3,8, one number after the other. Each takes latency_ms, and"
        " ms_per_kib for its answer; others wait, or are answered 429. Not set: no limit.",
    )
    capacity_every: float = Field(
        default=60.0, gt=0, description="Seconds of each number of capacity."
    )
    busy_above: float = Field(
        default=3.0,
        ge=1,
        description="Requests that wait or are answered, as a multiple of capacity, beyond which one is answered 429.",
    )
    busy_retry_after: int | None = Field(
        default=None,
        ge=0,
        description="Seconds that these 429 responses name (Retry-After). Not set: none.",
    )
    ms_per_kib: float = Field(
        default=0.0, ge=0, description="Milliseconds per KiB of a response, if capacity is set."
    )
    priorities: dict[str, Literal["high", "medium", "low"]] = Field(
        default={},
        description="Application (client id) = high, medium or low: those of low priority are answered 429 first."
        " Others have medium.",
    )
    page_limit: int = Field(default=10_000, ge=1, description="Maximum rows of one upstream page.")
    organization: Annotated[str, Field(min_length=1, max_length=40)] = Field(
        default="Contoso",
        description="Whose environment it is: in the names of companies and the addresses of users.",
    )
    companies: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z0-9]{1,4}$")], ...],
        NoDecode,
        BeforeValidator(split),
    ] = Field(
        default=(),
        description="Ids of the legal entities, the main one first. Empty: usmf, usrt, demf, dat.",
    )
    custom_fields: CustomFields = Field(
        default={},
        description="Fields that its entity sets have besides those of Finance & Operations, and sets of its own.",
    )
    metadata: Path | None = Field(
        default=None,
        description="Metadata document to serve with generated rows instead of the built-in catalogue.",
    )
    database: Path | None = Field(default=None, description="SQLite file. Not set: in memory.")
    next_link: Literal["skip", "skiptoken"] = Field(
        default="skip", description="Query option by which next links continue."
    )
    refuse_skip: bool = Field(
        default=False,
        description='Whether $skip is refused, as Dataverse does; next links then need next_link = "skiptoken".',
    )
    honour_maxpagesize: bool = Field(
        default=False, description="Whether Prefer: odata.maxpagesize is honoured."
    )
    null_order: Literal["first", "last"] = Field(
        default="first", description="Where nulls sort in ascending order."
    )
    null_logic: Literal["specification", "sql"] = Field(
        default="specification",
        description="Whether a comparison with null is false, so that its negation is true, or unknown, as in"
        " SQL. Has no effect on F&O's documents, which have no nulls.",
    )
    text_case: Literal["ignored", "distinguished"] = Field(
        default="ignored",
        description="Whether text comparison ignores case and trailing blanks. F&O always ignores both.",
    )
    count_limit: int = Field(
        default=0,
        ge=0,
        description="Highest number that $count returns; 0: no limit. Dataverse stops at 5000.",
    )
    url_limit: int = Field(
        default=0,
        ge=0,
        description="Maximum bytes of path and query, beyond which a 404 web page is returned; 0: no limit.",
    )
    segment_limit: int = Field(
        default=0,
        ge=0,
        description="Maximum bytes of a path segment, beyond which a 400 web page is returned; 0: no limit."
        " HTTP.sys stops at 260.",
    )
    created: Literal["representation", "minimal"] = Field(
        default="representation",
        description="Response to a POST without a preference: 201 with the row, or 204 with its URL.",
    )

    events: SecretStr | None = Field(
        default=None,
        description="Address to which a data event is sent for each row that is written, such as one of env hook.",
    )
    roles: bool = Field(
        default=False,
        description="Whether callers of the gateway sign in as users of the sandbox, who have roles:"
        " d365-graphql sandbox users. Only without url.",
    )

    def knobs(self) -> dict[str, Any]:
        """Return the values as keywords of ``SandboxSettings``, which knows no callers."""
        values = self.model_dump(exclude={"roles"})
        values["events"] = None if self.events is None else self.events.get_secret_value()
        values["database"] = ":memory:" if self.database is None else str(self.database)
        if self.companies:
            values["default_company"] = self.companies[0]
        return values

    @model_validator(mode="after")
    def _has_fields_of_one_catalogue(self) -> SandboxOptions:
        if self.metadata is not None and self.custom_fields:
            raise ValueError("custom_fields are of the built-in catalogue; metadata has its own")
        return self


_STAMP = re.compile(r"[^\s.]+\.[^\s.]+")


def _check_stamps(stamps: tuple[str, ...]) -> tuple[str, ...]:
    for stamp in stamps:
        if not _STAMP.fullmatch(stamp):
            raise ValueError(f"{stamp!r} is not Set.Property")
    return stamps


class SubscriptionOptions(BaseModel):
    """Subscriptions: how changes are detected, and limits for clients."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    enabled: bool = Field(default=True, description="Whether subscriptions are served.")
    interval: float = Field(
        default=10.0, ge=0.05, description="Polling interval in seconds (±10 % jitter)."
    )
    woken_interval: float = Field(
        default=2.0,
        ge=0,
        description="Seconds between two polls of the same at least, if the environment reports changes (hooks).",
    )
    late: float = Field(
        default=30.0,
        ge=0,
        description="Seconds by which a row may appear later than its modification time says.",
    )
    max_watched_rows: int = Field(
        default=5_000, ge=1, description="Maximum rows that one poll may read."
    )
    max_watches: int = Field(
        default=100,
        ge=1,
        description="Maximum distinct combinations of entity set, company scope and filter that are polled.",
    )
    max_failures: int = Field(
        default=5, ge=0, description="Consecutive failed polls that a subscription survives."
    )
    max_pending: int = Field(
        default=1_000, ge=1, description="Maximum changes that wait for a slow client."
    )
    max_connections: int = Field(
        default=1_000, ge=1, description="Maximum WebSockets and event streams per worker."
    )
    max_per_connection: int = Field(
        default=50, ge=1, description="Maximum concurrent operations of one WebSocket."
    )
    init_timeout: float = Field(
        default=10.0,
        gt=0,
        description="Seconds in which a WebSocket client must send connection_init.",
    )
    heartbeat: float = Field(
        default=15.0,
        gt=0,
        description="Seconds of silence after which a client is pinged; after twice as many it is disconnected.",
    )
    stamps: Annotated[Names, AfterValidator(_check_stamps)] = Field(
        default=(),
        description="Properties, as Set.Property, that hold the time of a row's last modification.",
    )
