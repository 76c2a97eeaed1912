"""The operators of ``where``: the one list from which types, plans, dialects and explanations follow.

Consumers match on members with ``assert_never`` (or compute a table from such a match), so that the type checker
names every place that has to change when a member is added. The values are the names in the GraphQL API.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import Self


class OperatorKind(Enum):
    """What a group of operators tests. A dialect supports operators by kind of value and by these groups."""

    EQUALITY = auto()
    ORDER = auto()
    LIST = auto()
    FLAGS = auto()
    TEXT = auto()
    NULL = auto()


class Operand(Enum):
    """What stands to the right of an operator."""

    VALUE = auto()
    """One value of the field's type; for a flags enum a list, because such a value is a set of flags."""
    LIST = auto()
    """A list of values; for a flags enum each is a single flag."""
    BOOLEAN = auto()


class WhereOperator(StrEnum):
    """An operator of a filter input type, in the order in which the API lists them."""

    _value_: str
    kind: OperatorKind
    operand: Operand
    description: str
    """The GraphQL description."""

    def __new__(cls, name: str, kind: OperatorKind, operand: Operand, description: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.kind, member.operand, member.description = kind, operand, description
        return member

    EQ = "eq", OperatorKind.EQUALITY, Operand.VALUE, "Equal to this value."
    NE = "ne", OperatorKind.EQUALITY, Operand.VALUE, "Not equal to this value."
    GT = "gt", OperatorKind.ORDER, Operand.VALUE, "Greater than this value."
    GTE = "gte", OperatorKind.ORDER, Operand.VALUE, "Greater than or equal to this value."
    LT = "lt", OperatorKind.ORDER, Operand.VALUE, "Less than this value."
    LTE = "lte", OperatorKind.ORDER, Operand.VALUE, "Less than or equal to this value."
    IN = "in", OperatorKind.LIST, Operand.LIST, "One of these values."
    NIN = "nin", OperatorKind.LIST, Operand.LIST, "None of these values."
    HAS = "has", OperatorKind.FLAGS, Operand.LIST, "Has all of these flags."
    CONTAINS = "contains", OperatorKind.TEXT, Operand.VALUE, "Contains this text."
    STARTS_WITH = "startsWith", OperatorKind.TEXT, Operand.VALUE, "Starts with this text."
    ENDS_WITH = "endsWith", OperatorKind.TEXT, Operand.VALUE, "Ends with this text."
    IS_NULL = (
        "isNull",
        OperatorKind.NULL,
        Operand.BOOLEAN,
        "true: has no value; false: has a value.",
    )


def operators_of(kind: OperatorKind) -> tuple[WhereOperator, ...]:
    """Return the operators of a kind, in the order of the API."""
    return tuple(operator for operator in WhereOperator if operator.kind is kind)
