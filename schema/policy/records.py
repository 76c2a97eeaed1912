"""Roles as they are declared: data only.

The model is Hasura's (https://hasura.io/docs/2.0/auth/authorization/permissions/): a role grants rights on entity sets,
restricted by columns, by a row rule in the filter language of the API, by presets and masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct, field


class Right(StrEnum):
    """What a role may do with rows of an entity set."""

    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SUBSCRIBE = "subscribe"
    EXPORT = "export"
    AGGREGATE = "aggregate"


class Mask(StrEnum):
    """What callers see instead of a value."""

    NULL = "null"
    HASH = "hash"
    """A keyed digest: equal values stay recognisable as equal. For texts only."""
    LAST4 = "last4"
    """The last four characters of a text that has at least eight, else nothing of it. For texts only."""


class Names(Struct, frozen=True):
    """Names that match one of ``allow`` and none of ``deny``; patterns are those of ``fnmatch``."""

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()

    def holds(self, name: str) -> bool:
        """Return whether a name is among them."""
        return any(fnmatchcase(name, p) for p in self.allow) and not any(
            fnmatchcase(name, p) for p in self.deny
        )


NO_NAMES = Names(allow=())
ALL_NAMES = Names()


class SetGrant(Struct, frozen=True, kw_only=True):
    """What a role may do with the rows of an entity set, or of all sets that a pattern or category names."""

    rights: frozenset[Right] = frozenset({Right.READ})
    columns: Names = ALL_NAMES
    """Properties by their names in the metadata. Parts of the key are never denied."""
    where: Mapping[str, Any] | None = None
    """Row rule: a ``where`` argument of the API, whose values may be ``$claims.NAME`` or ``$user.NAME``."""
    presets: Mapping[str, Any] = field(default_factory=dict)
    """Property → value that every new or changed row gets, whatever the caller sends."""
    masks: Mapping[str, Mask] = field(default_factory=dict)
    """Pattern of properties → mask; the first that matches counts."""

    def mask_of(self, name: str) -> Mask | None:
        """Return the mask of a property."""
        return next(
            (mask for pattern, mask in self.masks.items() if fnmatchcase(name, pattern)), None
        )


class Limits(Struct, frozen=True, kw_only=True):
    """The limits of a role; None: those of the settings. They only ever lower what the settings allow."""

    max_page_size: int | None = None
    max_rows: int | None = None
    max_depth: int | None = None
    operation_timeout: float | None = None
    """Seconds."""
    max_cost: float | None = None
    """Points of an operation."""
    points_per_minute: float | None = None
    """Points that each caller may spend."""


class Role(Struct, frozen=True, kw_only=True):
    """A role."""

    name: str
    description: str = ""
    sets: tuple[tuple[str, SetGrant], ...] = ()
    """(name or pattern of entity sets, grant): an exact name beats patterns, of which the first that matches counts."""
    categories: tuple[tuple[str, SetGrant], ...] = ()
    """(category of the environment, grant), for sets that no name or pattern matches."""
    inherits: tuple[str, ...] = ()
    companies: tuple[str, ...] = ()
    """Hard bound of legal entities, each a name or ``$claims.NAME`` (a text or a list); empty: none."""
    company: str | None = None
    """Default company scope: a name, ``$claims.NAME`` or ``$user.company``."""
    actions: Names = NO_NAMES
    """Actions, functions and custom services that it may call."""
    explain: bool | None = None
    """Whether it may see plans and traces; None: in the sandbox only."""
    introspection: bool = True
    graphiql: bool = True
    documents: str | None = None
    """Which documents its callers may run: ``off``, ``prefer`` or ``only``; None: as the settings say."""
    limits: Limits = Limits()

    def grant_of(self, set_name: str, category: str | None) -> SetGrant | None:
        """Return what the role gives of an entity set or singleton; None: nothing."""
        first = None
        for pattern, grant in self.sets:
            if pattern == set_name:
                return grant
            if first is None and fnmatchcase(set_name, pattern):
                first = grant
        if first is not None or category is None:
            return first
        folded = category.casefold()
        return next((g for name, g in self.categories if name.casefold() == folded), None)


class Policy(Struct, frozen=True):
    """All roles, by name."""

    roles: Mapping[str, Role]
    categories: Mapping[str, str] = field(default_factory=dict)
    """Entity set → its category in the environment; empty if no role names one."""

    def closure(self, names: tuple[str, ...]) -> Iterator[Role]:
        """Yield the known roles among the names with those that they inherit, each once, sorted by name."""
        pending, reached = [n for n in names if n in self.roles], set[str]()
        while pending:
            name = pending.pop()
            if name not in reached:
                reached.add(name)
                pending += self.roles[name].inherits
        yield from (self.roles[name] for name in sorted(reached))
