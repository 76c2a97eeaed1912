"""Unified types as views of the rows of one catalogue: what each field reads, with names and types resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct, field

from schema.catalog.records import Field


class Condition(Struct, frozen=True):
    """A condition that rows pass, as ``where`` has it: a column, an operator, an operand."""

    column: Field
    operator: str
    operand: Any
    """``$today`` and ``$now`` stand for the time of the operation."""


class Step(Struct, frozen=True, eq=False):
    """A relation from rows to related rows."""

    field: Field
    """A navigation of the metadata, or a join of the mapping, which the service does not know."""
    where: tuple[Condition, ...] = ()

    @property
    def many(self) -> bool:
        """Whether it leads to a list."""
        assert self.field.navigation is not None
        return self.field.navigation.many


Steps = tuple[Step, ...]


class Column(Struct, frozen=True, eq=False):
    """A column, of the row itself or of a related one."""

    steps: Steps
    field: Field
    where: str
    """``PersonUsers.PersonName``: what ``sources`` shows."""


class ViewKind(Enum):
    """What a field of a unified type returns."""

    ID = "id"
    VALUE = "value"
    """The first of its columns that has a value; null if there are none."""
    CONSTANT = "constant"
    OBJECT = "object"
    LIST = "list"
    """All related rows, as a list."""
    CONNECTION = "connection"
    COLLECTED = "collected"
    """Items from several columns."""
    HIGHEST = "highest"
    DISPLAY_PART = "display_part"
    """A part of a display value: its main account, or its dimensions."""
    FILE = "file"
    """The path of the bytes in its column."""
    RAW = "raw"
    SOURCES = "sources"
    PART = "part"
    """A field of a collected item."""


class Item(Struct, frozen=True, eq=False):
    """One possible item of a collected field."""

    columns: Mapping[str, Column]
    constants: Mapping[str, Any]
    list: Steps = ()
    """The way to rows, of which each gives an item; empty: there is one item. Columns start at these rows."""


class LookedUp(Struct, frozen=True, eq=False):
    """Related rows that a filter looks up first, because the service cannot filter through the join.

    They count for rows whose own column stands for no value of the field.
    """

    list: str
    """The list of the related rows, a field of ``Query``."""
    where: str
    """Input type of its filter."""
    column: str
    """Name in that filter."""
    key: str
    """Field of the related rows by which they are joined."""
    own: str
    """Name of the other side of the join, in the ``where`` of the rows."""
    inverse: Mapping[str, tuple[Any, ...]]
    """Unified value → operands of ``eq`` on ``column``."""


class Filter(Struct, frozen=True, eq=False):
    """How ``where`` and ``orderBy`` of a unified type carry over to its rows."""

    path: tuple[str, ...]
    """Names in the ``where`` of the rows: navigations, then the column."""
    type_name: str
    """Input type of the condition."""
    order: str | None = None
    """Name in the ``orderBy`` of the rows; None: rows cannot be sorted by it."""
    inverse: Mapping[str, tuple[Any, ...]] | None = None
    """Unified value → operands of ``eq``, if values are mapped."""
    rest: str | None = None
    """The unified value of all operands that ``inverse`` does not list."""
    beyond: LookedUp | None = None
    """Where the value comes from if the column stands for none."""


class UnifiedField(Struct, frozen=True, kw_only=True, eq=False):
    """A field of a unified type, over the rows of one catalogue."""

    name: str
    kind: ViewKind
    type_name: str
    nullable: bool = True
    many: bool = False
    columns: tuple[Column, ...] = ()
    minus: bool = False
    """Whether the second column is subtracted from the first one."""
    sum: bool = False
    """Whether it is the sum of its column in the rows of a list."""
    constant: Any = None
    table: Mapping[Any, str | None] | None = None
    """Value of the column, as the service sends it → value of the field."""
    otherwise: str | None = None
    empty: str | None = None
    """The value if no column has one."""
    convert: Callable[[str], str] | None = None
    parts: Field | None = None
    """The field of the row with the parts of its column."""
    part: str = ""
    """Which of them it has."""
    steps: Steps = ()
    of: str = ""
    """Short name of the unified type below."""
    items: tuple[Item, ...] = ()
    distinct: str = ""
    highest: tuple[str, ...] = ()
    filter: Filter | None = None
    missing: tuple[str, ...] = ()
    """What this environment lacks of it, in words."""
    description: str = ""


class UnifiedType(Struct, frozen=True, kw_only=True, eq=False):
    """A unified type over the rows of one catalogue."""

    short: str
    name: str
    csdl: str = ""
    """CSDL type of its rows; empty: the environment has none, or its values are collected."""
    set_name: str = ""
    where: tuple[Condition, ...] = ()
    fields: Mapping[str, UnifiedField] = field(default_factory=dict)
    description: str = ""
    missing: tuple[str, ...] = ()

    @property
    def filters(self) -> Mapping[str, Filter]:
        """The fields that rows can be filtered by."""
        return {name: f.filter for name, f in self.fields.items() if f.filter is not None}
