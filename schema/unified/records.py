"""Unified models as mapping files declare them: types, the sets and joins behind them, fields. Data only.

Names of sets and columns are those of the metadata, so that a mapping does not depend on renames or clean values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

OPERATORS = ("eq", "ne", "in", "nin", "gt", "gte", "lt", "lte")
"""Operators of a condition: those of ``where`` that need no text match."""


PARTS = ("mainAccount", "dimensions", "account")
"""The parts of a display value that a field may have."""


class ConditionSpec(Struct, frozen=True):
    """A condition on a column of the rows of a set or join."""

    column: str
    operator: str
    value: Any
    """Text, number, Boolean, list of those, or ``$today`` and ``$now``."""


class JoinSpec(Struct, frozen=True, kw_only=True):
    """A way from the rows of a type, or from those of another join, to related rows."""

    name: str
    set: str
    on: tuple[tuple[str, str], ...] = ()
    """Pairs of (column of this side, column of ``set``)."""
    via: str = ""
    """A navigation of the metadata that leads to the same rows; it is taken where it exists."""
    after: str = ""
    """The join that this one continues; empty: it starts at the rows of the type."""
    many: bool = False
    where: tuple[ConditionSpec, ...] = ()


class ItemSpec(Struct, frozen=True):
    """One possible item of a field that collects items from several columns: field → path or constant."""

    values: Mapping[str, str]
    constants: Mapping[str, Any]


class FieldSpec(Struct, frozen=True, kw_only=True):
    """A field of a unified type."""

    name: str
    type: str = "String"
    """A scalar, an enum of the file, or another type of the file."""
    paths: tuple[str, ...] = ()
    """``Column`` or ``join.Column``; the first that has a value counts."""
    minus: str = ""
    """A column that is subtracted from the other one."""
    sum: bool = False
    """Whether the field is the sum of its column in the rows of a list."""
    constant: Any = None
    values: Mapping[str, str] = field(default_factory=dict)
    """Value of the column → value of the field."""
    otherwise: str | None = None
    """The value of the field for values that ``values`` does not list."""
    empty: str | None = None
    """The value of the field if no column has one."""
    convert: str = ""
    part: str = ""
    """The part of its column, a display value, that the field has: one of ``PARTS``."""
    join: str = ""
    """For a field of another type: where its row is; empty: the row itself."""
    many: bool = False
    paged: bool = False
    collect: tuple[ItemSpec, ...] = ()
    distinct: str = ""
    """Field of collected items, by which repeats are left out."""
    highest: tuple[str, ...] = ()
    """Values of the column in the rows of a list, the lowest first: the highest of them counts."""
    file: str = ""
    """A column with files: the field has the path of its bytes."""
    absent: str = ""
    """Why no product has it; the field is always null."""
    filter: bool = True
    """Whether it may be filtered and sorted by, as far as the columns allow."""
    description: str = ""


class WriteSpec(Struct, frozen=True, kw_only=True):
    """Which writes of a unified type are those of its rows."""

    create: bool = False
    update: bool = False
    upsert: bool = False
    delete: bool = False
    set: Mapping[str, Any] = field(default_factory=dict)
    """Column → value of every new row."""
    without: tuple[str, ...] = ()
    """Fields that are not written."""
    reason: str = ""
    """Why the other writes are not those of the rows."""


class TypeSpec(Struct, frozen=True, kw_only=True):
    """A unified type."""

    name: str
    description: str = ""
    sets: tuple[str, ...] = ()
    """The sets that may hold its rows: the first that an environment has counts. Empty: its values are collected."""
    list: str = ""
    """Field of the namespace that lists it; empty: it is reached from other types only."""
    single: str = ""
    """Field of the namespace that returns one by its id."""
    where: tuple[ConditionSpec, ...] = ()
    """Conditions that every listed row passes."""
    joins: Mapping[str, JoinSpec] = field(default_factory=dict)
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)
    writes: WriteSpec = WriteSpec()


class EnumSpec(Struct, frozen=True):
    """An enum of unified values: value → description."""

    name: str
    values: Mapping[str, str]
    description: str = ""


class ModelSpec(Struct, frozen=True, kw_only=True):
    """One unified model: the types below one root field."""

    namespace: str
    """The root field."""
    version: str
    """Version of the model, shown in its description."""
    description: str = ""
    types: Mapping[str, TypeSpec] = field(default_factory=dict)
    enums: Mapping[str, EnumSpec] = field(default_factory=dict)
