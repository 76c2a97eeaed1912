"""The schema as text."""

from __future__ import annotations

from graphql import GraphQLSchema, print_schema


def print_sdl(schema: GraphQLSchema) -> str:
    """Write the SDL, types in the schema's order; makes every type."""
    return print_schema(schema) + "\n"
