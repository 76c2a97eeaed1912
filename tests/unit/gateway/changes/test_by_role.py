"""Callers with roles follow what they see: a rule, a mask or a right that changes is no deletion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from gateway.identity.caller import Caller
from gateway.runtime.assembly import Gateway
from gateway.runtime.role_views import build_view, row_rules
from gateway.sandbox import SandboxSettings, create_sandbox
from gateway.storage.sealing import Sealer
from schema.policy import RoleView
from tests.support.followed import Follower, followed, store_of

pytestmark = pytest.mark.anyio
SEALER = Sealer(b"a secret of the tests")
GROUPS: dict[str, Any] = {
    "set": "CustomerGroups",
    "row": "... on CustomerGroup { customerGroupId description }",
    "caller": Caller(kind="token", subject="somebody"),
}
WATCHES = {"read": True, "subscribe": True}
ROLES = {
    "open": {"sets": {"CustomerGroups": {**WATCHES, "where": {"description": {"ne": "Secret"}}}}},
    "masked": {"sets": {"CustomerGroups": {**WATCHES, "masks": {"Description": "null"}}}},
    "reader": {"sets": {"CustomerGroups": {"read": True}, "CustomersV3": WATCHES}},
}


@pytest.fixture(scope="module")
def changing() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.1))


@pytest.fixture(scope="module")
async def whole(
    changing: Starlette, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("data")
    changes = {"sweep_interval": 0}
    async with followed(changing, data_dir=folder, roles=ROLES, changes=changes) as gateway:
        yield gateway


def seen_by(whole: Gateway, *roles: str) -> Gateway:
    assert whole.policy is not None
    return build_view(whole, RoleView(whole.policy, roles), row_rules(whole), SEALER)


def described(changing: Starlette, text: str) -> None:
    """Change a group's description, as others do."""
    store = store_of(changing)
    (row,) = store.rows("CustomerGroups", dataAreaId="usmf", CustomerGroupId="20")
    store.delete("CustomerGroups", dataAreaId="usmf", CustomerGroupId="20")
    store.insert("CustomerGroups", [{**row, "Description": text}])


async def test_a_row_that_a_rule_hides_is_no_deletion(whole: Gateway, changing: Starlette) -> None:
    client = Follower(seen_by(whole, "open"), **GROUPS)
    await client.catch_up()
    known = len(client.rows)
    described(changing, "Secret")

    answer = await client.take()
    await client.catch_up()
    described(changing, "Plain")
    back = await client.take()

    assert (answer["resyncRequired"], answer["deletes"], answer["upserts"]) == (True, [], [])
    assert len(back["upserts"]) == 1
    assert len(client.rows) == known


async def test_a_deleted_row_is_a_deletion_for_roles_too(
    whole: Gateway, changing: Starlette
) -> None:
    client = Follower(seen_by(whole, "open"), **GROUPS)
    store = store_of(changing)
    store.insert("CustomerGroups", [{"dataAreaId": "usmf", "CustomerGroupId": "Z9"}])
    await client.catch_up()
    store.delete("CustomerGroups", dataAreaId="usmf", CustomerGroupId="Z9")

    answer = await client.take()

    assert [gone["reason"] for gone in answer["deletes"]] == ["DELETED"]


async def test_other_roles_begin_again(whole: Gateway) -> None:
    client = Follower(seen_by(whole, "open"), **GROUPS)
    await client.catch_up()

    client.gateway = seen_by(whole, "open", "masked")
    answer = await client.take()

    assert (answer["resyncRequired"], answer["deletes"], answer["hasMore"]) == (True, [], True)
    client.gateway = whole
    assert await client.ask() == {}
    assert client.code() == "INVALID_CURSOR"


async def test_masks_hold(whole: Gateway) -> None:
    client = Follower(seen_by(whole, "masked"), **GROUPS)
    await client.catch_up()

    assert {row["description"] for row in client.rows.values()} == {None}


async def test_following_needs_the_right_to_subscribe(whole: Gateway) -> None:
    client = Follower(seen_by(whole, "reader"), **GROUPS)
    assert await client.ask() == {}
    assert client.code() == "BAD_ARGUMENT"

    # The twin is not theirs to read, so the list is swept.
    client = Follower(seen_by(whole, "reader"), first=1, caller=GROUPS["caller"])
    assert (await client.take())["source"] == "ETAGS"
