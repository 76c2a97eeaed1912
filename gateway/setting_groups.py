"""Settings that are tables: relations, custom services, what may be written, the sandbox."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from .setting_values import Json, Names


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


class SandboxOptions(BaseModel):
    """How the embedded Finance & Operations look-alike behaves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float = Field(default=1.0, gt=0, description="Factor on the number of rows.")
    seed: int = Field(default=1, description="Seed of the generated data.")
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
        default=100, ge=1, le=1_000, description="Rows of a list that are written together."
    )
    numbered: Names = Field(
        default=(),
        description="Set.Property that a number sequence gives though the metadata requires it.",
    )
    services: Annotated[tuple[Service, ...], NoDecode, Json] = Field(
        default=(),
        description="Custom services as mutations: name, path, description, input, output.",
    )
