"""Sources of schemas to compare: they describe types by name, in any order, without keeping all of them.

GraphQL's built-in scalars, directives and introspection types are left out, because which of them a server shows
depends on its library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from graphql import (
    DEFAULT_DEPRECATION_REASON,
    is_specified_directive,
    specified_directives,
    specified_scalar_types,
)

from schema.errors import SchemaTextError
from schema.introspection.type_records import Member, Value, members_of
from schema.introspection.types import Types
from schema.types.build import ODataSchema

from .shapes import Directive, Shape, shape_of

FORGET_AFTER = 200
"""Types after which a catalogue's records are dropped."""
OWN_DIRECTIVES = frozenset(directive.name for directive in specified_directives)


def is_own(name: str) -> bool:
    """Return whether a type is built into GraphQL."""
    return name.startswith("__") or name in specified_scalar_types


class Source(Protocol):
    """A schema that is described type by type."""

    @property
    def roots(self) -> Mapping[str, str]:
        """``query``, ``mutation``, ``subscription`` → type, if there is one."""

    @property
    def directives(self) -> Sequence[Directive]:
        """The directives that are not built into GraphQL."""

    def names(self) -> Iterable[str]:
        """Return the type names in the order in which describing them is cheapest."""

    def text(self, name: str) -> str | bytes | None:
        """Return the text of a type (equal texts are equal types); None if the source is not a text."""

    def shape(self, name: str) -> Shape:
        """Return a type. Raises SchemaTextError if it cannot be read."""


class ServedSource:
    """The served schema, described from its catalogue; its records are dropped on the way."""

    def __init__(self, schema: ODataSchema) -> None:
        self._types = Types(schema)
        core = schema.core
        roots = {
            "query": core.query_type,
            "mutation": core.mutation_type,
            "subscription": core.subscription_type,
        }
        self.roots = {kind: made.name for kind, made in roots.items() if made is not None}
        self.directives = tuple(
            Directive(
                d.name,
                d.description,
                tuple(members_of(d.args)),
                tuple(location.name for location in d.locations),
                d.is_repeatable,
            )
            for d in core.directives
            if not is_specified_directive(d)
        )
        self._told = 0

    def names(self) -> list[str]:
        """Return the names family by family, because types of a family share records."""
        generated = dict.fromkeys(entry.name for entry in self._types.entries())
        others = (name for name in self._types.names() if name not in generated)
        return [*(name for name in others if not is_own(name)), *generated]

    def text(self, name: str) -> None:  # noqa: ARG002 - as every source
        """Return None: the source is not a text."""
        return

    def shape(self, name: str) -> Shape:
        """Return a type. Raises KeyError if there is none of that name."""
        self._told += 1
        if self._told % FORGET_AFTER == 0:
            self._types.forget()
        decoded = self._types.find(name)
        if decoded is None:
            raise KeyError(name)
        return shape_of(decoded)


# Introspection


class _Named(msgspec.Struct, rename="camel"):
    name: str


class _Use(msgspec.Struct, rename="camel"):
    kind: str
    name: str | None = None
    of_type: _Use | None = None

    def notation(self) -> str:
        """Return the SDL notation."""
        if self.of_type is None:
            return self.name or ""
        inner = self.of_type.notation()
        return f"{inner}!" if self.kind == "NON_NULL" else f"[{inner}]"


class _Deprecatable(msgspec.Struct, rename="camel"):
    name: str
    description: str | None = None
    is_deprecated: bool | None = None
    deprecation_reason: str | None = None

    @property
    def deprecation(self) -> str | None:
        """The reason of a deprecation; None if it is not deprecated."""
        return (
            (self.deprecation_reason or DEFAULT_DEPRECATION_REASON) if self.is_deprecated else None
        )


class _Input(_Deprecatable, kw_only=True, rename="camel"):
    type: _Use
    default_value: str | None = None

    def member(self) -> Member:
        use = self.type.notation()
        return Member(self.name, self.description, use, (), self.default_value, self.deprecation)


class _Field(_Deprecatable, kw_only=True, rename="camel"):
    type: _Use
    args: list[_Input] = []

    def member(self) -> Member:
        arguments = tuple(argument.member() for argument in self.args)
        use = self.type.notation()
        return Member(self.name, self.description, use, arguments, None, self.deprecation)


class _Type(msgspec.Struct, rename="camel"):
    kind: str
    name: str
    description: str | None = None
    fields: list[_Field] | None = None
    input_fields: list[_Input] | None = None
    enum_values: list[_Deprecatable] | None = None
    interfaces: list[_Named] | None = None
    possible_types: list[_Named] | None = None
    specified_by: str | None = msgspec.field(default=None, name="specifiedByURL")
    is_one_of: bool | None = None


class _Directive(msgspec.Struct, rename="camel"):
    name: str
    locations: list[str]
    description: str | None = None
    args: list[_Input] = []
    is_repeatable: bool = False


class _Schema(msgspec.Struct, rename="camel"):
    query_type: _Named
    types: list[msgspec.Raw]
    mutation_type: _Named | None = None
    subscription_type: _Named | None = None
    directives: list[_Directive] = []


class _Data(msgspec.Struct, rename="camel"):
    schema: _Schema = msgspec.field(name="__schema")


class _Result(msgspec.Struct, rename="camel"):
    data: _Data


class IntrospectionSource:
    """The result of an introspection query, with or without ``data`` around it; types are decoded on demand.

    Deprecated arguments and inputs that the query did not select count as absent. If ``isOneOf`` or ``specifiedByURL``
    was not selected, they are not compared.
    """

    def __init__(self, text: bytes, name: str) -> None:
        """Raise SchemaTextError if it is not an introspection result."""
        self._name = name
        decoded = self._read(text)
        roots = {
            "query": decoded.query_type,
            "mutation": decoded.mutation_type,
            "subscription": decoded.subscription_type,
        }
        self.roots = {kind: root.name for kind, root in roots.items() if root is not None}
        self.directives = tuple(
            Directive(
                d.name,
                d.description,
                tuple(a.member() for a in d.args),
                tuple(d.locations),
                d.is_repeatable,
            )
            for d in decoded.directives
            if d.name not in OWN_DIRECTIVES
        )
        named = msgspec.json.Decoder(_Named)
        every = ((self._decoded(named, raw).name, raw) for raw in decoded.types)
        self._types = {name: raw for name, raw in every if not is_own(name)}
        self._type = msgspec.json.Decoder(_Type)

    def _read(self, text: bytes) -> _Schema:
        try:
            try:
                return msgspec.json.decode(text, type=_Result).data.schema
            except msgspec.ValidationError:
                return msgspec.json.decode(text, type=_Data).schema
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SchemaTextError(
                f"{self._name} is not an introspection result: {error}.",
                hint='Expected {"data": {"__schema": {"queryType": …, "types": […]}}}.',
            ) from error

    def _decoded(self, decoder: msgspec.json.Decoder[Any], raw: msgspec.Raw) -> Any:
        try:
            return decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise SchemaTextError(
                f"{self._name}: a type does not have the form of an introspection result: {error}."
            ) from error

    def names(self) -> Iterator[str]:
        """Return the names in the order of the text."""
        return iter(self._types)

    def text(self, name: str) -> bytes:
        """Return the type's JSON."""
        return bytes(self._types[name])

    def shape(self, name: str) -> Shape:
        """Return a decoded type. Raises SchemaTextError, or KeyError if there is none of that name."""
        decoded: _Type = self._decoded(self._type, self._types[name])
        is_union = decoded.kind == "UNION"
        return Shape(
            kind=decoded.kind,
            description=decoded.description,
            fields=tuple(field.member() for field in decoded.fields or ()),
            inputs=tuple(field.member() for field in decoded.input_fields or ()),
            values=tuple(
                Value(v.name, v.description, v.deprecation) for v in decoded.enum_values or ()
            ),
            interfaces=tuple(i.name for i in decoded.interfaces or ()),
            members=tuple(p.name for p in decoded.possible_types or ()) if is_union else (),
            specified_by=decoded.specified_by,
            one_of=decoded.is_one_of if decoded.kind == "INPUT_OBJECT" else False,
        )
