"""A graphql-core schema whose types and fields are made on first touch.

graphql-core walks every type it can reach when a schema is made; for 4,000 entities that takes half a minute and a
gigabyte. Here the schema's type map and the fields of every type are mappings that make an entry on the first look,
and what was made stays.

This module and ``generated`` are the only ones that lean on the insides of libraries. Relied on beyond graphql-core's
documented interface (``tests/unit/schema/types/test_lazy_internals.py`` says what moved after an upgrade):

* ``GraphQLSchema`` answers from ``type_map``, ``query_type``, ``get_implementations``, ``is_sub_type``, ``directives``
  and ``_validation_errors``, and from nothing else that its ``__init__`` prepares;
* object, interface and input types answer from ``fields`` and keep what they were given in ``_fields``, unions answer
  from ``types`` and keep it in ``_types``;
* they take any mapping in the place of a dict, and any sequence in that of a tuple.
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
    """A mapping that makes a value when it is first looked up. Iterating over keys makes nothing."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}

    @abstractmethod
    def make(self, name: str) -> _Made | None:
        """Make the value of a name; None where there is no such name."""

    @abstractmethod
    def names(self) -> Iterable[str]:
        """Return every name in order."""

    @property
    def table(self) -> dict[str, _Made]:
        """What has been made so far."""
        return self._made

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
        """Return everything, made, as graphql-core's ``to_kwargs`` wants it."""
        return dict(self)


class LazyFields(LazyMap[_Made]):
    """The fields of a type: ``ordinary`` ones first, then generated ones made on first touch."""

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
        """Make a generated field."""
        return self._make(name)

    def names(self) -> Iterator[str]:
        """Return the names in order."""
        yield from self._ordinary
        yield from self._names()


class LazyObjectType(GraphQLObjectType):
    """An object type whose fields stay the lazy mapping; graphql-core would copy it and check every name."""

    @property
    def fields(self) -> Any:
        """The lazy mapping."""
        return self._fields


class LazyInterfaceType(GraphQLInterfaceType):
    """An interface of the same kind."""

    @property
    def fields(self) -> Any:
        """The lazy mapping."""
        return self._fields


class LazyMembers(Sequence[GraphQLObjectType]):
    """The members of a union, each made when it is its turn."""

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
    """A union of the object types that have an interface; asked whether it holds a type, it makes no other."""

    interface: str = ""

    @property
    def types(self) -> Any:
        """The lazy members."""
        return self._types

    def holds(self, made: GraphQLNamedType) -> bool:
        """Return whether a type is a member."""
        if not isinstance(made, GraphQLObjectType):
            return False
        return any(i.name == self.interface for i in made.interfaces)


class LazyInputType(GraphQLInputObjectType):
    """An input type of the same kind."""

    required: Callable[[], Collection[str]] | None = None
    """Gives, without making any, the names of the fields that are required; then none has a default."""

    @property
    def fields(self) -> Any:
        """The lazy mapping."""
        return self._fields

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The names of the fields with their places in the type."""
        return {name: place for place, name in enumerate(self.fields)}


def in_order(made: GraphQLInputObjectType, names: Collection[str]) -> Collection[str]:
    """Put names of fields in the order of the type. Raises KeyError where one is not there."""
    if len(names) < 2:
        return [name for name in names if made.fields[name]]
    if not isinstance(made, LazyInputType):
        places = {name: place for place, name in enumerate(made.fields)}
        return sorted(names, key=places.__getitem__)
    return sorted(names, key=made.places.__getitem__)


def required_or_defaulted(made: GraphQLInputObjectType) -> Collection[str]:
    """Return the names of the fields that count even where they are not given; makes no field of a generated type."""
    if isinstance(made, LazyInputType) and made.required is not None:
        return made.required()
    return [
        name
        for name, field in made.fields.items()
        if is_non_null_type(field.type)
        or field.default is not None
        or field.default_value is not Undefined
    ]


class LazyTypes(LazyMap[GraphQLNamedType]):
    """The type map: what the schema started with, then the generated types."""

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
        """Make a generated type."""
        return self._started.get(name) or self._make(name)

    def names(self) -> Iterator[str]:
        """Return the names in order."""
        yield from self._started
        yield from (name for name in self._names() if name not in self._started)


class LazySchema(GraphQLSchema):
    """A graphql-core schema that does not walk its types when it is made."""

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
        vars(self).update(vars(started))
        self.query_type = query
        self.mutation_type = mutation
        self.subscription_type = subscription
        self.type_map = types  # type: ignore[assignment]
        self.assume_valid = True
        self._validation_errors = []
        self._implementers = implementers
        self._sub_type_map = {}

    def get_implementations(self, interface_type: GraphQLInterfaceType) -> InterfaceImplementations:
        """Return the types of an interface: makes them, but not their fields."""
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
        if isinstance(abstract_type, LazyUnionType):
            return abstract_type.holds(maybe_sub_type)
        if is_union_type(abstract_type):
            return super().is_sub_type(abstract_type, maybe_sub_type)
        interfaces = getattr(maybe_sub_type, "interfaces", ())
        return any(i.name == abstract_type.name for i in interfaces)
