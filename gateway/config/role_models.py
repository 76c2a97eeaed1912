"""Settings of roles: ``[roles.NAME]`` with the entity sets that it may use, and ``[roles.NAME.sets."PATTERN"]``.

The shape of the tables is checked here, with what roles say of each other; ``gateway.metadata.role_policy`` makes the
policy of them, and checks what they say of the metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import NoDecode

from schema.errors import did_you_mean

from .admission_models import LaneName
from .document_models import DocumentMode
from .value_types import Json, Names

_NAME = re.compile(r"[^\s,$\"'\\]{1,128}")
_REFERENCE = re.compile(r"\$(claims(\.[^\s.]+)+|user\.[A-Za-z]+)")
RIGHTS = ("create", "update", "delete", "subscribe", "export", "aggregate")
"""Rights that need ``read``."""


def _company(value: str) -> str:
    if value.startswith("$") and not _REFERENCE.fullmatch(value):
        raise ValueError("accepted: a legal entity, $claims.NAME or $user.company")
    return value


def _words(value: object) -> object:
    return [value] if isinstance(value, str) else value


Company: TypeAlias = Annotated[str, AfterValidator(_company)]
Companies: TypeAlias = Annotated[tuple[Company, ...], NoDecode, BeforeValidator(_words)]


class SetRights(BaseModel):
    """What a role may do with the rows of an entity set, or of all that a pattern or ``@Category`` names."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    read: bool = True
    create: bool = False
    update: bool = False
    delete: bool = False
    subscribe: bool = False
    export: bool | None = None
    """None: as ``read``."""
    aggregate: bool | None = None
    columns: Names = ("*",)
    """Patterns of properties by their names in the metadata. Parts of the key always show."""
    deny_columns: Names = ()
    where: Annotated[dict[str, Any] | None, Json] = None
    """Row rule: a ``where`` argument of the API, with values such as ``$claims.region``."""
    presets: dict[str, Any] = {}
    """Property = value that every new or changed row gets."""
    masks: dict[str, Literal["null", "hash", "last4"]] = {}
    """Pattern of properties = what shows instead of their values."""

    @model_validator(mode="after")
    def _reads(self) -> SetRights:
        others = [name for name in RIGHTS if getattr(self, name)]
        if others and not self.read:
            raise ValueError(f"{', '.join(others)} needs read")
        return self


class RoleLimits(BaseModel):
    """Limits of a role, which only lower those of the settings."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    max_page_size: int | None = Field(default=None, ge=1)
    max_rows: int | None = Field(default=None, ge=1)
    max_depth: int | None = Field(default=None, ge=1)
    operation_timeout: float | None = Field(default=None, gt=0)
    """Seconds."""
    max_cost: float | None = Field(default=None, gt=0)
    """Points of an operation."""
    points_per_minute: float | None = Field(default=None, gt=0)
    """Points that each caller may spend."""


class RoleOptions(BaseModel):
    """What callers with a role may see and do."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    description: str = ""
    inherits: Names = ()
    """Roles whose rights it has, too."""
    companies: Companies = ()
    """The only legal entities whose rows it may use; empty: all."""
    environments: Names = ()
    """Patterns of environments in which it exists; ``default`` is that of the settings. Empty: all."""
    company: Company | None = None
    """Legal entity of requests that name none."""
    actions: Names = ()
    """Patterns of actions, functions and custom services that it may call."""
    explain: bool | None = None
    """Whether it may see plans and traces. None: in the sandbox only."""
    lane: LaneName | None = None
    """Lane of its callers' operations; of several roles the most urgent one counts. None: interactive."""
    weight: float = Field(default=1.0, gt=0, le=1_000)
    """Share of each of its callers beside others of the lane; of several roles the largest counts."""
    introspection: bool = True
    graphiql: bool = True
    documents: DocumentMode | None = None
    """Which documents its callers may run, whatever the profile says. None: as the settings say."""
    limits: RoleLimits = RoleLimits()
    sets: dict[str, SetRights] = {}
    """Entity set, pattern or ``@Category`` = rights."""


def _check_names(roles: dict[str, RoleOptions]) -> dict[str, RoleOptions]:
    problems = list(_problems(roles))
    if problems:
        raise ValueError("; ".join(problems))
    return roles


def _problems(roles: Mapping[str, RoleOptions]) -> Iterator[str]:
    for name, role in roles.items():
        if not _NAME.fullmatch(name):
            yield f"{name!r} is not a role name: at most 128 characters, without blanks, commas, quotes and $"
        for other in role.inherits:
            if other not in roles:
                yield f"{name}.inherits: there is no role {other}.{did_you_mean(other, roles)}"
        for pattern in role.sets:
            if not pattern.removeprefix("@"):
                yield f"{name}.sets: the name of a set, a pattern or @Category is empty"
    yield from _circles(roles)


def _circles(roles: Mapping[str, RoleOptions]) -> Iterator[str]:
    finished: set[str] = set()
    for start in roles:
        path: dict[str, Iterator[str]] = {}
        name: str | None = start
        while name is not None:
            if name not in path:
                path[name] = iter(roles[name].inherits if name not in finished else ())
            below = next(path[name], None)
            if below is None:
                finished.add(name)
                del path[name]
                name = next(reversed(path), None)
            elif below in path:
                yield f"inherits runs in a circle: {' → '.join((*_from(path, below), below))}"
            elif below in roles:
                name = below


def _from(path: Mapping[str, object], start: str) -> tuple[str, ...]:
    names = tuple(path)
    return names[names.index(start) :]


Roles: TypeAlias = Annotated[dict[str, RoleOptions], NoDecode, Json, AfterValidator(_check_names)]
"""Roles by name, as tokens, keys and certificates name them."""
