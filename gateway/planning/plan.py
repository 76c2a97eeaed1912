"""The records of a plan: what will be requested from the upstream for one operation with its values.

The same records are run (``execution``), explained (``explain``) and tested. A :class:`ReadPlan` reads rows of one
level; a :class:`ChildPlan` says how the rows below them are loaded: with their parents (``$expand``), by the parents'
values (key batch) or over the URL of each parent (path).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct, field

from gateway.errors import GatewayError
from gateway.odata.query import Query, Request, Value
from gateway.operations.expectations import ListLengths
from gateway.operations.prepared_operation import RootShape
from gateway.operations.row_types import RowType
from gateway.operations.shapes import ChildRequirements, RowRequirements
from schema.catalog.records import Field

from .aggregation import Aggregation
from .page_window import Window

Key = tuple[Value, ...]


class Via(Enum):
    """How related rows are loaded."""

    EXPAND = "expand"
    """With their parents, in the same request."""
    KEYS = "key batch"
    """All at once, by filter on the join columns."""
    PATH = "path"
    """One request for each parent, over ``Set(key)/Navigation``: if no join columns are known."""


class Join(Struct, frozen=True):
    """Fields of parent and target that are equal, in pairs."""

    parent: tuple[Field, ...]
    target: tuple[Field, ...]


class Derived:
    """What was derived of a plan when it was run first, for the next time: a cache, and no part of its value."""

    __slots__ = ("page", "price", "query", "request", "usual")

    def __init__(self) -> None:
        self.query: Query | None = None
        """The query of which it was derived."""
        self.page: Any = None
        """How the page of the window is read."""
        self.request: Request | None = None
        """What is sent for the page; None: that is not known, or depends on more than the plan."""
        self.price: Any = None
        """What of its price depends on the plan alone."""
        self.usual: Any = None
        """How the page is read and completed if it is the only list of an operation, as most are."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Derived)

    __hash__ = None  # type: ignore[assignment] # it is no part of the value of what holds it


class Followed(Struct, frozen=True):
    """What a plan follows that is learned: whether lists proved to be long.

    A read in a ``$batch`` costs the service a query, and many rows cost it time, too: ``long_list_rows`` are worth a
    query.
    """

    lengths: ListLengths
    rows_read: int
    """Of each list, for its page."""
    long_list_rows: int
    were_long: bool = False
    """Whether they were when the plan was made."""

    @property
    def are_long(self) -> bool:
        """Whether whole lists have too many rows besides their pages."""
        return self.lengths.may_batch and (
            self.lengths.average - self.rows_read >= self.long_list_rows
        )

    @property
    def holds(self) -> bool:
        """Whether the plan would be made in the same way now."""
        return self.are_long == self.were_long


class ReadPlan(Struct, frozen=True, kw_only=True):
    """Rows of one level."""

    level: RowRequirements
    row_type: RowType
    query: Query
    """The query without window, and without the keys of a batch."""
    entity_set: str | None
    window: Window | None = None
    children: tuple[ChildPlan, ...] = ()
    lasts: bool = True
    """Whether it is the same at any time, for the same operation and a caller who sees the same, as long as what it
    follows holds."""
    followed: tuple[Followed, ...] = ()
    derived: Derived = field(default_factory=Derived)


class ChildPlan(Struct, frozen=True, kw_only=True):
    """Related rows of another plan's rows."""

    child: ChildRequirements
    via: Via
    join: Join | None
    plan: ReadPlan
    name: str
    """Navigation as in the request: with a cast if the set's own type does not declare it."""
    owners: frozenset[str] | None = None
    """CSDL types of the rows that have the navigation; None: all."""
    paged: bool = False
    """Whether ``$expand`` brings just the page; else all rows come, and the page is cut out of them."""
    own_pages: bool = False
    """Whether the page of each parent is a read of its own, in a ``$batch``; else whole lists come in a key batch."""
    in_order: ChildPlan | None = None
    """A second plan that reads lists in the upstream's order, for parents whose expanded list cannot be sorted here."""
    follows: Followed | None = None
    """The lengths by which the lists are read in this way; None: it depends on nothing that is learned."""

    @property
    def lasts(self) -> bool:
        """Whether it is the same at any time, as long as what it follows holds."""
        return self.plan.lasts and (self.in_order is None or self.in_order.plan.lasts)

    @property
    def followed(self) -> tuple[Followed, ...]:
        """What it follows, with all below it."""
        own = () if self.follows is None else (self.follows,)
        others = () if self.in_order is None else self.in_order.plan.followed
        return (*own, *self.plan.followed, *others)


class ListRoot(Struct, frozen=True):
    """A connection at the root, or the entity of a singleton (``window`` None)."""

    shape: RootShape
    plan: ReadPlan
    key: Key | None = None
    """Key that the filter pins if the list is read together with others; the query then has the rest of the filter."""
    together: bool = False
    """Whether it shares a ``$batch`` with lists that differ in values of ``eq`` only."""

    @property
    def lasts(self) -> bool:
        """Whether it is the same at any time, as long as what it follows holds."""
        return self.plan.lasts


class KeysRoot(Struct, frozen=True):
    """Rows by key: one (by-key field, ``node``) or a list (``nodes``, ``_entities``), with gaps for bad ids."""

    shape: RootShape
    items: tuple[tuple[ReadPlan, Key] | None, ...]
    many: bool = False
    errors: Mapping[int, GatewayError] = field(default_factory=dict)
    """Index of a gap → its error."""
    types: tuple[str, ...] = ()
    """CSDL types that the rows must have, if they were requested by type: a set holds rows of derived types, too."""
    together: bool = False
    """Whether they are read in a ``$batch``, as their keys fill several addresses."""

    @property
    def lasts(self) -> bool:
        """Whether it is the same at any time, unlike an error, which is reported once."""
        return not self.errors and all(i is not None and i[0].lasts for i in self.items)


class AggregateRoot(Struct, frozen=True):
    """What the rows of a list add up to; ``plan`` reads them if the service does not compute that."""

    shape: RootShape
    plan: ReadPlan
    aggregation: Aggregation

    @property
    def lasts(self) -> bool:
        """Whether it is the same at any time, as long as what it follows holds."""
        return self.plan.lasts


class CallRoot(Struct, frozen=True):
    """A function call; ``plan`` is None if it returns plain values."""

    shape: RootShape
    query: Query
    plan: ReadPlan | None
    many: bool

    @property
    def lasts(self) -> bool:
        """Whether it is the same at any time, as long as what it follows holds."""
        return self.plan is None or self.plan.lasts


class FailedRoot(Struct, frozen=True):
    """A root field whose arguments cannot be used."""

    shape: RootShape
    error: GatewayError

    @property
    def lasts(self) -> bool:
        """Return False: an error is reported once."""
        return False


def followed_by(root: BoundRoot) -> Iterator[Followed]:
    """Yield what the plan of a root field follows."""
    match root:
        case ListRoot() | AggregateRoot():
            yield from root.plan.followed
        case CallRoot():
            yield from () if root.plan is None else root.plan.followed
        case KeysRoot():
            for item in root.items:
                yield from () if item is None else item[0].followed
        case FailedRoot():
            return


BoundRoot = ListRoot | KeysRoot | AggregateRoot | CallRoot | FailedRoot
