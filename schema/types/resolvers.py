"""What the schema needs from the outside to complete values that are already loaded. The gateway implements it.

These run on the slow path only: where graphql-core completes a value by itself because the compiled path met a
surprise, or for a hand-written field's neighbours. Leaf values are handed back as GraphQL's own: the value name of an
enum, a ``decimal.Decimal`` for ``Decimal``, an ``int`` for ``Long``, normalised text for the other scalars.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn, Protocol, cast

from graphql import GraphQLResolveInfo

from schema.catalog.records import Field, MutationField, PayloadField, RootField


class Resolvers(Protocol):
    """Turns an upstream value into a field's value; each may give an awaitable."""

    def root(self, field: RootField, info: GraphQLResolveInfo[Any]) -> object:
        """Return the value of a generated field of ``Query``."""
        ...

    def field(self, field: Field, source: object, info: GraphQLResolveInfo[Any]) -> object:
        """Return the value of a field of a generated object."""
        ...

    def connection(self, name: str, source: object, info: GraphQLResolveInfo[Any]) -> object:
        """Return a field of a connection, edge or ``PageInfo``: ``nodes``, ``cursor``, ``hasNextPage`` and so on."""
        ...

    def mutation(self, field: MutationField, info: GraphQLResolveInfo[Any]) -> object:
        """Return the payload of a field of ``Mutation``."""
        ...

    def payload(self, field: PayloadField, source: object, info: GraphQLResolveInfo[Any]) -> object:
        """Return the value of a field of a payload; user errors are mappings by field name."""
        ...

    def subgraph(self, info: GraphQLResolveInfo[Any]) -> object:
        """Return the SDL of the API as a subgraph."""
        ...

    def type_name(self, value: object) -> str:
        """Return the GraphQL object type of a row, where an interface or union is asked for."""
        ...


class _NeverExecuted:
    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"This schema is only described; {name} was asked for.")


NEVER_EXECUTED: Final = cast("Resolvers", _NeverExecuted())
"""For schemas that are looked at: they resolve nothing, and need nothing of what does."""
