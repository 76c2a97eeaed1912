"""A graphql-core schema whose types and fields are created on first use.

graphql-core walks every reachable type when a schema is created; for 4,000 entities that takes half a minute and a
gigabyte. Here the type map and the fields of every type are mappings that create an entry on first access and keep it.

This module and the two ``strawberry_…`` modules are the only ones that rely on internals of libraries. Here these are
graphql-core's (``tests/unit/schema/types/test_lazy_internals.py`` names what changed after an upgrade):

* ``GraphQLSchema`` answers from ``type_map``, ``query_type``, ``get_implementations``, ``is_sub_type``, ``directives``
  and ``_validation_errors``, and from nothing else that its ``__init__`` prepares;
* object, interface and input types answer from ``fields`` and keep the constructor's argument in ``_fields``; unions
  answer from ``types`` and keep theirs in ``_types``;
* they accept any mapping instead of a dict, and any sequence instead of a tuple.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

from graphql import (
    GraphQLAbstractType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    is_non_null_type,
    is_union_type,
)
from graphql.type.schema import InterfaceImplementations

_Made = TypeVar("_Made")


class LazyMap(Mapping[str, _Made]):
    """A mapping that creates a value on first lookup; iterating over its keys creates none."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}

    @abstractmethod
    def make(self, name: str) -> _Made | None:
        """Return a new value for a name; None if there is no such name."""

    @abstractmethod
    def names(self) -> Iterable[str]:
        """Return every name, in order."""

    @property
    def table(self) -> dict[str, _Made]:
        """The values created so far."""
        return self._made

    def __getitem__(self, name: str) -> _Made:
        value = self._made.get(name)
        if value is None:
            value = self.make(name)
            if value is None:
                raise KeyError(name)
            self._made[name] = value
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return sum(1 for _ in self.names())

    def copy(self) -> dict[str, _Made]:
        """Return a dict of all values, creating every one; graphql-core's ``to_kwargs`` calls it."""
        return dict(self)


class LazyFields(LazyMap[_Made]):
    """The fields of a type: hand-written (``ordinary``) ones first, then generated ones created on first use."""

    def __init__(
        self,
        names: Callable[[], Iterable[str]],
        make: Callable[[str], _Made | None],
        ordinary: Mapping[str, _Made] | None = None,
    ) -> None:
        super().__init__()
        self._ordinary = dict(ordinary or {})
        self._made.update(self._ordinary)
        self._names = names
        self._make = make

    def make(self, name: str) -> _Made | None:
        """Return a new generated field."""
        return self._make(name)

    def names(self) -> Iterator[str]:
        """Yield the names, in order."""
        yield from self._ordinary
        yield from self._names()


class LazyObjectType(GraphQLObjectType):
    """An object type whose fields stay the lazy mapping; graphql-core would copy it and validate every name."""

    @property
    def fields(self) -> Any:
        """The lazy mapping."""
        return self._fields


class LazyInterfaceType(GraphQLInterfaceType):
    """An interface with lazy fields."""

    @property
    def fields(self) -> Any:
        """The lazy mapping."""
        return self._fields


class LazyMembers(Sequence[GraphQLObjectType]):
    """The members of a union, each created when it is accessed."""

    def __init__(
        self, names: Callable[[], Sequence[str]], make: Callable[[str], GraphQLNamedType]
    ) -> None:
        self._names = names
        self._make = make

    def __len__(self) -> int:
        return len(self._names())

    def __getitem__(self, place: Any) -> Any:
        return cast("GraphQLObjectType", self._make(self._names()[place]))

    def __iter__(self) -> Iterator[GraphQLObjectType]:
        return (cast("GraphQLObjectType", self._make(name)) for name in self._names())


class LazyUnionType(GraphQLUnionType):
    """A union of the object types that implement an interface; membership tests create no types."""

    interface: str = ""

    @property
    def types(self) -> Any:
        """The lazy members."""
        return self._types

    def holds(self, type_: GraphQLNamedType) -> bool:
        """Return whether a type is a member."""
        if not isinstance(type_, GraphQLObjectType):
            return False
        return any(i.name == self.interface for i in type_.interfaces)


class LazyInputType(GraphQLInputObjectType):
    """An input type with lazy fields."""

    required: Callable[[], Collection[str]] | None = None
    """Returns the names of the required fields without creating any; types that set it have no defaults."""

    @property
    def fields(self) -> Any:
        """The lazy mapping."""
        return self._fields

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Field name → position in the type."""
        return {name: place for place, name in enumerate(self.fields)}


def in_order(input_type: GraphQLInputObjectType, names: Collection[str]) -> Collection[str]:
    """Return field names in the order of the type. Raises KeyError if a field does not exist."""
    # Indexing raises KeyError for unknown names; positions of all fields are not needed for one name.
    if len(names) < 2:
        return [name for name in names if input_type.fields[name]]
    if not isinstance(input_type, LazyInputType):
        places = {name: place for place, name in enumerate(input_type.fields)}
        return sorted(names, key=places.__getitem__)
    return sorted(names, key=input_type.places.__getitem__)


def required_or_defaulted(input_type: GraphQLInputObjectType) -> Collection[str]:
    """Return the fields that matter even if they are not provided; creates no field of a generated type."""
    if isinstance(input_type, LazyInputType) and input_type.required is not None:
        return input_type.required()
    return [
        name
        for name, field in input_type.fields.items()
        if is_non_null_type(field.type)
        or field.default is not None
        or field.default_value is not Undefined
    ]


class LazyTypes(LazyMap[GraphQLNamedType]):
    """The type map: the types that Strawberry started the schema with, then the generated ones."""

    def __init__(
        self,
        started: Mapping[str, GraphQLNamedType],
        names: Callable[[], Iterable[str]],
        make: Callable[[str], GraphQLNamedType | None],
    ) -> None:
        super().__init__()
        self._made.update(started)
        self._started = started
        self._names = names
        self._make = make

    def make(self, name: str) -> GraphQLNamedType | None:
        """Return a new generated type."""
        return self._started.get(name) or self._make(name)

    def names(self) -> Iterator[str]:
        """Yield the names, in order."""
        yield from self._started
        yield from (name for name in self._names() if name not in self._started)


class LazySchema(GraphQLSchema):
    """A graphql-core schema that does not walk its types on creation."""

    def __init__(
        self,
        started: GraphQLSchema,
        query: GraphQLObjectType,
        types: LazyTypes,
        implementers: Callable[[str], tuple[list[str], list[str]]],
        *,
        mutation: GraphQLObjectType | None = None,
        subscription: GraphQLObjectType | None = None,
    ) -> None:
        # ``GraphQLSchema.__init__`` would walk all types, so the state is copied instead.
        vars(self).update(vars(started))
        self.query_type = query
        self.mutation_type = mutation
        self.subscription_type = subscription
        self.type_map = types  # type: ignore[assignment]
        # Validation would create every type; tests validate the eager equivalent.
        self.assume_valid = True
        self._validation_errors = []
        self._implementers = implementers
        self._sub_type_map = {}

    def get_implementations(self, interface_type: GraphQLInterfaceType) -> InterfaceImplementations:
        """Return the types that implement an interface; creates them, but not their fields."""
        hand_written = super().get_implementations(interface_type)
        objects, interfaces = self._implementers(interface_type.name)
        return InterfaceImplementations(
            objects=[
                *hand_written.objects,
                *(cast("GraphQLObjectType", self.type_map[n]) for n in objects),
            ],
            interfaces=[
                *hand_written.interfaces,
                *(cast("GraphQLInterfaceType", self.type_map[n]) for n in interfaces),
            ],
        )

    def is_sub_type(
        self, abstract_type: GraphQLAbstractType, maybe_sub_type: GraphQLNamedType
    ) -> bool:
        """Return whether one type is a subtype, by the narrower type's interfaces: its siblings need not be created."""
        if isinstance(abstract_type, LazyUnionType):
            return abstract_type.holds(maybe_sub_type)
        if is_union_type(abstract_type):
            return super().is_sub_type(abstract_type, maybe_sub_type)
        interfaces = getattr(maybe_sub_type, "interfaces", ())
        return any(i.name == abstract_type.name for i in interfaces)
