"""Queries whose plans were made before: the same text with the same values, for callers who see the same.

Most operations come again with equal variables: pages that all users open, lists of reference data. Planning is pure,
so its result is the same, unless it holds the date, or follows what was learned of lists. Plans say so themselves
(``ReadPlan.lasts``, ``followed``): those with a date are made anew each time, like those for which something was looked
up, and others when lists have proved longer or shorter than they had been when the plan was made.
"""

from __future__ import annotations

import marshal
from collections.abc import Hashable, MutableMapping
from typing import Any

from graphql.execution.values import VariableValues
from msgspec import Struct

from gateway.documents.lru_cache import LRUCache
from gateway.identity.caller import ANONYMOUS
from gateway.operations.prepared_operation import Prepared
from gateway.planning.plan import BoundRoot, Followed, followed_by
from gateway.planning.planner import Planner
from gateway.request import GraphQLRequest, PlannedQuery, ValidOperation

MOST = 500
"""Plans that are kept; one takes some 4 KB."""
LONGEST = 1_000
"""Bytes of variables; others hardly come twice. Also the characters of a text that count as one plan."""
_PLAIN = 0
"""Format of ``marshal`` in which equal values have equal bytes, whoever else refers to them."""
_Key = tuple[Hashable, ...]


class KnownQuery(Struct, frozen=True, eq=False):
    """A query that was planned."""

    name: str | None
    """Name of the operation."""
    prepared: Prepared
    variables: VariableValues
    roots: tuple[BoundRoot, ...]
    followed: tuple[Followed, ...]

    @property
    def holds(self) -> bool:
        """Whether it would be planned in the same way now."""
        return all(followed.holds for followed in self.followed) if self.followed else True

    def of(self, request: GraphQLRequest) -> PlannedQuery:
        """Return the query of a request."""
        return PlannedQuery(request, self.prepared, self.variables, self.roots)


class KnownPlans:
    """The plans of one schema's queries."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._known: LRUCache[_Key, KnownQuery] = LRUCache(MOST * LONGEST)

    @property
    def table(self) -> MutableMapping[Any, Any]:
        """The plans, to be cleared after retirement."""
        return self._known.table

    def find(self, request: GraphQLRequest) -> KnownQuery | None:
        """Return the query of a request, if an equal one was planned before."""
        key = self._key(request)
        known = None if key is None else self._known.get(key)
        return known if known is not None and known.holds else None

    def note(self, operation: ValidOperation, query: PlannedQuery) -> None:
        """Keep the plan of a query, if it lasts."""
        if query.lookups or not all(root.lasts for root in query.roots):
            return
        key = self._key(query.request)
        if key is not None:
            followed = tuple(each for root in query.roots for each in followed_by(root))
            known = KnownQuery(
                operation.name, query.prepared, query.variables, query.roots, followed
            )
            self._known.put(key, known, max(len(query.request.query), LONGEST))

    def _key(self, request: GraphQLRequest) -> _Key | None:
        """Return what is equal for requests that are planned alike; None if a plan would hardly come again."""
        values = _bytes_of(request)
        if values is None:
            return None
        scope, caller = None, request.caller
        if caller is not ANONYMOUS or self._planner.rules is not None:
            scope = self._planner.scope_of(caller)
        return (
            request.query,
            request.operation_name,
            values,
            request.companies,
            scope,
            request.max_page,
        )


def _bytes_of(request: GraphQLRequest) -> bytes | None:
    """Return bytes that are equal for equal variables only; None if there are too many, or others than of JSON."""
    if not request.variables:
        return b""
    try:
        values = marshal.dumps(request.variables, _PLAIN)  # type: ignore[arg-type] # what is not plain raises
    except ValueError:
        return None
    return values if len(values) <= LONGEST else None
