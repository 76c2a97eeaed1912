"""The read plan: what will be asked of the upstream, bound to an operation's arguments. Pure and printable.

The same object is run (``run``), explained (``explain``) and tested. A :class:`ReadPlan` reads rows of one
level; a :class:`ChildPlan` says how the rows below come: with their parents (``$expand``), by the parents'
values (key batch) or over each parent's own URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct, field

from gateway.errors import GatewayError
from gateway.odata.query import Query, Value
from gateway.operations.prepared_operation import RootShape
from gateway.operations.row_types import RowType
from gateway.operations.shapes import ChildRequirements, RowRequirements
from schema.catalog.records import Field

from .page_window import Window

Key = tuple[Value, ...]


class Via(Enum):
    """How rows below other rows are loaded."""

    EXPAND = "expand"
    """With their parents, in the same request."""
    KEYS = "key batch"
    """All at once, by filter on the join columns."""
    PATH = "path"
    """One request a parent, over ``Set(key)/Navigation``: where no join columns are known."""


class Join(Struct, frozen=True):
    """Fields of the parent and of the target that are equal."""

    parent: tuple[Field, ...]
    target: tuple[Field, ...]


class ReadPlan(Struct, frozen=True, kw_only=True):
    """Rows of one level."""

    level: RowRequirements
    row_type: RowType
    query: Query
    """Without the window, and without the keys of a batch."""
    entity_set: str | None
    window: Window | None = None
    children: tuple[ChildPlan, ...] = ()


class ChildPlan(Struct, frozen=True, kw_only=True):
    """Rows below the rows of another plan."""

    child: ChildRequirements
    via: Via
    join: Join | None
    plan: ReadPlan
    name: str
    """Navigation as it is asked for: with the type in front where the set's own type does not declare it."""
    owners: frozenset[str] | None = None
    """CSDL types of the rows that have the navigation; None: all."""
    paged: bool = False
    """Whether an ``$expand`` brings just the window's rows; else all rows come and are cut here."""
    in_order: ChildPlan | None = None
    """How lists are read in the upstream's order, where ``$expand`` brings them in any and theirs is not proven."""


class ListRoot(Struct, frozen=True):
    """A connection at the root, or one entity (``window`` None) of a singleton."""

    shape: RootShape
    plan: ReadPlan
    key: Key | None = None
    """Key that the filter names, where the list is united with others: the query's filter is what else it asks."""
    together: bool = False
    """Whether it shares a ``$batch`` with lists that differ from it in values of ``eq``."""


class KeysRoot(Struct, frozen=True):
    """Entities by key: one (by-key field, ``node``) or a list (``nodes``), with gaps where an id is bad."""

    shape: RootShape
    items: tuple[tuple[ReadPlan, Key] | None, ...]
    many: bool = False
    errors: Mapping[int, GatewayError] = field(default_factory=dict)
    """Index of a gap → what is wrong there."""
    types: tuple[str, ...] = ()
    """CSDL types that the rows must be of, where they were named by type: a set holds those of derived types too."""


class CallRoot(Struct, frozen=True):
    """A function call; ``plan`` is None where it returns plain values."""

    shape: RootShape
    query: Query
    plan: ReadPlan | None
    many: bool


class FailedRoot(Struct, frozen=True):
    """A root field whose arguments cannot be used."""

    shape: RootShape
    error: GatewayError


BoundRoot = ListRoot | KeysRoot | CallRoot | FailedRoot
