"""Where a schema is: something that tells its types by name, in any order, without holding all of them.

Left out everywhere are GraphQL's own scalars, directives and types of introspection: which of them a server shows
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
"""Types after which a catalogue's records are forgotten."""
OWN_DIRECTIVES = frozenset(directive.name for directive in specified_directives)


def is_own(name: str) -> bool:
    """Return whether a type is GraphQL's own."""
    return name.startswith("__") or name in specified_scalar_types


class Source(Protocol):
    """A schema, told type by type."""

    @property
    def roots(self) -> Mapping[str, str]:
        """``query``, ``mutation``, ``subscription`` → type, where there is one."""

    @property
    def directives(self) -> Sequence[Directive]:
        """Its own directives."""

    def names(self) -> Iterable[str]:
        """Return the names of its types in the order in which they are best told."""

    def text(self, name: str) -> str | bytes | None:
        """Return what a type is read from: equal texts are equal types. None if it is not read from a text."""

    def shape(self, name: str) -> Shape:
        """Return a type. Raises SchemaTextError for one that cannot be read."""


class ServedSource:
    """A schema as the gateway serves it; told from its catalogue, whose records are forgotten on the way."""

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
        """Family by family: what is made for one type serves the next ones."""
        generated = dict.fromkeys(entry.name for entry in self._types.entries())
        others = (name for name in self._types.names() if name not in generated)
        return [*(name for name in others if not is_own(name)), *generated]

    def text(self, name: str) -> None:  # noqa: ARG002 - as every source
        """There is none."""
        return

    def shape(self, name: str) -> Shape:
        """Return a type. Raises KeyError if there is none of that name."""
        self._told += 1
        if self._told % FORGET_AFTER == 0:
            self._types.forget()
        found = self._types.find(name)
        if found is None:
            raise KeyError(name)
        return shape_of(found)


# Introspection


class _Named(msgspec.Struct, rename="camel"):
    name: str


class _Use(msgspec.Struct, rename="camel"):
    kind: str
    name: str | None = None
    of_type: _Use | None = None

    def notation(self) -> str:
        """Return it as in SDL."""
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
        """Why it is deprecated; None if it is not."""
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
    """The result of an introspection query, with or without ``data`` around it; types are read when they are told.

    Deprecated arguments and inputs that its query left out count as not there; of ``isOneOf`` and ``specifiedByURL``
    nothing is concluded then.
    """

    def __init__(self, text: bytes, name: str) -> None:
        """Raise SchemaTextError where it is no result of introspection."""
        self._name = name
        found = self._read(text)
        roots = {
            "query": found.query_type,
            "mutation": found.mutation_type,
            "subscription": found.subscription_type,
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
            for d in found.directives
            if d.name not in OWN_DIRECTIVES
        )
        named = msgspec.json.Decoder(_Named)
        every = ((self._decoded(named, raw).name, raw) for raw in found.types)
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
                f"{self._name} is no result of introspection: {error}.",
                hint='It looks like {"data": {"__schema": {"queryType": …, "types": […]}}}.',
            ) from error

    def _decoded(self, decoder: msgspec.json.Decoder[Any], raw: msgspec.Raw) -> Any:
        try:
            return decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise SchemaTextError(
                f"{self._name}: a type is not as introspection tells it: {error}."
            ) from error

    def names(self) -> Iterator[str]:
        """In the order of the text."""
        return iter(self._types)

    def text(self, name: str) -> bytes:
        """Return the type's JSON."""
        return bytes(self._types[name])

    def shape(self, name: str) -> Shape:
        """Read a type. Raises SchemaTextError, or KeyError where there is none of that name."""
        found: _Type = self._decoded(self._type, self._types[name])
        is_union = found.kind == "UNION"
        return Shape(
            kind=found.kind,
            description=found.description,
            fields=tuple(field.member() for field in found.fields or ()),
            inputs=tuple(field.member() for field in found.input_fields or ()),
            values=tuple(
                Value(v.name, v.description, v.deprecation) for v in found.enum_values or ()
            ),
            interfaces=tuple(i.name for i in found.interfaces or ()),
            members=tuple(p.name for p in found.possible_types or ()) if is_union else (),
            specified_by=found.specified_by,
            one_of=found.is_one_of if found.kind == "INPUT_OBJECT" else False,
        )
