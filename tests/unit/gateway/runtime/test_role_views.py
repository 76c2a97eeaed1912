"""The opened views of roles: how long they are kept, and what replaces them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import Forbidden
from gateway.events import RoleViewOpened
from gateway.runtime import role_views
from gateway.runtime.role_views import RoleViews, ViewKey
from schema.policy import RoleView
from tests.support.app_client import calling, serving
from tests.support.role_doors import root_fields, send, settings

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_view_is_opened_once_for_equal_roles() -> None:
    async with serving(settings()) as (app, events):
        async with calling(app, events) as client:
            for roles in (("clerk",), ("viewer", "clerk"), ("clerk", "stranger")):
                await send(client, "{ __typename }", *roles)
            await send(client, "{ __typename }", "viewer")
        views: RoleViews = app.state.role_views

        assert views.opened == (ViewKey(None, ("clerk", "viewer")), ViewKey(None, ("viewer",)))
        assert [e.roles for e in events if isinstance(e, RoleViewOpened)] == [
            ("clerk", "viewer"),
            ("viewer",),
        ]


async def test_a_view_that_shows_nothing_is_built_once() -> None:
    async with serving(settings()) as (app, events), calling(app, events) as client:
        views: RoleViews = app.state.role_views
        for _ in range(3):
            assert (await send(client, "{ __typename }", "empty")).status_code == 403

        assert views.opened == ()
        assert len(views._empty) == 1


async def test_the_least_recently_used_views_are_dropped() -> None:
    async with serving(settings(max_types=1)) as (app, events), calling(app, events) as client:
        query = "{ customersV3(first: 1) { nodes { id } } }"
        for role in ("viewer", "clerk", "viewer"):
            assert "data" in (await send(client, query, role)).json()

        assert len(app.state.role_views.opened) == 1


async def test_new_metadata_replaces_the_views() -> None:
    async with serving(settings()) as (app, events), calling(app, events) as client:
        await send(client, "{ __typename }", "viewer")
        await send(client, "{ __typename }", "clerk", path="/graphql/ap")
        views: RoleViews = app.state.role_views
        before = {id(m): m.gateway for m in views._managers.values()}
        whole = app.state.live.gateway
        profiles = await app.state.profiles.build_opened(whole)

        views.replace(await views.build_opened(whole, profiles))

        assert all(before[id(m)] is not m.gateway for m in views._managers.values())
        assert "vendorsV2" in await root_fields(client, "clerk", path="/graphql/ap")


async def test_an_empty_view_of_old_metadata_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(settings()) as (app, _):
        views: RoleViews = app.state.role_views
        whole = app.state.live.gateway
        old = replace(whole, metadata=replace(whole.metadata, digest="old"))

        def build(*_: Any) -> Any:
            app.state.live.replace(whole)
            raise Forbidden("nothing yet")

        app.state.live.replace(old)
        monkeypatch.setattr(role_views, "build_view", build)
        view = RoleView(views.policy, ["viewer"])
        with pytest.raises(Forbidden):
            await views.live(None, view)
        monkeypatch.undo()

        assert await views.live(None, view) is not None
