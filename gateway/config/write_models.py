"""The settings of writing: which writes are allowed, how they are sent, and the custom services of the environment."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from .value_types import Json, Names

# Scalars that the JSON of a custom service can hold, or lists of them.
_TYPE = re.compile(r"(\[)?(String|Int|Float|Boolean|Decimal|Long|Date|DateTime|JSON)!?(?(1)\])!?")
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")


class ServiceValue(BaseModel):
    """A parameter or a result value of a custom service."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    type: str
    """Type in SDL: ``String!``, ``[Decimal!]``."""
    wire: str | None = None
    """Name in the JSON body. None: the GraphQL name."""

    @field_validator("type")
    @classmethod
    def _is_type(cls, value: str) -> str:
        if not _TYPE.fullmatch(value):
            raise ValueError("expected a type such as String!, Decimal or [Int!]")
        return value


class Service(BaseModel):
    """A custom service of the environment, ``POST /api/services/{path}``, served as a mutation."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    name: str
    path: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+/[\w.-]+$")]
    """``{group}/{service}/{operation}``."""
    description: str = ""
    done: str = Field(default="", pattern=r"^(\w+\.\w+)?$")
    """Where it shows that a call was done: a by-key field of ``Query`` and a Boolean field of its row."""
    input: dict[str, ServiceValue] = {}
    output: dict[str, ServiceValue] = {}

    @model_validator(mode="before")
    @classmethod
    def _expand_short_form(cls, values: object) -> object:
        """Replace ``amount = "Decimal!"`` by ``amount = { type = "Decimal!" }``."""
        if not isinstance(values, dict):
            return values
        expanded = dict(values)
        for side in ("input", "output"):
            if isinstance(expanded.get(side), dict):
                items = expanded[side].items()
                expanded[side] = {n: {"type": v} if isinstance(v, str) else v for n, v in items}
        return expanded

    @model_validator(mode="after")
    def _has_graphql_names(self) -> Service:
        # Names with two underscores are reserved for introspection (GraphQL, section 2.1.9).
        for name in (self.name, *self.input, *self.output):
            if not _NAME.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"{name!r} is not a GraphQL name")
        return self


NaturalKeys: TypeAlias = Annotated[dict[str, Names], NoDecode, Json]
"""Entity set → the properties that name one of its rows."""


class WriteOptions(BaseModel):
    """Which writes are allowed, and how they are sent."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    if_match: Literal["optional", "required"] = Field(
        default="optional", description="Whether updates and deletes must pass ifMatch."
    )
    create: Names = Field(
        default=(), description="Patterns of entity sets whose rows may be created. Empty: all."
    )
    deny_create: Names = Field(
        default=(), description="Patterns of entity sets whose rows may not be created."
    )
    update: Names = Field(
        default=(), description="Patterns of entity sets whose rows may be updated. Empty: all."
    )
    deny_update: Names = Field(
        default=(), description="Patterns of entity sets whose rows may not be updated."
    )
    delete: Names = Field(
        default=(), description="Patterns of entity sets whose rows may be deleted. Empty: all."
    )
    deny_delete: Names = Field(
        default=(), description="Patterns of entity sets whose rows may not be deleted."
    )
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
        description="Maximum rows of one mutation, nested rows included.",
    )
    changeset_size: int = Field(
        default=100,
        ge=1,
        le=1_000,
        description="Rows of a list, or nested below a new row, that are written in one changeset.",
    )
    batch_size: int | None = Field(
        default=None,
        ge=0,
        le=5_000,
        description="Writes of one $batch that do not depend on each other; 0: they are sent one by one. Default: 1000"
        " for Finance & Operations, 0 for other services.",
    )
    lists: Literal["changesets", "independent"] = Field(
        default="changesets",
        description="How lists of rows without rows below them are written: in changesets, each all or nothing, or"
        " each row by itself, many in one $batch.",
    )
    import_rows: int = Field(
        default=200,
        ge=1,
        le=5_000,
        description="Rows of an import that are written by one mutation, nested rows included; at most max_rows.",
    )
    max_file_bytes: int = Field(
        default=100_000_000,
        ge=1_000,
        description="Maximum size of a file that is uploaded, in bytes.",
    )
    numbered: Names = Field(
        default=(),
        description="Properties, as Set.Property, that a number sequence fills although the metadata requires"
        " them.",
    )
    natural_keys: NaturalKeys = Field(
        default={},
        description="Properties by which a new row is looked up before it is created, by entity set:"
        ' Set = ["Property"]. An empty list turns a preset off.',
    )
    settle_pause: float = Field(
        default=5.0,
        ge=0,
        le=30,
        description="Seconds after which a create whose answer was lost is looked up for the second time.",
    )
    services: Annotated[tuple[Service, ...], NoDecode, Json] = Field(
        default=(),
        description="Custom services served as mutations: name, path, description, input, output, done.",
    )
