"""Types as introspection describes them: plain records, from graphql-core's types or from the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    print_ast,
)
from graphql.utilities import get_default_value_ast
from msgspec import Struct

from schema.catalog.records import InputField
from schema.types.strawberry_converter import is_one_of

_KINDS: Mapping[type[GraphQLNamedType], str] = {
    GraphQLScalarType: "SCALAR",
    GraphQLObjectType: "OBJECT",
    GraphQLInterfaceType: "INTERFACE",
    GraphQLUnionType: "UNION",
    GraphQLEnumType: "ENUM",
    GraphQLInputObjectType: "INPUT_OBJECT",
}
KINDS = tuple(_KINDS.values())
"""The kinds of named types."""


class Member(NamedTuple):
    """A field, an argument or an input field."""

    name: str
    description: str | None
    type: str
    """As in SDL: ``[Edge!]!``."""
    arguments: tuple[Member, ...] = ()
    default: str | None = None
    """The default value as a GraphQL literal."""
    deprecation: str | None = None


class Value(NamedTuple):
    """A value of an enum."""

    name: str
    description: str | None
    deprecation: str | None = None


Members = Callable[[], Iterable[Member]]
Names = Callable[[], Iterable[str]]


class DescribedType(Struct, frozen=True, kw_only=True):
    """A named type; parts that its kind does not have are None, the others are computed on demand."""

    name: str
    kind: str
    description: str | None = None
    specified_by: str | None = None
    one_of: bool | None = None
    fields: Members | None = None
    inputs: Members | None = None
    values: Callable[[], Iterable[Value]] | None = None
    interfaces: Names | None = None
    possible: Names | None = None


def notation(name: str, *, nullable: bool, many: bool, gaps: bool = False) -> str:
    """Return the SDL notation of a type: ``[Edge!]!``."""
    if many:
        name = f"[{name}]" if gaps else f"[{name}!]"
    return name if nullable else name + "!"


def input_member(field: InputField) -> Member:
    """Describe a field of a generated input type."""
    use = notation(field.type_name, nullable=field.nullable, many=field.many)
    return Member(field.name, field.description or None, use)


def kind_of(core_type: GraphQLNamedType) -> str:
    """Return the ``__TypeKind`` of a type of graphql-core."""
    return next(kind for core, kind in _KINDS.items() if isinstance(core_type, core))


def members_of(
    fields: Mapping[str, GraphQLField] | Mapping[str, GraphQLInputField | GraphQLArgument],
) -> Iterator[Member]:
    """Describe fields, input fields or arguments of graphql-core."""
    for name, field in fields.items():
        yield member_of(name, field)


def member_of(name: str, field: GraphQLField | GraphQLInputField | GraphQLArgument) -> Member:
    """Describe a field, input field or argument of graphql-core."""
    arguments: tuple[Member, ...] = ()
    default = None
    if isinstance(field, GraphQLField):
        arguments = tuple(members_of(field.args))
    elif (literal := get_default_value_ast(field)) is not None:
        default = print_ast(literal)
    return Member(
        name, field.description, str(field.type), arguments, default, field.deprecation_reason
    )


def describe_type(
    core_type: GraphQLNamedType, possible: Callable[[str], Iterable[str]]
) -> DescribedType:
    """Describe a type of graphql-core; ``possible`` gives the possible types of an abstract one."""
    parts: dict[str, Any] = {}
    if isinstance(core_type, GraphQLScalarType):
        parts["specified_by"] = core_type.specified_by_url
    elif isinstance(core_type, GraphQLObjectType | GraphQLInterfaceType):
        parts["fields"] = lambda: members_of(core_type.fields)
        parts["interfaces"] = lambda: (i.name for i in core_type.interfaces)
    elif isinstance(core_type, GraphQLInputObjectType):
        parts["inputs"] = lambda: members_of(core_type.fields)
        parts["one_of"] = is_one_of(core_type)
    elif isinstance(core_type, GraphQLEnumType):
        parts["values"] = lambda: (
            Value(name, value.description, value.deprecation_reason)
            for name, value in core_type.values.items()
        )
    if isinstance(core_type, GraphQLInterfaceType | GraphQLUnionType):
        parts["possible"] = lambda: possible(core_type.name)
    return DescribedType(
        name=core_type.name, kind=kind_of(core_type), description=core_type.description, **parts
    )
