"""PATCH as Entra ID and Okta send it, over a sandbox of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.http.scim_endpoint import SCIM
from tests.support.app_client import Client, calling, serving
from tests.support.manual_clock import until
from tests.support.role_doors import ISSUER, bearer

pytestmark = pytest.mark.anyio
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
WRITE = {"create": True, "update": True, "delete": True}
ROLES: dict[str, Any] = {
    "reader": {"sets": {"*": {}}},
    "poor": {"sets": {"*": {}}, "limits": {"max_cost": 1}},
    "writer": {
        "sets": {
            "*": {},
            "SystemUsers": WRITE,
            "SecurityUserRoles": WRITE,
            "UserGroupUserLists": WRITE,
        }
    },
}
USER, OTHER = "/Users/user.dXNlcjA0", "user.dXNlcjA1"
ROLE, GROUP = "/Groups/role.LVNZU0FETUlOLQ", "/Groups/group.RmluYW5jZQ"


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
async def client(audit: Path) -> AsyncIterator[Client]:
    settings = Settings.model_validate(
        {
            "language": None,
            "roles": ROLES,
            "inbound": {"issuers": [ISSUER]},
            "scim": {"writes": True},
            "audit": {"sink": "file", "path": audit},
        }
    )
    async with serving(settings) as (app, events), calling(app, events) as client:
        yield client


async def patch(
    client: Client, path: str, *operations: dict[str, Any], role: str = "writer", **headers: str
) -> httpx.Response:
    body = {"schemas": [PATCH], "Operations": list(operations)}
    fields = {**bearer(role), "content-type": "application/scim+json", **headers}
    return await client.http.patch(f"{SCIM}{path}", json=body, headers=fields)


async def get(client: Client, path: str, role: str = "reader") -> httpx.Response:
    return await client.http.get(f"{SCIM}{path}", headers=bearer(role))


async def read(client: Client, path: str) -> dict[str, Any]:
    found: dict[str, Any] = (await get(client, path)).json()
    return found


async def members(client: Client, path: str) -> set[str]:
    return {member["value"] for member in (await read(client, path)).get("members", [])}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "value": {"active": False}},
        {"op": "Add", "path": "active", "value": "false"},
        {"op": "Replace", "value": {"active": "False"}},
    ],
)
async def test_a_user_is_switched_off_and_on(operation: dict[str, Any], client: Client) -> None:
    answer = await patch(client, USER, operation)

    assert (answer.status_code, answer.content) == (204, b"")
    after = await read(client, USER)
    assert after["active"] is False
    assert answer.headers["etag"] == after["meta"]["version"]
    back = {"op": "Replace", "path": "active", "value": "True"}
    assert (await patch(client, USER, back)).status_code == 204
    assert (await read(client, USER))["active"] is True


@pytest.mark.parametrize("path", [ROLE, GROUP])
@pytest.mark.parametrize(
    "remove",
    [
        {"op": "Remove", "path": "members", "value": [{"value": "user.dXNlcjA0"}]},
        {"op": "remove", "path": 'members[value eq "user.dXNlcjA0"]'},
    ],
)
async def test_members_are_added_and_removed(
    path: str, remove: dict[str, Any], client: Client
) -> None:
    before = await members(client, path)
    new = "user.dXNlcjA0"
    # Entra ID sends a reference that it does not know as null.
    add = {"op": "Add", "path": "members", "value": [{"$ref": None, "value": new}]}

    assert new not in before
    assert (await patch(client, path, add)).status_code == 204
    assert (await patch(client, path, add)).status_code == 204
    assert await members(client, path) == before | {new}
    assert path.removeprefix("/Groups/") in {
        g["value"] for g in (await read(client, USER))["groups"]
    }
    assert (await patch(client, path, remove)).status_code == 204
    assert await members(client, path) == before


async def test_all_members_can_be_replaced(client: Client) -> None:
    before = await members(client, ROLE)
    operations = [
        {"op": "replace", "path": "members", "value": [{"value": OTHER}]},
        {"op": "add", "path": "members", "value": [{"value": "user.dXNlcjA2"}]},
    ]

    assert (await patch(client, ROLE, *operations)).status_code == 204
    assert await members(client, ROLE) == {OTHER, "user.dXNlcjA2"}
    value = [{"value": id_} for id_ in before]
    await patch(client, ROLE, {"op": "replace", "path": "members", "value": value})
    assert await members(client, ROLE) == before


@pytest.mark.parametrize(
    ("path", "operation", "status", "kind"),
    [
        (USER, {"op": "replace", "path": "userName", "value": "x"}, 400, "mutability"),
        (USER, {"op": "replace", "path": "externalId", "value": "x"}, 400, "mutability"),
        (USER, {"op": "remove", "path": "active"}, 400, "invalidValue"),
        (USER, {"op": "replace", "path": "active", "value": "maybe"}, 400, "invalidValue"),
        (USER, {"op": "replace", "path": "nothing", "value": "x"}, 400, "invalidPath"),
        (ROLE, {"op": "replace", "path": "displayName", "value": "x"}, 400, "mutability"),
        (ROLE, {"op": "add", "path": "members", "value": [{"value": "x"}]}, 400, "invalidValue"),
        (
            GROUP,
            {"op": "add", "path": "members", "value": [{"value": "user.bm9ib2R5"}]},
            400,
            "invalidValue",
        ),
        ("/Users/user.bm9ib2R5", {"op": "replace", "path": "active", "value": True}, 404, None),
    ],
)
async def test_what_cannot_be_patched_is_refused(
    path: str, operation: dict[str, Any], status: int, kind: str | None, client: Client
) -> None:
    answer = await patch(client, path, operation)

    assert (answer.status_code, answer.json().get("scimType")) == (status, kind)


async def test_one_wrong_member_changes_nothing(client: Client) -> None:
    before = await members(client, GROUP)
    value = [{"value": "user.dXNlcjA0"}, {"value": "user.bm9ib2R5"}]
    answer = await patch(client, GROUP, {"op": "add", "path": "members", "value": value})

    assert answer.json()["scimType"] == "invalidValue"
    assert await members(client, GROUP) == before


async def test_writes_need_the_right(client: Client) -> None:
    before = await read(client, USER), await members(client, GROUP)
    off = {"op": "Replace", "path": "active", "value": "False"}
    add = {"op": "Add", "path": "members", "value": [{"value": "user.dXNlcjA0"}]}

    assert (await patch(client, USER, off, role="reader")).status_code == 403
    assert (await patch(client, GROUP, add, role="reader")).status_code == 403
    assert (await patch(client, ROLE, add, role="reader")).status_code == 403
    assert (await read(client, USER), await members(client, GROUP)) == before


async def test_patches_and_their_refusals_are_audited(client: Client, audit: Path) -> None:
    def lines() -> list[dict[str, Any]]:
        written = b"".join(file.read_bytes() for file in sorted(audit.glob("*.jsonl")))
        return [json.loads(line) for line in written.splitlines()]

    before = len(lines())
    off = {"op": "Replace", "path": "active", "value": "False"}
    assert (await patch(client, USER, off)).status_code == 204
    assert (await patch(client, USER, {**off, "value": "True"})).status_code == 204
    add = {"op": "Add", "path": "members", "value": [{"value": "user.dXNlcjA0"}]}
    remove = {"op": "remove", "path": 'members[value eq "user.dXNlcjA0"]'}
    assert (await patch(client, GROUP, add)).status_code == 204
    assert (await patch(client, GROUP, remove)).status_code == 204
    assert (await patch(client, GROUP, add, role="reader")).status_code == 403
    await until(lambda: any(line["kind"] == "refused" for line in lines()), 10.0)

    writes = [line for line in lines()[before:] if line["kind"] == "write"]
    assert [(line["verb"], line["set"]) for line in writes] == [
        ("update", "SystemUsers"),
        ("update", "SystemUsers"),
        ("create", "UserGroupUserLists"),
        ("delete", "UserGroupUserLists"),
    ]
    # Further ones of the same caller are counted.
    refused = next(line for line in lines() if line["kind"] == "refused")
    assert (refused["status"], refused["who"]["roles"]) == (403, ["reader"])


async def test_the_limits_of_roles_hold(client: Client) -> None:
    answer = await get(client, "/Users", "poor")

    assert answer.status_code == 400
    assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert "would cost" in answer.json()["detail"]


async def test_an_old_version_is_not_patched(client: Client) -> None:
    version = (await read(client, USER))["meta"]["version"]
    off = {"op": "Replace", "path": "active", "value": "False"}
    on = {**off, "value": "True"}

    assert (await patch(client, USER, off, **{"if-match": 'W/"old"'})).status_code == 412
    done = await patch(client, USER, off, **{"if-match": version})
    assert done.status_code == 204
    assert (await patch(client, USER, on, **{"if-match": version})).status_code == 412
    assert (await patch(client, USER, on, **{"if-match": done.headers["etag"]})).status_code == 204


async def test_nothing_is_created_replaced_or_deleted(client: Client) -> None:
    user = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "new@contoso.com",
    }
    calls = [("POST", "/Users"), ("POST", "/Groups"), ("POST", "/Bulk")]
    calls += [(method, path) for method in ("PUT", "DELETE") for path in (USER, ROLE, GROUP)]

    for method, path in calls:
        answer = await client.http.request(
            method, f"{SCIM}{path}", json=user, headers=bearer("writer")
        )
        assert answer.status_code == 501, (method, path)


async def test_the_service_says_that_it_patches(client: Client) -> None:
    assert (await read(client, "/ServiceProviderConfig"))["patch"] == {"supported": True}
