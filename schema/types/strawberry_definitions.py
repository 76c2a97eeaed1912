"""Strawberry definitions that are made from records, by name, and the converter that turns them into lazy types.

Strawberry makes its definitions from annotated classes and converts every one when the schema is created; for 4,000
entities that takes minutes. Here a definition is a name until somebody asks for a field, a field is a name and a type's
name, and no annotation is evaluated.

Relied on beyond Strawberry's documented interface (``tests/unit/schema/types/test_lazy_internals.py`` says what moved
after an upgrade):

* ``StrawberryField``, ``StrawberryArgument`` and ``StrawberryObjectDefinition`` may be subclassed without running
  their ``__init__``;
* ``GraphQLCoreConverter`` makes types through ``from_type``, ``from_object``, ``from_interface``, ``from_union`` and
  ``from_input_object``, fields through ``from_field``, ``from_input_field`` and ``from_argument``, and keeps types in
  ``type_map``;
* ``Schema`` (in ``build``) keeps the graphql-core schema in ``_schema`` and the converter in ``schema_converter``, and
  is found again by the former's ``_strawberry_schema``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from graphql import (
    GraphQLAbstractType,
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLType,
    GraphQLUnionType,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema.types.concrete_type import ConcreteType
from strawberry.schema_directives import OneOf
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import (
    StrawberryList,
    StrawberryObjectDefinition,
    StrawberryOptional,
    StrawberryType,
)
from strawberry.types.field import StrawberryField
from strawberry.types.info import Info
from strawberry.types.union import StrawberryUnion
from strawberry.types.unset import UNSET

from .lazy import (
    LazyFields,
    LazyInputType,
    LazyInterfaceType,
    LazyMembers,
    LazyObjectType,
    LazyUnionType,
)

DEFINITION = GraphQLCoreConverter.DEFINITION_BACKREF
"""Key of ``extensions`` under which a graphql-core object holds the Strawberry definition it was made from."""

ResolveInfo = GraphQLResolveInfo[Any]

Resolve = Callable[..., object]
"""A resolver as graphql-core calls it: ``(source, info, **arguments)``."""

ResolveType = Callable[[object, ResolveInfo, GraphQLAbstractType], str]
"""Gives the name of an object's type, where an interface or union is asked for."""

NamedType = StrawberryType | type[Any]
"""What Strawberry takes for a named type: a class with a definition, an enum definition, a scalar's annotation."""

_Made = TypeVar("_Made")
_Record = TypeVar("_Record")
_Type = TypeVar("_Type", bound=GraphQLNamedType)
_Definition = TypeVar("_Definition", bound="GeneratedDefinition | GeneratedUnion")


@dataclass(frozen=True, slots=True)
class Ref:
    """A type as a field or argument names it: ``Ref("Edge", nullable=False, many=True)`` is ``[Edge!]!``."""

    name: str
    nullable: bool = True
    many: bool = False
    """Whether it is a list; of non-null items, unless ``gaps``."""
    gaps: bool = False
    """Whether the items of the list may be null."""


class TypeTable:
    """Strawberry types by GraphQL name, each made by ``make`` when it is first asked for."""

    def __init__(self, make: Callable[[str], NamedType]) -> None:
        self._make = make
        self.by_name: dict[str, NamedType] = {}
        self.by_ref: dict[Ref, NamedType] = {}

    def named(self, name: str) -> NamedType:
        """Return the type of a name; raises KeyError."""
        found = self.by_name.get(name)
        if found is None:
            found = self.by_name[name] = self._make(name)
        return found

    def of(self, ref: Ref) -> NamedType:
        """Return the type as Strawberry wraps it: nullable is the mark, not non-null."""
        found = self.by_ref.get(ref)
        if found is None:
            found = self.by_ref[ref] = self._wrap(ref)
        return found

    def _wrap(self, ref: Ref) -> NamedType:
        made = self.named(ref.name)
        if ref.many:
            made = StrawberryList(StrawberryOptional(made) if ref.gaps else made)
        return StrawberryOptional(made) if ref.nullable else made


class GeneratedArgument(StrawberryArgument):
    """An argument whose type is given by name: no annotation is evaluated."""

    is_subscription = False
    deprecation_reason = None
    directives = ()
    default = UNSET
    is_graphql_generic = False
    is_maybe = False

    def __init__(self, name: str, ref: Ref, types: TypeTable, description: str = "") -> None:
        self.python_name = self.graphql_name = name
        self.ref = ref
        self.description = description or None
        self.metadata = {}
        self._types = types

    @property
    def type(self) -> NamedType:
        """The type, wrapped as Strawberry does."""
        return self._types.of(self.ref)


def _no_resolver(_source: object, _info: ResolveInfo, **_arguments: object) -> object:
    """Stands where nothing is resolved: in input types."""
    raise NotImplementedError


class GeneratedField(StrawberryField):
    """A field whose type is given by name and whose resolver is graphql-core's: nothing is inspected when it is made.

    The attributes below are those that ``StrawberryField.__init__`` would set one by one, thousands of times.
    """

    type_annotation = None
    origin = None
    is_subscription = False
    deprecation_reason = None
    permission_classes = ()  # type: ignore[assignment]
    directives = ()  # type: ignore[assignment]
    extensions = ()  # type: ignore[assignment]
    default = dataclasses.MISSING
    default_factory = dataclasses.MISSING
    default_value = dataclasses.MISSING
    metadata: Any = {}  # noqa: RUF012
    init = repr = compare = kw_only = False
    hash = None
    is_graphql_generic = False
    is_basic_field = False
    base_resolver: Any = None
    _base_resolver = None
    _field_type = None
    _validated_type_annotation = None

    def __init__(
        self,
        name: str,
        ref: Ref,
        types: TypeTable,
        *,
        description: str = "",
        arguments: tuple[GeneratedArgument, ...] = (),
        resolve: Resolve = _no_resolver,
    ) -> None:
        self.name = self.graphql_name = name
        self.ref = ref
        self.description = description or None
        self.resolve = resolve
        self._arguments = arguments  # type: ignore[assignment]
        self._types = types

    @property  # type: ignore[misc]
    def type(self) -> NamedType:  # type: ignore[override]
        """The type, wrapped as Strawberry does."""
        return self._types.of(self.ref)

    def resolve_type(self, *, type_definition: object = None) -> NamedType:
        """Return the type; generated types have no type variables for ``type_definition`` to fill."""
        del type_definition
        return self.type

    def get_result(
        self, source: object, info: Info | None, args: list[Any], kwargs: dict[str, Any]
    ) -> object:
        """Resolve as graphql-core does, for Strawberry tools that call fields themselves."""
        del args
        return self.resolve(source, None if info is None else info._raw_info, **kwargs)  # noqa: SLF001


class GeneratedDefinition(StrawberryObjectDefinition):
    """An object or interface definition: ``records`` gives its fields by name, ``make`` makes one of them."""

    extend = False
    concrete_of = None
    directives: Any = ()
    is_graphql_generic = False
    is_input = False
    # Itself the type that Strawberry asks: rows are of no class, and classes wait for the garbage collector.
    origin: Any = property(lambda self: self)
    __strawberry_definition__ = origin
    from_input: Any = None
    to_input = None

    def __init__(
        self,
        name: str,
        records: Callable[[], Mapping[str, _Record]],
        make: Callable[[_Record], GeneratedField],
        *,
        description: str = "",
        interfaces: tuple[GeneratedDefinition, ...] = (),
        resolve_type: ResolveType | None = None,
    ) -> None:
        self.name = name
        self.description = description or None
        self.interfaces = list(interfaces)
        self.is_interface = resolve_type is not None
        self.resolve_type = resolve_type
        self.is_type_of = _is_type_of
        self.type_var_map = {}
        self._records = records
        self._make = make

    def names(self) -> Iterable[str]:
        """Return the names of the fields; makes none."""
        return self._records()

    def field(self, name: str) -> GeneratedField | None:
        """Make the field of a name; None where there is none."""
        record = self._records().get(name)
        return None if record is None else self._make(record)

    @property
    def fields(self) -> list[StrawberryField]:  # type: ignore[override]
        """Every field, made anew."""
        return [self._make(record) for record in self._records().values()]


class GeneratedInput(GeneratedDefinition):
    """An input definition; its values stay dicts keyed by GraphQL names.

    ``required`` gives the names of the fields that are, so that values are read without making every field; no field
    has a default.
    """

    is_input = True

    def __init__(
        self,
        name: str,
        records: Callable[[], Mapping[str, _Record]],
        make: Callable[[_Record], GeneratedField],
        *,
        description: str = "",
        one_of: bool = False,
        required: Callable[[], Collection[str]] = tuple,
    ) -> None:
        super().__init__(name, records, make, description=description)
        self.required = required
        self.from_input = _as_it_is
        self.directives = (OneOf(),) if one_of else ()


class GeneratedUnion(StrawberryUnion):
    """The union of all object types that have an interface; none of them is made for it."""

    def __init__(
        self, name: str, interface: str, resolve_type: ResolveType, *, description: str
    ) -> None:
        super().__init__(name, (), description)
        self.name = name
        self.interface = interface
        self.resolve_type = resolve_type


def _is_type_of(_value: object, _info: ResolveInfo) -> bool:
    """Nothing to check: an interface's ``resolve_type`` has decided, and no other field is abstract."""
    return True


def _as_it_is(_cls: type, value: Mapping[str, Any], _context: object) -> object:
    """Input objects stay dicts keyed by GraphQL names."""
    return value


def is_one_of(made: GraphQLType) -> bool | None:
    """Return whether exactly one field of an input type is to be given; None for other types.

    Of hand-written types Strawberry says it in its own definition.
    """
    if not isinstance(made, GraphQLInputObjectType):
        return None
    return bool(made.is_one_of or getattr(made.extensions.get(DEFINITION), "is_one_of", False))


class GeneratingConverter(GraphQLCoreConverter):
    """Strawberry's converter with a short way for generated definitions; everything else goes its way."""

    def __init__(
        self,
        base: GraphQLCoreConverter,
        types: TypeTable,
        implementers: Callable[[str], tuple[list[str], list[str]]] = lambda _: ([], []),
    ) -> None:
        """``implementers`` gives the names of the object types and interfaces that have an interface."""
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
        """Return the graphql-core type of a name; raises KeyError."""
        return cast("GraphQLNamedType", self.from_type(self._types.named(name)))

    def _of(self, ref: Ref) -> Any:
        found = self.refs.get(ref)
        if found is None:
            found = self.refs[ref] = self.from_maybe_optional(self._types.of(ref))
        return found

    def from_argument(self, argument: StrawberryArgument) -> GraphQLArgument:
        """Convert an argument, a shared one once."""
        if not isinstance(argument, GeneratedArgument):
            return super().from_argument(argument)
        found = self.made_arguments.get(argument)
        if found is None:
            found = self.made_arguments[argument] = GraphQLArgument(
                cast("GraphQLInputType", self._of(argument.ref)),
                description=argument.description,
                extensions={DEFINITION: argument},
            )
        return found

    def from_field(
        self,
        field: StrawberryField,
        *,
        type_definition: StrawberryObjectDefinition | None = None,
    ) -> GraphQLField:
        """Convert a field of an object or interface."""
        if not isinstance(field, GeneratedField):
            return super().from_field(field, type_definition=type_definition)
        made = GraphQLField(
            cast("GraphQLOutputType", self._of(field.ref)),
            resolve=field.resolve,
            description=field.description,
            extensions={DEFINITION: field},
        )
        # given to the constructor, the names of all arguments would be checked letter by letter, for each field
        made.args = {a.python_name: self.from_argument(a) for a in field.arguments}
        return made

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
        """Convert an object type; its fields are made on first touch."""
        if not isinstance(object_type, GeneratedDefinition):
            return super().from_object(object_type)
        return self._once(object_type, self._object)

    def from_interface(self, interface: StrawberryObjectDefinition) -> GraphQLInterfaceType:
        """Convert an interface; its fields are made on first touch."""
        if not isinstance(interface, GeneratedDefinition):
            return super().from_interface(interface)
        return self._once(interface, self._interface)

    def from_input_object(self, object_type: type) -> GraphQLInputObjectType:
        """Convert an input type; graphql-core itself checks ``@oneOf`` of generated ones."""
        definition = object_type.__strawberry_definition__  # type: ignore[attr-defined]
        if not isinstance(definition, GeneratedDefinition):
            return super().from_input_object(object_type)
        return self._once(definition, self._input)

    def from_union(self, union: StrawberryUnion) -> GraphQLUnionType:
        """Convert a union; its members are made on first touch."""
        if not isinstance(union, GeneratedUnion):
            return super().from_union(union)
        return self._once(union, self._union)

    def _once(self, definition: _Definition, make: Callable[[_Definition], _Type]) -> _Type:
        found = self.type_map.get(definition.name)
        if found is None:
            found = ConcreteType(definition=definition, implementation=make(definition))
            self.type_map[definition.name] = found
        return cast("_Type", found.implementation)

    def root(
        self,
        definition: GeneratedDefinition,
        ordinary: Mapping[str, GraphQLField] | None = None,
    ) -> GraphQLObjectType:
        """Make the query or mutation type, with hand-written fields beside the generated ones."""
        made = self._object(definition, ordinary)
        self.type_map[definition.name] = ConcreteType(definition=definition, implementation=made)
        return made

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
        made = LazyUnionType(
            union.name,
            LazyMembers(lambda: self._implementers(union.interface)[0], self.named),
            resolve_type=union.resolve_type,
            description=union.description,
            extensions={DEFINITION: union},
        )
        made.interface = union.interface
        return made

    def _input(self, definition: GeneratedDefinition) -> GraphQLInputObjectType:
        made = LazyInputType(
            definition.name,
            self._lazy(definition, self.from_input_field),
            description=definition.description,
            extensions={DEFINITION: definition},
            is_one_of=definition.is_one_of,
        )
        if isinstance(definition, GeneratedInput):
            made.required = definition.required
        return made
