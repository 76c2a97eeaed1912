"""A Strawberry schema whose types are made when an operation first touches them: the one place that leans on library internals.

Strawberry converts every definition when the schema is created and graphql-core then walks every type it can reach; for 4,000
entities that takes minutes and gigabytes. Here a definition is a name until somebody asks for its fields, the schema's type map and
the fields of ``Query`` are mappings that make an entry on the first look, and what was made stays.

What is relied on beyond the documented interfaces (``tests/schema/test_lazy_internals.py`` says which one moved after an upgrade):

* Strawberry: ``StrawberryField``, ``StrawberryArgument`` and ``StrawberryObjectDefinition`` may be subclassed without running their
  ``__init__``; ``GraphQLCoreConverter`` makes types through ``from_type``, fields through ``from_field`` and ``from_input_field``,
  input types through ``from_input_object``, and keeps them in ``type_map``; ``Schema`` keeps the graphql-core schema in ``_schema``
  and finds itself by that object's ``_strawberry_schema``.
* graphql-core: ``GraphQLSchema`` answers from ``type_map``, ``query_type``, ``get_implementations`` and ``is_sub_type`` only, and
  ``GraphQLObjectType`` from ``fields``; both take any mapping.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLType,
    is_union_type,
)
from graphql.type.schema import InterfaceImplementations
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
from strawberry.types.unset import UNSET

DEFINITION = GraphQLCoreConverter.DEFINITION_BACKREF
"""Key of ``extensions`` under which a graphql-core object holds the Strawberry definition it was made from."""

ResolveInfo = GraphQLResolveInfo[Any]

Resolve = Callable[..., object]
"""A resolver as graphql-core calls it: ``(source, info, **arguments)``."""

NamedType = StrawberryType | type[Any]
"""What Strawberry takes for a named type: a class with a definition, an enum definition, a scalar's annotation."""

_Made = TypeVar("_Made")


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
        self._named: dict[str, NamedType] = {}
        self._wrapped: dict[Ref, NamedType] = {}

    def named(self, name: str) -> NamedType:
        """Give the type of a name; raises KeyError."""
        found = self._named.get(name)
        if found is None:
            found = self._named[name] = self._make(name)
        return found

    def of(self, ref: Ref) -> NamedType:
        """Give the type as Strawberry wraps it: nullable is the mark, not non-null."""
        found = self._wrapped.get(ref)
        if found is None:
            found = self._wrapped[ref] = self._wrap(ref)
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
    default_factory = dataclasses.MISSING  # type: ignore[assignment]
    default_value = dataclasses.MISSING
    metadata = {}  # type: ignore[assignment]  # noqa: RUF012
    init = repr = compare = kw_only = False
    hash = None
    is_graphql_generic = False
    is_basic_field = False
    base_resolver = None  # type: ignore[assignment]
    _base_resolver = None
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
        record: object = None,
    ) -> None:
        self.name = self.graphql_name = name
        self.ref = ref
        self.description = description or None
        self.resolve = resolve
        self.record = record
        self._arguments = arguments  # type: ignore[assignment]
        self._types = types

    @property
    def type(self) -> NamedType:
        """The type, wrapped as Strawberry does."""
        return self._types.of(self.ref)

    def resolve_type(self, *, type_definition: object = None) -> NamedType:  # type: ignore[override]
        """Give the type; generated types have no type variables for ``type_definition`` to fill."""
        del type_definition
        return self.type

    def get_result(
        self, source: object, info: Info | None, args: list[Any], kwargs: dict[str, Any]
    ) -> object:
        """Resolve as graphql-core does, for Strawberry tools that call fields themselves."""
        del args
        return self.resolve(source, None if info is None else info._raw_info, **kwargs)  # noqa: SLF001


class GeneratedDefinition(StrawberryObjectDefinition):
    """An object, interface or input definition whose fields are made by ``build`` when first asked for."""

    extend = False
    concrete_of = None
    is_graphql_generic = False
    to_input = None

    def __init__(
        self,
        name: str,
        build: Callable[[], Iterable[StrawberryField]],
        *,
        description: str = "",
        interfaces: tuple[GeneratedDefinition, ...] = (),
        resolve_type: Callable[[object, ResolveInfo, GraphQLAbstractType], str] | None = None,
        is_input: bool = False,
        one_of: bool = False,
    ) -> None:
        self.name = name
        self.description = description or None
        self.interfaces = list(interfaces)
        self.is_interface = resolve_type is not None
        self.resolve_type = resolve_type
        self.is_type_of = _is_type_of
        self.is_input = is_input
        self.from_input = _as_it_is if is_input else None
        self.directives = (OneOf(),) if one_of else ()
        self.type_var_map = {}
        self.origin = type(name, (), {"__strawberry_definition__": self, "__slots__": ()})
        self._build = build
        self._fields: list[StrawberryField] | None = None

    @property
    def fields(self) -> list[StrawberryField]:  # type: ignore[override]
        """The fields, made on the first look."""
        if self._fields is None:
            self._fields = list(self._build())
        return self._fields


def _is_type_of(_value: object, _info: ResolveInfo) -> bool:
    """Nothing to check: an interface's ``resolve_type`` has decided, and no other field is abstract."""
    return True


def _as_it_is(_cls: type, value: Mapping[str, Any], _context: object) -> object:
    """Input objects stay dicts keyed by GraphQL names."""
    return value


class GeneratingConverter(GraphQLCoreConverter):
    """Strawberry's converter with a short way for generated definitions; everything else goes its way."""

    def __init__(self, base: GraphQLCoreConverter, types: TypeTable) -> None:
        super().__init__(
            base.config,
            scalar_overrides={},
            scalar_map=base.config.scalar_map,
            get_fields=base.get_fields,
        )
        self.type_map = base.type_map
        self._types = types
        self._refs: dict[Ref, GraphQLType] = {}
        self._made_arguments: dict[GeneratedArgument, GraphQLArgument] = {}

    def named(self, name: str) -> GraphQLNamedType:
        """Give the graphql-core type of a name; raises KeyError."""
        return cast("GraphQLNamedType", self.from_type(self._types.named(name)))

    def _of(self, ref: Ref) -> Any:
        found = self._refs.get(ref)
        if found is None:
            found = self._refs[ref] = self.from_maybe_optional(self._types.of(ref))
        return found

    def from_argument(self, argument: StrawberryArgument) -> GraphQLArgument:
        """Convert an argument, a shared one once."""
        if not isinstance(argument, GeneratedArgument):
            return super().from_argument(argument)
        found = self._made_arguments.get(argument)
        if found is None:
            found = self._made_arguments[argument] = GraphQLArgument(
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
        return GraphQLField(
            cast("GraphQLOutputType", self._of(field.ref)),
            {
                cast("str", a.graphql_name): self.from_argument(a)
                for a in cast("tuple[GeneratedArgument, ...]", field.arguments)
            },
            field.resolve,
            description=field.description,
            extensions={DEFINITION: field},
        )

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

    def from_input_object(self, object_type: type) -> GraphQLInputObjectType:
        """Convert an input type; graphql-core itself checks ``@oneOf`` of generated ones, without touching their fields."""
        definition = object_type.__strawberry_definition__  # type: ignore[attr-defined]
        if not isinstance(definition, GeneratedDefinition) or definition.name in self.type_map:
            return super().from_input_object(object_type)
        made = GraphQLInputObjectType(
            definition.name,
            lambda: self.get_graphql_input_fields(definition),
            description=definition.description,
            extensions={DEFINITION: definition},
            is_one_of=definition.is_one_of,
        )
        self.type_map[definition.name] = ConcreteType(definition=definition, implementation=made)
        return made

    def get_graphql_fields(
        self, type_definition: StrawberryObjectDefinition
    ) -> dict[str, GraphQLField]:
        """Convert the fields of an object or interface."""
        if not isinstance(type_definition, GeneratedDefinition):
            return super().get_graphql_fields(type_definition)
        return {f.name: self.from_field(f) for f in type_definition.fields}

    def get_graphql_input_fields(
        self, type_definition: StrawberryObjectDefinition
    ) -> dict[str, GraphQLInputField]:
        """Convert the fields of an input type."""
        if not isinstance(type_definition, GeneratedDefinition):
            return super().get_graphql_input_fields(type_definition)
        return {f.name: self.from_input_field(f) for f in type_definition.fields}


class LazyMap(Mapping[str, _Made]):
    """A mapping that makes a value when it is first looked up. Iterating over keys makes nothing."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}

    @abstractmethod
    def make(self, name: str) -> _Made | None:
        """Make the value of a name; None where there is no such name."""

    @abstractmethod
    def names(self) -> Iterable[str]:
        """Give every name in order."""

    def __getitem__(self, name: str) -> _Made:
        found = self._made.get(name)
        if found is None:
            found = self.make(name)
            if found is None:
                raise KeyError(name)
            self._made[name] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return sum(1 for _ in self.names())

    def copy(self) -> dict[str, _Made]:
        """Give everything, made, as graphql-core's ``to_kwargs`` wants it."""
        return dict(self)

    @property
    def made(self) -> int:
        """How many values have been made."""
        return len(self._made)


class LazyFields(LazyMap[GraphQLField]):
    """The fields of ``Query``: ordinary ones first, then generated ones made on the first look."""

    def __init__(
        self,
        ordinary: Mapping[str, GraphQLField],
        generated: Iterable[str],
        make: Callable[[str], GraphQLField | None],
    ) -> None:
        super().__init__()
        self._made.update(ordinary)
        self._ordinary = tuple(ordinary)
        self._generated = generated
        self._make = make

    def make(self, name: str) -> GraphQLField | None:
        """Make a generated root field."""
        return self._make(name)

    def names(self) -> Iterator[str]:
        """Give the names in order."""
        yield from self._ordinary
        yield from self._generated


class LazyTypes(LazyMap[GraphQLNamedType]):
    """The type map: what the schema started with, then the generated types."""

    def __init__(
        self,
        started: Mapping[str, GraphQLNamedType],
        converter: GeneratingConverter,
        has: Callable[[str], bool],
        names: Callable[[], Iterable[str]],
    ) -> None:
        super().__init__()
        self._made.update(started)
        self._started = tuple(started)
        self._converter = converter
        self._has = has
        self._names = names

    def make(self, name: str) -> GraphQLNamedType | None:
        """Make a generated type."""
        return self._converter.named(name) if self._has(name) else None

    def names(self) -> Iterator[str]:
        """Give the names in order."""
        yield from self._started
        yield from (name for name in self._names() if name not in self._started)


class LazyObjectType(GraphQLObjectType):
    """An object type whose fields are a lazy mapping."""

    def __init__(self, name: str, fields: LazyFields, extensions: dict[str, Any]) -> None:
        super().__init__(name, {}, extensions=extensions)
        self._lazy_fields = fields

    @property
    def fields(self) -> LazyFields:  # type: ignore[override]
        """The fields; graphql-core would copy them into a dict."""
        return self._lazy_fields


class LazySchema(GraphQLSchema):
    """A graphql-core schema that does not walk its types when it is made."""

    def __init__(
        self,
        started: GraphQLSchema,
        query: GraphQLObjectType,
        types: LazyTypes,
        implementers: Callable[[str], tuple[list[str], list[str]]],
    ) -> None:
        vars(self).update(vars(started))
        self.query_type = query
        self.type_map = types  # type: ignore[assignment]
        self.assume_valid = True
        self._validation_errors = []
        self._implementers = implementers
        self._sub_type_map = {}

    def get_implementations(self, interface_type: GraphQLInterfaceType) -> InterfaceImplementations:
        """Give the types of an interface: makes them, but not their fields."""
        known = super().get_implementations(interface_type)
        objects, interfaces = self._implementers(interface_type.name)
        return InterfaceImplementations(
            objects=[
                *known.objects,
                *(cast("GraphQLObjectType", self.type_map[n]) for n in objects),
            ],
            interfaces=[
                *known.interfaces,
                *(cast("GraphQLInterfaceType", self.type_map[n]) for n in interfaces),
            ],
        )

    def is_sub_type(
        self, abstract_type: GraphQLAbstractType, maybe_sub_type: GraphQLNamedType
    ) -> bool:
        """Ask the narrower type for its interfaces, so the other ones of a wide interface stay unmade."""
        if is_union_type(abstract_type):
            return super().is_sub_type(abstract_type, maybe_sub_type)
        interfaces = getattr(maybe_sub_type, "interfaces", ())
        return any(i.name == abstract_type.name for i in interfaces)
