"""Reads a few rows of an entity set, outside of any operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .dialect import Dialect
from .query import Compare, Literal, Operator, Path, Query, Resource
from .render import render
from .upstream import ReadUpstream


def equals(column: str, text: str) -> Compare:
    """Return the test that a column of texts has a value."""
    return Compare(Path((column,)), Operator.EQ, Literal(text, "Edm.String"))


async def rows_of(
    client: ReadUpstream,
    dialect: Dialect,
    entity_set: str,
    select: tuple[str, ...] = (),
    where: Compare | None = None,
    top: int | None = None,
) -> Sequence[Mapping[str, Any]]:
    """Return rows as they came: one page. Raises GatewayError."""
    query = Query(resource=Resource(entity_set), select=select, where=where, top=top)
    request = render(dialect.lower(query).query, options=dialect.options)
    response = await client.send(request)
    content: dict[str, Any] = msgspec.json.decode(response.body)
    rows: list[Mapping[str, Any]] = content.get("value", [])
    return rows
