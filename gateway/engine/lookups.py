"""Looks up the keys of related rows by which unified lists are filtered, as their caller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import BudgetExceeded
from gateway.odata.query import Request
from gateway.planning.unified_lookups import Lookup
from gateway.request import Answer, GraphQLRequest, PlannedQuery

Keys: TypeAlias = Mapping[Lookup, Sequence[Any]]
Ask: TypeAlias = Callable[[GraphQLRequest], Awaitable[Answer]]
_NAME = "Lookup"


class LookedUp(Struct, frozen=True):
    """What was looked up."""

    keys: Keys = {}
    requests: tuple[Request, ...] = ()
    failed: Answer | None = None
    """The answer to the whole operation, if something could not be looked up."""


async def look_up(query: PlannedQuery, ask: Ask, page: int) -> LookedUp:
    """Return the keys that the plans of a query need; ``page`` is the most rows of a look-up. Raises GatewayError."""
    needed = query.lookups
    parts = [_part(lookup, query.request, page) for lookup in needed]
    answers = await asyncio.gather(*map(ask, parts))
    requests = tuple(request for answer in answers for request in answer.requests)
    errors = [_without_place(error) for answer in answers for error in answer.errors]
    if errors:
        return LookedUp(requests=requests, failed=Answer(errors=errors, requests=requests))
    keys = {lookup: _keys(lookup, a) for lookup, a in zip(needed, answers, strict=True)}
    return LookedUp(keys, requests)


def _part(lookup: Lookup, request: GraphQLRequest, page: int) -> GraphQLRequest:
    text = (
        f"query {_NAME}($where: {lookup.where}!, $first: Int!)"
        f" {{ rows: {lookup.list}(where: $where, first: $first)"
        f" {{ nodes {{ key: {lookup.key} }} pageInfo {{ hasNextPage }} }} }}"
    )
    variables = {"where": {lookup.column: {"in": list(lookup.values)}}, "first": page}
    return replace(request, query=text, variables=variables, operation_name=_NAME, sink=None)


def _keys(lookup: Lookup, answer: Answer) -> Sequence[Any]:
    rows = answer.to_builtins()["data"]["rows"]
    if rows["pageInfo"]["hasNextPage"]:
        raise BudgetExceeded(
            f"The filter needs more rows of {lookup.list} than a page has.",
            hint="Filter by a column of the row itself.",
        )
    return tuple(dict.fromkeys(row["key"] for row in rows["nodes"] if row["key"] is not None))


def _without_place(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error without its place, which is in a document that the client has not seen."""
    return {name: value for name, value in error.items() if name not in ("path", "locations")}
