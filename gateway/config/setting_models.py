"""Settings that are tables: relations, profiles, custom services, what may be written, the sandbox."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from .value_types import Json, Names


class Relation(BaseModel):
    """A relation that the metadata does not tell: rows of ``from_set`` lead to rows of ``to_set`` with equal fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_set: str
    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    to_set: str
    to_fields: tuple[str, ...] = ()
    """Not given: those of the same names, or the key of ``to_set``."""
    name: str
    inverse: str | None = None
    many: bool | None = None
    """Not given: to one just where ``to_fields`` cover the key of ``to_set``."""

    @model_validator(mode="after")
    def _pair_up(self) -> Relation:
        if self.to_fields and len(self.fields) != len(self.to_fields):
            raise ValueError(
                f"fields and to_fields pair up: {len(self.fields)} and {len(self.to_fields)} were given"
            )
        return self


class Profile(BaseModel):
    """A slice of the catalogue as an API of its own; what is not given here is as in the settings of the service.

    It serves the sets that match ``include`` (not given: all), are of one of the ``categories`` (likewise) and do not
    match ``exclude``; and ``sets`` in any case, alone where neither ``include`` nor ``categories`` is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = None
    description: str | None = None
    include: Names = ()
    exclude: Names = ()
    categories: Names = ()
    """Of data entities: Master, Reference, Transaction, Document, Parameters, Configuration."""
    sets: Names = ()
    services: Names = ()
    """Names of custom services; a profile has none but these."""
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


_PROFILE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
RESERVED = frozenset({"assets", "config", "explain", "schema", "search", "slice", "stream"})
"""What may stand behind ``/graphql/`` and ``/graphiql/`` and is no profile."""


def _named(profiles: dict[str, Profile]) -> dict[str, Profile]:
    for name in profiles:
        if not _PROFILE_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name of a profile: small letters, digits, - and _, a letter first"
            )
        if name in RESERVED:
            raise ValueError(
                f"{name!r} is an address of the gateway's own: call the profile otherwise"
            )
    return profiles


Profiles: TypeAlias = Annotated[dict[str, Profile], NoDecode, Json, AfterValidator(_named)]
"""By the last part of the address."""


_TAG = re.compile(r"[_A-Za-z][_0-9A-Za-z/-]{0,127}")


def _federation_version(given: str) -> str:
    if not re.fullmatch(r"2\.(\d|1[0-4])", given):
        raise ValueError("accepted: 2.0 to 2.14")
    return given


def _root_prefix(given: str) -> str:
    if given and not re.fullmatch(r"[A-Za-z][0-9A-Za-z]*", given):
        raise ValueError("accepted: letters and digits, a letter first")
    return given


def _type_prefix(given: str) -> str:
    if given and not re.fullmatch(r"[A-Z][0-9A-Za-z]*", given):
        raise ValueError("accepted: letters and digits, a capital first")
    return given


def _tags(given: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for tag in (tag for tags in given.values() for tag in tags):
        if not _TAG.fullmatch(tag):
            raise ValueError(
                f"{tag!r} is no tag: letters, digits, _, - and /, a letter or _ first, 128 at the most"
            )
    return given


class FederationOptions(BaseModel):
    """The API as a subgraph of Apollo Federation v2."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=True, description="Whether _service and _entities are served.")
    version: Annotated[str, AfterValidator(_federation_version)] = Field(
        default="2.9",
        description="Version of the specification that the subgraph links, 2.0 to 2.14. @cost and @listSize need 2.9;"
        " The Guild's composer takes no later one, Apollo's does.",
    )
    prefix: Annotated[str, AfterValidator(_root_prefix)] = Field(
        default="",
        description="What fields of Query and Mutation begin with, but for node and nodes: erp gives erpCustomersV3.",
    )
    type_prefix: Annotated[str, AfterValidator(_type_prefix)] = Field(
        default="",
        description="What types of entities, complex values and enums begin with, and what is made of them: Eu gives"
        " EuCustomerV3.",
    )
    node: Literal["inaccessible", "omit", "shared"] = Field(
        default="inaccessible",
        description="What becomes of Node, node and nodes in a supergraph: hidden, left out, or shared with others.",
    )
    tags: Annotated[dict[str, Names], NoDecode, Json, AfterValidator(_tags)] = Field(
        default={},
        description="Pattern of entity sets = @tag names for their types and root fields.",
    )


class SandboxOptions(BaseModel):
    """How the embedded Finance & Operations look-alike behaves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float = Field(default=1.0, gt=0, description="Factor on the number of rows.")
    seed: int = Field(default=1, description="Seed of the generated data.")
    hostile_rows: bool = Field(
        default=False,
        description="Whether rows with hostile texts (quotes, wildcards, blanks, other scripts) are among them.",
    )
    latency_ms: float = Field(default=0.0, ge=0, description="Milliseconds added to every answer.")
    throttle: str | None = Field(
        default=None,
        pattern=r"^every=[1-9]\d*(,retry-after=\d+)?$",
        description="429 for every n-th request: every=5 or every=5,retry-after=1.",
    )
    page_limit: int = Field(default=10_000, ge=1, description="Rows of one upstream page.")
    metadata: Path | None = Field(
        default=None, description="Metadata document to serve instead, with generated rows."
    )
    database: Path | None = Field(default=None, description="SQLite file; not set: in memory.")
    next_link: Literal["skip", "skiptoken"] = Field(
        default="skip", description="How a next link continues."
    )
    refuse_skip: bool = Field(
        default=False,
        description='Whether $skip is refused, as by Dataverse; next links then need next_link = "skiptoken".',
    )
    honour_maxpagesize: bool = Field(
        default=False, description="Whether Prefer: odata.maxpagesize is obeyed."
    )
    null_order: Literal["first", "last"] = Field(
        default="first", description="Where nulls stand in ascending order."
    )
    null_logic: Literal["specification", "sql"] = Field(
        default="specification",
        description="Whether a comparison with null is false, so that its negation holds, or unknown as in SQL. Not for"
        " F&O's documents, which have no nulls.",
    )
    text_case: Literal["ignored", "distinguished"] = Field(
        default="ignored",
        description="Whether texts compare without case and trailing blanks, or by every character. F&O always ignores"
        " both.",
    )
    count_limit: int = Field(
        default=0,
        ge=0,
        description="Most rows that $count tells of; 0: no limit. Dataverse stops at 5000.",
    )
    url_limit: int = Field(
        default=0,
        ge=0,
        description="Bytes of the longest accepted path with query, above which a web page answers 404; 0: no limit.",
    )
    segment_limit: int = Field(
        default=0,
        ge=0,
        description="Bytes of the longest accepted segment of a path, above which a web page answers 400; 0: no limit."
        " HTTP.sys stops at 260.",
    )
    created: Literal["representation", "minimal"] = Field(
        default="representation",
        description="What a POST without a preference answers: 201 with the row, or 204 with its address.",
    )

    def knobs(self) -> dict[str, Any]:
        """Return the values as the sandbox's own settings take them."""
        values = self.model_dump()
        values["database"] = ":memory:" if self.database is None else str(self.database)
        return values


_TYPE = re.compile(r"(\[)?(String|Int|Float|Boolean|Decimal|Long|Date|DateTime|JSON)!?(?(1)\])!?")
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")


class ServiceValue(BaseModel):
    """A parameter, or a value of the result, of a custom service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    """As in SDL: ``String!``, ``[Decimal!]``."""
    wire: str | None = None
    """Name in the JSON body; not given: the GraphQL name."""

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        if not _TYPE.fullmatch(value):
            raise ValueError("a type such as String!, Decimal or [Int!] was expected")
        return value


class Service(BaseModel):
    """A custom service of the environment, ``POST /api/services/{path}``, as a mutation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+/[\w.-]+$")]
    """``{group}/{service}/{operation}``."""
    description: str = ""
    input: dict[str, ServiceValue] = {}
    output: dict[str, ServiceValue] = {}

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: object) -> object:
        """``amount = "Decimal!"`` is short for ``amount = { type = "Decimal!" }``."""
        if not isinstance(given, dict):
            return given
        found = dict(given)
        for side in ("input", "output"):
            if isinstance(found.get(side), dict):
                values = found[side].items()
                found[side] = {n: {"type": v} if isinstance(v, str) else v for n, v in values}
        return found

    @model_validator(mode="after")
    def _named(self) -> Service:
        for name in (self.name, *self.input, *self.output):
            if not _NAME.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"{name!r} is no GraphQL name")
        return self


class WriteOptions(BaseModel):
    """What may be written, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    if_match: Literal["optional", "required"] = Field(
        default="optional", description="Whether updates and deletes must give ifMatch."
    )
    create: Names = Field(
        default=(), description="Patterns of sets whose rows may be created. Empty: all."
    )
    deny_create: Names = Field(
        default=(), description="Patterns of sets whose rows may not be created."
    )
    update: Names = Field(default=(), description="The same for changes.")
    deny_update: Names = Field(default=(), description="The same for changes.")
    delete: Names = Field(default=(), description="The same for deletes.")
    deny_delete: Names = Field(default=(), description="The same for deletes.")
    actions: Names = Field(
        default=(), description="Patterns of actions that may be called. Empty: all."
    )
    deny_actions: Names = Field(
        default=(), description="Patterns of actions that may not be called."
    )
    max_rows: int = Field(
        default=1_000,
        ge=1,
        le=5_000,
        description="Most rows of one mutation, nested ones included.",
    )
    changeset_size: int = Field(
        default=100,
        ge=1,
        le=1_000,
        description="Rows of a list, or below a new row, that are written together.",
    )
    numbered: Names = Field(
        default=(),
        description="Set.Property that a number sequence gives though the metadata requires it.",
    )
    services: Annotated[tuple[Service, ...], NoDecode, Json] = Field(
        default=(),
        description="Custom services as mutations: name, path, description, input, output.",
    )


_STAMP = re.compile(r"[^\s.]+\.[^\s.]+")


def _stamped(stamps: tuple[str, ...]) -> tuple[str, ...]:
    for stamp in stamps:
        if not _STAMP.fullmatch(stamp):
            raise ValueError(f"{stamp!r} is not Set.Property")
    return stamps


class SubscriptionOptions(BaseModel):
    """Subscriptions: how changes are found, and what clients may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=True, description="Whether there are subscriptions.")
    interval: float = Field(
        default=10.0, ge=0.05, description="Seconds between two looks, give or take a tenth."
    )
    late: float = Field(
        default=30.0,
        ge=0,
        description="Seconds by which a row may show up later than its stamp of change.",
    )
    max_watched_rows: int = Field(
        default=5_000, ge=1, description="Most rows that one look may read."
    )
    max_watches: int = Field(
        default=100, ge=1, description="Different sets, scopes and filters that are looked at."
    )
    max_failures: int = Field(
        default=5, ge=0, description="Looks that may fail in a row before a subscription ends."
    )
    max_pending: int = Field(
        default=1_000, ge=1, description="Changes that may wait for a client which is slow."
    )
    max_connections: int = Field(
        default=1_000, ge=1, description="WebSockets and event streams at a time, of a worker."
    )
    max_per_connection: int = Field(
        default=50, ge=1, description="Operations of one WebSocket at a time."
    )
    init_timeout: float = Field(
        default=10.0, gt=0, description="Seconds until a WebSocket must have sent connection_init."
    )
    heartbeat: float = Field(
        default=15.0,
        gt=0,
        description="Seconds of silence after which a client is pinged; after two it is gone.",
    )
    stamps: Annotated[Names, AfterValidator(_stamped)] = Field(
        default=(), description="Set.Property that tells when a row was changed last."
    )
