"""Plans that were made before: the same operation with the same values, for callers who see the same.

Most operations come again with equal variables: pages that all users open, lists of reference data. Planning is pure,
so its result is the same, but for two things: plans of relations follow what was learned of their lists, and filters of
unified models may depend on today's date. Such plans are made anew each time.
"""

from __future__ import annotations

import marshal
from collections.abc import Hashable, MutableMapping
from typing import Any

from graphql.execution.values import VariableValues

from gateway.documents.lru_cache import LRUCache
from gateway.identity.caller import ANONYMOUS
from gateway.operations.prepared_operation import Prepared
from gateway.planning.plan import BoundRoot, KeysRoot, ListRoot, ReadPlan
from gateway.planning.planner import Planner
from gateway.planning.unified_lookups import Lookups
from gateway.request import GraphQLRequest

MOST = 500
"""Plans that are kept; one takes some 4 KB."""
LONGEST = 1_000
"""Bytes of variables; others hardly come twice."""
_PLAIN = 0
"""Format of ``marshal`` in which equal values have equal bytes, whoever else refers to them."""

Roots = tuple[BoundRoot, ...]


class KnownPlans:
    """The plans of one schema's operations."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._plans: LRUCache[tuple[Hashable, ...], Roots] = LRUCache(MOST)

    @property
    def table(self) -> MutableMapping[Any, Any]:
        """The plans, to be cleared after retirement."""
        return self._plans.table

    def plan(
        self,
        prepared: Prepared,
        variables: VariableValues,
        request: GraphQLRequest,
        lookups: Lookups | None = None,
    ) -> Roots:
        """Return the plan of each root field; with ``lookups`` it is made anew, as they may know other keys."""
        values = _bytes_of(request) if lookups is None else None
        if values is None:
            return self._made(prepared, variables, request, lookups)
        scope = None
        if request.caller is not ANONYMOUS or self._planner.rules is not None:
            scope = self._planner.scope_of(request.caller)
        key = (prepared, values, request.companies, scope, request.max_page)
        roots = self._plans.get(key)
        if roots is None:
            roots = self._made(prepared, variables, request)
            if all(map(_is_lasting, roots)):
                self._plans.put(key, roots)
        return roots

    def _made(
        self,
        prepared: Prepared,
        variables: VariableValues,
        request: GraphQLRequest,
        lookups: Lookups | None = None,
    ) -> Roots:
        return self._planner.plan(
            prepared, variables, request.companies, request.caller, request.max_page, lookups
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


def _is_lasting(root: BoundRoot) -> bool:
    """Return whether the plan of a root field would be made in the same way at any time."""
    if root.shape.view is not None:
        return False
    if isinstance(root, ListRoot):
        return not root.plan.children
    return isinstance(root, KeysRoot) and not root.errors and all(map(_is_alone, root.items))


def _is_alone(item: tuple[ReadPlan, object] | None) -> bool:
    return item is not None and not item[0].children
