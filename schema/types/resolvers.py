"""Resolvers that the schema needs to complete values that are already loaded; the gateway implements them.

They run on the slow path only: when graphql-core completes a value because the compiled path gave up, or next to a
hand-written field. They return leaf values as GraphQL's: the value name of an enum, a ``decimal.Decimal`` for
``Decimal``, an ``int`` for ``Long``, normalised text for the other scalars.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn, Protocol, cast

from graphql import GraphQLResolveInfo

from schema.catalog.records import Field, MutationField, PayloadField, RootField


class Resolvers(Protocol):
    """Returns the value of a field for an upstream value; each method may return an awaitable."""

    def root(self, field: RootField, info: GraphQLResolveInfo[Any]) -> object:
        """Return the value of a generated field of ``Query``."""
        ...

    def field(self, field: Field, source: object, info: GraphQLResolveInfo[Any]) -> object:
        """Return the value of a field of a generated object."""
        ...

    def connection(self, name: str, source: object, info: GraphQLResolveInfo[Any]) -> object:
        """Return a field of a connection, edge or ``PageInfo``: ``nodes``, ``cursor``, ``hasNextPage`` and so on."""
        ...

    def aggregate(self, source: object, info: GraphQLResolveInfo[Any]) -> object:
        """Return a field of an aggregate, or of a group of one, by its response key."""
        ...

    def mutation(self, field: MutationField, info: GraphQLResolveInfo[Any]) -> object:
        """Return the payload of a field of ``Mutation``."""
        ...

    def payload(self, field: PayloadField, source: object, info: GraphQLResolveInfo[Any]) -> object:
        """Return the value of a field of a payload; user errors are mappings by GraphQL field name."""
        ...

    def unified_root(self, info: GraphQLResolveInfo[Any]) -> object:
        """Return the value of a field below the root field of a unified model."""
        ...

    def unified(self, source: object, info: GraphQLResolveInfo[Any]) -> object:
        """Return the value of a field of a unified object, which is a row, or an item of several columns."""
        ...

    def subgraph(self, info: GraphQLResolveInfo[Any]) -> object:
        """Return the SDL of the API as a subgraph."""
        ...

    def type_name(self, value: object) -> str:
        """Return the name of a row's object type, for fields of an interface or union type."""
        ...


class _NeverExecuted:
    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"This schema is never executed, but its resolver {name} was used.")


NEVER_EXECUTED: Final = cast("Resolvers", _NeverExecuted())
"""For schemas that are only printed or introspected."""
