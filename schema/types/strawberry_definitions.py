"""Strawberry definitions made from catalogue records instead of annotated classes.

Strawberry reads annotated classes and converts every one when the schema is created; for 4,000 entities that takes
minutes. Here a definition is only a name until a field is requested, a field is a name and a type's name, and no
annotation is evaluated. ``strawberry_converter`` turns the definitions into graphql-core types.

Private interface of Strawberry that this module relies on (``tests/unit/schema/types/test_lazy_internals.py`` names
what changed after an upgrade): ``StrawberryField``, ``StrawberryArgument`` and ``StrawberryObjectDefinition`` may be
subclassed without running their ``__init__``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from graphql import GraphQLAbstractType, GraphQLResolveInfo
from strawberry.schema.schema_converter import GraphQLCoreConverter
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

DEFINITION = GraphQLCoreConverter.DEFINITION_BACKREF
"""Key of ``extensions`` under which a graphql-core object holds the Strawberry definition it was made from."""

ResolveInfo = GraphQLResolveInfo[Any]

Resolve = Callable[..., object]
"""A resolver as graphql-core calls it: ``(source, info, **arguments)``."""

ResolveType = Callable[[object, ResolveInfo, GraphQLAbstractType], str]
"""Returns the name of an object's type where the schema says an interface or a union."""

NamedType = StrawberryType | type[Any]
"""What Strawberry accepts as a named type: a class with a definition, an enum definition, a scalar's annotation."""

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a type by name: ``Ref("Edge", nullable=False, many=True)`` is ``[Edge!]!``."""

    name: str
    nullable: bool = True
    many: bool = False
    """Whether it is a list; of non-null items, unless ``gaps``."""
    gaps: bool = False
    """Whether the items of the list may be null."""


class TypeTable:
    """Strawberry types by GraphQL name, created by ``make`` on first use."""

    def __init__(self, make: Callable[[str], NamedType]) -> None:
        self._make = make
        self.by_name: dict[str, NamedType] = {}
        self.by_ref: dict[Ref, NamedType] = {}

    def named(self, name: str) -> NamedType:
        """Return the type of a name. Raises KeyError if there is none."""
        named_type = self.by_name.get(name)
        if named_type is None:
            named_type = self.by_name[name] = self._make(name)
        return named_type

    def of(self, ref: Ref) -> NamedType:
        """Return the type with Strawberry's wrappers, which mark nullable types rather than non-null ones."""
        wrapped = self.by_ref.get(ref)
        if wrapped is None:
            wrapped = self.by_ref[ref] = self._wrap(ref)
        return wrapped

    def _wrap(self, ref: Ref) -> NamedType:
        wrapped = self.named(ref.name)
        if ref.many:
            wrapped = StrawberryList(StrawberryOptional(wrapped) if ref.gaps else wrapped)
        return StrawberryOptional(wrapped) if ref.nullable else wrapped


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
    """Placeholder for fields that are never resolved: those of input types."""
    raise NotImplementedError


class GeneratedField(StrawberryField):
    """A field whose type is given by name; its resolver has graphql-core's signature, so nothing is inspected.

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
        """Call the resolver as graphql-core does, for Strawberry tools that call fields themselves."""
        del args
        return self.resolve(source, None if info is None else info._raw_info, **kwargs)  # noqa: SLF001


class GeneratedDefinition(StrawberryObjectDefinition):
    """An object or interface definition: ``records`` returns the field records by name, ``make`` creates one field."""

    extend = False
    concrete_of = None
    directives: Any = ()
    is_graphql_generic = False
    is_input = False
    # Strawberry asks for the decorated class. Rows have none, and a class per type would be freed by the garbage
    # collector only, so the definition stands in for it.
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
        """Return the names of the fields without creating any."""
        return self._records()

    def field(self, name: str) -> GeneratedField | None:
        """Return a new field of this name; None if there is none."""
        record = self._records().get(name)
        return None if record is None else self._make(record)

    @property
    def fields(self) -> list[StrawberryField]:  # type: ignore[override]
        """Every field, created anew on each access."""
        return [self._make(record) for record in self._records().values()]


class GeneratedInput(GeneratedDefinition):
    """An input definition; its values stay dicts keyed by GraphQL names.

    ``required`` returns the names of the required fields, so that coercion need not create every field. No generated
    field has a default.
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
    """The union of all object types that implement an interface; its members are created on first use."""

    def __init__(
        self, name: str, interface: str, resolve_type: ResolveType, *, description: str
    ) -> None:
        super().__init__(name, (), description)
        self.name = name
        self.interface = interface
        self.resolve_type = resolve_type


def _is_type_of(_value: object, _info: ResolveInfo) -> bool:
    """Accept everything: ``resolve_type`` has already chosen the type of interfaces and unions."""
    return True


def _as_it_is(_cls: type, value: Mapping[str, Any], _context: object) -> object:
    """Keep an input object as the dict that coercion made."""
    return value
