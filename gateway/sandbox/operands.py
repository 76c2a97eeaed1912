"""Operands and literals of filters: their types, and literals in the form that columns hold.

F&O refuses to compare values of different types, so every operand knows its own (section 2.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from odata_query import ast

from . import sql
from .filter_literals import EnumLiteral
from .refusal import Refusal
from .values import (
    NUMBERS,
    Field,
    Kind,
    binary_text,
    duration_seconds,
    fold,
    moment_text,
    sortable,
)

_EDM = {
    Kind.TEXT: "Edm.String",
    Kind.DECIMAL: "Edm.Decimal",
    Kind.INTEGER: "Edm.Int32",
    Kind.REAL: "Edm.Double",
    Kind.BOOLEAN: "Edm.Boolean",
    Kind.MOMENT: "Edm.DateTimeOffset",
    Kind.DATE: "Edm.Date",
    Kind.TIME: "Edm.TimeOfDay",
    Kind.DURATION: "Edm.Duration",
    Kind.GUID: "Edm.Guid",
    Kind.BINARY: "Edm.Binary",
}


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a comparison: a column or an expression of columns."""

    kind: Kind
    plain: Any
    """The value itself: what arithmetic and functions use."""
    compared: Any
    """What comparisons and orders use."""
    field: Field | None = None

    @property
    def type_name(self) -> str:
        return _EDM[self.kind] if self.field is None else self.field.declared.type.name


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal, before it is known with what it is compared."""

    kind: Kind | None
    """None for ``null``."""
    value: Any
    type_name: str


_LITERALS: dict[type, tuple[Kind, str, Callable[[Any], Any]]] = {
    ast.String: (Kind.TEXT, "Edm.String", lambda n: n.val),
    ast.Integer: (Kind.INTEGER, "Edm.Int32", lambda n: Decimal(n.val)),
    ast.Float: (Kind.DECIMAL, "Edm.Decimal", lambda n: Decimal(n.val)),
    ast.Boolean: (Kind.BOOLEAN, "Edm.Boolean", lambda n: int(n.py_val)),
    ast.Date: (Kind.DATE, "Edm.Date", lambda n: n.val),
    ast.Time: (Kind.TIME, "Edm.TimeOfDay", lambda n: n.val),
    ast.Duration: (Kind.DURATION, "Edm.Duration", lambda n: n.val),
    ast.GUID: (Kind.GUID, "Edm.Guid", lambda n: n.val.lower()),
    ast.DateTime: (Kind.MOMENT, "Edm.DateTimeOffset", lambda n: n),
}

_PREFIXED = {"duration": Kind.DURATION, "binary": Kind.BINARY}
"""Kinds whose literals look like those of enumerations: ``duration'PT1H'``."""


def constant(node: Any) -> Constant:
    """Return the constant of a literal's node. Raises Refusal for anything else."""
    if isinstance(node, ast.Null):
        return Constant(None, None, "null")
    if isinstance(node, EnumLiteral) and node.type in _PREFIXED:
        kind = _PREFIXED[node.type]
        return Constant(kind, node.val, _EDM[kind])
    if isinstance(node, EnumLiteral):
        return Constant(Kind.ENUM, node.val, node.type)
    literal = _LITERALS.get(type(node))
    if literal is None:
        raise Refusal(400, "The expression is not supported.")
    kind, type_name, read = literal
    return Constant(kind, read(node), type_name)


def literal_for(left: Operand, right: Constant, verb: str, *, folds: bool) -> Any:
    """Return the literal as the operand's column holds it. Raises Refusal if it is of another type.

    ``folds``: texts compare without case and trailing blanks.
    """
    if right.kind is None:
        return None
    if left.kind in NUMBERS and right.kind in NUMBERS:
        return _numeric(left, right.value)
    if left.kind is not right.kind:
        raise type_mismatch(left.type_name, right.type_name, verb)
    match left.kind:
        case Kind.TEXT:
            return fold(right.value) if folds else right.value
        case Kind.ENUM:
            return _enum_value(left, right, verb)
        case Kind.MOMENT:
            return _moment(right.value)
        case Kind.DURATION | Kind.BINARY:
            return _prefixed(left.kind, right)
    return right.value


def _prefixed(kind: Kind, literal: Constant) -> str:
    try:
        if kind is Kind.DURATION:
            return sortable(duration_seconds(literal.value))
        return binary_text(literal.value)
    except ValueError as problem:
        raise Refusal(
            400, f"The {literal.type_name} text '{literal.value}' is not valid."
        ) from problem


def _numeric(left: Operand, value: Decimal) -> Any:
    if abs(value) >= 2**63:
        raise Refusal(400, f"The number '{value}' is out of range.")
    if left.field is not None and left.kind is Kind.DECIMAL:
        return sortable(value)
    return int(value) if left.kind is Kind.INTEGER and value == int(value) else float(value)


def _enum_value(left: Operand, right: Constant, verb: str) -> int:
    assert left.field is not None
    if right.type_name != left.type_name:
        raise type_mismatch(left.type_name, right.type_name, verb)
    names = left.field.values_by_name
    total = 0
    for member in right.value.split(","):
        text = member.strip()
        if text.isdigit():
            total |= int(text)
        elif text in names:
            total |= names[text]
        else:
            raise Refusal(
                400,
                f"The string '{right.type_name}'{right.value}'' is not a valid enumeration type constant.",
            )
    return total


def _moment(node: Any) -> str:
    try:
        value = node.py_val
    except ValueError as problem:
        raise Refusal(400, f"The DateTimeOffset text '{node.val}' is not valid.") from problem
    if value.tzinfo is None:
        raise Refusal(
            400, f"The time zone information is missing on the DateTimeOffset value '{node.val}'."
        )
    return moment_text(value)


def number(side: Operand | Constant) -> Any:
    """Return a side of an arithmetic expression as a floating-point number."""
    if isinstance(side, Constant):
        return float(side.value)
    return sql.cast(side.plain, "FLOAT")


def negate(side: Operand | Constant) -> Operand | Constant:
    """Return a number with the other sign. Raises Refusal for anything else."""
    if side.kind not in NUMBERS:
        raise Refusal(400, "The operator 'Negate' needs a number.")
    if isinstance(side, Constant):
        return Constant(side.kind, -side.value, side.type_name)
    value = sql.calculate(0.0, "-", number(side))
    return Operand(Kind.REAL, value, value)


def type_mismatch(left: str, right: str, verb: str) -> Refusal:
    """Return the refusal of a comparison of different types."""
    return Refusal(
        400,
        f"A binary operator with incompatible types was detected. Found operand types '{left}' and '{right}'"
        f" for operator kind '{verb}'.",
    )
