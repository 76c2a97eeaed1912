"""Unified lists from Python, over the sandbox."""

from __future__ import annotations

import pytest

from gateway.errors import BadArgument
from gateway.runtime.assembly import Gateway
from gateway.unified.lists import ListQuery, UnifiedListFailed, UnifiedLists

pytestmark = pytest.mark.anyio


@pytest.fixture
def lists(sandboxed: Gateway) -> UnifiedLists:
    return UnifiedLists(sandboxed.schema, sandboxed.engine.execute)


async def test_a_list_is_filtered_sorted_and_counted(lists: UnifiedLists) -> None:
    where = {"status": {"eq": "ACTIVE"}, "username": {"startsWith": "user0"}}
    order = [{"username": "DESC"}]
    query = ListQuery(select="username", where=where, order_by=order, first=2, total=True)

    page = await lists.page("users", query)

    assert [user["username"][:6] for user in page.nodes] == ["user09", "user08"]
    assert (page.total, page.has_next) == (8, True)


async def test_pages_follow_by_cursor_and_by_number(lists: UnifiedLists) -> None:
    first = await lists.page("roles", ListQuery(select="roleId", first=2))
    by_cursor = ListQuery(select="roleId", first=2, after=first.end_cursor)
    by_number = ListQuery(select="roleId", first=2, skip=2)

    following = await lists.page("roles", by_cursor)

    assert following == await lists.page("roles", by_number)
    assert following.nodes != first.nodes


async def test_an_object_is_read_by_its_id(lists: UnifiedLists) -> None:
    (user,) = (await lists.page("users", ListQuery(select="id userId", first=1))).nodes

    assert await lists.one("user", user["id"], "userId") == {"userId": user["userId"]}


async def test_what_is_not_there_is_refused(lists: UnifiedLists) -> None:
    assert lists.has("users")
    assert not lists.has("printers")
    assert lists.can_filter("users", "username", "status")
    assert not lists.can_filter("users", "title")
    with pytest.raises(BadArgument, match="directory has no printers here"):
        await lists.page("printers", ListQuery(select="id"))
    with pytest.raises(UnifiedListFailed) as caught:
        await lists.one("user", "x", "id")
    assert caught.value.answer.errors[0]["extensions"]["code"] == "INVALID_ID"
