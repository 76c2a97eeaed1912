"""What the protocol reads: the unified directory of one caller, list by list, as any client of GraphQL would read it.

Filters, orders and pages are the environment's work; nothing is filtered here. Groups are security roles, then user
groups, counted together.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from scim2_models import (
    InvalidPathException,
    InvalidValueException,
    NotFoundException,
    NotImplementedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
)
from scim2_server.storage import AsyncScimStorage, SearchPage

from gateway.unified.lists import ListQuery, UnifiedLists

from .filters import Condition, Test, condition_of, flag, identity, listed, refused, text
from .lookups import compared, groups_of, users_of
from .models import Group, User
from .objects import (
    KINDS,
    USER,
    GroupKind,
    Node,
    decode_id,
    group_of,
    needed,
    user_fields,
    user_of,
)
from .writes import change_members, set_active

_GROUP_NAMES = ("displayname", "members", "meta")
_USER_TESTS: Mapping[str, tuple[str, Test]] = {
    "id": ("userId", identity("userId", lambda id_: decode_id(USER, id_))),
    "userName": ("username", text("username")),
    "active": ("status", flag("status", {True: "ACTIVE", False: "INACTIVE"})),
}


MOST_SORTED = 10_000
"""Groups that are read to sort them: both kinds are, and merged."""
_Conditions: TypeAlias = Sequence[tuple[GroupKind, Condition]]
_Groups: TypeAlias = Sequence[tuple[GroupKind, Node]]


class Directory(AsyncScimStorage):
    """The users and groups that a caller may see."""

    def __init__(self, lists: UnifiedLists, most: int) -> None:
        """``most``: members that one request reads."""
        self.lists = lists
        self.most = most

    async def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        """Return a user or a group. Raises NotFoundException."""
        if resource_type.id == "User":
            node = await self.user_node(resource_id, user_fields(response_parameters))
            return user_of(node)
        kind, node = await self.group_node(resource_id)
        has_members = "members" in needed(response_parameters, _GROUP_NAMES)
        return group_of(kind, node, await self._members(kind, node["id"]) if has_members else None)

    async def user_node(self, id_: str, select: str) -> Node:
        """Return a unified user by the id of its resource. Raises NotFoundException."""
        key = decode_id(USER, id_)
        return await self._only("users", "userId", key, select)

    async def group_node(self, id_: str) -> tuple[GroupKind, Node]:
        """Return a role or user group by the id of its resource. Raises NotFoundException."""
        for kind in KINDS:
            key = decode_id(kind.prefix, id_)
            if key is not None:
                return kind, await self._only(kind.list, kind.key, key, kind.select)
        raise _missing()

    async def _only(self, name: str, field: str, key: str | None, select: str) -> Node:
        if key is None or not self.lists.has(name):
            raise _missing()
        where = {field: {"eq": key}}
        page = await self.lists.page(name, ListQuery(select=select, where=where, first=1))
        # The environment compares without regard to case, and ids are exact.
        if not page.nodes or page.nodes[0][field] != key:
            raise _missing()
        return page.nodes[0]

    async def _members(
        self, kind: GroupKind, id_: str, page: Mapping[str, Any] | None = None
    ) -> list[Node]:
        """Return all members of a group. ``page``: the first of them."""
        members: list[Node] = [] if page is None else list(page["nodes"])
        while page is None or page["pageInfo"]["hasNextPage"]:
            after = "" if page is None else page["pageInfo"]["endCursor"]
            node = await self.lists.one(kind.prefix, id_, kind.members(self.most, after))
            if node is None:
                break
            page = node["members"]
            members += page["nodes"]
        return members

    async def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,  # noqa: ARG002 - of cursors, which are not offered
    ) -> SearchPage:
        """Return a page of users or of groups. Raises SCIMException."""
        if len(resource_types) != 1:
            raise NotImplementedException(detail="Search /Users or /Groups, not both at once")
        if resource_types[0].id == "User":
            return await self._users(search_request)
        return await self._groups(search_request)

    async def _users(self, request: SearchRequest[Any]) -> SearchPage:
        if not self.lists.has("users"):
            raise _no_list("users")
        tests = {
            name: test
            for name, (field, test) in _USER_TESTS.items()
            if self.lists.can_filter("users", field)
        }
        external = [] if request.filter is None else compared(request.filter.ast, "externalId")
        keys = await users_of(self.lists, "externalId", external)
        if keys is not None:
            tests["externalId"] = listed("userId", keys)
        condition = _condition(request, tests)
        sortable = {"id": "userId", "username": "username"}
        order = self._order(request, sortable, "users")
        total, nodes = await self._page(
            "users", user_fields(request), condition, order, *_window(request)
        )
        return SearchPage(total, [user_of(node) for node in nodes])

    async def _groups(self, request: SearchRequest[Any]) -> SearchPage:
        kinds = [kind for kind in KINDS if self.lists.has(kind.list)]
        if not kinds:
            raise _no_list("groups")
        has_members = "members" in needed(request, _GROUP_NAMES)
        conditions = [(kind, await self._condition_of(kind, request)) for kind in kinds]
        if request.sort_by is None:
            rows, total = await self._listed_groups(conditions, request, has_members=has_members)
        else:
            rows, total = await self._sorted_groups(conditions, request)
            if has_members:
                rows = await self._with_members(rows)
        resources: list[Resource[Any]] = []
        for kind, node in rows:
            members = None
            if has_members:
                members = await self._members(kind, node["id"], node["members"])
            resources.append(group_of(kind, node, members))
        return SearchPage(total, resources)

    async def _condition_of(self, kind: GroupKind, request: SearchRequest[Any]) -> Condition:
        tests: dict[str, Test] = {}
        if self.lists.can_filter(kind.list, kind.key):
            tests["id"] = identity(kind.key, lambda id_: decode_id(kind.prefix, id_))
            if self.lists.has("users"):
                users = [] if request.filter is None else compared(request.filter.ast, "members")
                tests["members"] = listed(kind.key, await groups_of(self.lists, kind, users))
        if self.lists.can_filter(kind.list, "name"):
            tests["displayName"] = text("name")
        return _condition(request, tests)

    async def _listed_groups(
        self, conditions: _Conditions, request: SearchRequest[Any], *, has_members: bool
    ) -> tuple[_Groups, int]:
        skip, count = _window(request)
        rows: list[tuple[GroupKind, Node]] = []
        total = 0
        for kind, condition in conditions:
            select = f"{kind.select} {kind.members(self.most)}" if has_members else kind.select
            before = max(0, skip - total)
            found, nodes = await self._page(
                kind.list, select, condition, (), before, count - len(rows)
            )
            total += found
            rows += [(kind, node) for node in nodes]
        return rows, total

    async def _sorted_groups(
        self, conditions: _Conditions, request: SearchRequest[Any]
    ) -> tuple[_Groups, int]:
        """Return a page of all kinds in one order: each list comes in that of the environment, and they are merged."""
        skip, count = _window(request)
        if skip + count > MOST_SORTED:
            raise InvalidValueException(
                detail=f"Sorted groups are served up to number {MOST_SORTED}: filter, or do not sort"
            )
        total = 0
        lists: list[_Groups] = []
        for kind, condition in conditions:
            order = self._order(request, {"displayname": "name"}, kind.list)
            found, nodes = await self._first(kind, condition, order, skip + count)
            total += found
            lists.append([(kind, node) for node in nodes])
        is_descending = request.sort_order == SearchRequest.SortOrder.descending
        merged = heapq.merge(
            *lists, key=lambda row: (row[1]["name"] or "").casefold(), reverse=is_descending
        )
        return list(merged)[skip : skip + count], total

    async def _first(
        self,
        kind: GroupKind,
        condition: Condition,
        order: Sequence[Mapping[str, str]],
        count: int,
    ) -> tuple[int, Sequence[Node]]:
        """Return how many groups there are, and the first of them, page by page."""
        nodes: list[Node] = []
        while True:
            size = min(self.most, count - len(nodes))
            found, page = await self._page(
                kind.list, kind.select, condition, order, len(nodes), size
            )
            nodes += page
            if len(page) < size or len(nodes) >= min(found, count):
                return found, nodes

    async def _with_members(self, groups: _Groups) -> _Groups:
        """Return a page of groups with the first of their members."""
        by_id: dict[str, Node] = {}
        for kind in KINDS:
            keys = [node[kind.key] for of, node in groups if of is kind]
            if keys:
                select = f"{kind.select} {kind.members(self.most)}"
                where = {kind.key: {"in": keys}}
                _, nodes = await self._page(kind.list, select, where, (), 0, len(keys))
                by_id.update((node["id"], node) for node in nodes)
        # One that was deleted meanwhile is in the page no more.
        return [(kind, by_id[node["id"]]) for kind, node in groups if node["id"] in by_id]

    async def _page(
        self,
        name: str,
        select: str,
        condition: Condition,
        order: Sequence[Mapping[str, str]],
        skip: int,
        count: int,
    ) -> tuple[int, Sequence[Node]]:
        """Return how many objects there are, and a page of them."""
        if condition is False:
            return 0, ()
        where = None if condition is True else condition
        query = ListQuery(
            select=select if count else "id",
            where=where if isinstance(where, Mapping) else None,
            order_by=order,
            first=max(count, 1),
            skip=skip if count else 0,
            total=True,
        )
        page = await self.lists.page(name, query)
        assert page.total is not None
        return page.total, page.nodes if count else ()

    def _order(
        self, request: SearchRequest[Any], fields: Mapping[str, str], name: str
    ) -> Sequence[Mapping[str, str]]:
        """Return the order of a search. Raises InvalidPathException."""
        if request.sort_by is None:
            return ()
        field = fields.get(request.sort_by.attr.lower())
        if field is None or not self.lists.can_filter(name, field):
            raise InvalidPathException(
                path=str(request.sort_by), detail=f"Sorted by: {', '.join(sorted(fields))}"
            )
        is_descending = request.sort_order == SearchRequest.SortOrder.descending
        return ({field: "DESC" if is_descending else "ASC"},)

    # The protocol stops before these.
    async def create(
        self,
        resource_type: ResourceType,  # noqa: ARG002
        resource: Resource[Any],  # noqa: ARG002
    ) -> Resource[Any]:
        """Raise NotImplementedException: nothing is created here."""
        raise NotImplementedException

    async def update(
        self,
        resource_type: ResourceType,
        resource: Resource[Any],
        *,
        expected_version: str | None = None,  # noqa: ARG002 - the protocol has compared it
    ) -> Resource[Any]:
        """Bring the environment to the new state of a resource, and return that as it is then. Raises SCIMException."""
        id_ = str(resource.id)
        if isinstance(resource, User):
            if resource.active is None:
                raise InvalidValueException(detail="active is true or false")
            node = await self.user_node(id_, "id userId status")
            if (node["status"] == "ACTIVE") != resource.active:
                await set_active(self.lists, node["id"], active=resource.active)
        elif isinstance(resource, Group):
            await self._update_members(id_, resource)
        return await self.get(resource_type, id_)

    async def _update_members(self, id_: str, group: Group) -> None:
        kind, node = await self.group_node(id_)
        members = await self._members(kind, node["id"])
        before = {member["user"]["userId"] for member in members if member["user"]}
        after = {_key_of(member.value) for member in group.members or ()}
        if after != before:
            changes = (after - before, before - after)
            await change_members(self.lists, kind, node[kind.key], *changes)

    async def delete(
        self,
        resource_type: ResourceType,  # noqa: ARG002
        resource_id: str,  # noqa: ARG002
        *,
        expected_version: str | None = None,  # noqa: ARG002
    ) -> None:
        """Raise NotImplementedException: nothing is deleted here."""
        raise NotImplementedException


def _key_of(member: str | None) -> str:
    key = None if member is None else decode_id(USER, member)
    if key is None:
        raise InvalidValueException(detail=f"{member} is not the id of a user")
    return key


def _condition(request: SearchRequest[Any], tests: Mapping[str, Test]) -> Condition:
    if request.filter is None:
        return True
    if not tests:
        raise refused("nothing can be filtered by")
    return condition_of(request.filter.ast, tests)


def _window(request: SearchRequest[Any]) -> tuple[int, int]:
    """Return how many objects come before a page, and how many are in it."""
    return (request.start_index or 1) - 1, max(request.count or 0, 0)


def _missing() -> NotFoundException:
    return NotFoundException(detail="There is no such resource")


def _no_list(name: str) -> NotFoundException:
    return NotFoundException(detail=f"There are no {name} here")
