"""Helpers shared by the explanations of names for reading and for writing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from schema.catalog.names import near_names
from schema.catalog.records import Argument, Result
from schema.errors import SchemaError, did_you_mean
from schema.model.records import Property

Lines: TypeAlias = Iterator[tuple[str, str]]
"""Pairs of a heading and a text."""


def unknown(what: str, name: str, names: Iterable[str]) -> SchemaError:
    """Return the error for an unknown name, with similar names."""
    near = did_you_mean(name, near_names(name, names))
    return SchemaError(
        f"There is no {what}{name}.{near}",
        hint="Pass a type, Type.field, Enum.VALUE or a field of Query or Mutation.",
    )


def marks(prop: Property) -> Iterator[str]:
    """Yield the annotations of a property that the metadata states beyond its type."""
    if prop.ax_type:
        yield f"AXType {prop.ax_type}"
    flags = (
        ("AllowEdit false", not prop.allow_edit),
        ("AllowEditOnCreate false", not prop.allow_edit_on_create),
        ("IsRequired", prop.required),
    )
    yield from (text for text, holds in flags if holds)


def argument_type(argument: Argument) -> str:
    """Return the type of an argument in SDL notation."""
    return type_notation(argument.type_name, nullable=argument.nullable, many=argument.many)


def result_type(result: Result) -> str:
    """Return the type of a field of a root or payload type in SDL notation."""
    return type_notation(
        result.type_name, nullable=result.nullable, many=result.many, gaps=result.gaps
    )


def type_notation(
    name: str, *, nullable: bool = True, many: bool = False, gaps: bool = False
) -> str:
    """Return the SDL notation of a type: ``[Order!]!``."""
    item = name if gaps else f"{name}!"
    inner = f"[{item}]" if many else name
    return inner if nullable else f"{inner}!"
