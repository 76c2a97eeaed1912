"""Types and directives as comparable records, and the graphql-core types made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from graphql import (
    DirectiveLocation,
    GraphQLArgument,
    GraphQLDefaultInput,
    GraphQLDirective,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    parse_const_value,
    specified_scalar_types,
)

from schema.introspection.type_records import DescribedType, Member, Value


class Shape(NamedTuple):
    """A named type with everything visible to clients."""

    kind: str
    """``__TypeKind``: OBJECT, ENUM…"""
    description: str | None = None
    fields: tuple[Member, ...] = ()
    inputs: tuple[Member, ...] = ()
    values: tuple[Value, ...] = ()
    interfaces: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    """Types of a union."""
    specified_by: str | None = None
    """None also if the source does not say."""
    one_of: bool | None = False
    """None if the source does not say."""


class Directive(NamedTuple):
    """A directive."""

    name: str
    description: str | None
    arguments: tuple[Member, ...]
    locations: tuple[str, ...]
    repeatable: bool = False


def shape_of(shown: DescribedType) -> Shape:
    """Return the record of a described type."""
    members = shown.possible() if shown.kind == "UNION" and shown.possible is not None else ()
    return Shape(
        kind=shown.kind,
        description=shown.description,
        fields=tuple(shown.fields()) if shown.fields is not None else (),
        inputs=tuple(shown.inputs()) if shown.inputs is not None else (),
        values=tuple(shown.values()) if shown.values is not None else (),
        interfaces=tuple(shown.interfaces()) if shown.interfaces is not None else (),
        members=tuple(members),
        specified_by=shown.specified_by,
        one_of=bool(shown.one_of),
    )


def undescribed(shape: Shape) -> Shape:
    """Return it without descriptions."""
    return shape._replace(
        description=None,
        fields=_bare(shape.fields),
        inputs=_bare(shape.inputs),
        values=tuple(value._replace(description=None) for value in shape.values),
    )


def _bare(members: Iterable[Member]) -> tuple[Member, ...]:
    return tuple(
        Member(m.name, None, m.type, _bare(m.arguments), m.default, m.deprecation) for m in members
    )


def undescribed_directive(directive: Directive) -> Directive:
    """Return it without descriptions."""
    return directive._replace(description=None, arguments=_bare(directive.arguments))


_Part = TypeVar("_Part", Member, Value)


def where_different(old: Shape, new: Shape) -> tuple[Shape, Shape]:
    """Return both without their equal members, so that one new entity set does not cost all fields of ``Query``."""
    fields = _different(old.fields, new.fields)
    inputs = _different(old.inputs, new.inputs)
    values = _different(old.values, new.values)
    return (
        old._replace(fields=fields[0], inputs=inputs[0], values=values[0]),
        new._replace(fields=fields[1], inputs=inputs[1], values=values[1]),
    )


def _different(
    old: tuple[_Part, ...], new: tuple[_Part, ...]
) -> tuple[tuple[_Part, ...], tuple[_Part, ...]]:
    same = {part.name: part for part in old}.items() & {part.name: part for part in new}.items()
    names = {name for name, _ in same}
    return (
        tuple(part for part in old if part.name not in names),
        tuple(part for part in new if part.name not in names),
    )


# graphql-core types: referenced types are stand-ins of which only the name counts


def core_type(name: str, shape: Shape) -> GraphQLNamedType:
    """Return the graphql-core type of a shape."""
    return _MAKERS[shape.kind](name, shape)


def core_directive(directive: Directive) -> GraphQLDirective:
    """Return the graphql-core directive."""
    return GraphQLDirective(
        name=directive.name,
        locations=[DirectiveLocation[location] for location in directive.locations],
        args={a.name: _argument(a) for a in directive.arguments},
        is_repeatable=directive.repeatable,
        description=directive.description,
    )


def _fields(shape: Shape) -> dict[str, GraphQLField]:
    return {
        f.name: GraphQLField(
            _reference(f.type),
            args={a.name: _argument(a) for a in f.arguments},
            description=f.description,
            deprecation_reason=f.deprecation,
        )
        for f in shape.fields
    }


def _argument(member: Member) -> GraphQLArgument:
    return GraphQLArgument(_reference(member.type), **_given(member))


def _given(member: Member) -> dict[str, Any]:
    given: dict[str, Any] = {
        "description": member.description,
        "deprecation_reason": member.deprecation,
    }
    if member.default is not None:
        given["default"] = GraphQLDefaultInput(literal=parse_const_value(member.default))
    return given


@lru_cache(maxsize=10_000)
def _reference(notation: str) -> Any:
    if notation.endswith("!"):
        return GraphQLNonNull(_reference(notation[:-1]))
    if notation.startswith("["):
        return GraphQLList(_reference(notation[1:-1]))
    return specified_scalar_types.get(notation) or GraphQLScalarType(notation)


def _interfaces(shape: Shape) -> list[GraphQLInterfaceType]:
    return [GraphQLInterfaceType(name, {}) for name in shape.interfaces]


_MAKERS: Mapping[str, Callable[[str, Shape], GraphQLNamedType]] = {
    "SCALAR": lambda name, shape: GraphQLScalarType(
        name, description=shape.description, specified_by_url=shape.specified_by
    ),
    "OBJECT": lambda name, shape: GraphQLObjectType(
        name, _fields(shape), _interfaces(shape), description=shape.description
    ),
    "INTERFACE": lambda name, shape: GraphQLInterfaceType(
        name, _fields(shape), _interfaces(shape), description=shape.description
    ),
    "UNION": lambda name, shape: GraphQLUnionType(
        name,
        [GraphQLObjectType(member, {}) for member in shape.members],
        description=shape.description,
    ),
    "ENUM": lambda name, shape: GraphQLEnumType(
        name,
        {
            v.name: GraphQLEnumValue(
                v.name, description=v.description, deprecation_reason=v.deprecation
            )
            for v in shape.values
        },
        description=shape.description,
    ),
    "INPUT_OBJECT": lambda name, shape: GraphQLInputObjectType(
        name,
        {i.name: GraphQLInputField(_reference(i.type), **_given(i)) for i in shape.inputs},
        description=shape.description,
        is_one_of=bool(shape.one_of),
    ),
}
