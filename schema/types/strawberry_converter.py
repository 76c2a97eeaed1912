"""Converts Strawberry definitions into graphql-core types whose fields are created on first use.

Private interface of Strawberry that this module relies on (``tests/unit/schema/types/test_lazy_internals.py`` names
what changed after an upgrade):

* ``GraphQLCoreConverter`` makes types through ``from_type``, ``from_object``, ``from_interface``, ``from_union`` and
  ``from_input_object``, fields through ``from_field``, ``from_input_field`` and ``from_argument``, and keeps types in
  ``type_map``;
* ``Schema`` (in ``build``) keeps the graphql-core schema in ``_schema`` and the converter in ``schema_converter``, and
  the former refers back to it by ``_strawberry_schema``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLType,
    GraphQLUnionType,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema.types.concrete_type import ConcreteType
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.union import StrawberryUnion

from .lazy import (
    LazyFields,
    LazyInputType,
    LazyInterfaceType,
    LazyMembers,
    LazyObjectType,
    LazyUnionType,
)
from .strawberry_definitions import (
    DEFINITION,
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    GeneratedInput,
    GeneratedUnion,
    Ref,
    TypeTable,
)

_Made = TypeVar("_Made")
_Type = TypeVar("_Type", bound=GraphQLNamedType)
_Definition = TypeVar("_Definition", bound=GeneratedDefinition | GeneratedUnion)


def is_one_of(type_: GraphQLType) -> bool | None:
    """Return whether an input type is ``@oneOf``; None for other kinds of types.

    For hand-written types only Strawberry's own definition knows it.
    """
    if not isinstance(type_, GraphQLInputObjectType):
        return None
    return bool(type_.is_one_of or getattr(type_.extensions.get(DEFINITION), "is_one_of", False))


class GeneratingConverter(GraphQLCoreConverter):
    """Strawberry's converter with a short cut for generated definitions; hand-written types are converted as usual."""

    def __init__(
        self,
        base: GraphQLCoreConverter,
        types: TypeTable,
        implementers: Callable[[str], tuple[list[str], list[str]]] = lambda _: ([], []),
    ) -> None:
        """``implementers`` returns the names of the object types and of the interfaces that implement an interface."""
        super().__init__(
            base.config,
            scalar_overrides={},
            scalar_map=base.config.scalar_map,
            get_fields=base.get_fields,
        )
        self.type_map = base.type_map
        self._types = types
        self._implementers = implementers
        self.refs: dict[Ref, GraphQLType] = {}
        self.made_arguments: dict[GeneratedArgument, GraphQLArgument] = {}

    def named(self, name: str) -> GraphQLNamedType:
        """Return the graphql-core type of a name. Raises KeyError if there is none."""
        return cast("GraphQLNamedType", self.from_type(self._types.named(name)))

    def _of(self, ref: Ref) -> Any:
        converted = self.refs.get(ref)
        if converted is None:
            converted = self.refs[ref] = self.from_maybe_optional(self._types.of(ref))
        return converted

    def from_argument(self, argument: StrawberryArgument) -> GraphQLArgument:
        """Convert an argument; one shared by many fields is converted once."""
        if not isinstance(argument, GeneratedArgument):
            return super().from_argument(argument)
        converted = self.made_arguments.get(argument)
        if converted is None:
            converted = self.made_arguments[argument] = GraphQLArgument(
                cast("GraphQLInputType", self._of(argument.ref)),
                description=argument.description,
                extensions={DEFINITION: argument},
            )
        return converted

    def from_field(
        self,
        field: StrawberryField,
        *,
        type_definition: StrawberryObjectDefinition | None = None,
    ) -> GraphQLField:
        """Convert a field of an object or interface."""
        if not isinstance(field, GeneratedField):
            return super().from_field(field, type_definition=type_definition)
        converted = GraphQLField(
            cast("GraphQLOutputType", self._of(field.ref)),
            resolve=field.resolve,
            description=field.description,
            extensions={DEFINITION: field},
        )
        # The constructor would validate every argument name character by character, for each field.
        converted.args = {a.python_name: self.from_argument(a) for a in field.arguments}
        return converted

    def from_input_field(
        self,
        field: StrawberryField,
        *,
        type_definition: StrawberryObjectDefinition | None = None,
    ) -> GraphQLInputField:
        """Convert a field of an input type."""
        if not isinstance(field, GeneratedField):
            return super().from_input_field(field, type_definition=type_definition)
        return GraphQLInputField(
            cast("GraphQLInputType", self._of(field.ref)),
            description=field.description,
            extensions={DEFINITION: field},
        )

    def from_object(self, object_type: StrawberryObjectDefinition) -> GraphQLObjectType:
        """Convert an object type; its fields are created on first use."""
        if not isinstance(object_type, GeneratedDefinition):
            return super().from_object(object_type)
        return self._once(object_type, self._object)

    def from_interface(self, interface: StrawberryObjectDefinition) -> GraphQLInterfaceType:
        """Convert an interface; its fields are created on first use."""
        if not isinstance(interface, GeneratedDefinition):
            return super().from_interface(interface)
        return self._once(interface, self._interface)

    def from_input_object(self, object_type: type) -> GraphQLInputObjectType:
        """Convert an input type. For generated ones graphql-core itself checks ``@oneOf``."""
        definition = object_type.__strawberry_definition__  # type: ignore[attr-defined]
        if not isinstance(definition, GeneratedDefinition):
            return super().from_input_object(object_type)
        return self._once(definition, self._input)

    def from_union(self, union: StrawberryUnion) -> GraphQLUnionType:
        """Convert a union; its members are created on first use."""
        if not isinstance(union, GeneratedUnion):
            return super().from_union(union)
        return self._once(union, self._union)

    def _once(self, definition: _Definition, make: Callable[[_Definition], _Type]) -> _Type:
        concrete = self.type_map.get(definition.name)
        if concrete is None:
            concrete = ConcreteType(definition=definition, implementation=make(definition))
            self.type_map[definition.name] = concrete
        return cast("_Type", concrete.implementation)

    def root(
        self,
        definition: GeneratedDefinition,
        ordinary: Mapping[str, GraphQLField] | None = None,
    ) -> GraphQLObjectType:
        """Create a root type with hand-written (``ordinary``) and generated fields."""
        root_type = self._object(definition, ordinary)
        self.type_map[definition.name] = ConcreteType(
            definition=definition, implementation=root_type
        )
        return root_type

    def _object(
        self,
        definition: GeneratedDefinition,
        ordinary: Mapping[str, GraphQLField] | None = None,
    ) -> GraphQLObjectType:
        return LazyObjectType(
            definition.name,
            self._lazy(definition, self.from_field, ordinary),
            interfaces=[self.from_interface(i) for i in definition.interfaces],
            is_type_of=definition.is_type_of,
            description=definition.description,
            extensions={DEFINITION: definition},
        )

    def _lazy(
        self,
        definition: GeneratedDefinition,
        convert: Callable[[StrawberryField], _Made],
        ordinary: Mapping[str, _Made] | None = None,
    ) -> Any:
        def make(name: str) -> _Made | None:
            field = definition.field(name)
            return None if field is None else convert(field)

        return LazyFields(definition.names, make, ordinary)

    def _interface(self, definition: GeneratedDefinition) -> GraphQLInterfaceType:
        return LazyInterfaceType(
            definition.name,
            self._lazy(definition, self.from_field),
            interfaces=[self.from_interface(i) for i in definition.interfaces],
            resolve_type=definition.resolve_type,
            description=definition.description,
            extensions={DEFINITION: definition},
        )

    def _union(self, union: GeneratedUnion) -> GraphQLUnionType:
        union_type = LazyUnionType(
            union.name,
            LazyMembers(lambda: self._implementers(union.interface)[0], self.named),
            resolve_type=union.resolve_type,
            description=union.description,
            extensions={DEFINITION: union},
        )
        union_type.interface = union.interface
        return union_type

    def _input(self, definition: GeneratedDefinition) -> GraphQLInputObjectType:
        input_type = LazyInputType(
            definition.name,
            self._lazy(definition, self.from_input_field),
            description=definition.description,
            extensions={DEFINITION: definition},
            is_one_of=definition.is_one_of,
        )
        if isinstance(definition, GeneratedInput):
            input_type.required = definition.required
        return input_type
