"""The types of aggregates as Strawberry definitions: the same for the rows of every set.

    customersV3Aggregate(groupBy: ["customerGroupId"]) { groups { keys count sum(field: "creditLimit") } }

Fields are named by arguments. Types for each set would name them in the schema, and make the introspection of 4,000
sets half as long again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from strawberry.types.enum import StrawberryEnumDefinition

from .objects import Wire, enum_of
from .resolvers import Resolvers
from .strawberry_definitions import (
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    GeneratedInput,
    Ref,
    ResolveInfo,
    TypeTable,
)

AGGREGATE = "Aggregate"
GROUP = "AggregateGroup"
FIXED_TYPES = (AGGREGATE, GROUP, "AggregateFunction", "AggregateHaving", "AggregateOrder")

FUNCTIONS: Mapping[str, str] = {
    "COUNT": "Number of rows, or of rows with a value of `field`.",
    "COUNT_DISTINCT": "Number of different values of `field`.",
    "SUM": "Sum of the values of `field`.",
    "AVG": "Average of the values of `field`.",
    "MIN": "Smallest value of `field`.",
    "MAX": "Largest value of `field`.",
}


class _Wire(NamedTuple):
    """A field with arguments."""

    wire: Wire
    arguments: tuple[Wire, ...] = ()


_FIELD = Wire("field", Ref("String", nullable=False), "A field of the rows.")
_VALUES = (
    _Wire(
        Wire("count", Ref("Int", nullable=False), "Number of rows."),
        (Wire("field", Ref("String"), "Only rows that have a value of this field."),),
    ),
    _Wire(
        Wire(
            "countDistinct", Ref("Int", nullable=False), "Number of different values; null is none."
        ),
        (_FIELD,),
    ),
    _Wire(
        Wire("sum", Ref("Decimal"), "Exact sum of the values; null if there are none."), (_FIELD,)
    ),
    _Wire(
        Wire(
            "avg",
            Ref("Decimal"),
            "Average of the values, rounded to 34 digits; null if there are none.",
        ),
        (_FIELD,),
    ),
    _Wire(
        Wire("min", Ref("JSON"), "Smallest value, written as in rows; null if there are none."),
        (_FIELD,),
    ),
    _Wire(
        Wire("max", Ref("JSON"), "Largest value, written as in rows; null if there are none."),
        (_FIELD,),
    ),
)
_GROUPS = _Wire(
    Wire(
        "groups",
        Ref(GROUP, nullable=False, many=True),
        "One for each combination of the values of `groupBy`, sorted by them unless `orderBy` says otherwise.",
    ),
    (
        Wire("having", Ref("AggregateHaving", many=True), "Only groups that pass all of these."),
        Wire("orderBy", Ref("AggregateOrder", many=True), "Sort order of the groups."),
        Wire("first", Ref("Int"), "Number of groups from the start; not set: all of them."),
    ),
)
_OF_ALL = (
    _GROUPS,
    _Wire(Wire("groupCount", Ref("Int", nullable=False), "Number of groups; 1 without `groupBy`.")),
    _Wire(
        Wire(
            "rowsRead",
            Ref("Int", nullable=False),
            "Number of rows that were read and count here; 0 if the upstream service aggregated them.",
        )
    ),
    _Wire(
        Wire(
            "complete",
            Ref("Boolean", nullable=False),
            "Whether all rows were read. If this is selected, more rows than may be read are no error, but left out.",
        )
    ),
)
_KEYS = _Wire(
    Wire("keys", Ref("JSON", nullable=False), "The fields of `groupBy` with the group's values.")
)
_OBJECTS: Mapping[str, tuple[str, tuple[_Wire, ...]]] = {
    AGGREGATE: ("Aggregates of the rows of a list, and of groups of them.", (*_VALUES, *_OF_ALL)),
    GROUP: ("Rows with the same values of `groupBy`, aggregated.", (_KEYS, *_VALUES)),
}
_FUNCTION = Wire("function", Ref("AggregateFunction"), "What of the field counts.")
_OF = Wire("field", Ref("String"), "A field of the rows.")
_INPUTS: Mapping[str, tuple[str, tuple[Wire, ...]]] = {
    "AggregateHaving": (
        "Conditions on a number of a group: its count, or an aggregate of a field.",
        (
            Wire("function", Ref("AggregateFunction", nullable=False), _FUNCTION.description),
            _OF,
            *(
                Wire(name, Ref("Decimal"), text)
                for name, text in (
                    ("eq", "Equal to."),
                    ("ne", "Not equal to."),
                    ("gt", "Greater than."),
                    ("gte", "Greater than or equal to."),
                    ("lt", "Less than."),
                    ("lte", "Less than or equal to."),
                )
            ),
        ),
    ),
    "AggregateOrder": (
        "What to sort groups by: an aggregate, or without `function` a field of `groupBy`.",
        (_FUNCTION, _OF, Wire("direction", Ref("SortDirection"), "Not set: `ASC`.")),
    ),
}


class AggregateTypes:
    """Creates the definitions of the types of aggregates, by name."""

    def __init__(self, resolvers: Resolvers, types: TypeTable) -> None:
        self._resolvers = resolvers
        self._types = types

    def fixed(self, name: str) -> GeneratedDefinition | StrawberryEnumDefinition | None:
        """Return a type of aggregates; None for any other name."""
        if name == "AggregateFunction":
            return enum_of(name, "What is computed of the rows of a group.", FUNCTIONS)
        if name in _INPUTS:
            description, inputs = _INPUTS[name]
            required = [wire.name for wire in inputs if not wire.ref.nullable]
            by_name = {wire.name: wire for wire in inputs}
            return GeneratedInput(
                name,
                lambda: by_name,
                self._input,
                description=description,
                required=lambda: required,
            )
        if name not in _OBJECTS:
            return None
        description, fields = _OBJECTS[name]
        wires = {field.wire.name: field for field in fields}
        return GeneratedDefinition(name, lambda: wires, self._field, description=description)

    def _input(self, wire: Wire) -> GeneratedField:
        return GeneratedField(wire.name, wire.ref, self._types, description=wire.description)

    def _field(self, field: _Wire) -> GeneratedField:
        resolvers = self._resolvers

        def resolve(source: object, info: ResolveInfo, **_arguments: object) -> object:
            return resolvers.aggregate(source, info)

        return GeneratedField(
            field.wire.name,
            field.wire.ref,
            self._types,
            description=field.wire.description,
            arguments=tuple(
                GeneratedArgument(a.name, a.ref, self._types, a.description)
                for a in field.arguments
            ),
            resolve=resolve,
        )
