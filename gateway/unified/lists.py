"""Reads unified lists from Python: a filter, an order and a page in terms of the unified type.

Each read is an operation of its caller: planned, priced, admitted, under the rules of their roles.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field, structs

from gateway.errors import BadArgument
from gateway.request import Answer, GraphQLRequest
from schema.types.build import ODataSchema
from schema.unified.api import Namespace, UnifiedRoot

Read = Callable[[GraphQLRequest], Awaitable[Answer]]
"""Answers an operation: ``Engine.execute``."""


class UnifiedPage(Struct, frozen=True):
    """A page of a unified list, as JSON types."""

    nodes: Sequence[Mapping[str, Any]]
    total: int | None = None
    """Number of all objects; None unless it was requested."""
    has_next: bool = False
    end_cursor: str | None = None


class UnifiedListFailed(Exception):
    """A list, or a part of it, could not be read."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("The list could not be read.")
        self.answer = answer
        """With the errors for the client."""


class ListQuery(Struct, frozen=True, kw_only=True):
    """What of a unified list is read."""

    select: str
    """Fields of the objects, as in a selection set: ``id username emails { value }``."""
    where: Mapping[str, Any] | None = None
    """As the argument ``where``: ``{"username": {"eq": "ada@contoso.com"}}``."""
    order_by: Sequence[Mapping[str, str]] = ()
    first: int | None = None
    after: str | None = None
    skip: int = 0
    """Objects to pass over; instead of ``after``."""
    total: bool = False
    """Whether all objects are counted."""


class UnifiedLists(Struct, frozen=True):
    """The lists of one unified model, for one caller."""

    schema: ODataSchema
    read: Read
    request: GraphQLRequest = field(default_factory=lambda: GraphQLRequest(query=""))
    """Caller, companies, lane and limits of the operations; the document is replaced."""
    namespace: str = "directory"

    def has(self, name: str) -> bool:
        """Return whether the environment has a list, or a single field, and the caller may see it."""
        space = self._space()
        return space is not None and name in space.fields

    def can_filter(self, name: str, *fields: str) -> bool:
        """Return whether a list can be filtered by all of these fields of its objects."""
        space = self._space()
        if space is None or name not in space.fields:
            return False
        return set(fields) <= self.schema.unified.type(space.fields[name].short).filters.keys()

    async def page(self, name: str, query: ListQuery) -> UnifiedPage:
        """Return a page of a list such as ``users``. Raises BadArgument, UnifiedListFailed."""
        space, root = self._root(name)
        bound = self.schema.unified.type(root.short)
        variables: dict[str, Any] = {
            "first": query.first,
            "after": f"+{query.skip}" if query.skip else query.after,
        }
        declared, used = "$first: Int, $after: String", "first: $first, after: $after"
        if query.where:
            variables["where"] = query.where
            declared, used = f"{declared}, $where: {bound.name}Where", f"{used}, where: $where"
        if query.order_by:
            variables["orderBy"] = list(query.order_by)
            declared = f"{declared}, $orderBy: [{bound.name}OrderBy!]"
            used = f"{used}, orderBy: $orderBy"
        total = " totalCount" if query.total else ""
        page = await self._run(
            f"query Unified({declared}) {{ model: {space.name} {{ value: {name}({used}) {{"
            f" nodes {{ {query.select} }} pageInfo {{ hasNextPage endCursor }}{total} }} }} }}",
            variables,
        )
        assert page is not None
        ends = page["pageInfo"]
        return UnifiedPage(
            page["nodes"], page.get("totalCount"), ends["hasNextPage"], ends["endCursor"]
        )

    async def one(self, name: str, id_: str, select: str) -> Mapping[str, Any] | None:
        """Return an object by its id, by a field such as ``user``; None if there is none.

        Raises BadArgument, UnifiedListFailed.
        """
        space, _ = self._root(name)
        query = (
            f"query Unified($id: ID!) {{ model: {space.name} {{ value: {name}(id: $id)"
            f" {{ {select} }} }} }}"
        )
        return await self._run(query, {"id": id_})

    async def _run(self, query: str, variables: Mapping[str, Any]) -> Mapping[str, Any] | None:
        request = structs.replace(self.request, query=query, variables=variables)
        answer = await self.read(request)
        body = answer.to_builtins()
        if body.get("errors"):
            raise UnifiedListFailed(answer)
        value: Mapping[str, Any] | None = body["data"]["model"]["value"]
        return value

    def _space(self) -> Namespace | None:
        spaces = self.schema.unified.namespaces.values()
        return next((s for s in spaces if s.spec.namespace == self.namespace), None)

    def _root(self, name: str) -> tuple[Namespace, UnifiedRoot]:
        space = self._space()
        if space is None or name not in space.fields:
            raise BadArgument(f"{self.namespace} has no {name} here.")
        return space, space.fields[name]
