"""The records of an aggregate: what is computed of the rows of a list, and how that is laid out in the answer."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Literal, TypeAlias

from msgspec import Struct

from gateway.odata.query import Query
from schema.catalog.records import Field


class Function(Enum):
    """What is computed of the values of a field; the values are names of the API's enum."""

    COUNT = "COUNT"
    COUNT_DISTINCT = "COUNT_DISTINCT"
    SUM = "SUM"
    AVG = "AVG"
    MIN = "MIN"
    MAX = "MAX"


class Measure(Struct, frozen=True):
    """One number or value that is computed of rows."""

    function: Function
    field: int | None = None
    """Index of the field in ``Aggregation.fields``; None for the number of rows."""


class Condition(Struct, frozen=True):
    """A test of ``having``."""

    measure: Measure
    tests: tuple[tuple[str, Decimal], ...]
    """Pairs of operator (``gt``) and operand."""


class GroupOrder(Struct, frozen=True):
    """One term of the order of groups: a measure, or the key at an index."""

    by: Measure | int
    descending: bool = False


Item: TypeAlias = (
    "Measure | Groups | Literal['keys', 'groupCount', 'rowsRead', 'complete', '__typename']"
)


class Groups(Struct, frozen=True):
    """The groups that are answered, and what of each."""

    items: tuple[tuple[str, Item], ...]
    having: tuple[Condition, ...] = ()
    order: tuple[GroupOrder, ...] = ()
    first: int | None = None


class AggregatedField(Struct, frozen=True):
    """A field whose values are aggregated, and for what."""

    field: Field
    functions: frozenset[Function]

    def has(self, *functions: Function) -> bool:
        """Return whether any of these is computed of it."""
        return not self.functions.isdisjoint(functions)


class Aggregation(Struct, frozen=True, kw_only=True):
    """What is computed of the rows of a list."""

    keys: tuple[Field, ...]
    fields: tuple[AggregatedField, ...]
    items: tuple[tuple[str, Item], ...]
    """Response keys in order, and what they hold."""
    takes_part: bool = False
    """Whether the caller learns if rows are left out, so that this is no error."""
    counts_only: bool = False
    """Whether the number of rows tells everything."""
    apply: Query | None = None
    """The query by which the service aggregates the rows itself; None: they are read."""
    max_rows: int
    max_groups: int
